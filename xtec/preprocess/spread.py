"""How many numbers are spread: moments, order statistics and histograms of values that come in pieces.

Everything is exact and takes a few passes; no pass needs more than a piece at a time, or their order.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from xtec.core import grouped
from xtec.core.arrays import is_array, is_host, like, namespace
from xtec.core.compiled import compiled, compiled_sums
from xtec.core.shards import Local, Shards
from xtec.core.types import Float64Array

_COARSE = 1 << 14
"""Bins that narrow down where an order statistic lies."""

_FEW = 1 << 18
"""So many values may be sorted."""


@dataclass(frozen=True)
class Spread:
    """Number, extremes and moments of values.

    Attributes
    ----------
    n : int
    low, high : float
    mean : float
    squares : float
        Sum of squared deviations from the mean.
    """

    n: int = 0
    low: float = np.inf
    high: float = -np.inf
    mean: float = 0.0
    squares: float = 0.0

    @classmethod
    def of(cls, values: Float64Array) -> Spread:
        """Of one piece, of any array library."""
        if values.size == 0:
            return cls()
        if not is_host(values):
            return cls(values.size, *_plain_spread(values))
        mean = float(values.mean())
        return cls(values.size, *_extremes(values), mean, float(_squares(values, mean)))

    def merge(self, other: Spread) -> Spread:
        """Of two pieces together (Chan, Golub & LeVeque 1983)."""
        n = self.n + other.n
        if n == 0:
            return self
        step = other.mean - self.mean
        share = other.n / n
        squares = self.squares + other.squares + step * step * self.n * share
        return Spread(
            n, min(self.low, other.low), max(self.high, other.high), self.mean + step * share, squares
        )

    @property
    def std(self) -> float:
        """Standard deviation."""
        return float(np.sqrt(self.squares / self.n)) if self.n else np.nan


def as_pieces(values: Float64Array | Shards[Float64Array]) -> Shards[Float64Array]:
    """One array as a single piece; pieces as they are."""
    return Local([values]) if is_array(values) else cast(Shards[Float64Array], values)


def spread_of(pieces: Shards[Float64Array]) -> Spread:
    """Moments and extremes of all values."""
    total = Spread()
    for part in pieces.map(Spread.of):
        total = total.merge(part)
    return total


def order_statistic(pieces: Shards[Float64Array], rank: int, spread: Spread) -> float:
    """The value of a rank (counted from 0) among all values in rising order.

    Parameters
    ----------
    pieces : Shards of float64 arrays
    rank : int
        0 <= rank < n.
    spread : Spread
        Of these values.
    """
    low, high, below, inside = spread.low, spread.high, 0, spread.n
    while inside > _FEW and low < high:
        counts = np.zeros(_COARSE, dtype=np.int64)
        for part in pieces.map(partial(_counts_between, low=low, high=high)):
            counts += part
        upto = below + np.cumsum(counts)
        chosen = int(np.searchsorted(upto, rank, side="right"))
        below, inside = int(upto[chosen] - counts[chosen]), int(counts[chosen])
        ends = list(pieces.map(partial(_ends_of_bin, low=low, high=high, chosen=chosen)))
        low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    if low == high:
        return low
    within = np.concatenate(list(pieces.map(partial(_between, low=low, high=high))))
    return float(np.partition(within, rank - below)[rank - below])


def histogram_sums(pieces: Shards[Float64Array], edges: Float64Array, centre: float) -> Float64Array:
    """Number, sum and sum of squares, about a centre, of the values in each bin.

    Parameters
    ----------
    pieces : Shards of float64 arrays
    edges : array, shape (B+1,)
        Evenly spaced from the smallest value to the largest; the last bin includes its upper edge.
    centre : float

    Returns
    -------
    array, shape (3, B)
    """
    sums = np.zeros((3, edges.size - 1))
    for part in pieces.map(partial(_binned, edges=edges, centre=centre)):
        sums += part
    return sums


def _binned(values: Any, edges: Float64Array, centre: float) -> Any:
    if not is_host(values):
        return _plain_bins(values, edges, centre)
    sums = np.zeros((edges.size - 1, 3))
    _add_to_bins(values, edges, centre, sums)
    return sums.T


def _counts_between(values: Float64Array, low: float, high: float) -> NDArray[np.int64]:
    if not is_host(values):
        place, _ = _plain_coarse_bins(values, low, high)
        return cast(NDArray[np.int64], grouped.counts(place, _COARSE + 1)[:_COARSE])
    counts = np.zeros(_COARSE, dtype=np.int64)
    _count(values, low, high, counts)
    return counts


def _ends_of_bin(values: Float64Array, low: float, high: float, chosen: int) -> tuple[float, float]:
    if not is_host(values):
        if values.size == 0:
            return np.inf, -np.inf
        place, xp = _plain_coarse_bins(values, low, high)
        inside, far = place == chosen, xp.full_like(values, np.inf)
        return float(xp.min(xp.where(inside, values, far))), float(xp.max(xp.where(inside, values, -far)))
    ends: tuple[float, float] = _bin_ends(values, low, high, chosen, _COARSE)
    return ends


def _between(values: Float64Array, low: float, high: float) -> Float64Array:
    return values[(values >= low) & (values <= high)]


def _plain_spread(values: Any) -> tuple[float, float, float, float]:
    """Extremes, mean and sum of squares about it."""
    xp = namespace(values)
    mean = xp.mean(values)
    squares = xp.sum((values - mean) ** 2)
    return float(xp.min(values)), float(xp.max(values)), float(mean), float(squares)


def _plain_coarse_bins(values: Any, low: float, high: float) -> tuple[Any, Any]:
    """Coarse bin of each value, the last one for those outside; and the array library."""
    xp = namespace(values)
    inside = (values >= low) & (values <= high)
    scaled = xp.where(inside, (values - low) * (_COARSE / (high - low)), xp.zeros_like(values))
    place = xp.minimum(xp.astype(scaled, xp.int64), _COARSE - 1)
    return xp.where(inside, place, xp.full_like(place, _COARSE)), xp


def _plain_bins(values: Any, edges: Float64Array, centre: float) -> Any:
    """As `_add_to_bins`, transposed."""
    xp, n_bins = namespace(values), edges.size - 1
    low, bounds = float(edges[0]), like(edges, values)
    scale = float(n_bins / (edges[-1] - low)) if edges[-1] > low else 0.0
    place = xp.minimum(xp.astype((values - low) * scale, xp.int64), n_bins - 1)
    before = values < xp.take(bounds, place)
    after = (values >= xp.take(bounds, place + 1)) & (place < n_bins - 1) & ~before
    place = place - xp.astype(before, xp.int64) + xp.astype(after, xp.int64)
    offset = values - centre
    number = xp.astype(grouped.counts(place, n_bins), xp.float64)
    sums = [grouped.sums(one, place, n_bins) for one in (offset, offset * offset)]
    return xp.stack([number, *sums])


@compiled_sums
def _squares(values: Float64Array, mean: float) -> float:
    total = 0.0
    for value in values:
        total += (value - mean) * (value - mean)
    return total


@compiled
def _extremes(values: Float64Array) -> tuple[float, float]:
    low, high = np.inf, -np.inf
    for value in values:
        low = value if value < low else low
        high = value if value > high else high
    return low, high


@compiled
def _coarse_bin(value: float, low: float, scale: float, n_bins: int) -> int:
    """Rises with the value, whatever the rounding."""
    return min(int((value - low) * scale), n_bins - 1)


@compiled
def _count(values: Float64Array, low: float, high: float, counts: NDArray[np.int64]) -> None:
    scale = counts.size / (high - low)
    for value in values:
        if low <= value <= high:
            counts[_coarse_bin(value, low, scale, counts.size)] += 1


@compiled
def _bin_ends(values: Float64Array, low: float, high: float, chosen: int, n_bins: int) -> tuple[float, float]:
    """Smallest and largest value in a coarse bin."""
    scale = n_bins / (high - low)
    first, last = np.inf, -np.inf
    for value in values:
        if low <= value <= high and _coarse_bin(value, low, scale, n_bins) == chosen:
            first, last = min(first, value), max(last, value)
    return first, last


@compiled
def _add_to_bins(values: Float64Array, edges: Float64Array, centre: float, sums: Float64Array) -> None:
    n_bins = edges.size - 1
    low = edges[0]
    scale = n_bins / (edges[n_bins] - low) if edges[n_bins] > low else 0.0
    for value in values:
        place = min(int((value - low) * scale), n_bins - 1)
        if value < edges[place]:  # the product has been rounded
            place -= 1
        elif value >= edges[place + 1] and place < n_bins - 1:
            place += 1
        offset = value - centre
        sums[place, 0] += 1.0
        sums[place, 1] += offset
        sums[place, 2] += offset * offset
