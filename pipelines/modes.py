"""Voxels or peaks: what to cluster, and why."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xtec.core.types import Mode
from xtec.peaks import connect, peak_sizes
from xtec_pipelines.ingest import KeptTrajectories

_PEAKS_PER_CLUSTER = 10
_LARGEST_SHARE = 0.5


@dataclass(frozen=True)
class ModeChoice:
    """The mode taken, the reason in a phrase, and the peaks if they were needed.

    `peak` holds each voxel's peak number, shape (n,).
    """

    mode: Mode
    reason: str
    peak: NDArray[np.int32] | None


def choose_mode(asked: Mode, kept: KeptTrajectories, shape: tuple[int, ...], n_clusters: int) -> ModeChoice:
    """Settle what is clustered.

    Peak averaging is chosen where the kept voxels fall into many compact peaks: at least ten for each
    cluster, the largest with less than half of the voxels. In one dimension every channel stays on its own,
    since neighbouring peaks run into each other there.
    """
    if asked is Mode.VOXELS:
        return ModeChoice(asked, "asked for", None)
    if asked is Mode.AUTO and sum(size > 1 for size in shape) < 2:
        return ModeChoice(Mode.VOXELS, "one axis only: every channel on its own", None)
    peak = connect(kept.index, shape)
    sizes = peak_sizes(peak)
    if asked is Mode.PEAKS:
        return ModeChoice(asked, f"asked for: {sizes.size} peaks", peak)
    if sizes.size < _PEAKS_PER_CLUSTER * n_clusters:
        return ModeChoice(Mode.VOXELS, f"only {sizes.size} separate peaks: every voxel on its own", None)
    largest = sizes.max() / kept.index.size
    if largest >= _LARGEST_SHARE:
        return ModeChoice(
            Mode.VOXELS, f"{100 * largest:.0f} % of the voxels are connected: every voxel on its own", None
        )
    return ModeChoice(Mode.PEAKS, f"compact peaks ({sizes.size} of them): peak averaging", peak)
