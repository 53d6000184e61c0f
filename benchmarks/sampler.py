"""How well temperatures chosen one by one give Tc and beta, against as many evenly spaced.

Curves have a sloping background and an onset; Tc, beta, background and noise are drawn. Both ways measure
twelve temperatures from 30 to 300 K, with the same noise; Tc is then found by the same estimator, the
posterior of the sampler and the fit of `xtec order-parameter`. The sampler gets its first three temperatures
even, but none where it may only cool.

    python benchmarks/sampler.py [--experiments 50] [--offset 0] [--only NAME]
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from xtec.core.types import Float64Array
from xtec.operando import Sampler, Transition
from xtec.order_parameter.candidates import Curve
from xtec.order_parameter.fit import fit_curve
from xtec.order_parameter.models import smeared_onset, tail

LOW, HIGH, BUDGET, FIRST = 30.0, 300.0, 12, 3


@dataclass(frozen=True)
class Kind:
    """Experiments of one kind.

    Attributes
    ----------
    title : str
    sampler : mapping
        Options of `Sampler`.
    tc : tuple of float
        Range that Tc is drawn from.
    curves : int
        Each with an onset of its own.
    onsets : int
        In each curve.
    errors : bool
        Whether the sampler is told them.
    rounded : bool
        With Tc smeared by 1 % and a tail of 2 %.
    """

    title: str
    sampler: Mapping[str, Any] = field(default_factory=dict)
    tc: tuple[float, float] = (40.0, 290.0)
    curves: int = 1
    onsets: int = 1
    errors: bool = True
    rounded: bool = False


KINDS = {
    "plain": Kind("steps of 1 K"),
    "coarse": Kind("steps of 5 K", {"step": 5.0}),
    "unknown": Kind("errors not told", errors=False),
    "rounded": Kind("rounded: Tc smeared by 1 %, tail of 2 %", rounded=True),
    "low": Kind("Tc from 34 to 45 K", tc=(34.0, 45.0)),
    "high": Kind("Tc from 285 to 297 K", tc=(285.0, 297.0)),
    "curves": Kind("two curves, two transitions", curves=2),
    "two": Kind("one curve, two transitions (the nearer counts)", onsets=2),
    "cooling": Kind("cooling only", {"direction": "cooling"}),
    "none": Kind("no transition", onsets=0),
}


@dataclass(frozen=True)
class Law:
    """A curve: ``b (1 + s (T - 165) / 165)`` and onsets of height A = 1 at T = 0."""

    level: float
    slope: float
    tc: tuple[float, ...]
    beta: tuple[float, ...]
    rounded: bool

    def __call__(self, x: Float64Array) -> Float64Array:
        """Intensities (n,) at temperatures (n,)."""
        y = self.level * (1 + self.slope * (x - 165) / 165)
        for tc, beta in zip(self.tc, self.beta, strict=True):
            if self.rounded:
                y = y + smeared_onset(x, tc, beta, 0.01 * tc, 0.0) + 0.02 * tail(x, tc, 0.03)
            else:
                y = y + np.maximum(0.0, 1 - x / tc) ** (2 * beta)
        return np.asarray(y)


@dataclass(frozen=True)
class Outcome:
    """One way of measuring, in one experiment; a row for each curve and its nearest transition."""

    temperatures: Float64Array
    tc_error: tuple[float, ...] = ()
    beta_error: tuple[float, ...] = ()
    held: tuple[bool, ...] = ()
    fit_error: tuple[float, ...] = ()
    seen: tuple[float, ...] = ()
    fit_orders: tuple[bool, ...] = ()
    seconds: float = 0.0


def draw(kind: Kind, rng: np.random.Generator) -> tuple[list[Law], float]:
    """Curves, and their noise as a share of A."""
    laws = []
    for _ in range(kind.curves):
        tc = tuple(float(t) for t in rng.uniform(*kind.tc, kind.onsets))
        beta = tuple(float(b) for b in rng.uniform(0.12, 0.5, kind.onsets))
        level = float(10 ** rng.uniform(-1, 0.5))
        laws.append(Law(level, float(rng.uniform(-0.1, 0.1)), tc, beta, kind.rounded))
    return laws, float(np.exp(rng.uniform(np.log(0.003), np.log(0.03))))


def experiment(kind: Kind, number: int) -> tuple[Outcome, Outcome]:
    """Evenly spaced, and by the sampler."""
    rng = np.random.default_rng([number, list(KINDS.values()).index(kind)])
    laws, noise = draw(kind, rng)

    def measure(x: float) -> Float64Array:
        y = np.array([law(np.array([x]))[0] for law in laws])
        return np.asarray(y + noise * rng.standard_normal(len(laws)))

    even = _measured(kind, noise, np.linspace(LOW, HIGH, BUDGET).tolist(), measure)
    first = [] if kind.sampler.get("direction") else np.linspace(LOW, HIGH, FIRST).tolist()
    return even(laws), _measured(kind, noise, first, measure)(laws)


def _measured(
    kind: Kind, noise: float, first: Sequence[float], measure: Callable[[float], Float64Array]
) -> Callable[[Sequence[Law]], Outcome]:
    sampler, seconds = Sampler(LOW, HIGH, budget=BUDGET, **kind.sampler), []
    xs, ys, coming = [], [], list(first)
    while len(xs) < BUDGET:
        if not coming:
            start = time.perf_counter()
            coming = sampler.ask(1)
            seconds.append(time.perf_counter() - start)
        if not coming:
            break
        xs.append(coming.pop(0))
        ys.append(measure(xs[-1]))
        sampler.tell(xs[-1], ys[-1], noise if kind.errors else None)
    known = [one for one in sampler.transitions() if one is not None]
    spent = float(np.mean(seconds)) if seconds else 0.0
    return partial(_outcome, np.array(xs), np.array(ys).T, noise, known, spent)


def _outcome(
    x: Float64Array,
    ys: Float64Array,
    noise: float,
    known: Sequence[Transition],
    seconds: float,
    laws: Sequence[Law],
) -> Outcome:
    order = np.argsort(x, kind="stable")
    fits = [fit_curve(Curve(x[order], y[order], np.full(len(x), noise))) for y in ys]
    rows = []
    for law, one, fit in zip(laws, known, fits, strict=True):
        if not law.tc:
            continue
        k = int(np.abs(np.array(law.tc) - one.tc.value).argmin())
        off = [abs(found.value - tc) for found in fit.tc for tc in law.tc]
        tc, beta = abs(one.tc.value - law.tc[k]), abs(one.beta.value - law.beta[k])
        rows.append((tc, beta, one.tc.holds(law.tc[k]), min(off, default=np.inf)))
    columns = list(zip(*rows, strict=True)) if rows else [(), (), (), ()]
    seen = tuple(one.seen for one in known)
    return Outcome(x, *columns, seen=seen, fit_orders=tuple(fit.orders for fit in fits), seconds=seconds)


def table(kind: Kind, pairs: Sequence[tuple[Outcome, Outcome]]) -> list[str]:
    """Two rows, even and sampler."""
    rows = []
    for name, outcomes in zip(("even", "sampler"), zip(*pairs, strict=True), strict=True):
        gap = np.median([np.diff(np.sort([LOW, *one.temperatures, HIGH])).max() for one in outcomes])
        seen = np.mean([s > 0.5 for one in outcomes for s in one.seen])
        ordering = np.mean([s for one in outcomes for s in one.fit_orders])
        seconds = np.median([one.seconds for one in outcomes])
        numbers = ["", "", "", "", "", ""]
        if outcomes[0].tc_error:
            tc = np.concatenate([one.tc_error for one in outcomes])
            fit = np.concatenate([one.fit_error for one in outcomes])
            numbers = [
                f"{np.median(tc):.2f}",
                f"{np.quantile(tc, 0.9, method='higher'):.2f}",
                f"{100 * np.mean(np.concatenate([one.held for one in outcomes])):.0f}",
                f"{np.median(np.concatenate([one.beta_error for one in outcomes])):.3f}",
                f"{np.median(fit):.2f}",
                f"{np.quantile(fit, 0.9, method='higher'):.2f}",
            ]
        more = [f"{100 * seen:.0f}", f"{100 * ordering:.0f}", f"{gap:.0f}"]
        title = kind.title if name == "even" else ""
        spent = f"{1e3 * seconds:.0f}" if name == "sampler" else ""
        rows.append("| " + " | ".join([title, name, *numbers, *more, spent]) + " |")
    return rows


def main() -> None:
    """Run all kinds on all cores."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--experiments", type=int, default=50)
    parser.add_argument("--offset", type=int, default=0, help="other experiments")
    parser.add_argument("--only", choices=KINDS)
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    print(
        "| | temperatures | Tc error, K | 90 % | Tc held, % | beta error | by the fit | 90 % |"
        " seen, % | fit orders, % | widest gap, K | ms to ask |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for name, kind in KINDS.items():
            if given.only in (None, name):
                numbers = range(given.offset, given.offset + given.experiments)
                print(*table(kind, list(pool.map(partial(experiment, kind), numbers))), sep="\n", flush=True)


if __name__ == "__main__":
    main()
