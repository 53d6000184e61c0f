"""Tc by a Gaussian process that changes at Tc, against the power laws of `xtec order-parameter`.

Curves of some laws, each with its own Tc, background, temperatures (14 to 60) and noise, are read by both. Of
each law it prints, for each way: how often a transition was found, how often the 95 % interval held Tc where
one was, the median error of Tc, that of nine in ten, and the median half length of the interval, all three in
spacings of temperatures; and seconds a curve.

    python benchmarks/learned_gp_order_parameter.py [--curves 100] [--offset 0] [--only NAME] [--blind]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from xtec.core.quantities import Quantity
from xtec.core.types import Float64Array
from xtec.learned.gp_order_parameter import GPOrderParameter
from xtec.order_parameter.candidates import Curve
from xtec.order_parameter.fit import fit_curve

LOW, HIGH = 30.0, 220.0
Law = Callable[[Float64Array, Float64Array, np.random.Generator], Float64Array]
"""Of the depth below Tc, one at the lowest temperature, and the place in the range, 0 to 1."""


def power(depth: Float64Array, u: Float64Array, rng: np.random.Generator) -> Float64Array:
    """A power law."""
    return depth ** (2 * rng.uniform(0.12, 0.5))


def on_curved(depth: Float64Array, u: Float64Array, rng: np.random.Generator) -> Float64Array:
    """A power law on a curved background."""
    background = rng.uniform(-0.3, 0.3) * u**2 + rng.uniform(0, 0.4) * np.exp(-u / rng.uniform(0.3, 0.8))
    return depth ** (2 * rng.uniform(0.15, 0.5)) + background


def two_slopes(depth: Float64Array, u: Float64Array, rng: np.random.Generator) -> Float64Array:
    """Straight from Tc, and straight at another slope further down."""
    knee, height = rng.uniform(0.2, 0.6), rng.uniform(0.5, 0.85)
    return np.where(depth < knee, height * depth / knee, height + (1 - height) * (depth - knee) / (1 - knee))


def plateau(depth: Float64Array, u: Float64Array, rng: np.random.Generator) -> Float64Array:
    """Saturates."""
    return np.tanh(rng.uniform(2, 6) * depth ** rng.uniform(0.4, 1.0))


def bent(depth: Float64Array, u: Float64Array, rng: np.random.Generator) -> Float64Array:
    """A tanh whose slope changes further down."""
    return np.tanh(rng.uniform(1, 3) * depth) * (1 + rng.uniform(-0.3, 0.5) * depth**2)


def returning(depth: Float64Array, u: Float64Array, rng: np.random.Generator) -> Float64Array:
    """Grows, and weakens again further down."""
    return depth ** rng.uniform(0.5, 1.0) * (1 - rng.uniform(0.4, 0.8) * depth**2)


def jump(depth: Float64Array, u: Float64Array, rng: np.random.Generator) -> Float64Array:
    """A jump, and what follows it."""
    return (depth > 0) * (1 + rng.uniform(-0.2, 0.5) * depth)


def flat(depth: Float64Array, u: Float64Array, rng: np.random.Generator) -> Float64Array:
    """Nothing but the background."""
    return 0 * u


def debye_waller(depth: Float64Array, u: Float64Array, rng: np.random.Generator) -> Float64Array:
    """A Bragg peak."""
    return 4 * np.exp(-rng.uniform(0.1, 2) * ((LOW + u * (HIGH - LOW)) / HIGH) ** rng.uniform(1, 2))


def curie_weiss(depth: Float64Array, u: Float64Array, rng: np.random.Generator) -> Float64Array:
    """Fluctuations of an order that sets in below the scan."""
    return 0.2 / (u + rng.uniform(0.05, 0.5))


def sigmoid(depth: Float64Array, u: Float64Array, rng: np.random.Generator) -> Float64Array:
    """A smooth crossover, as wide as 0.1 to 0.3 of the range."""
    return 1 / (1 + np.exp((u - rng.uniform(0.3, 0.7)) / rng.uniform(0.1, 0.3)))


def hump(depth: Float64Array, u: Float64Array, rng: np.random.Generator) -> Float64Array:
    """A Lorentzian in temperature."""
    return 1 / (1 + ((u - rng.uniform(0.3, 0.7)) / rng.uniform(0.2, 0.5)) ** 2)


def wavy(depth: Float64Array, u: Float64Array, rng: np.random.Generator) -> Float64Array:
    """Three cosines."""
    return sum(0.4 * rng.normal() * np.cos(k * np.pi * u + rng.uniform(0, 6)) / k**1.5 for k in (1, 2, 3))


ORDERING: list[Law] = [power, on_curved, two_slopes, plateau, bent, returning, jump]
SMOOTH: list[Law] = [flat, debye_waller, curie_weiss, sigmoid, hump, wavy]


def draw(law: Law, seed: int) -> tuple[Float64Array, Float64Array, Float64Array, float]:
    """Temperatures, intensities, errors and Tc; three in ten scans are unevenly spaced."""
    rng = np.random.default_rng([seed, (ORDERING + SMOOTH).index(law)])
    n = int(rng.integers(14, 60))
    x = np.linspace(LOW, HIGH, n) if rng.random() < 0.7 else np.sort(rng.uniform(LOW, HIGH, n))
    tc = float(rng.uniform(x[4], x[-5]))
    u = (x - LOW) / (HIGH - LOW)
    y = law(np.clip((tc - x) / (tc - LOW), 0, None), u, rng)
    y = y + rng.uniform(0.1, 1) * (1 + rng.uniform(-0.2, 0.1) * u)
    sigma = 10 ** rng.uniform(-2.5, -1.5) * np.sqrt(np.maximum(y, 0.05))
    return x, y + sigma * rng.standard_normal(n), sigma, tc


def by_power_law(x: Float64Array, y: Float64Array, sigma: Float64Array) -> Quantity | None:
    """What `xtec order-parameter` finds; of two transitions the stronger."""
    fit = fit_curve(Curve(x, y, sigma))
    if not fit.orders or fit.best is None:
        return None
    return fit.tc[int(np.argmax(fit.best.rises[: len(fit.tc)]))]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--curves", type=int, default=100)
    parser.add_argument("--offset", type=int, default=0)
    parser.add_argument("--only", default="")
    parser.add_argument("--blind", action="store_true", help="the process is not told the errors")
    asked = parser.parse_args()

    def by_process(x: Float64Array, y: Float64Array, sigma: Float64Array) -> Quantity | None:
        return GPOrderParameter().fit(x, y, 0 * sigma if asked.blind else sigma).tc

    print("| curve | by | found, % | Tc held, % | error | 90 % | half interval | s |\n" + 8 * "|---" + "|")
    for law in ORDERING + SMOOTH:
        if asked.only not in law.__name__:
            continue
        title = (law.__doc__ or "").rstrip(".").lower()
        for name, way in (("process", by_process), ("power laws", by_power_law)):
            print(f"| {title} | {name} | {_row(law, way, asked.curves, asked.offset)} |", flush=True)


def _row(law: Law, way: Callable[..., Quantity | None], n: int, offset: int) -> str:
    held, error, length = [], [], []
    start = time.process_time()
    for i in range(n):
        x, y, sigma, tc = draw(law, offset + i)
        if (found := way(x, y, sigma)) is not None:
            spacing = np.ptp(x) / (len(x) - 1)
            held.append(found.holds(tc))
            error.append(abs(found.value - tc) / spacing)
            length.append(found.error / spacing)
    seconds = (time.process_time() - start) / n
    found_share = f"{100 * len(held) / n:.0f}"
    if law in SMOOTH or not held:
        return f"{found_share} | | | | | {seconds:.2f}"
    ends = f"{np.median(error):.2f} | {np.quantile(error, 0.9):.2f} | {np.nanmedian(length):.2f}"
    return f"{found_share} | {100 * np.mean(held):.0f} | {ends} | {seconds:.2f}"


if __name__ == "__main__":
    main()
