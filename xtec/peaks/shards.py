"""Peaks of a grid whose voxels are split into shards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    rim_course : array, shape (m,), int8
        Which way they go; see `connect`.
    """

    sums: PeakSums
    rim_index: NDArray[np.int64]
    rim_label: NDArray[np.int32]
    rim_course: NDArray[np.int8]


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
    index, owner, course = (
        np.concatenate(one) for one in (indices, owners, [shard.rim_course for shard in shards])
    )
    group = join(index, owner, course, shape, int(ends[-1]))
    parts = PeakSums.concatenate([shard.sums for shard in shards])
    sums, number = parts.regrouped(group, int(group.max(initial=-1)) + 1).in_order()
    return sums, np.split(number[group], ends[:-1])
