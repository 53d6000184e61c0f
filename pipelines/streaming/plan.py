"""How a run is cut to fit its memory: blocks to read, shards to work on, what is held of them."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from xtec.core.chunking import Block, block_shape
from xtec.core.errors import ConfigError
from xtec.core.memory import format_bytes
from xtec.io import Series

logger = logging.getLogger(__name__)

PROGRAM_BYTES = 200_000_000
"""The interpreter and the libraries."""

FIGURE_BYTES = 65_000_000
"""What drawing takes besides."""

KEPT_SHARE = 0.1
"""Share of voxels that is assumed to pass the threshold, before anything is known of them."""

HELD_SHARE = 0.17
"""Share of voxels that is assumed to lie above the surveyed floor."""

WORTH_A_SURVEY = 32
"""With fewer blocks than this every trajectory is held at first."""

_BLOCK_BYTES = 8 * 2**20
"""A block is about as large as the processor's cache."""

_DEVICE_BLOCK_BYTES = 64 * 2**20
"""The same on other devices, two for each worker."""

_DEVICE_SHARE = 8
"""What workers have in hand together is such a part of a device's memory at most, before they work on it."""

_SHARD_BYTES = (32 * 2**20, 2 * 2**30)
_SHARDS = 64
"""A series is cut into about so many shards, unless they come out smaller or larger than above."""

_CHUNK_ENTRY = 16
"""Bytes that the place of a chunk in its file takes."""

_LOST = 0.06
"""Share of the limit that freed memory takes until the allocator uses it again."""

_JUDGED_BYTES = 13
"""What thresholds need to know of each voxel: ln mean (8), smooth variation (4), cell (1)."""

_RESULT_BYTES = 52
"""Bytes of results (index, label, probability, brightness, change, and their sorting) for each kept voxel."""


@dataclass(frozen=True)
class ShardPlan:
    """The blocks that make up one shard.

    Attributes
    ----------
    number : int
    blocks : tuple of Block
    """

    number: int
    blocks: tuple[Block, ...]

    @property
    def n_voxels(self) -> int:
        """Voxels in all its blocks."""
        return sum(math.prod(block_shape(block)) for block in self.blocks)


@dataclass(frozen=True)
class RunPlan:
    """Blocks, shards and bytes of a run.

    Attributes
    ----------
    shards : tuple of ShardPlan
        Together all voxels, each once.
    n_workers : int
        How many read at the same time.
    limit : int
        Memory to stay within.
    fixed_bytes : int
        Program, places of chunks, and what the workers have in hand.
    held_bytes, kept_bytes : int
        What is held of all shards when the last has been read, and when the threshold is settled; at the
        shares assumed.
    result_bytes : int
        Results at the share assumed, and what drawing them takes.
    seconds : float
        Rough: reading at 400 MB/s.
    """

    shards: tuple[ShardPlan, ...]
    n_workers: int
    limit: int
    fixed_bytes: int
    held_bytes: int
    kept_bytes: int
    result_bytes: int
    seconds: float

    @property
    def n_blocks(self) -> int:
        """Blocks in all shards."""
        return sum(len(shard.blocks) for shard in self.shards)

    @property
    def block_shape(self) -> tuple[int, ...]:
        """Voxels of the largest block."""
        largest = max((block for shard in self.shards for block in shard.blocks), key=_voxels)
        return block_shape(largest)

    @property
    def store_bytes(self) -> int:
        """Memory for what is held of the shards; the rest goes to the scratch folder."""
        return max(self.limit - int(_LOST * self.limit) - self.fixed_bytes - self.result_bytes, 0)

    @property
    def spilled_bytes(self) -> int:
        """What goes to the scratch folder."""
        return max(self.held_bytes - self.store_bytes, 0)

    @property
    def peak_bytes(self) -> int:
        """Largest memory at any time."""
        held, kept = (min(size, self.store_bytes) for size in (self.held_bytes, self.kept_bytes))
        return self.fixed_bytes + max(held, kept + self.result_bytes)


def plan_run(
    series: Series,
    limit: int,
    n_workers: int,
    *,
    threshold: bool = True,
    figures: bool = True,
    device_bytes: int | None = None,
) -> RunPlan:
    """Cut a series into blocks and shards that fit a memory limit; say so if the results do not fit it.

    Parameters
    ----------
    series : Series
    limit : int
        Bytes.
    n_workers : int
        Threads that read at the same time.
    threshold : bool
        Whether there is one; otherwise all voxels are kept.
    figures : bool
        Whether figures are drawn.
    device_bytes : int, optional
        Memory of the device that they are worked on; by default that is the processor.

    Raises
    ------
    ConfigError
        If it cannot be done within the limit.
    """
    n_voxels = math.prod(series.shape)
    voxel_bytes = series.n_temperatures * series.dtype.itemsize
    room = limit - PROGRAM_BYTES - _table_bytes(series)
    wanted, n_buffers, largest = _BLOCK_BYTES, 1, _SHARD_BYTES[1]
    if device_bytes is not None:
        largest = min(largest, device_bytes // (_DEVICE_SHARE * n_workers))
        wanted, n_buffers = min(_DEVICE_BLOCK_BYTES, largest), 4  # two, rounded up to a power of two
    blocks = series.blocks(max(min(wanted, room // (8 * n_workers)), 1))
    block_bytes = max(map(_voxels, blocks)) * (n_buffers * voxel_bytes + 48)
    kept = KEPT_SHARE if threshold else 1.0
    held = HELD_SHARE if threshold and len(blocks) >= WORTH_A_SURVEY else 1.0
    trajectory = 4 * series.n_temperatures + 32
    shards = tuple(
        _shards(blocks, _shard_voxels(n_voxels, voxel_bytes, min(room, n_workers * largest), n_workers))
    )
    reading, rescaling = _JUDGED_BYTES + 2 * held * trajectory, 3 * kept * trajectory
    in_hand = max(shard.n_voxels for shard in shards) * max(reading, rescaling)
    fixed = PROGRAM_BYTES + _table_bytes(series) + n_workers * int(block_bytes + in_hand)
    least = fixed + (FIGURE_BYTES if figures else 0)
    if least > limit:
        raise ConfigError(
            f"a memory limit of {format_bytes(limit)} is too little: {n_workers} blocks of whole chunks are "
            f"read at a time, which takes {format_bytes(least)}",
            hint="--memory-limit, --workers 1, or smaller chunks in the file",
        )
    plan = RunPlan(
        shards=shards,
        n_workers=n_workers,
        limit=limit,
        fixed_bytes=fixed,
        held_bytes=int(n_voxels * (_JUDGED_BYTES + held * trajectory)),
        kept_bytes=int(kept * n_voxels * trajectory),
        result_bytes=int(kept * n_voxels) * _RESULT_BYTES + (FIGURE_BYTES if figures else 0),
        seconds=series.nbytes / 400e6,
    )
    _note_excess(plan)
    return plan


def _note_excess(plan: RunPlan) -> None:
    """Say so if a run takes more than its limit even with all that can be in the scratch folder."""
    if plan.peak_bytes > plan.limit:
        logger.warning(
            "the results alone lead past the memory limit of %s: about %s are needed; "
            "a threshold, or a smaller --region, takes less",
            *(format_bytes(plan.limit), format_bytes(plan.peak_bytes)),
        )


def _voxels(block: Block) -> int:
    return math.prod(block_shape(block))


def _table_bytes(series: Series) -> int:
    """Memory for the places of all chunks."""
    total = 0
    for ref in series.source.refs:
        if ref.chunks is not None:
            total += _CHUNK_ENTRY * math.prod(
                -(-size // chunk) for size, chunk in zip(ref.shape, ref.chunks, strict=True)
            )
    return total


def _shard_voxels(n_voxels: int, voxel_bytes: int, room: int, n_workers: int) -> int:
    low, high = _SHARD_BYTES
    size = min(max(n_voxels * voxel_bytes // _SHARDS, low), high, max(room // n_workers, 1))
    return max(min(size // voxel_bytes, -(-n_voxels // (4 * n_workers))), 1)


def _shards(blocks: Sequence[Block], n_voxels: int) -> Iterator[ShardPlan]:
    """Runs of blocks of at least so many voxels together."""
    taken: list[Block] = []
    number = filled = 0
    for block in blocks:
        taken.append(block)
        filled += _voxels(block)
        if filled >= n_voxels:
            yield ShardPlan(number, tuple(taken))
            taken, filled, number = [], 0, number + 1
    if taken:
        yield ShardPlan(number, tuple(taken))
