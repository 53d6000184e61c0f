"""Timing of contenders side by side: repeats interleaved, so that machine noise hits all of them alike."""

from __future__ import annotations

import gc
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Answer = dict[str, float]
"""Figures of merit of one result: voxels kept, log-likelihood, ..."""


class ContenderFailedError(RuntimeError):
    """A contender could not do its part; the report says why and goes on."""


@dataclass(frozen=True)
class Contender:
    """One way of doing a piece of work.

    Attributes
    ----------
    name : str
        Row of the table.
    role : str
        ``ours``, ``peer`` or ``floor``.
    call : callable
        Does the work. Its wall time is taken, unless it returns a `Timed`.
    judge : callable
        Turns what `call` returned into figures of merit, outside the time taken.
    slow : bool
        Run only as often as slow contenders are.
    per : float
        Time is divided by this (number of iterations, for instance).
    """

    name: str
    role: str
    call: Callable[[], Any]
    judge: Callable[[Any], Answer] = lambda _: {}
    slow: bool = False
    per: float = 1.0


@dataclass(frozen=True)
class Timed:
    """A result whose seconds were taken elsewhere, in another process for instance."""

    seconds: float
    result: Any


@dataclass(frozen=True)
class Benchmark:
    """Contenders for one piece of work; the first is ours.

    Attributes
    ----------
    name, title, unit, note : str
        `unit` says what one time is for: ``run``, ``iteration``.
    contenders : sequence of Contender
    same : tuple of str
        Figures of merit in which peers must agree with ours, or the table says that they differ.
    within : float
        Relative difference still called agreement.
    """

    name: str
    title: str
    contenders: Sequence[Contender]
    unit: str = "run"
    note: str = ""
    same: tuple[str, ...] = ()
    within: float = 1e-9


@dataclass
class Row:
    """What was measured of one contender."""

    name: str
    role: str
    seconds: list[float] = field(default_factory=list)
    answer: Answer = field(default_factory=dict)
    problem: str = ""

    @property
    def median(self) -> float:
        """Median seconds."""
        return float(np.median(self.seconds)) if self.seconds else math.nan

    @property
    def quartiles(self) -> tuple[float, float]:
        """First and third quartile of the seconds."""
        if not self.seconds:
            return math.nan, math.nan
        low, high = np.percentile(self.seconds, [25, 75])
        return float(low), float(high)

    def ratio_to(self, ours: Row) -> tuple[float, float, float]:
        """Time relative to ours, round by round: median, first and third quartile."""
        pairs = [theirs / mine for theirs, mine in zip(self.seconds, ours.seconds, strict=False)]
        if not pairs:
            return math.nan, math.nan, math.nan
        low, middle, high = np.percentile(pairs, [25, 50, 75])
        return float(middle), float(low), float(high)


def measure(benchmark: Benchmark, *, repeats: int, slow_repeats: int) -> list[Row]:
    """Run the contenders in turn, A B A B; quick ones have one untimed round before.

    Where ours fails, nobody else is run: there would be nothing to compare with.

    Parameters
    ----------
    benchmark : Benchmark
    repeats, slow_repeats : int
        Rounds, and how many of them (the first) slow contenders take part in.
    """
    rows = [Row(one.name, one.role) for one in benchmark.contenders]
    for turn in range(-1, repeats):
        for contender, row in zip(benchmark.contenders, rows, strict=True):
            if row.problem or rows[0].problem or (contender.slow and not 0 <= turn < slow_repeats):
                continue
            seconds = _one(contender, row, timed=turn >= 0)
            done = row.problem or f"{seconds:.3g} s"
            print(f"  {benchmark.name} {turn + 1}/{repeats} {row.name}: {done}", file=sys.stderr)
    _compare(benchmark, rows)
    return rows


def _one(contender: Contender, row: Row, *, timed: bool) -> float:
    """Run once, note what came out in the row, and return the seconds it took."""
    gc.collect()
    began = time.perf_counter()
    try:
        result = contender.call()
    except ContenderFailedError as error:
        row.problem = str(error)
        return math.nan
    seconds = time.perf_counter() - began
    if isinstance(result, Timed):
        seconds, result = result.seconds, result.result
    if timed:
        row.seconds.append(seconds / contender.per)
        if not row.answer:
            row.answer = contender.judge(result)
    return seconds


def _compare(benchmark: Benchmark, rows: Sequence[Row]) -> None:
    ours = rows[0].answer
    for row in rows[1:]:
        if row.role != "peer":
            continue
        wrong = [
            name
            for name in benchmark.same
            if name in row.answer and not math.isclose(row.answer[name], ours[name], rel_tol=benchmark.within)
        ]
        if wrong:
            row.problem = f"differs from ours in: {', '.join(wrong)}"
