"""Peaks of a grid whose voxels are split into shards."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xtec.core.chunking import Block
from xtec.peaks.connect import join
from xtec.peaks.sums import PeakSums


@dataclass(frozen=True)
class ShardPeaks:
    """What others need to know of one shard's peaks.

    Attributes
    ----------
    sums : PeakSums
        Of the shard's own peaks, P of them.
    rim_index : array, shape (m,), int64
        Flat indices of the voxels that may touch other shards.
    rim_label : array, shape (m,), int32
        Their peaks, 0..P-1.
    """

    sums: PeakSums
    rim_index: NDArray[np.int64]
    rim_label: NDArray[np.int32]


def unite(shards: Sequence[ShardPeaks], shape: Sequence[int]) -> tuple[PeakSums, list[NDArray[np.int32]]]:
    """Make one list of peaks from those of all shards.

    Returns
    -------
    PeakSums
        The peaks of the whole grid, in the order of their first voxels, however the voxels were split.
    list of array, shape (P_s,), int32
        For each shard, the number in that list of each of its own peaks.
    """
    ends = np.cumsum([len(shard.sums) for shard in shards])
    owners = [shard.rim_label + (end - len(shard.sums)) for shard, end in zip(shards, ends, strict=True)]
    indices = [shard.rim_index for shard in shards]
    group = join(np.concatenate(indices), np.concatenate(owners), shape, int(ends[-1]))
    parts = PeakSums.concatenate([shard.sums for shard in shards])
    sums, number = parts.regrouped(group, int(group.max(initial=-1)) + 1).in_order()
    return sums, np.split(number[group], ends[:-1])


def rim(index: NDArray[np.int64], shape: Sequence[int], blocks: Sequence[Block]) -> NDArray[np.bool_]:
    """Find the voxels of a shard that may have a neighbour outside it.

    Parameters
    ----------
    index : array, shape (n,), int64
        Flat C-order indices of the shard's voxels.
    shape : sequence of int
        Shape of the grid.
    blocks : sequence of tuple of slice
        Boxes that make up the shard, without overlap.

    Returns
    -------
    array, shape (n,), bool
        True for every voxel that has neighbours in other shards, and for some that have none.
    """
    mask = np.zeros(index.size, dtype=bool)
    if index.size == 0:
        return mask
    corners = np.array([[(part.start, part.stop) for part in block] for block in blocks], dtype=np.int64)
    start, stop = corners.reshape(-1, len(shape), 2).transpose(2, 0, 1)
    for axis in reversed(range(len(shape))):
        start, stop = _merged(start, stop, axis)
    for axis, size in enumerate(shape):
        outermost = np.zeros(size, dtype=bool)
        outermost[start[start[:, axis] > 0, axis]] = True
        outermost[stop[stop[:, axis] < size, axis] - 1] = True
        if outermost.any():
            mask |= outermost[index // math.prod(shape[axis + 1 :]) % size]
    return mask


def _merged(
    start: NDArray[np.int64], stop: NDArray[np.int64], axis: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Corners (B, ndim) of the same boxes, those that continue each other along an axis made one."""
    across = np.delete(np.concatenate([start, stop], axis=1), [axis, axis + start.shape[1]], axis=1)
    order = np.lexsort([start[:, axis], *across.T])
    start, stop, across = start[order], stop[order], across[order]
    breaks = (start[1:, axis] != stop[:-1, axis]) | (across[1:] != across[:-1]).any(axis=1)
    return start[np.insert(breaks, 0, True)], stop[np.append(breaks, True)]
