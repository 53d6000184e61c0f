"""How often a planted formula is found again, against the power laws of `xtec order-parameter`.

Curves of planted formulas, with Tc, amplitudes, background and temperatures (18 to 50) drawn. Of each it says
how often the chosen formula has the planted terms, its median length beside the planted one, how often
a transition was found, how often the 95 % intervals of Tc and beta held the planted ones and the median error
of Tc in spacings of temperatures; the last three also of the power laws.

    python benchmarks/learned_symbolic_order_parameter.py [--curves 40] [--offset 0] [--noise 0.01]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from xtec.core.quantities import Quantity
from xtec.core.types import Float64Array
from xtec.learned.symbolic_order_parameter import SymbolicOrderParameter
from xtec.order_parameter.candidates import Curve
from xtec.order_parameter.fit import fit_curve

LOW, HIGH = 20.0, 220.0
Draw = np.random.Generator


@dataclass(frozen=True)
class Planted:
    """A formula.

    Attributes
    ----------
    terms : str
        Their names, see `xtec.learned.formulas`.
    length : int
    law : callable
        Of temperature, Tc (or another temperature) and a generator; gives the curve, to which a constant is
        added, and beta.
    """

    terms: str
    length: int
    law: Callable[[Float64Array, float, Draw], tuple[Float64Array, float | None]]


def _power(x: Float64Array, tc: float, rng: Draw) -> tuple[Float64Array, float]:
    beta = rng.uniform(0.1, 0.4)
    return np.clip(1 - x / tc, 0, None) ** (2 * beta), beta


def _gap(x: Float64Array, tc: float, rng: Draw) -> tuple[Float64Array, float]:
    return np.tanh(rng.uniform(1.5, 2.2) * np.sqrt(np.clip(tc / x - 1, 0, None))) ** 2, 0.5


def _sloped(x: Float64Array, tc: float, rng: Draw) -> tuple[Float64Array, float]:
    return np.clip(1 - x / tc, 0, None) - rng.uniform(0.2, 0.4) * x / HIGH, 0.5


PLANTED = {
    "A (1 - T/Tc)^p": Planted("power law, constant", 11, _power),
    "A (1 - T/Tc)": Planted(
        "mean field, constant", 9, lambda x, tc, rng: (np.clip(1 - x / tc, 0, None), 0.5)
    ),
    "A (1 - T/Tc) - b T": Planted("mean field, linear, constant", 13, _sloped),
    "A (1 - (T/Tc)^4)": Planted(
        "quartic, constant", 11, lambda x, tc, rng: (np.clip(1 - (x / tc) ** 4, 0, None), 0.5)
    ),
    "A tanh(k sqrt(Tc/T - 1))^2": Planted("gap, constant", 15, _gap),
    "A [T < Tc]": Planted("jump, constant", 8, lambda x, tc, rng: (1.0 * (x < tc), None)),
    "constant": Planted("constant", 1, lambda x, tc, rng: (0 * x, None)),
    "b T": Planted("linear, constant", 5, lambda x, tc, rng: (x / HIGH, None)),
    "b exp(-T/T0)": Planted("exponential, constant", 9, lambda x, tc, rng: (np.exp(-x / (0.4 * tc)), None)),
    "b / (exp(T0/T) - 1)": Planted("bose, constant", 10, lambda x, tc, rng: (1 / np.expm1(2 * tc / x), None)),
}
"""Formulas, each beside a constant; the last four have no Tc."""


@dataclass(frozen=True)
class Drawn:
    """One curve.

    Attributes
    ----------
    x, y, sigma : array, shape (T,)
    tc : float
    beta : float or None
    """

    x: Float64Array
    y: Float64Array
    sigma: Float64Array
    tc: float
    beta: float | None


def draw(planted: Planted, noise: float, seed: int) -> Drawn:
    """A curve with noise as a share of its spread."""
    rng = np.random.default_rng([seed, planted.length])
    x = np.linspace(LOW, HIGH, int(rng.integers(18, 50)))
    tc = float(rng.uniform(x[6], x[-6]))
    y, beta = planted.law(x, tc, rng)
    y = rng.uniform(0.5, 3) * y + rng.uniform(0.3, 1)
    sigma = np.full(len(x), noise * (np.ptp(y) or 1.0))
    return Drawn(x, y + sigma * rng.standard_normal(len(x)), sigma, tc, beta)


def by_power_law(one: Drawn) -> tuple[Quantity | None, Quantity | None]:
    """What `xtec order-parameter` finds."""
    fit = fit_curve(Curve(one.x, one.y, one.sigma))
    return (fit.tc[0], fit.beta[0]) if fit.orders else (None, None)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--curves", type=int, default=40)
    parser.add_argument("--offset", type=int, default=0)
    parser.add_argument("--noise", type=float, default=0.01)
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    one, other = "found, % | Tc held, % | beta held, % | error of Tc", "the same of power laws | | | "
    print(f"| planted | same terms, % | length, planted | {one} | {other} | s |\n" + 13 * "|---" + "|")
    for name, planted in PLANTED.items():
        if asked.only not in name:
            continue
        drawn = [draw(planted, asked.noise, asked.offset + i) for i in range(asked.curves)]
        start = time.process_time()
        read = [SymbolicOrderParameter().fit(one.x, one.y, one.sigma) for one in drawn]
        seconds = (time.process_time() - start) / asked.curves
        chosen = [next(f for f in one.facts["formulas"] if f["chosen"]) for one in read]
        same = 100 * np.mean([", ".join(f["terms"]) == planted.terms for f in chosen])
        length = np.median([f["length"] for f in chosen])
        formula = _row(drawn, [(one.tc, one.beta) for one in read])
        law = _row(drawn, [by_power_law(one) for one in drawn])
        print(
            f"| {name} | {same:.0f} | {length:.0f}, {planted.length} | {formula} | {law} | {seconds:.2f} |",
            flush=True,
        )


def _row(drawn: list[Drawn], read: list[tuple[Quantity | None, Quantity | None]]) -> str:
    found = [(one, tc, beta) for one, (tc, beta) in zip(drawn, read, strict=True) if tc is not None]
    share = f"{100 * len(found) / len(drawn):.0f}"
    if len(found) < 0.2 * len(drawn):
        return f"{share} | | | "
    held = 100 * np.mean([tc.holds(one.tc) for one, tc, _ in found])
    error = np.median([abs(tc.value - one.tc) * len(one.x) / (HIGH - LOW) for one, tc, _ in found])
    known = [beta.holds(one.beta) for one, _, beta in found if one.beta is not None and beta is not None]
    return f"{share} | {held:.0f} | {f'{100 * np.mean(known):.0f}' if known else ''} | {error:.3f}"


if __name__ == "__main__":
    main()
