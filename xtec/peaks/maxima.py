"""Where peaks are highest: local maxima among kept voxels, placed between the voxels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from xtec.core.compiled import compiled
from xtec.core.types import Float64Array, FloatArray
from xtec.peaks.connect import half_of_the_neighbours, padded, padded_stride

_CLEAR = 5.0
"""Height of a maximum in standard deviations of its noise."""

_APART = 2
"""Of two maxima within so many voxels along every axis the lower one is a ripple of the higher."""

_UNKNOWN = 0.3
"""Standard error, in pixels, along an axis where a neighbour is missing."""


@dataclass(frozen=True)
class Maxima:
    """Local maxima of a quantity over M voxels.

    Attributes
    ----------
    index : array, shape (M,), int64
        Flat C-order index of each.
    height : array, shape (M,)
    position, error : array, shape (M, D)
        In the axes' units and order, and its standard error.
    whole : array, shape (M, D), bool
        False along an axis where it lies at the end of the grid.
    """

    index: NDArray[np.int64]
    height: Float64Array
    position: Float64Array
    error: Float64Array
    whole: NDArray[np.bool_]

    def __getitem__(self, which: NDArray[np.intp]) -> Maxima:
        return Maxima(*(getattr(self, field.name)[which] for field in fields(self)))

    @classmethod
    def concatenate(cls, parts: Sequence[Maxima]) -> Maxima:
        """Of several shards."""
        columns = ([getattr(part, field.name) for part in parts] for field in fields(cls))
        return cls(*map(np.concatenate, columns))


def weighed(intensity: FloatArray, weights: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Weighted sum over the scan for each voxel, and its variance where intensities are counts.

    Parameters
    ----------
    intensity : array, shape (n, T)
    weights : array, shape (T,)

    Returns
    -------
    sums, variances : array, shape (n,)
        A variance is above zero, whatever the intensities are.
    """
    sums, variances = np.zeros(len(intensity)), np.full(len(intensity), 1e-300)
    _weigh(intensity.T, weights, sums, variances)
    return sums, variances


def find_maxima(
    index: NDArray[np.int64], height: Float64Array, noise: Float64Array, axes_values: Sequence[Float64Array]
) -> Maxima:
    """Voxels that are higher than all of their neighbours, diagonals included, and clearly above noise.

    The place along each axis is the vertex of the parabola through the logarithms of the voxel and its two
    neighbours, which is exact for Gaussian peaks.

    Parameters
    ----------
    index : array, shape (n,), int64, rising
        Flat C-order indices; voxels that are not listed count as lower.
    height, noise : array, shape (n,)
        Positive quantity and its standard deviation.
    axes_values : sequence of array
        Coordinates along each axis, slowest first.
    """
    shape = tuple(map(len, axes_values))
    place = padded(index, shape)
    chosen = np.flatnonzero(height > _CLEAR * noise)
    steps = half_of_the_neighbours(shape)
    for step in (*steps, *(-step for step in steps)):
        beside, there = _at(place, place[chosen] + step)
        lower = np.where(there, height[beside], -np.inf) < height[chosen]
        chosen = chosen[lower | (there & (height[beside] == height[chosen]) & (step > 0))]
    position, error, whole = (np.empty((chosen.size, len(shape)), kind) for kind in (float, float, bool))
    along = np.unravel_index(index[chosen], shape)
    for axis, values in enumerate(axes_values):
        pixel = abs(float(np.median(np.diff(values)))) if len(values) > 1 else 0.0
        shift, spread, inside = _vertex(place, height, noise, chosen, padded_stride(shape, axis))
        spacing = np.gradient(values)[along[axis]] if len(values) > 1 else np.zeros(chosen.size)
        position[:, axis] = values[along[axis]] + shift * spacing
        error[:, axis] = spread * pixel
        whole[:, axis] = (along[axis] > 0) & (along[axis] < len(values) - 1)
        error[~inside, axis] = _UNKNOWN * pixel
    return Maxima(index[chosen], height[chosen], position, error, whole)


def thinned(maxima: Maxima, shape: Sequence[int]) -> tuple[Maxima, NDArray[np.intp]]:
    """Leave out maxima that have a higher one within two voxels along every axis, and say which are left.

    So a maximum that two shards have found on either side of their face is there once.
    """
    if not maxima.index.size:
        return maxima, np.empty(0, np.intp)
    from scipy.spatial import cKDTree

    tree = cKDTree(np.stack(np.unravel_index(maxima.index, tuple(shape)), axis=1).astype(np.float64))
    pairs = tree.query_pairs(_APART + 0.5, p=np.inf, output_type="ndarray")
    first, second = pairs.T
    lower = np.where(maxima.height[first] < maxima.height[second], first, second)
    kept = np.setdiff1d(np.arange(maxima.index.size), lower)
    return maxima[kept], kept


def _at(place: NDArray[np.int64], wanted: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Where wanted places are among rising ones, and whether they are there."""
    found = np.minimum(np.searchsorted(place, wanted), place.size - 1)
    return found, np.asarray(place[found] == wanted)


def _vertex(
    place: NDArray[np.int64], height: Float64Array, noise: Float64Array, chosen: NDArray[np.intp], step: int
) -> tuple[Float64Array, Float64Array, NDArray[np.bool_]]:
    """Shift of the maximum along an axis and its error, in voxels; and whether both neighbours tell it."""
    before, there_before = _at(place, place[chosen] - step)
    after, there_after = _at(place, place[chosen] + step)
    inside = there_before & there_after & (height[before] > 0) & (height[after] > 0)
    left, middle, right = (np.where(inside, height[i], 1.0) for i in (before, chosen, after))
    bend = 2 * np.log(middle) - np.log(left) - np.log(right)
    inside &= bend > 0
    bend = np.where(inside, bend, 1.0)
    shift = np.where(inside, np.clip((np.log(right) - np.log(left)) / (2 * bend), -0.5, 0.5), 0.0)
    spread = np.hypot(noise[before] / left, noise[after] / right) / (2 * bend)
    return shift, np.minimum(spread, _UNKNOWN), inside


@compiled
def _weigh(rows: FloatArray, weights: Float64Array, sums: Float64Array, variances: Float64Array) -> None:
    for t in range(rows.shape[0]):
        for i in range(rows.shape[1]):
            value = np.float64(rows[t, i])
            sums[i] += weights[t] * value
            variances[i] += weights[t] * weights[t] * max(value, 0.0)
