"""What is held of a shard while the thresholds are not settled, and what is kept of it in the end."""

from __future__ import annotations

from dataclasses import astuple, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xtec.core.chunking import Block, block_shape, flat_index
from xtec.core.errors import InputError
from xtec.core.shards import Record
from xtec.core.types import BackgroundThreshold, Float64Array, VoxelCounts
from xtec.io import Series
from xtec.preprocess import (
    Cells,
    Judged,
    MaskRules,
    Tally,
    VoxelSums,
    chi_square,
    split_variation,
    usable_voxels,
    waves,
)
from xtec_pipelines.plan import ShardPlan
from xtec_pipelines.readers import shared_reader


@dataclass(frozen=True)
class IngestOptions:
    """What to keep of a series.

    Attributes
    ----------
    threshold : str or float
        The name of a threshold, or a cutoff in ln intensity.
    fdr : float
        False discovery rate of significance, where the threshold asks for it.
    rules : MaskRules
        Which voxels count as usable.
    refuse_negative : bool
        Whether a negative intensity is an error.
    """

    threshold: str | float = "kl"
    fdr: float = 0.01
    rules: MaskRules = field(default_factory=MaskRules)
    refuse_negative: bool = True

    @property
    def judges_mean(self) -> bool:
        """Whether a voxel may be kept for its mean intensity."""
        return self.threshold not in ("none", "significance")

    @property
    def judges_variation(self) -> bool:
        """Whether a voxel may be kept for how it varies."""
        return self.threshold in ("significance", "kl+significance")


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
    course : array, shape (n,), int8
        -1 for trajectories that rise significantly over the scan, 1 for those that fall, else 0.
    """

    number: int
    index: NDArray[np.int64]
    intensity: NDArray[np.float32]
    course: NDArray[np.int8]


@dataclass(frozen=True)
class Held(Record):
    """What is held of one shard: what thresholds judge of usable voxels, and trajectories above a floor.

    Attributes
    ----------
    number : int
        Of the plan.
    counts : array
        The numbers of `VoxelCounts`.
    floor, smooth_floor : float
        Trajectories are held whose ln mean or smooth variation is above.
    log_mean : array, shape (usable,), float64
    smooth : array, shape (usable,), float32
    cell : array, shape (usable,), uint8
        See `Judged`; empty where variation is not judged.
    bins, tally : array
        Of `Tally.filled`.
    place : array, shape (n,), int64
        Of the held trajectories among the usable voxels.
    index : array, shape (n,), int64
    intensity : array, shape (n, T), float32
    """

    number: int
    counts: NDArray[np.int64]
    floor: float
    smooth_floor: float
    log_mean: Float64Array
    smooth: NDArray[np.float32]
    cell: NDArray[np.uint8]
    bins: NDArray[np.int64]
    tally: NDArray[np.int64]
    place: NDArray[np.int64]
    index: NDArray[np.int64]
    intensity: NDArray[np.float32]

    @property
    def judged(self) -> Judged:
        """What significance is judged from."""
        return Judged(self.log_mean, self.smooth, self.cell)


@dataclass(frozen=True)
class Hold:
    """Reads a shard, and holds what may survive the thresholds."""

    series: Series
    options: IngestOptions
    floor: float = -np.inf
    smooth_floor: float = -np.inf

    def __call__(self, plan: ShardPlan) -> Held:
        """Read the blocks of a plan one after the other, into the same memory."""
        reader = shared_reader(self.series)
        n_temperatures = self.series.n_temperatures
        largest = max(int(np.prod(block_shape(block), dtype=np.int64)) for block in plan.blocks)
        memory = np.empty(n_temperatures * largest, self.series.dtype)
        tally, counts, n_usable = Tally(), VoxelCounts(0), 0
        parts = []
        for block in plan.blocks:
            shape = (n_temperatures, *block_shape(block))
            volume = memory[: int(np.prod(shape, dtype=np.int64))].reshape(shape)
            reader.read(block, out=volume)
            found, usable, position = self._usable(block, volume)
            judged = self._judge(block, volume, usable, position, tally)
            place = self._above(judged, position.size)
            rows = volume.reshape(n_temperatures, -1)
            held = np.take(rows, position[place], axis=1).astype(np.float32, copy=False)
            index = flat_index(block, self.series.shape, position[place])
            parts.append((judged.log_mean, judged.smooth, judged.cell, place + n_usable, index, held))
            counts, n_usable = counts.merge(found), n_usable + position.size
        columns = [np.concatenate([part[field] for part in parts]) for field in range(5)]
        return Held(
            plan.number,
            np.array(astuple(counts)),
            self.floor,
            self.smooth_floor,
            *columns[:3],
            *tally.filled(),
            *columns[3:],
            np.concatenate([part[5] for part in parts], axis=1).T,
        )

    def _usable(
        self, block: Block, volume: NDArray[Any]
    ) -> tuple[VoxelCounts, Float64Array, NDArray[np.intp]]:
        """Counts, and of the usable voxels mean and place in the block."""
        sums = VoxelSums.of_volume(volume)
        if self.options.refuse_negative and np.nanmin(sums.minimum, initial=0.0) < 0:
            _refuse_negative(self.series, block, volume)
        usable, counts = usable_voxels(sums, self.options.rules)
        position = np.flatnonzero(usable)
        return counts, sums.mean[position], position

    def _judge(
        self,
        block: Block,
        volume: NDArray[Any],
        mean: Float64Array,
        position: NDArray[np.intp],
        tally: Tally,
    ) -> Judged:
        """What thresholds judge of the usable voxels; of variation only what they ask for."""
        log_mean = np.empty(0) if self.options.threshold == "none" else np.log(mean)
        if not self.options.judges_variation:
            return Judged(log_mean, np.empty(0, np.float32), np.empty(0, np.uint8))
        rows = volume.reshape(len(volume), -1)
        whole = np.ones(rows.shape[1])
        whole[position] = mean
        smooth, rough = (part[position] for part in split_variation(rows, whole))
        cell = Cells(self.series.shape).of_block(block)[position]
        tally.add(log_mean, rough, cell)
        return Judged(log_mean, smooth, cell)

    def _above(self, judged: Judged, n_usable: int) -> NDArray[np.intp]:
        """Usable voxels that are above a floor."""
        if self.options.threshold == "none":
            return np.arange(n_usable)
        above = judged.log_mean > self.floor if self.options.judges_mean else np.zeros(n_usable, bool)
        if self.options.judges_variation:
            above |= judged.smooth > self.smooth_floor
        return np.flatnonzero(above)


@dataclass(frozen=True)
class Cut:
    """Drops what does not pass the thresholds."""

    series: Series
    options: IngestOptions
    threshold: BackgroundThreshold
    plans: tuple[ShardPlan, ...]

    def __call__(self, held: Held) -> Kept:
        """Kept trajectories of a shard, by rising index; it is read again if a floor was too high."""
        cutoff, least = self.threshold.cutoff, self._least_smooth(held)
        if (self.options.judges_mean and cutoff < held.floor) or least < held.smooth_floor:
            held = Hold(self.series, self.options, cutoff, least)(self.plans[held.number])
        kept, significant = np.arange(held.index.size), np.zeros(held.index.size, bool)
        if self.threshold.significance is not None:
            at = held.place
            found = chi_square(self.threshold.significance, held.log_mean[at], held.smooth[at], held.cell[at])
            significant = found >= self.threshold.significance.cutoff
        if self.options.threshold != "none":
            bright = held.log_mean[held.place] > cutoff if self.options.judges_mean else False
            kept = np.flatnonzero(significant | bright)
        kept = kept[np.argsort(held.index[kept], kind="stable")]
        rows = np.take(held.intensity.T, kept, axis=1)
        return Kept(held.number, held.index[kept], rows.T, _course(rows, significant[kept]))

    def _least_smooth(self, held: Held) -> float:
        """Smooth variation below which nothing in a shard is significant."""
        found = self.threshold.significance
        if found is None or held.cell.size == 0:
            return np.inf
        here = found.cell_scale.reshape(-1)[np.flatnonzero(np.bincount(held.cell))]
        return float(found.cutoff * here.min())


def _course(rows: NDArray[np.float32], significant: NDArray[np.bool_]) -> NDArray[np.int8]:
    """Whether significant trajectories, shape (T, n), fall (1) or rise (-1) over the scan; else 0."""
    course = np.zeros(rows.shape[1], np.int8)
    if significant.any():
        slope = waves(len(rows))[0].astype(np.float32) @ rows[:, significant]
        course[significant] = np.sign(slope).astype(np.int8)
    return course


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
