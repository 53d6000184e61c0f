"""What is held of a shard while the thresholds are not settled, and what is kept of it in the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xtec.core import grouped
from xtec.core.arrays import home, like, namespace
from xtec.core.chunking import Block, block_shape, flat_index
from xtec.core.device import Device, Host, halving
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
    n_waves,
    split_variation,
    usable_voxels,
    waves,
)
from xtec_pipelines.streaming.feeding import feed
from xtec_pipelines.streaming.plan import ShardPlan


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
    def n_total(self) -> int:
        """Voxels of the shard."""
        return VoxelCounts(*map(int, self.counts)).n_total

    @property
    def judged(self) -> Judged:
        """What significance is judged from."""
        return Judged(self.log_mean, self.smooth, self.cell)


@dataclass(frozen=True)
class _Part:
    """What is held of some voxels of a block; see `Held`."""

    counts: VoxelCounts
    judged: Judged
    place: Any
    index: Any
    rows: Any


@dataclass(frozen=True)
class Hold:
    """Reads a shard, and holds what may survive the thresholds, where it is worked on."""

    series: Series
    options: IngestOptions
    floor: float = -np.inf
    smooth_floor: float = -np.inf
    device: Device = field(default_factory=Host)

    def __call__(self, plan: ShardPlan) -> Held:
        """Read the blocks of a plan one after the other."""
        tally, counts, parts = Tally(), VoxelCounts(0), list[_Part]()
        at_once: int | None = None
        for block, volume in feed(self.series, plan.blocks, self.device):
            found = list(self._of_block(block, volume, tally, at_once))
            if len(found) > 1:
                at_once = max(part.counts.n_total for part in found[1:])
            parts += found
        for part in parts:
            counts = counts.merge(part.counts)
        before = np.cumsum([0, *(part.counts.n_judged for part in parts)])
        xp = namespace(parts[0].index)
        bins, filled = tally.filled()
        return Held(
            number=plan.number,
            counts=np.array(astuple(counts)),
            floor=self.floor,
            smooth_floor=self.smooth_floor,
            log_mean=xp.concat([part.judged.log_mean for part in parts]),
            smooth=xp.concat([part.judged.smooth for part in parts]),
            cell=xp.concat([part.judged.cell for part in parts]),
            bins=bins,
            tally=filled,
            place=xp.concat([part.place + int(n) for part, n in zip(parts, before[:-1], strict=True)]),
            index=xp.concat([part.index for part in parts]),
            intensity=xp.concat([part.rows for part in parts], axis=1).T,
        )

    def _of_block(
        self, block: Block, volume: NDArray[Any], tally: Tally, at_once: int | None
    ) -> Iterator[_Part]:
        """All voxels of a block at once, or as many as the device has memory for."""
        flat = volume.reshape(len(volume), -1)
        n = flat.shape[1]
        return halving(self.device, n, lambda voxels: self._of_voxels(block, flat, voxels, tally), at_once)

    def _of_voxels(self, block: Block, flat: NDArray[Any], voxels: slice, tally: Tally) -> _Part:
        """Some voxels of a block; `flat` has all of them, shape (T, n)."""
        rows = self.device.upload(flat[:, voxels])
        xp, sums = namespace(rows), VoxelSums.of_volume(rows)
        if self.options.refuse_negative and bool(xp.any(sums.minimum < 0)):
            _refuse_negative(self.series, block, flat)
        usable, counts = usable_voxels(sums, self.options.rules)
        position = xp.nonzero(usable)[0]
        mean = xp.take(sums.mean, position)
        log_mean = mean[:0] if self.options.threshold == "none" else xp.log(mean)
        smooth, rough, cell = self._variation(block, voxels, rows, xp.where(usable, sums.mean, 1.0), position)
        judged = Judged(log_mean, smooth, cell)
        place = self._above(judged, position.size)
        kept = xp.take(position, place)
        index = flat_index(block, self.series.shape, kept + voxels.start)
        held = xp.astype(xp.take(rows, kept, axis=1), xp.float32, copy=False)
        if self.options.judges_variation:
            tally.add(log_mean, rough, cell)
        return _Part(counts, judged, place, index, held)

    def _variation(
        self, block: Block, voxels: slice, rows: Any, mean: Any, position: Any
    ) -> tuple[Any, Any, Any]:
        """Smooth and rough variation of the usable voxels, and their cells; nothing if not judged."""
        xp = namespace(rows)
        if not self.options.judges_variation:
            nothing = xp.astype(mean[:0], xp.float32)
            return nothing, nothing, xp.astype(nothing, xp.uint8)
        cell = like(Cells(self.series.shape).of_block(block)[voxels], rows)
        return tuple(xp.take(one, position) for one in (*split_variation(rows, mean), cell))

    def _above(self, judged: Judged, n_usable: int) -> Any:
        """Usable voxels that are above a floor."""
        xp = namespace(judged.log_mean)
        if self.options.threshold == "none":
            return xp.arange(n_usable, device=judged.log_mean.device)
        floors = []
        if self.options.judges_mean:
            floors.append(judged.log_mean > self.floor)
        if self.options.judges_variation:
            floors.append(judged.smooth > self.smooth_floor)
        return xp.nonzero(floors[0] | floors[-1])[0]


@dataclass(frozen=True)
class Cut:
    """Drops what does not pass the thresholds."""

    series: Series
    options: IngestOptions
    threshold: BackgroundThreshold
    plans: tuple[ShardPlan, ...]
    device: Device = field(default_factory=Host)

    def __call__(self, held: Held) -> Kept:
        """Kept trajectories of a shard, by rising index; it is read again if a floor was too high."""
        cutoff, least = self.threshold.cutoff, self._least_smooth(held)
        if (self.options.judges_mean and cutoff < held.floor) or least < held.smooth_floor:
            held = Hold(self.series, self.options, cutoff, least, self.device)(self.plans[held.number])
        xp, at = namespace(held.index), held.place
        passed = xp.full(held.index.size, self.options.threshold == "none", device=held.index.device)
        significant = xp.zeros_like(passed)
        if self.threshold.significance is not None:
            judged = (xp.take(one, at) for one in (held.log_mean, held.smooth, held.cell))
            found = chi_square(self.threshold.significance, *judged)
            significant = found >= self.threshold.significance.cutoff
            passed = passed | significant
        if self.options.judges_mean:
            passed = passed | (xp.take(held.log_mean, at) > cutoff)
        kept = xp.nonzero(passed)[0]
        index = xp.take(held.index, kept)
        order = xp.argsort(index, stable=True)
        kept, index = xp.take(kept, order), xp.take(index, order)
        rows = xp.take(held.intensity.T, kept, axis=1)
        return Kept(held.number, index, rows.T, _course(rows, xp.take(significant, kept)))

    def _least_smooth(self, held: Held) -> float:
        """Smooth variation below which nothing in a shard is significant."""
        found = self.threshold.significance
        if found is None or held.cell.size == 0 or not np.isfinite(found.cutoff):
            return np.inf
        cells = home(grouped.counts(held.cell, 256))
        here = found.cell_scale.reshape(-1)[np.flatnonzero(cells)]
        return float(found.cutoff * here.min())


def _course(rows: Any, significant: Any) -> Any:
    """Whether significant trajectories, shape (T, n), fall (1) or rise (-1) over the scan; else 0."""
    xp = namespace(rows)
    if not n_waves(rows.shape[0]):
        return xp.astype(significant, xp.int8)
    slope = like(waves(rows.shape[0])[:1].astype(np.float32), rows) @ rows
    falls, rises = (xp.astype(one & significant, xp.int8) for one in (slope[0, :] > 0, slope[0, :] < 0))
    return falls - rises


def _refuse_negative(series: Series, block: Block, flat: NDArray[Any]) -> None:
    volume = flat.reshape(len(flat), *block_shape(block))
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
