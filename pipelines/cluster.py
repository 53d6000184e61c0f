"""``xtec cluster``: from a series to a run folder."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xtec.core.progress import Progress
from xtec.core.results import ClusterRun, PeakTable
from xtec.core.types import ClusterMap, Mode, VoxelChanges
from xtec.io import Series, open_series, read_curves
from xtec.io.disk.sole_use import sole_use
from xtec.io.disk.stamps import Unchanged
from xtec.io.nexus.writer import now
from xtec.io.reading.provenance import describe_inputs, environment, program_version
from xtec.io.run.folder import check_output, is_finished
from xtec.mixture import GaussianMixture
from xtec.order_parameter import cluster_curves, reasons_to_drop
from xtec_pipelines.clustering.averaged import every_peak
from xtec_pipelines.clustering.doubts import note_few_temperatures, note_lone, note_saturation
from xtec_pipelines.clustering.fitting import fit_mixture, fit_smoothed, fitted
from xtec_pipelines.clustering.gathering import averaged, backdrop_of, ingest_options, rescaled
from xtec_pipelines.clustering.journal import Journal
from xtec_pipelines.clustering.labelled import Labelled, low_minus_high
from xtec_pipelines.clustering.level import Level
from xtec_pipelines.clustering.modes import ModeChoice, choose_mode
from xtec_pipelines.clustering.noise import count_scale
from xtec_pipelines.clustering.novelty import what_is_new
from xtec_pipelines.clustering.peaks import connect_clusters, measure
from xtec_pipelines.clustering.plugged import RunPlugins
from xtec_pipelines.clustering.reading import Members, number_clusters, summarise
from xtec_pipelines.clustering.reference import Reference
from xtec_pipelines.clustering.second_pass import FIRST_PASS, Parent, load_parent, take
from xtec_pipelines.clustering.smoothing import make_neighbourhood
from xtec_pipelines.clustering.writers import check_writers, write_more
from xtec_pipelines.config import ClusterConfig
from xtec_pipelines.logbook import Logbook, logbook
from xtec_pipelines.run_folder import write_run
from xtec_pipelines.streaming.devices import DeviceChoice, choose_device, device_bytes
from xtec_pipelines.streaming.ingest import KeptTrajectories, ingest
from xtec_pipelines.streaming.plan import plan_run
from xtec_pipelines.streaming.readers import close_readers
from xtec_pipelines.streaming.workers import open_workers

if TYPE_CHECKING:
    from xtec_pipelines.clustering.following import Following

logger = logging.getLogger(__name__)


def run_cluster(config: ClusterConfig, progress: Progress | None = None) -> ClusterRun:
    """Cluster a series and write the run folder.

    Parameters
    ----------
    config : ClusterConfig
    progress : Progress, optional

    Raises
    ------
    XtecError
        If the input is unusable, an option does not fit, or the output cannot be written. No results are
        written in that case; what can be gone on from is kept in the folder.
    """
    progress = progress or Progress()
    folder = Path(config.output)
    if config.auto_refine:
        return _refined(config, progress)
    check_writers(config)
    with logbook() as book:
        region, temperatures = config.bounds
        given = [Path(item) for item in config.inputs]
        check_output(folder, given, force=config.force, resume=config.resume)
        with progress.stage("open"):
            series = open_series(
                config.inputs, region=region, temperatures=temperatures, options=config.open_options
            )
        check_output(folder, series.inputs, force=config.force, resume=config.resume)
        with sole_use(folder):
            run = cluster_series(series, config, progress, book)
            write_run(folder, run, config, book.lines, progress)
            write_more(folder, config)
    return run


def cluster_series(
    series: Series,
    config: ClusterConfig,
    progress: Progress,
    book: Logbook,
    *,
    copy: Series | None = None,
    following: Following | None = None,
) -> ClusterRun:
    """Cluster a series that is open; nothing is written but what can be gone on from.

    Parameters
    ----------
    series : Series
    config : ClusterConfig
    progress : Progress
    book : Logbook
        Whose warnings go into the run.
    copy : Series, optional
        What is read in its place.
    following : Following, optional
        Clusters of a shorter series that these go on from.
    """
    began = now()
    plugins = RunPlugins.open(config, series.scan.values)
    parent = load_parent(config, series) if config.from_run else None
    choice = choose_device(config.backend, config.scheduler, series)
    inputs = Unchanged(() if copy else (ref.file for ref in series.source.refs))
    run = _compute(copy or series, config, progress, parent, choice, following, plugins)
    inputs.check()
    process = _process(series, config, progress, began, book.warnings)
    process["parameters"]["backend"] = choice.device.name
    process["backend"] = {**choice.record(), **run.process}
    process["lineage"] = parent.lineage if parent else []
    process["plugins"] = plugins.records()
    return replace(run, process=process, learned=plugins.states(), warnings=tuple(book.warnings))


def _refined(config: ClusterConfig, progress: Progress) -> ClusterRun:
    """A first pass in a folder of its own, and a second one without what tells nothing of order."""
    folder = Path(config.output)
    check_output(folder, [Path(item) for item in config.inputs], force=config.force, resume=config.resume)
    first = config.model_copy(update={"auto_refine": False, "output": str(folder / FIRST_PASS)})
    with sole_use(folder):
        if not (config.resume and is_finished(folder / FIRST_PASS)):
            run_cluster(first, progress)
        reasons = reasons_to_drop(read_curves(folder / FIRST_PASS))
        for number, reason in reasons.items():
            logger.info("cluster %d of the first pass is left out: %s", number, reason)
        second = first.model_copy(
            update={
                "output": config.output,
                "from_run": first.output,
                "drop": tuple(reasons),
                "force": not config.resume,
            }
        )
        return run_cluster(second, progress)


def _compute(
    series: Series,
    config: ClusterConfig,
    progress: Progress,
    parent: Parent | None,
    choice: DeviceChoice,
    following: Following | None,
    plugins: RunPlugins,
) -> ClusterRun:
    """Read and cluster; goes on where an earlier run was interrupted."""
    note_few_temperatures(series.n_temperatures)
    with Journal.open(series, config, device_bytes(choice)) as journal:
        plan = plan_run(
            series,
            journal.limit,
            journal.n_workers,
            threshold=config.threshold != "none",
            figures=config.figures,
            device_bytes=journal.device_bytes,
        )
        if config.mode is Mode.SMOOTH:
            make_neighbourhood(config, series.axes, plan.shards)  # refused before anything is read
        with ExitStack() as stack:
            stack.callback(close_readers)
            with progress.stage("start"):
                workers = stack.enter_context(
                    open_workers(
                        config.scheduler,
                        config.workers,
                        memory_bytes=config.memory_bytes,
                        store_bytes=plan.store_bytes,
                        scratch=journal.scratch,
                        device=choice.device,
                    )
                )
            if parent is not None:
                rules = ingest_options(config).rules
                kept = take(series, parent, rules, workers, plan.shards, progress)
            else:
                expected = None if following is None else following.threshold
                kept = ingest(
                    series, ingest_options(config), workers, plan.shards, progress, journal.remember, expected
                )
                _note_threshold(kept)
            note_saturation(kept)
            reference = (
                None if config.reference is None else Reference(config, series, workers, plan, progress)
            )
            run = cluster_kept(series, kept, config, progress, journal, following, plugins, reference)
            return replace(run, process=workers.describe())


def _note_threshold(kept: KeptTrajectories) -> None:
    threshold, counts = kept.threshold, kept.counts
    logger.info("kept %d of %d voxels, cutoff ln I = %.4f", counts.n_kept, counts.n_total, threshold.cutoff)
    if found := threshold.significance:
        logger.info(
            "%d voxels vary: chi-square above %.1f; variance over mean %.4g, systematic %.2g %%",
            *(found.n_significant, found.cutoff, found.scale, 100 * found.systematic),
        )
    if not threshold.credible:
        logger.warning(
            "the %s cutoff, ln I = %.3f, is not credible: outside mean - std .. mean + 2 std of all "
            "voxels; try --threshold simple, a number, or another --region",
            threshold.method,
            threshold.cutoff,
        )


def cluster_kept(
    series: Series,
    kept: KeptTrajectories,
    config: ClusterConfig,
    progress: Progress,
    journal: Journal | None = None,
    following: Following | None = None,
    plugins: RunPlugins | None = None,
    reference: Reference | None = None,
) -> ClusterRun:
    """Cluster trajectories that passed the threshold (they are given up); nothing is written."""
    start = None if following is None else following.start
    contrast = low_minus_high(series.scan.values)
    level, backdrop = Level.of(kept.threshold, kept.counts.n_judged), backdrop_of(kept, series.scan)
    noise = count_scale(config, kept, series.scan)  # before the shards are given up for those of peaks
    plugins = plugins or RunPlugins()
    with progress.stage("peaks"):
        asked = config.mode if config.quantity == "intensity" else Mode.PEAKS
        choice = choose_mode(asked, kept, series, config.cluster_range[1])
    logger.info("mode %s: %s", choice.mode, choice.reason)
    if choice.mode is Mode.PEAKS and choice.peaks is not None:
        peaks = averaged(choice.peaks, series, backdrop, kept.device, config, noise, progress)
        fit = fit_mixture(peaks, level, config, progress, journal, kept.device, start, plugins)
        novel = what_is_new(plugins.novelty, peaks.rows, choice.mode, reference, config.seed)
        with progress.stage("label"):
            labelled, peak_label = peaks.label(fit.find, fit.n_clusters, contrast, novel)
        found = every_peak(choice.peaks, peak_label)
    else:
        voxels = rescaled(choice, kept, config, noise, progress)
        if choice.mode is Mode.SMOOTH:
            hood, reason = make_neighbourhood(config, series.axes, kept.plans)
            choice = replace(choice, reason=reason)
            fit = fit_smoothed(voxels.placed, hood, config, progress, journal)
        else:
            fit = fit_mixture(voxels, level, config, progress, journal, kept.device, start, plugins)
        novel = what_is_new(plugins.novelty, voxels.rows, choice.mode, reference, config.seed)
        with progress.stage("label"):
            labelled, found = connect_clusters(
                voxels, fit.find, kept.plans, series.axes, fit.n_clusters, contrast, novel
            )
    with progress.stage("measure"):
        table = measure(found, series, backdrop)
    run = _assemble(series, kept, choice, fit.mixture, labelled, table, following)
    return replace(
        run,
        selection=fit.selection,
        novelty_limit=None if novel is None else novel.limit,
        count_scale=backdrop.count_scale,
    )


def _assemble(
    series: Series,
    kept: KeptTrajectories,
    choice: ModeChoice,
    mixture: GaussianMixture,
    labelled: Labelled,
    peaks: PeakTable,
    following: Following | None,
) -> ClusterRun:
    """Number the clusters, describe them, and put everything together."""
    k = mixture.config.n_components
    voxels = np.bincount(labelled.label, minlength=k + 1)[1:]
    curves = cluster_curves(series.scan, labelled.rescaled, labelled.intensity)
    order, trends = number_clusters(curves, voxels)
    changes = None
    if following is not None:
        numbered = following.numbered(order, trends, labelled.index, labelled.label)
        order, trends, changes = numbered.order, numbered.trends, numbered.changes
    rank = np.zeros(k + 1, dtype=np.int16)
    rank[order[order >= 0] + 1] = np.flatnonzero(order >= 0) + 1
    label = rank[labelled.label]
    if (voxels == 0).any():
        hint = "; smoothing leads there: a shorter length, or fewer clusters" * (choice.mode is Mode.SMOOTH)
        logger.warning("%d of %d clusters are empty%s", int((voxels == 0).sum()), k, hint)
    peaks = replace(peaks, label=rank[peaks.label])
    members = Members(
        labelled.index,
        labelled.brightness,
        label,
        np.bincount(peaks.label, minlength=len(order) + 1)[1:],
    )
    if choice.mode is Mode.PEAKS:
        note_lone(members.peaks, "peak")
    else:
        note_lone(np.bincount(label, minlength=len(order) + 1)[1:], "voxel")
    return ClusterRun(
        title=f"X-TEC-{choice.mode} of {series.name}",
        sample=replace(series.sample, name=series.name),
        mode=str(choice.mode),
        mode_reason=choice.reason,
        map=ClusterMap(series.axes, members.index, members.label, series.angles),
        probability=labelled.probability,
        curves=curves.reordered(order),
        mixture=fitted(mixture, order),
        threshold=kept.threshold,
        counts=kept.counts,
        clusters=summarise(series.axes, members, trends),
        peaks=peaks,
        process={},
        changes=changes,
        novelty=labelled.novelty if labelled.novelty.size else None,
        voxel_changes=VoxelChanges(labelled.brightness, labelled.change),
    )


def _process(
    series: Series, config: ClusterConfig, progress: Progress, began: str, warnings: list[str]
) -> dict[str, Any]:
    return {
        "version": program_version(),
        "start_time": began,
        "parameters": config.model_dump(mode="json"),
        "environment": environment(),
        "inputs": describe_inputs(series),
        "dropped": [f"{bad.file}: {bad.reason}" for bad in series.dropped],
        "timings": dict(progress.seconds),
        "warnings": list(warnings),
    }
