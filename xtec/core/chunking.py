"""Cutting reciprocal space into blocks that fit a byte budget and follow the file's chunks.

The temperature axis is never cut: a block holds every temperature of its voxels.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Block = tuple[slice, ...]
"""A box of voxels: one slice for each reciprocal-space axis, slowest first."""


def plan_blocks(
    shape: Sequence[int],
    *,
    voxel_bytes: int,
    budget: int,
    chunks: Sequence[int] | None = None,
    origin: Sequence[int] | None = None,
) -> list[Block]:
    """Cover a grid with boxes of whole chunks, each at most `budget` bytes where a single chunk allows.

    Parameters
    ----------
    shape : sequence of int
        Voxels along each axis.
    voxel_bytes : int
        Bytes of one voxel at all temperatures.
    budget : int
        Bytes a block may take.
    chunks : sequence of int, optional
        Chunk lengths of the file; single voxels when absent.
    origin : sequence of int, optional
        Where the grid starts in the file, so that a cropped grid is still cut at chunk borders.

    Returns
    -------
    list of tuple of slice
        In C order, without overlap.
    """
    chunks = chunks or (1,) * len(shape)
    origin = origin or (0,) * len(shape)
    lengths = _block_lengths(shape, chunks, budget // max(voxel_bytes, 1))
    edges = [_edges(*axis) for axis in zip(shape, lengths, origin, strict=True)]
    return list(itertools.product(*edges))


def _block_lengths(shape: Sequence[int], chunks: Sequence[int], voxels: int) -> list[int]:
    """Start from one chunk and lengthen the fastest axis first, so that reads stay contiguous."""
    lengths = [min(chunk, size) for chunk, size in zip(chunks, shape, strict=True)]
    for axis in reversed(range(len(shape))):
        allowed = voxels * lengths[axis] // math.prod(lengths)
        if allowed < shape[axis]:
            whole_chunks = max(1, allowed // chunks[axis])
            lengths[axis] = min(whole_chunks * chunks[axis], shape[axis])
            break
        lengths[axis] = shape[axis]
    return lengths


def _edges(size: int, length: int, origin: int) -> list[slice]:
    if length >= size:
        return [slice(0, size)]
    starts = [0, *range(length - origin % length, size, length)]
    return [slice(start, stop) for start, stop in itertools.pairwise([*starts, size])]


def block_shape(block: Block) -> tuple[int, ...]:
    """Voxels along each axis of a block."""
    return tuple(part.stop - part.start for part in block)


def flat_index(block: Block, shape: Sequence[int], position: Any = None) -> Any:
    """Flat C-order index in the whole grid of a block's voxels.

    Parameters
    ----------
    block : tuple of slice
    shape : sequence of int
        Of the whole grid.
    position : array, optional
        Flat C-order index of the wanted voxels within the block, of any array library; all by default.
    """
    inside = block_shape(block)
    rest = np.arange(math.prod(inside)) if position is None else position
    index, stride = 0 * rest, 1
    for part, size, whole in zip(reversed(block), reversed(inside), reversed(shape), strict=True):
        index = index + (rest % size + part.start) * stride
        rest, stride = rest // size, stride * whole
    return index


def rim(
    index: NDArray[np.int64], shape: Sequence[int], blocks: Sequence[Block], reach: int = 1
) -> NDArray[np.bool_]:
    """Find the voxels of a shard that may have a neighbour outside it.

    Parameters
    ----------
    index : array, shape (n,), int64
        Flat C-order indices of the shard's voxels.
    shape : sequence of int
        Shape of the grid.
    blocks : sequence of tuple of slice
        Boxes that make up the shard, without overlap.
    reach : int
        Voxels that differ by so much along any axis may be neighbours.

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
        for step in range(reach):
            outermost[np.minimum(start[start[:, axis] > 0, axis] + step, size - 1)] = True
            outermost[np.maximum(stop[stop[:, axis] < size, axis] - 1 - step, 0)] = True
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
