"""From a series on disk to the trajectories worth clustering, in one pass.

Blocks of all temperatures are read once. While reading, voxels below a provisional cutoff (the threshold of
what was seen so far, less a margin) are let go; once the cutoff is settled, the few blocks where too much was
let go are read again. So memory follows the trajectories kept, not the file, and the result is exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xtec.core.chunking import Block, flat_index
from xtec.core.errors import InputError, NothingToClusterError
from xtec.core.progress import Progress
from xtec.core.types import BackgroundThreshold, VoxelCounts
from xtec.io import Series
from xtec.preprocess import MaskRules, VoxelSums, find_threshold, usable_voxels

_MARGIN = 0.5
"""How far below the provisional cutoff voxels are still held, in standard deviations of ln mean intensity."""


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
    block_bytes : int
        Size of the blocks read.
    """

    threshold: str | float = "kl"
    rules: MaskRules = field(default_factory=MaskRules)
    refuse_negative: bool = True
    block_bytes: int = 128 * 2**20


@dataclass(frozen=True)
class KeptTrajectories:
    """Trajectories that passed the threshold.

    Attributes
    ----------
    index : array, shape (n,), int64
        Flat C-order index of each voxel, rising.
    intensity : array, shape (n, T), float32
    counts : VoxelCounts
    threshold : BackgroundThreshold
    """

    index: NDArray[np.int64]
    intensity: NDArray[np.float32]
    counts: VoxelCounts
    threshold: BackgroundThreshold


@dataclass
class _Held:
    """What is held of one block: ln mean of its usable voxels, and the trajectories above a floor."""

    block: Block
    log_mean: NDArray[np.float64]
    counts: VoxelCounts
    floor: float
    index: NDArray[np.int64]
    intensity: NDArray[np.float32]
    judged: NDArray[np.float64]
    """ln mean of the held trajectories."""


def ingest(series: Series, options: IngestOptions, progress: Progress) -> KeptTrajectories:
    """Read a series and keep the trajectories above its background.

    Raises
    ------
    InputError
        If all voxels are empty or NaN, or intensities are negative where a logarithm is to be taken.
    NothingToClusterError
        If no voxel lies above the cutoff.
    """
    held = list(_read(series, options, progress))
    counts = reduce(_add_counts, (one.counts for one in held))
    if counts.n_total == counts.n_nan + counts.n_empty + counts.n_nonpositive:
        raise InputError(
            f"nothing to judge: of {counts.n_total} voxels {counts.n_empty} are empty, "
            f"{counts.n_nan} have a NaN, {counts.n_nonpositive} are not positive throughout",
            file=series.inputs[0],
            hdf5_path=series.source.refs[0].path,
        )
    threshold = _settle(np.concatenate([one.log_mean for one in held]), options.threshold, series)
    kept = [_above(series, one, threshold.cutoff, options) for one in held]
    index = np.concatenate([part[0] for part in kept])
    order = np.argsort(index, kind="stable")
    counts = replace(counts, n_kept=index.size)
    if index.size == 0:
        raise NothingToClusterError(
            f"no voxel lies above the cutoff, ln I = {threshold.cutoff:.3f}",
            file=series.inputs[0],
            hint="--threshold simple, a number, or none",
        )
    intensity = np.concatenate([part[1] for part in kept])
    if not _is_sorted(index):
        index, intensity = index[order], intensity[order]
    return KeptTrajectories(index, intensity, counts, threshold)


def _settle(log_mean: NDArray[np.float64], method: str | float, series: Series) -> BackgroundThreshold:
    try:
        return find_threshold(log_mean, method)
    except InputError as error:
        raise InputError(
            error.what, file=series.inputs[0], hdf5_path=series.source.refs[0].path, hint=error.hint
        ) from None


def _read(series: Series, options: IngestOptions, progress: Progress) -> Iterator[_Held]:
    """Read every block once, raising the floor each time the number of voxels seen has doubled."""
    blocks = series.blocks(options.block_bytes)
    floor, seen, judged_at = -np.inf, [], 0
    with progress.stage("read", total=series.nbytes, unit="B") as advance:
        for block in blocks:
            volume = series.read(block)
            one = _hold(series, block, volume, floor, options)
            advance(volume.nbytes)
            yield one
            if options.threshold == "none" or block is blocks[-1]:
                continue
            seen.append(one.log_mean)
            if sum(part.size for part in seen) > 2 * judged_at:
                x = np.concatenate(seen)
                judged_at = x.size
                floor = _provisional(x, options.threshold)


def _provisional(x: NDArray[np.float64], method: str | float) -> float:
    if x.size == 0:
        return -np.inf
    try:
        return find_threshold(x, method).cutoff - _MARGIN * float(x.std())
    except InputError:
        return -np.inf


def _hold(series: Series, block: Block, volume: NDArray[Any], floor: float, options: IngestOptions) -> _Held:
    sums = VoxelSums.of_volume(volume)
    if options.refuse_negative and np.nanmin(sums.minimum, initial=0.0) < 0:
        _refuse_negative(series, block, volume)
    usable, counts = usable_voxels(sums, options.rules)
    if options.threshold == "none":
        log_mean, above = np.empty(0), usable
    else:
        log_mean = np.log(sums.mean[usable])
        above = usable.copy()
        above[usable] = log_mean > floor
    rows = volume.reshape(len(volume), -1)
    return _Held(
        block=block,
        log_mean=log_mean,
        counts=counts,
        floor=floor,
        index=flat_index(block, series.shape)[above],
        intensity=rows[:, above].T.astype(np.float32, order="C"),
        judged=log_mean[log_mean > floor],
    )


def _above(
    series: Series, held: _Held, cutoff: float, options: IngestOptions
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    if cutoff < held.floor:
        held = _hold(series, held.block, series.read(held.block), cutoff, options)
    if options.threshold == "none":
        return held.index, held.intensity
    kept = held.judged > cutoff
    if kept.all():
        return held.index, held.intensity
    return held.index[kept], held.intensity[kept]


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


def _add_counts(some: VoxelCounts, others: VoxelCounts) -> VoxelCounts:
    return VoxelCounts(
        some.n_total + others.n_total,
        some.n_empty + others.n_empty,
        some.n_nan + others.n_nan,
        some.n_nonpositive + others.n_nonpositive,
        some.n_kept + others.n_kept,
    )


def _is_sorted(index: NDArray[np.int64]) -> bool:
    return bool(np.all(index[1:] > index[:-1]))
