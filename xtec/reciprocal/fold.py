"""Where in the Brillouin zone voxels sit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from xtec.core.axes import Q_NAMES, Axis
from xtec.core.types import Float64Array

_BINS = 20
"""Bins from one zone centre to the next along an axis."""

_NEAR = 0.1
"""Voxels this near (r.l.u., every axis) say how full a bin is, and are averaged to find the place."""

_TOGETHER = 2**18
"""Voxels folded at a time."""

_SLACK = 1e-6
"""For axis values such as 0.30000000000000004."""


@dataclass(frozen=True)
class ZonePosition:
    """Where in the zone most of a cluster lies.

    Attributes
    ----------
    offset : tuple of float
        Distance from the nearest reciprocal lattice point along H, K and L, 0 to 1/2; NaN along an axis that
        was not measured.
    """

    offset: tuple[float, ...]

    @property
    def is_bragg(self) -> bool:
        """Whether it is a reciprocal lattice point, as far as it was measured."""
        return not np.nansum(self.offset)

    @property
    def text(self) -> str:
        """The offset in simple fractions where it is near one: ``(1/2, 1/2, 0)``; ``?`` if not measured."""
        return f"({', '.join(_fraction(value) for value in self.offset)})"


def zone_position(
    axes: Sequence[Axis], index: NDArray[np.int64], weight: Float64Array
) -> ZonePosition | None:
    """Most populated place of the reduced zone; None unless all axes are H, K or L in r.l.u.

    Parameters
    ----------
    axes : sequence of Axis
    index : array, shape (n,)
        Flat indices of the voxels.
    weight : array, shape (n,)
        What each voxel counts for, its intensity for instance.
    """
    if index.size == 0 or not all(axis.name in Q_NAMES and axis.units != "pixel" for axis in axes):
        return None
    cells = (_BINS // 2 + 1,) * len(axes)
    population = np.zeros(np.prod(cells))
    for reduced, brightness in _reduced(axes, index, weight):
        cell = np.round(reduced * _BINS).astype(np.int64)
        population += np.bincount(np.ravel_multi_index(tuple(cell), cells), brightness, population.size)
    fullest = np.array(np.unravel_index(_unfolded(population.reshape(cells)).argmax(), cells)) / _BINS
    total = 0.0
    moment = np.zeros(len(axes))
    for reduced, brightness in _reduced(axes, index, weight):
        near = (np.abs(reduced - fullest[:, None]) <= _NEAR + _SLACK).all(axis=0)
        moment += reduced[:, near] @ brightness[near]
        total += brightness[near].sum()
    # Folding makes every offset positive: next to 0 and 1/2 the mean is drawn inwards.
    offset = np.where(fullest <= 0.05, 0.0, np.where(fullest >= 0.45, 0.5, moment / total))
    found = dict(zip((axis.name for axis in reversed(axes)), map(float, offset), strict=True))
    return ZonePosition(tuple(found.get(name, np.nan) for name in reversed(Q_NAMES)))


def _unfolded(population: Float64Array) -> Float64Array:
    """Density near each bin of the whole zone, of which folding made one part.

    Bins between 0 and 1/2 have the population of several places; those near 0 and 1/2 have neighbours on
    their other side, which look the same.
    """
    density = population
    for axis in range(population.ndim):
        share = np.full(population.shape[axis], 0.5)
        share[[0, -1]] = 1.0
        density = density * share.reshape([-1 if axis == other else 1 for other in range(population.ndim)])
    return np.asarray(gaussian_filter(density, _NEAR * _BINS / 2, mode="mirror"))


def _reduced(
    axes: Sequence[Axis], index: NDArray[np.int64], weight: Float64Array
) -> Iterator[tuple[Float64Array, Float64Array]]:
    """Distances from the nearest reciprocal lattice point along H, K, L, and weights: a few at a time."""
    tables = [np.abs(axis.values - np.round(axis.values)) for axis in axes]
    for start in range(0, index.size, _TOGETHER):
        along = np.unravel_index(index[start : start + _TOGETHER], tuple(map(len, tables)))
        reduced = [table[i] for table, i in zip(tables, along, strict=True)]
        yield np.stack(reduced[::-1]), weight[start : start + _TOGETHER].astype(np.float64)


def _fraction(value: float) -> str:
    if np.isnan(value):
        return "?"
    nearest = Fraction(value).limit_denominator(6)
    return str(nearest) if abs(float(nearest) - value) < 0.015 else f"{value:.2f}"
