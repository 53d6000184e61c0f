"""From a series on disk to the trajectories worth clustering, in one pass.

A survey of a few blocks sets a floor well below where the cutoff will be. Then every shard is read once: what
the threshold needs to know of each voxel is noted, and the trajectories above the floor are held. Once the
cutoff is settled, the rest is dropped; were it to lie below the floor, the shards would be read again. So
memory follows the trajectories kept, not the file, and the result is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, field, replace
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xtec.core.chunking import Block, block_shape, flat_index
from xtec.core.errors import InputError, NothingToClusterError
from xtec.core.progress import Progress
from xtec.core.shards import PartOf, Record, Shards, Workers
from xtec.core.types import BackgroundThreshold, Float64Array, VoxelCounts
from xtec.io import Series
from xtec.preprocess import MaskRules, VoxelSums, find_threshold, usable_voxels
from xtec_pipelines.plan import WORTH_A_SURVEY, ShardPlan
from xtec_pipelines.readers import shared_reader

_MARGIN = 0.25
"""How far below the surveyed cutoff voxels are still held, in standard deviations of ln mean intensity."""

_SURVEYED = 0.02
"""Share of the blocks that are surveyed."""

_FEWEST_SURVEYED = 4


@dataclass(frozen=True)
class IngestOptions:
    """What to keep of a series.

    Attributes
    ----------
    threshold : str or float
        ``kl``, ``simple``, ``none`` or a cutoff in ln intensity.
    rules : MaskRules
        Which voxels count as usable.
    refuse_negative : bool
        Whether a negative intensity is an error.
    """

    threshold: str | float = "kl"
    rules: MaskRules = field(default_factory=MaskRules)
    refuse_negative: bool = True


@dataclass(frozen=True)
class Kept(Record):
    """Trajectories of one shard that passed the threshold.

    Attributes
    ----------
    number : int
        Of the shard's plan.
    index : array, shape (n,), int64
        Flat C-order index of each voxel, rising.
    intensity : array, shape (n, T), float32
        One temperature after the other in memory.
    """

    number: int
    index: NDArray[np.int64]
    intensity: NDArray[np.float32]


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
    """

    shards: Shards[Kept]
    plans: Sequence[ShardPlan]
    counts: VoxelCounts
    threshold: BackgroundThreshold

    def gather(self) -> Kept:
        """All of them in one place, by rising index."""
        parts = list(self.shards.map(lambda shard: shard))
        index = np.concatenate([part.index for part in parts])
        intensity = np.concatenate([part.intensity.T for part in parts], axis=1)
        order = np.argsort(index, kind="stable")
        return Kept(0, index[order], np.take(intensity, order, axis=1).T)


def ingest(
    series: Series,
    options: IngestOptions,
    workers: Workers,
    plans: Sequence[ShardPlan],
    progress: Progress | None = None,
    remember: Callable[[Callable[[ShardPlan], Held]], Callable[[ShardPlan], Held]] = lambda hold: hold,
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

    Raises
    ------
    InputError
        If all voxels are empty or NaN, or intensities are negative where a logarithm is to be taken.
    NothingToClusterError
        If no voxel lies above the cutoff.
    """
    progress = progress or Progress()
    voxel_bytes = series.n_temperatures * series.dtype.itemsize
    with progress.stage("survey"):
        floor = _survey(series, options, workers, plans)
    with progress.stage("read", total=series.nbytes, unit="B") as advance:
        held = workers.make(
            remember(Hold(series, options, floor)),
            plans,
            done=lambda number: advance(plans[number].n_voxels * voxel_bytes),
        )
    with progress.stage("threshold"):
        counts = VoxelCounts(0)
        for part in held.map(attrgetter("counts")):
            counts = counts.merge(VoxelCounts(*map(int, part)))
        _require_judged(counts, series)
        threshold = _settle(PartOf(held, attrgetter("log_mean")), options.threshold, series)
        kept = held.derive(_Cut(series, options, threshold.cutoff, tuple(plans)))
        counts = replace(counts, n_kept=sum(kept.map(_size)))
    if counts.n_kept == 0:
        raise NothingToClusterError(
            f"no voxel lies above the cutoff, ln I = {threshold.cutoff:.3f}",
            file=series.inputs[0],
            hint="--threshold simple, a number, or none",
        )
    return KeptTrajectories(kept, plans, counts, threshold)


@dataclass(frozen=True)
class Held(Record):
    """What is held of one shard: ln mean of its usable voxels, and the trajectories above a floor.

    Attributes
    ----------
    number : int
        Of the plan.
    counts : array
        The numbers of `VoxelCounts`.
    floor : float
    log_mean : array, shape (usable,), float64
    judged : array, shape (n,), float64
        ln mean of the held trajectories.
    index : array, shape (n,), int64
    intensity : array, shape (n, T), float32
    """

    number: int
    counts: NDArray[np.int64]
    floor: float
    log_mean: Float64Array
    judged: Float64Array
    index: NDArray[np.int64]
    intensity: NDArray[np.float32]


@dataclass(frozen=True)
class Hold:
    """Reads a shard, and holds what may survive the threshold."""

    series: Series
    options: IngestOptions
    floor: float

    def __call__(self, plan: ShardPlan) -> Held:
        """Read the blocks of a plan one after the other, into the same memory."""
        reader = shared_reader(self.series)
        n_temperatures = self.series.n_temperatures
        largest = max(int(np.prod(block_shape(block), dtype=np.int64)) for block in plan.blocks)
        memory = np.empty(n_temperatures * largest, self.series.dtype)
        parts = []
        for block in plan.blocks:
            shape = (n_temperatures, *block_shape(block))
            volume = memory[: int(np.prod(shape, dtype=np.int64))].reshape(shape)
            reader.read(block, out=volume)
            parts.append(self._of_block(block, volume))
        counts = VoxelCounts(0)
        for part in parts:
            counts = counts.merge(part[0])
        return Held(
            plan.number,
            np.array(astuple(counts)),
            self.floor,
            *(np.concatenate([part[field] for part in parts]) for field in (1, 2, 3)),
            np.concatenate([part[4] for part in parts], axis=1).T,
        )

    def _of_block(self, block: Block, volume: NDArray[Any]) -> tuple[Any, ...]:
        """Counts, ln means, and of what lies above the floor ln mean, index and rows (T, n)."""
        sums = VoxelSums.of_volume(volume)
        if self.options.refuse_negative and np.nanmin(sums.minimum, initial=0.0) < 0:
            _refuse_negative(self.series, block, volume)
        usable, counts = usable_voxels(sums, self.options.rules)
        position = np.flatnonzero(usable)
        if self.options.threshold == "none":
            log_mean = judged = np.empty(0)
        else:
            log_mean = np.log(sums.mean[position])
            above = log_mean > self.floor
            position, judged = position[above], log_mean[above]
        rows = volume.reshape(len(volume), -1)
        held = np.take(rows, position, axis=1).astype(np.float32, copy=False)
        return counts, log_mean, judged, flat_index(block, self.series.shape, position), held


@dataclass(frozen=True)
class _Cut:
    """Drops what is not above the cutoff."""

    series: Series
    options: IngestOptions
    cutoff: float
    plans: tuple[ShardPlan, ...]

    def __call__(self, held: Held) -> Kept:
        if self.cutoff < held.floor:
            held = Hold(self.series, self.options, self.cutoff)(self.plans[held.number])
        kept = np.arange(held.index.size)
        if self.options.threshold != "none":
            kept = kept[held.judged > self.cutoff]
        kept = kept[np.argsort(held.index[kept], kind="stable")]
        return Kept(held.number, held.index[kept], np.take(held.intensity.T, kept, axis=1).T)


def _survey(series: Series, options: IngestOptions, workers: Workers, plans: Sequence[ShardPlan]) -> float:
    """A floor that the cutoff will hardly lie below, from a few blocks all over the grid."""
    if isinstance(options.threshold, float):
        return options.threshold
    blocks = [block for plan in plans for block in plan.blocks]
    if options.threshold == "none" or len(blocks) < WORTH_A_SURVEY:
        return -np.inf
    n_chosen = max(_FEWEST_SURVEYED, int(_SURVEYED * len(blocks)))
    chosen = np.linspace(0, len(blocks) - 1, 2 * n_chosen + 1).astype(int)[1::2]
    surveyed = [ShardPlan(number, (blocks[i],)) for number, i in enumerate(chosen)]
    looks = workers.make(Hold(series, options, np.inf), surveyed)
    try:
        found = find_threshold(PartOf(looks, attrgetter("log_mean")), options.threshold)
    except InputError:
        return -np.inf
    centres = (found.edges[1:] + found.edges[:-1]) / 2
    share = found.density / found.density.sum()
    mean = float(share @ centres)
    return found.cutoff - _MARGIN * float(np.sqrt(share @ (centres - mean) ** 2))


def _settle(log_mean: Shards[Float64Array], method: str | float, series: Series) -> BackgroundThreshold:
    try:
        return find_threshold(log_mean, method)
    except InputError as error:
        raise InputError(
            error.what, file=series.inputs[0], hdf5_path=series.source.refs[0].path, hint=error.hint
        ) from None


def _require_judged(counts: VoxelCounts, series: Series) -> None:
    if counts.n_judged == 0:
        raise InputError(
            f"nothing to judge: of {counts.n_total} voxels {counts.n_empty} are empty, "
            f"{counts.n_nan} have a NaN, {counts.n_nonpositive} are not positive throughout",
            file=series.inputs[0],
            hdf5_path=series.source.refs[0].path,
        )


def _refuse_negative(series: Series, block: Block, volume: NDArray[Any]) -> None:
    position = np.unravel_index(int(np.nanargmin(volume)), volume.shape)
    where = ", ".join(
        f"{axis.name} = {axis.values[part.start + i]:g}"
        for axis, part, i in zip(series.axes, block, position[1:], strict=True)
    )
    ref = series.source.refs[min(series.rows[position[0]], len(series.source.refs) - 1)]
    raise InputError(
        f"negative intensity {volume[position]:g} at {series.scan.name} = "
        f"{series.scan.values[position[0]]:g}, {where}; its logarithm is wanted",
        file=ref.file,
        hdf5_path=ref.path,
        hint="--negative drop (leave such voxels out), or --threshold none with --rescale zscore",
    )


def _size(kept: Kept) -> int:
    return int(kept.index.size)
