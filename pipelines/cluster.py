"""``xtec cluster``: from a series to a run folder."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xtec.core.errors import NothingToClusterError
from xtec.core.progress import Progress
from xtec.core.results import ClusterRun, FittedMixture, PeakTable
from xtec.core.types import ClusterMap, Float64Array, FloatArray, Rescale
from xtec.io import Series, open_series
from xtec.io.nexus_writer import now
from xtec.io.provenance import describe_inputs, environment, program_version
from xtec.io.run_folder import check_output
from xtec.mixture import GaussianMixture, MixtureConfig
from xtec.order_parameter import cluster_curves
from xtec.peaks import average_peaks, peak_centroids, peak_maxima, peak_sizes, sum_peaks
from xtec.preprocess import MaskRules, parse_threshold, rescale, varying
from xtec_pipelines.config import ClusterConfig
from xtec_pipelines.ingest import IngestOptions, KeptTrajectories, ingest
from xtec_pipelines.logbook import logbook
from xtec_pipelines.modes import ModeChoice, choose_mode
from xtec_pipelines.reading import Members, number_clusters, summarise
from xtec_pipelines.run_folder import write_run

logger = logging.getLogger(__name__)

_BLOCK_SHARE = 8
"""A block takes this part of the memory limit: it is there twice while sums are formed in float64."""

_LARGEST_BLOCK = 256 * 2**20


@dataclass(frozen=True)
class _Items:
    """What is clustered: voxels, or peaks that stand for their voxels.

    Attributes
    ----------
    rescaled : array, shape (m, T)
    of_voxel : array, shape (n,)
        Row of `rescaled` that each kept voxel belongs to; -1 where it was left out as too quiet.
    """

    rescaled: FloatArray
    of_voxel: NDArray[np.int64]


@dataclass(frozen=True)
class _Labels:
    """Clusters of items and of voxels, numbered 1..K; 0 for voxels left out."""

    item: NDArray[np.int16]
    voxel: NDArray[np.int16]
    probability: NDArray[np.float32]


def run_cluster(config: ClusterConfig, progress: Progress | None = None) -> ClusterRun:
    """Cluster a series and write the run folder.

    Raises
    ------
    XtecError
        If the input is unusable, an option does not fit, or the output cannot be written. Nothing is written
        in that case.
    """
    progress = progress or Progress()
    with logbook() as book:
        began = now()
        region, temperatures = config.bounds
        check_output(Path(config.output), [Path(item) for item in config.inputs], force=config.force)
        with progress.stage("open"):
            series = open_series(
                config.inputs, region=region, temperatures=temperatures, options=config.open_options
            )
        check_output(Path(config.output), series.inputs, force=config.force)
        kept = ingest(series, _ingest_options(config), progress)
        logger.info(
            "kept %d of %d voxels, cutoff ln I = %.4f",
            kept.index.size,
            kept.counts.n_total,
            kept.threshold.cutoff,
        )
        if not kept.threshold.credible:
            logger.warning(
                "the %s cutoff, ln I = %.3f, is not credible: outside mean - std .. mean + 2 std of all "
                "voxels; try --threshold simple, a number, or another --region",
                kept.threshold.method,
                kept.threshold.cutoff,
            )
        run = cluster_kept(series, kept, config, progress)
        process = _process(series, config, progress, began, book.warnings)
        run = ClusterRun(**{**vars(run), "process": process, "warnings": tuple(book.warnings)})
        write_run(Path(config.output), run, config, book.lines, progress)
    return run


def cluster_kept(
    series: Series, kept: KeptTrajectories, config: ClusterConfig, progress: Progress
) -> ClusterRun:
    """Cluster trajectories that passed the threshold; nothing is written."""
    with progress.stage("peaks"):
        choice = choose_mode(config.mode, kept, series.shape, config.clusters)
    logger.info("mode %s: %s", choice.mode, choice.reason)
    items = _items(kept, choice, config)
    with progress.stage("cluster"):
        mixture = GaussianMixture(
            MixtureConfig(
                n_components=config.clusters,
                covariance_type=config.covariance,
                n_init=config.n_init,
                tol=config.tol,
                max_iter=config.max_iter,
                seed=config.seed,
            )
        ).fit(items.rescaled)
    labels = _labels(mixture, items)
    return _assemble(series, kept, choice, items, mixture, labels, config)


def _ingest_options(config: ClusterConfig) -> IngestOptions:
    threshold = parse_threshold(config.threshold)
    logarithm = threshold != "none" or config.rescale in (Rescale.MEAN, Rescale.LOG_MEAN)
    return IngestOptions(
        threshold=threshold,
        rules=MaskRules(
            positive_mean=logarithm,
            positive_everywhere=config.rescale is Rescale.LOG_MEAN,
            nowhere_negative=logarithm and config.negative == "drop",
        ),
        refuse_negative=logarithm and config.negative == "refuse",
        block_bytes=block_bytes(config.memory_bytes),
    )


def block_bytes(memory_bytes: int) -> int:
    """Size of the blocks to read under a memory limit."""
    return min(_LARGEST_BLOCK, memory_bytes // _BLOCK_SHARE)


def _items(kept: KeptTrajectories, choice: ModeChoice, config: ClusterConfig) -> _Items:
    if choice.peak is None:
        raw, of_voxel = kept.intensity, np.arange(kept.index.size)
    else:
        raw, of_voxel = average_peaks(kept.intensity, choice.peak), choice.peak.astype(np.int64)
    loud = np.ones(len(raw), dtype=bool)
    if config.rescale is Rescale.ZSCORE:
        loud = raw.std(axis=1, dtype=np.float64) > 0
    rescaled = rescale(raw[loud], config.rescale)
    if config.min_std > 0:
        enough = varying(rescaled, config.min_std)
        loud[loud], rescaled = enough, rescaled[enough]
    if loud.all():
        return _Items(rescaled, of_voxel)
    logger.warning("%d of %d trajectories left out: they vary too little", int((~loud).sum()), loud.size)
    if not loud.any():
        raise NothingToClusterError("no trajectory varies enough", hint="a lower --min-std")
    row = np.where(loud, np.cumsum(loud) - 1, -1)
    return _Items(rescaled, row[of_voxel])


def _labels(mixture: GaussianMixture, items: _Items) -> _Labels:
    component, certainty = mixture.predict(items.rescaled)
    item = (component + 1).astype(np.int16)
    left_out = items.of_voxel < 0
    voxel, probability = item[items.of_voxel], certainty[items.of_voxel]
    voxel[left_out] = 0
    return _Labels(item, voxel, probability)


def _assemble(
    series: Series,
    kept: KeptTrajectories,
    choice: ModeChoice,
    items: _Items,
    mixture: GaussianMixture,
    labels: _Labels,
    config: ClusterConfig,
) -> ClusterRun:
    """Number the clusters, describe them, and put everything together."""
    k = config.clusters
    voxels = np.bincount(labels.voxel, minlength=k + 1)[1:]
    curves = cluster_curves(series.scan, items.rescaled, labels.item, kept.intensity, labels.voxel, k)
    order, trends = number_clusters(curves, voxels)
    curves = curves.reordered(order)
    rank = np.zeros(k + 1, dtype=np.int16)
    rank[order + 1] = np.arange(1, k + 1)
    item_label, voxel_label = rank[labels.item], rank[labels.voxel]
    if (voxels == 0).any():
        logger.warning("%d of %d clusters are empty", int((voxels == 0).sum()), k)
    clustered = voxel_label > 0
    peaks = None if choice.peak is None else _peak_table(series, kept, choice.peak, voxel_label)
    members = Members(
        kept.index[clustered],
        kept.intensity[clustered].mean(axis=1, dtype=np.float64),
        voxel_label[clustered],
        None if peaks is None else np.bincount(item_label, minlength=k + 1)[1:],
    )
    return ClusterRun(
        title=f"X-TEC-{choice.mode} of {series.name}",
        sample=series.name,
        mode=str(choice.mode),
        mode_reason=choice.reason,
        map=ClusterMap(series.axes, members.index, members.label, series.angles),
        probability=labels.probability[clustered],
        curves=curves,
        mixture=_fitted(mixture, order, config),
        threshold=kept.threshold,
        counts=kept.counts,
        clusters=summarise(series.axes, members, trends),
        peaks=peaks,
        process={},
    )


def _peak_table(
    series: Series, kept: KeptTrajectories, peak: NDArray[np.int32], label: NDArray[np.int16]
) -> PeakTable:
    along = np.unravel_index(kept.index, series.shape)
    position: Float64Array = np.stack(
        [axis.values[i] for axis, i in zip(series.axes, along, strict=True)], axis=1
    )
    first = np.unique(peak, return_index=True)[1]
    return PeakTable(
        label=label[first],
        size=peak_sizes(peak),
        centroid=peak_centroids(position, kept.intensity.mean(axis=1, dtype=np.float64), peak),
        intensity=sum_peaks(kept.intensity, peak),
        maximum=peak_maxima(kept.intensity, peak).astype(np.float64),
    )


def _fitted(mixture: GaussianMixture, order: NDArray[np.intp], config: ClusterConfig) -> FittedMixture:
    parameters = mixture.parameters.reordered(order)
    return FittedMixture(
        weights=parameters.weights,
        means=parameters.means,
        covariances=parameters.covariances,
        covariance_type=str(parameters.covariance_type),
        log_likelihood=mixture.log_likelihood,
        bic=mixture.bic(),
        n_iter=mixture.n_iter,
        n_init=config.n_init,
        converged=mixture.converged,
        n_reseeded=mixture.n_reseeded,
    )


def _process(
    series: Series, config: ClusterConfig, progress: Progress, began: str, warnings: list[str]
) -> dict[str, object]:
    return {
        "version": program_version(),
        "start_time": began,
        "parameters": {**config.model_dump(mode="json"), "backend": "numpy"},
        "environment": environment(),
        "inputs": describe_inputs(series),
        "dropped": [f"{bad.file}: {bad.reason}" for bad in series.dropped],
        "timings": dict(progress.seconds),
        "warnings": list(warnings),
    }
