"""What is clustered: rescaled trajectories of voxels, or of peaks."""

from __future__ import annotations

from xtec.core.axes import Axis
from xtec.core.device import Device
from xtec.core.progress import Progress
from xtec.core.types import Rescale
from xtec.io import Series
from xtec.preprocess import CountScale, MaskRules, parse_threshold
from xtec_pipelines.clustering.averaged import AveragedPeaks, Peaks, every_peak
from xtec_pipelines.clustering.level import Level
from xtec_pipelines.clustering.modes import ModeChoice
from xtec_pipelines.clustering.noise import variance_over_mean
from xtec_pipelines.clustering.peaks import Backdrop, measure, quantity_of
from xtec_pipelines.clustering.voxels import Voxels
from xtec_pipelines.config import ClusterConfig
from xtec_pipelines.streaming.holding import IngestOptions
from xtec_pipelines.streaming.ingest import KeptTrajectories


def ingest_options(config: ClusterConfig) -> IngestOptions:
    """Which voxels a configuration asks to keep."""
    threshold = parse_threshold(config.threshold)
    logarithm = threshold != "none" or config.rescale in (Rescale.MEAN, Rescale.LOG_MEAN)
    return IngestOptions(
        threshold=threshold,
        fdr=config.fdr,
        rules=MaskRules(
            positive_mean=logarithm,
            positive_everywhere=config.rescale is Rescale.LOG_MEAN,
            nowhere_negative=logarithm and config.negative == "drop",
        ),
        refuse_negative=logarithm and config.negative == "refuse",
    )


def backdrop_of(kept: KeptTrajectories, scan: Axis) -> Backdrop:
    """What peaks stand on."""
    background = Level.of(kept.threshold, kept.counts.n_judged).background
    return Backdrop(background, variance_over_mean(kept, scan))


def averaged(
    peaks: Peaks,
    series: Series,
    backdrop: Backdrop,
    device: Device,
    config: ClusterConfig,
    noise: CountScale | None,
    progress: Progress,
) -> AveragedPeaks:
    """What is clustered in mode s."""
    quantity = None
    if config.quantity != "intensity":
        with progress.stage("measure"):
            table = measure(every_peak(peaks), series, backdrop)
            quantity = quantity_of(table, series.axes, config.quantity)
    return AveragedPeaks(peaks, config.rescale, config.min_std, noise, quantity, device)


def rescaled(
    choice: ModeChoice,
    kept: KeptTrajectories,
    config: ClusterConfig,
    noise: CountScale | None,
    progress: Progress,
) -> Voxels:
    """What is clustered in the other modes."""
    with progress.stage("rescale"):
        shards = kept.shards if choice.peaks is None else choice.peaks.shards
        return Voxels(shards, config.rescale, config.min_std, noise)
