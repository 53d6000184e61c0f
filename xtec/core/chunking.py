"""Cutting reciprocal space into blocks that fit a byte budget and follow the file's chunks.

The temperature axis is never cut: a block holds every temperature of its voxels.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

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


def flat_index(
    block: Block, shape: Sequence[int], position: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """Flat C-order index in the whole grid of a block's voxels.

    Parameters
    ----------
    block : tuple of slice
    shape : sequence of int
        Of the whole grid.
    position : array, optional
        Flat C-order index of the wanted voxels within the block; all of them by default.
    """
    inside = block_shape(block)
    if position is None:
        position = np.arange(math.prod(inside))
    along = np.unravel_index(position, inside)
    inside_grid = tuple(part.start + where for part, where in zip(block, along, strict=True))
    return np.asarray(np.ravel_multi_index(inside_grid, tuple(shape)), dtype=np.int64)
