"""From a series on disk to the trajectories worth clustering, in one pass.

A survey of a few blocks sets floors well below where the cutoffs will be. Then every shard is read once: what
the thresholds need to know of each voxel is noted, and the trajectories above a floor are held. Once the
cutoffs are settled, the rest is dropped; were one to lie below its floor, the shards would be read again. So
memory follows the trajectories kept, not the file, and the result is exact.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter

import numpy as np
from scipy.special import chdtri

from xtec.core.device import Device, Host
from xtec.core.errors import ConfigError, InputError, NothingToClusterError
from xtec.core.progress import Progress
from xtec.core.shards import PartOf, Shards, Workers
from xtec.core.types import BackgroundThreshold, Significance, VoxelCounts
from xtec.io import Series
from xtec.preprocess import LARGEST, SMALLEST, Cells, Tally, find_significance, find_threshold, n_waves
from xtec_pipelines.streaming.holding import Cut, Held, Hold, IngestOptions, Kept
from xtec_pipelines.streaming.plan import WORTH_A_SURVEY, ShardPlan

logger = logging.getLogger(__name__)

_MARGIN = 0.25
"""How far below the surveyed cutoff voxels are still held, in standard deviations of ln mean intensity."""

_SMOOTH_MARGIN = 0.7
"""Variation that is still held, as a share of what the survey finds significant."""

_CERTAIN = 1e-6
"""Chance of noise below which a survey too small to find anything significant would still hold it."""

_BEYOND = f"intensities are beyond {SMALLEST:g} to {LARGEST:g}, as marks of masked voxels are"

_SURVEYED = 0.02
"""Share of the blocks that are surveyed."""

_FEWEST_SURVEYED = 4


@dataclass(frozen=True)
class KeptTrajectories:
    """All trajectories that passed the threshold, in shards.

    Attributes
    ----------
    shards : Shards of Kept
    plans : sequence of ShardPlan
        The boxes of voxels that each shard covers.
    counts : VoxelCounts
    threshold : BackgroundThreshold
    device : Device
        What works on what of them comes home, such as mean trajectories of peaks.
    """

    shards: Shards[Kept]
    plans: Sequence[ShardPlan]
    counts: VoxelCounts
    threshold: BackgroundThreshold
    device: Device = field(default_factory=Host)

    def gather(self) -> Kept:
        """All of them in one place, by rising index."""
        parts = list(self.shards.map(lambda shard: shard))
        index = np.concatenate([part.index for part in parts])
        intensity = np.concatenate([part.intensity.T for part in parts], axis=1)
        course = np.concatenate([part.course for part in parts])
        order = np.argsort(index, kind="stable")
        return Kept(0, index[order], np.take(intensity, order, axis=1).T, course[order])


def ingest(
    series: Series,
    options: IngestOptions,
    workers: Workers,
    plans: Sequence[ShardPlan],
    progress: Progress | None = None,
    remember: Callable[[Callable[[ShardPlan], Held]], Callable[[ShardPlan], Held]] = lambda hold: hold,
    expected: BackgroundThreshold | None = None,
) -> KeptTrajectories:
    """Read a series and keep the trajectories above its background.

    Parameters
    ----------
    series : Series
    options : IngestOptions
    workers : Workers
    plans : sequence of ShardPlan
        What each shard is to read; together all voxels, once.
    progress : Progress, optional
    remember : callable, optional
        Wraps the reading of a shard, so that an interrupted run need not repeat it.
    expected : BackgroundThreshold, optional
        Of nearly the same series: takes the place of the survey.

    Raises
    ------
    InputError
        If all voxels are empty or NaN, or intensities are negative where a logarithm is to be taken.
    NothingToClusterError
        If no voxel lies above the cutoff, or none varies significantly.
    """
    options = _feasible(options, series)
    progress = progress or Progress()
    voxel_bytes = series.n_temperatures * series.dtype.itemsize
    with progress.stage("survey"):
        if expected is not None and (expected.significance is not None) == options.judges_variation:
            floors = _below(expected)
        else:
            floors = _survey(series, options, workers, plans)
    with progress.stage("read", total=series.nbytes, unit="B") as advance:
        held = workers.make(
            remember(Hold(series, options, *floors, workers.device)),
            plans,
            done=lambda number: advance(plans[number].n_voxels * voxel_bytes),
        )
    workers.driver.release()  # what was pinned for reading
    with progress.stage("threshold"):
        counts = VoxelCounts(0)
        for part in held.map(attrgetter("counts")):
            counts = counts.merge(VoxelCounts(*map(int, part)))
        _require_judged(counts, series)
        if counts.n_beyond:
            logger.warning("%d voxels are left out: %s", counts.n_beyond, _BEYOND)
        threshold = _settle(held, options, series)
        kept = held.derive(Cut(series, options, threshold, tuple(plans), workers.device))
        counts = replace(counts, n_kept=sum(kept.map(_size)))
    if counts.n_kept == 0:
        raise NothingToClusterError(
            f"no voxel lies above the cutoff, ln I = {threshold.cutoff:.3f}"
            if options.judges_mean
            else f"no voxel varies significantly, at a false discovery rate of {options.fdr:g}",
            file=series.inputs[0],
            hint=f"--threshold {'kl' if options.threshold == 'simple' else 'simple'}, a number, or none",
        )
    return KeptTrajectories(kept, plans, counts, threshold, workers.driver)


def _feasible(options: IngestOptions, series: Series) -> IngestOptions:
    """Leave variation out where there are too few temperatures to judge it."""
    if not options.judges_variation or n_waves(series.n_temperatures):
        return options
    few = f"{series.n_temperatures} temperatures are too few to tell variation from noise"
    if options.threshold == "significance":
        raise ConfigError(few, hint="--threshold kl")
    logger.warning("%s: only voxels above the background are kept", few)
    return replace(options, threshold="kl")


def _survey(
    series: Series, options: IngestOptions, workers: Workers, plans: Sequence[ShardPlan]
) -> tuple[float, float]:
    """Floors that the cutoffs will hardly lie below, from a few blocks all over the grid."""
    if isinstance(options.threshold, float):
        return options.threshold, -np.inf
    blocks = [block for plan in plans for block in plan.blocks]
    if options.threshold == "none" or len(blocks) < WORTH_A_SURVEY:
        return -np.inf, -np.inf
    n_chosen = max(_FEWEST_SURVEYED, int(_SURVEYED * len(blocks)))
    chosen = np.linspace(0, len(blocks) - 1, 2 * n_chosen + 1).astype(int)[1::2]
    surveyed = [ShardPlan(number, (blocks[i],)) for number, i in enumerate(chosen)]
    looks = workers.make(Hold(series, options, np.inf, np.inf, workers.device), surveyed)
    try:
        found = find_threshold(PartOf(looks, attrgetter("log_mean")), options.threshold)
    except InputError:
        return -np.inf, -np.inf
    if options.judges_variation:
        found = replace(found, significance=_significance(looks, options, series))
    return _below(found)


def _below(found: BackgroundThreshold) -> tuple[float, float]:
    """Floors that the cutoffs will hardly lie below where those of nearly the same voxels are `found`."""
    floor = found.cutoff
    if np.isfinite(floor) and found.density.size:
        centres = (found.edges[1:] + found.edges[:-1]) / 2
        share = found.density / found.density.sum()
        mean = float(share @ centres)
        floor -= _MARGIN * float(np.sqrt(share @ (centres - mean) ** 2))
    varied = found.significance
    if varied is None:
        return floor, -np.inf
    cutoff = min(varied.cutoff, float(chdtri(varied.n_waves, _CERTAIN)))
    return floor, _SMOOTH_MARGIN * cutoff * varied.scale


def _settle(held: Shards[Held], options: IngestOptions, series: Series) -> BackgroundThreshold:
    try:
        threshold = find_threshold(PartOf(held, attrgetter("log_mean")), options.threshold)
    except InputError as error:
        raise InputError(
            error.what, file=series.inputs[0], hdf5_path=series.source.refs[0].path, hint=error.hint
        ) from None
    if not options.judges_variation:
        return threshold
    return replace(threshold, significance=_significance(held, options, series))


def _significance(held: Shards[Held], options: IngestOptions, series: Series) -> Significance:
    tally = Tally()
    for bins, counts in held.map(attrgetter("bins", "tally")):
        tally.take(bins, counts)
    judged, cells = PartOf(held, attrgetter("judged")), Cells(series.shape)
    return find_significance(judged, tally, cells, series.n_temperatures, options.fdr)


def _require_judged(counts: VoxelCounts, series: Series) -> None:
    if counts.n_judged == 0:
        raise InputError(
            f"nothing to judge: of {counts.n_total} voxels {counts.n_empty} are empty, "
            f"{counts.n_nan} have a NaN, {counts.n_nonpositive} are not positive throughout"
            + (f"; in {counts.n_beyond} of them {_BEYOND}" if counts.n_beyond else ""),
            file=series.inputs[0],
            hdf5_path=series.source.refs[0].path,
            hint="intensities in another unit" if counts.n_beyond else None,
        )


def _size(kept: Kept) -> int:
    return int(kept.index.size)
