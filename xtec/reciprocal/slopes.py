"""Maxima of the mean intensity over kept voxels: which voxels lie on whose slopes, and how steep they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xtec.core.axes import Axis
from xtec.core.types import Float64Array
from xtec.peaks.connect import half_of_the_neighbours, padded, padded_stride


def summits(index: NDArray[np.int64], height: Float64Array, shape: Sequence[int]) -> NDArray[np.intp]:
    """The voxel that each voxel reaches by steps to the highest neighbour, diagonals included.

    Parameters
    ----------
    index : array, shape (n,), int64, rising
        Flat C-order indices; voxels that are not listed count as lower.
    height : array, shape (n,)
    shape : sequence of int
        Shape of the grid.

    Returns
    -------
    array, shape (n,)
        Position in `index` of each voxel's maximum.
    """
    place = padded(index, shape)
    upper, highest = np.arange(index.size), height.copy()
    steps = half_of_the_neighbours(shape)
    for step in (*steps, *(-step for step in steps)):
        beside, there = _beside(place, step)
        higher = there & (height[beside] > highest)
        upper[higher], highest[higher] = beside[higher], height[beside[higher]]
    while not np.array_equal(further := upper[upper], upper):
        upper = further
    return upper


def slopes(
    index: NDArray[np.int64], height: Float64Array, axes: Sequence[Axis]
) -> tuple[Float64Array, NDArray[np.bool_]]:
    """Derivative along each axis, between both neighbours; where one is not listed, to the other.

    It is that of the logarithm times the height where all heights are above zero: exact for Gaussian peaks.

    Returns
    -------
    array, shape (n, D)
        In the axes' units; 0 where no neighbour tells it, and along axes of one value.
    array, shape (n,)
        Whether all neighbours along the other axes are listed.
    """
    shape = tuple(map(len, axes))
    place = padded(index, shape)
    along = np.unravel_index(index, shape)
    derivative = np.zeros((index.size, len(shape)))
    logarithmic = bool((height > 0).all())
    scale, height = (height, np.log(height)) if logarithmic else (np.ones_like(height), height)
    inside = np.ones(index.size, bool)
    for number, axis in enumerate(axes):
        if len(axis) == 1:
            continue
        at, stride = axis.values[along[number]], padded_stride(shape, number)
        rise, run = np.zeros(index.size), np.zeros(index.size)
        for step in (stride, -stride):
            beside, there = _beside(place, step)
            rise += np.where(there, np.sign(step) * (height[beside] - height), 0.0)
            run += np.where(there, np.sign(step) * (at[beside] - at), 0.0)
            inside &= there
        derivative[:, number] = scale * np.divide(rise, run, out=np.zeros(index.size), where=run != 0)
    return derivative, inside


def _beside(place: NDArray[np.int64], step: int) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Where neighbours at a step are among rising places of the padded grid, and whether they are."""
    beside = np.minimum(np.searchsorted(place, place + step), place.size - 1)
    return beside, np.asarray(place[beside] == place + step)
