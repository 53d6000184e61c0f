"""The card: its clock, trajectories made on it, and how fast it moves and multiplies numbers."""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from gpu_reference import Ceilings

from xtec.core.arrays import home
from xtec.core.backend import open_cuda
from xtec.core.device import Device

FAILURES: tuple[type[Exception], ...] = (
    ImportError,
    RuntimeError,
    MemoryError,
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    LookupError,
)
"""What a kernel or a peer that does not work may raise; the rest of the measurement goes on."""

_PIECE = 2**20
_SLACK = 2**29
_LEAST_REPEATS = 3
_CEILING_BUDGET = 30.0

COPY_BYTES = 2**31
"""Copied to measure the memory: much more than any cache."""

MATRIX = 8192
"""Rows and columns of the matrices that are multiplied."""


class Clock(Protocol):
    """Takes the time of a call."""

    def seconds(self, call: Callable[[], object]) -> tuple[float, float]:
        """Between two events on the device, and on the wall until everything is done."""


class HostClock:
    """For what runs on the processor."""

    def seconds(self, call: Callable[[], object]) -> tuple[float, float]:
        """The wall's, twice."""
        began = time.perf_counter()
        call()
        wall = time.perf_counter() - began
        return wall, wall


@dataclass(frozen=True)
class EventClock:
    """For what runs on the card, in this thread's stream."""

    cupy: ModuleType

    def seconds(self, call: Callable[[], object]) -> tuple[float, float]:
        """Both; the wall's includes other streams."""
        device, (began, ended) = self.cupy.cuda.Device(), (self.cupy.cuda.Event() for _ in range(2))
        device.synchronize()
        before = time.perf_counter()
        began.record()
        call()
        ended.record()
        ended.synchronize()
        device.synchronize()
        wall = time.perf_counter() - before
        return float(self.cupy.cuda.get_elapsed_time(began, ended)) / 1e3, wall


@dataclass
class Times:
    """Seconds of repeated calls."""

    device: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)

    def as_json(self, per: int = 1) -> dict[str, Any]:
        """Medians and quartiles in milliseconds, divided by a number of passes."""
        named = (("device_ms", self.device), ("wall_ms", self.wall))
        return {"repeats": len(self.wall), **{name: _quartiles(seconds, per) for name, seconds in named}}


def _quartiles(seconds: Sequence[float], per: int) -> dict[str, float]:
    low, middle, high = (1e3 * float(value) / per for value in np.percentile(seconds, [25, 50, 75]))
    return {"median": middle, "low": low, "high": high}


def measure(clock: Clock, calls: Sequence[Callable[[], object]], repeats: int, budget: float) -> Times:
    """Call in turn, after a round that is not timed.

    Parameters
    ----------
    clock : Clock
    calls : sequence of callable
        The same work on different inputs: what one left in the cache is of no use to the next.
    repeats : int
    budget : float
        Seconds after which three repeats are enough.
    """
    times, began = Times(), time.perf_counter()
    for call in calls:
        clock.seconds(call)
    for turn in range(repeats):
        device, wall = clock.seconds(calls[turn % len(calls)])
        times.device.append(device)
        times.wall.append(wall)
        if turn + 1 >= _LEAST_REPEATS and time.perf_counter() - began > budget:
            break
    return times


@dataclass(frozen=True)
class Card:
    """A device to measure on; NumPy in place of CuPy shows that the measurement itself works.

    Attributes
    ----------
    device : Device
    xp : module
        ``cupy``.
    clock : Clock
    cache_bytes : int
        Of the last cache before the memory.
    failures : tuple of type
        What a kernel that does not work may raise.
    """

    device: Device
    xp: ModuleType
    clock: Clock
    cache_bytes: int
    failures: tuple[type[Exception], ...] = FAILURES

    def poison(self, n_bytes: int = 2**26) -> None:
        """Leave neither number nor label in memory to be handed out next: what is not written shows."""
        self.device.release()
        self.xp.full(n_bytes, 255, dtype=self.xp.uint8)

    def describe(self) -> dict[str, Any]:
        """Device, driver and versions, the cache, and whether matrix products are rounded to TF32."""
        return {
            **self.device.describe(),
            "cache_mib": round(self.cache_bytes / 2**20, 1),
            "cupy_tf32": os.environ.get("CUPY_TF32", "0"),
        }


def open_card() -> Card:
    """The CUDA device of this process.

    Raises
    ------
    BackendUnavailableError
        If there is none.
    """
    device = open_cuda()
    cupy = importlib.import_module("cupy")
    attributes = cupy.cuda.Device().attributes
    failures = (*FAILURES, cupy.cuda.compiler.CompileException)
    return Card(device, cupy, EventClock(cupy), int(attributes["L2CacheSize"]), failures)


def n_sets(n_bytes: int, cache_bytes: int) -> int:
    """How many inputs of a size to rotate over, so that none is still in the cache when it is its turn."""
    return 1 if n_bytes > 4 * cache_bytes else max(2, -(-4 * cache_bytes // n_bytes))


def bytes_needed(n: int, t: int, sets: int) -> int:
    """Memory that input sets of float32 trajectories and the work on them take."""
    return 4 * n * t * sets + 4 * 4 * min(n, _PIECE) * t + _SLACK


def trajectories(card: Card, n: int, curves: np.ndarray, noise: float, seed: int) -> Any:
    """Noisy trajectories (n, T) about curves (K, T): float32, Fortran order, made on the card in pieces."""
    xp = card.xp
    rng = xp.random.default_rng(seed)
    means = xp.asarray(curves.astype(np.float32))
    rows = xp.empty((n, curves.shape[1]), dtype=xp.float32, order="F")
    for first, last in pieces(n, _PIECE):
        which = rng.integers(0, len(curves), size=last - first)
        sound = rng.standard_normal(size=(last - first, curves.shape[1]), dtype=xp.float32)
        rows[first:last] = means[which] + noise * sound
    return rows


def pieces(n: int, size: int) -> Iterator[tuple[int, int]]:
    """Bounds of pieces of a size that make up 0..n."""
    for first in range(0, n, size):
        yield first, min(first + size, n)


def ceilings(card: Card, repeats: int) -> Ceilings:
    """How fast the card copies, reads, and multiplies float32 matrices; on random numbers.

    Raises
    ------
    RuntimeError
        If what was copied or multiplied is not what it should be.
    """
    copy, read = _memory_speed(card, repeats)
    card.device.release()
    return Ceilings(copy, read, _product_speed(card, repeats))


def _memory_speed(card: Card, repeats: int) -> tuple[float, float]:
    """Bytes a second: read and written by a copy, and read by a sum."""
    xp = card.xp
    n = min(COPY_BYTES, card.device.free_bytes() // 4) // 4
    source = xp.random.default_rng(0).standard_normal(size=n, dtype=xp.float32)
    target = xp.empty_like(source)
    moved = measure(card.clock, [lambda: xp.copyto(target, source)], repeats, _CEILING_BUDGET)
    summed = measure(card.clock, [lambda: xp.sum(source)], repeats, _CEILING_BUDGET)
    if not bool(xp.all(target == source)):
        raise RuntimeError("a copy is not what was copied: its speed means nothing")
    return 8 * n / float(np.median(moved.device)), 4 * n / float(np.median(summed.device))


def _product_speed(card: Card, repeats: int) -> float:
    """Operations a second of a product of matrices."""
    xp = card.xp
    rng = xp.random.default_rng(1)
    left, right = (rng.standard_normal(size=(MATRIX, MATRIX), dtype=xp.float32) for _ in range(2))
    product = xp.empty((MATRIX, MATRIX), dtype=xp.float32)
    times = measure(card.clock, [lambda: xp.matmul(left, right, out=product)], repeats, _CEILING_BUDGET)
    row = home(left[:1]).astype(np.float64) @ home(right).astype(np.float64)
    if not np.linalg.norm(home(product[:1]) - row) <= 1e-3 * np.linalg.norm(row):
        raise RuntimeError("a product of matrices is wrong: its speed means nothing")
    return 2 * MATRIX**3 / float(np.median(times.device))
