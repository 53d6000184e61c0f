"""Joining neighbouring voxels into peaks, without ever forming the volume."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse


def connect(index: NDArray[np.int64], shape: Sequence[int]) -> NDArray[np.int32]:
    """Label connected components of a sparse set of voxels, diagonals included.

    Two voxels are neighbours if no coordinate differs by more than one: 2, 8 or 26 neighbours in one, two or
    three dimensions, as ``scipy.ndimage.label`` with a full structuring element.

    Parameters
    ----------
    index : array, shape (n,), int64, rising
        Flat C-order indices of the voxels.
    shape : sequence of int
        Shape of the grid.

    Returns
    -------
    array, shape (n,), int32
        Number of each voxel's peak, 0..P-1, in the order of the peaks' first voxels.
    """
    if index.size == 0:
        return np.empty(0, dtype=np.int32)
    coordinates = np.stack(np.unravel_index(index, shape))
    pairs = [_pairs(index, coordinates, offset, shape) for offset in _half_neighbourhood(len(shape))]
    first, second = np.concatenate(pairs, axis=1)
    links = sparse.coo_array((np.ones(first.size, dtype=np.int8), (first, second)), (index.size, index.size))
    _, labels = sparse.csgraph.connected_components(links, directed=False)
    return _in_order_of_appearance(labels)


def _half_neighbourhood(n_dimensions: int) -> list[tuple[int, ...]]:
    """Offsets to half of the neighbours; the other half are their opposites."""
    offsets = list(itertools.product((-1, 0, 1), repeat=n_dimensions))
    return offsets[len(offsets) // 2 + 1 :]


def _pairs(
    index: NDArray[np.int64], coordinates: NDArray[np.int64], offset: tuple[int, ...], shape: Sequence[int]
) -> NDArray[np.int64]:
    """Positions (2, m) of voxel pairs that differ by `offset`."""
    inside = np.ones(index.size, dtype=bool)
    for along, step, size in zip(coordinates, offset, shape, strict=True):
        if step:
            inside &= (along < size - 1) if step > 0 else (along > 0)
    strides = np.cumprod([1, *shape[:0:-1]])[::-1]
    target = index[inside] + int(np.dot(offset, strides))
    position = np.minimum(np.searchsorted(index, target), index.size - 1)
    found = index[position] == target
    return np.stack([np.flatnonzero(inside)[found], position[found]])


def _in_order_of_appearance(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    _, first = np.unique(labels, return_index=True)
    rank = np.empty(first.size, dtype=np.int32)
    rank[np.argsort(first)] = np.arange(first.size, dtype=np.int32)
    return rank[labels]
