"""Voxels or peaks: what to cluster, and why."""

from __future__ import annotations

from dataclasses import dataclass

from xtec.core.types import Mode
from xtec.io import Series
from xtec_pipelines.clustering.averaged import Peaks, find_peaks
from xtec_pipelines.streaming.ingest import KeptTrajectories

_PEAKS_PER_CLUSTER = 10
_LARGEST_SHARE = 0.5


@dataclass(frozen=True)
class ModeChoice:
    """The mode taken, the reason in a phrase, and the peaks if they were looked for."""

    mode: Mode
    reason: str
    peaks: Peaks | None


def choose_mode(asked: Mode, kept: KeptTrajectories, series: Series, n_clusters: int) -> ModeChoice:
    """Settle what is clustered.

    Peak averaging is chosen where the kept voxels fall into many compact peaks: at least ten for each
    cluster, the largest with less than half of the voxels. In one dimension every channel stays on its own,
    since neighbouring peaks run into each other there.
    """
    if asked in (Mode.VOXELS, Mode.SMOOTH):
        return ModeChoice(asked, "asked for", None)
    if asked is Mode.AUTO and sum(size > 1 for size in series.shape) < 2:
        return ModeChoice(Mode.VOXELS, "one axis only: every channel on its own", None)
    peaks = find_peaks(kept, series.axes)
    n_peaks = len(peaks.sums)
    if asked is Mode.PEAKS:
        return ModeChoice(asked, f"asked for: {n_peaks} peaks", peaks)
    if n_peaks < _PEAKS_PER_CLUSTER * n_clusters:
        return ModeChoice(Mode.VOXELS, f"only {n_peaks} separate peaks: every voxel on its own", peaks)
    largest = peaks.sums.size.max() / kept.counts.n_kept
    if largest >= _LARGEST_SHARE:
        return ModeChoice(
            Mode.VOXELS, f"{100 * largest:.0f} % of the voxels are connected: every voxel on its own", peaks
        )
    return ModeChoice(Mode.PEAKS, f"compact peaks ({n_peaks} of them): peak averaging", peaks)
