"""By how much maxima of the mean intensity are displaced, from what changes on their slopes.

A peak I(q - u) whose place u changes with temperature loses intensity on one flank and gains it on the
other, ``dI/dT = -du/dT . dI/dq``, while one that grows or fades changes in proportion to itself. So over the
voxels of one maximum, what changes is a constant, a share of the intensity, and a displacement times its
slope; a regression tells them apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xtec.core.axes import Axis
from xtec.core.types import ClusterMap, Float64Array, VoxelChanges
from xtec.reciprocal.slopes import slopes, summits

SCATTERING_ANGLES = ("two_theta", "twotheta", "2theta", "tth")

_DEGENERATE = 1e-6
"""Directions along which slopes vary by less, of the largest, tell of no displacement."""


@dataclass(frozen=True)
class Displacements:
    """Regressions over the voxels of M maxima, and what they explain of what changes in K clusters.

    Attributes
    ----------
    flanks : array, shape (2, K, M)
        Voxels of each cluster that gain, and that lose, intensity by the displacement.
    pull, lever : array, shape (M,)
        Where all maxima are displaced by one share of their q, that is ``sum(pull) / sum(lever)``.
    moved, noise : array, shape (M,)
        Weighted sums of squares that the displacement explains, and that nothing does.
    freedom : array, shape (2, M)
        Their degrees of freedom.
    change, left : array, shape (K,)
        Weighted sums of squares of what changes in each cluster, with and without what displacements explain.
    """

    flanks: NDArray[np.int64]
    pull: Float64Array
    lever: Float64Array
    moved: Float64Array
    noise: Float64Array
    freedom: NDArray[np.int64]
    change: Float64Array
    left: Float64Array

    @classmethod
    def joined(cls, parts: Sequence[Displacements]) -> Displacements:
        """Of different voxels."""
        sums = ("change", "left")
        columns = {field.name: [getattr(part, field.name) for part in parts] for field in fields(cls)}
        return cls(
            **{
                name: np.sum(arrays, axis=0) if name in sums else np.concatenate(arrays, axis=-1)
                for name, arrays in columns.items()
            }
        )


def displacements(voxels: ClusterMap, changes: VoxelChanges, n_clusters: int) -> Displacements:
    """Fit a displacement to each maximum that has enough voxels for it.

    Parameters
    ----------
    voxels : ClusterMap
        n of them.
    changes : VoxelChanges
    n_clusters : int
        K.
    """
    intensity, change = changes.intensity.astype(np.float64), changes.change.astype(np.float64)
    counts = bool((intensity > 0).all())
    weight = 1 / intensity if counts else np.ones_like(intensity)
    top = summits(voxels.index, intensity, voxels.shape)
    slope, inside = slopes(voxels.index, intensity, voxels.axes)
    n_axes = sum(len(axis) > 1 for axis in voxels.axes)
    fitted = inside & (np.bincount(top[inside], minlength=top.size)[top] >= 2 * (2 + n_axes))
    tops = np.unique(top[fitted])
    sums = _Weighted(np.searchsorted(tops, top[fitted]), weight[fitted], tops.size)
    both = np.column_stack([change, slope])[fitted]
    even = sums.without(both, np.ones(len(both)), intensity[fitted])
    normal = sums.products(even[:, 1:])
    drive = np.stack([sums.of(even[:, 0] * even[:, 1 + axis]) for axis in range(len(voxels.axes))], axis=1)
    step = (_inverse(normal) @ drive[..., None])[..., 0]
    moved = (step * drive).sum(axis=1)
    noise = np.maximum(sums.of(even[:, 0] ** 2) - moved, 0.0)
    there = np.flatnonzero(np.isin(top, tops))
    peak = np.searchsorted(tops, top[there])
    shift = np.zeros(change.size)
    shift[there] = (slope[there] * step[peak]).sum(axis=1)
    scale = _scale(voxels.axes, voxels.index[tops])
    label = voxels.label.astype(np.int64) - 1
    cell = label[there] * tops.size + peak
    sides = (shift[there] > 0, shift[there] < 0)
    flanks = [np.bincount(cell[side], minlength=n_clusters * tops.size) for side in sides]
    return Displacements(
        flanks=np.reshape(flanks, (2, n_clusters, tops.size)),
        pull=(scale * drive).sum(axis=1),
        lever=(scale[:, None, :] @ normal @ scale[..., None])[:, 0, 0],
        moved=moved,
        noise=noise,
        freedom=np.stack([np.full(tops.size, n_axes), sums.count - 2 - n_axes]),
        change=_by(label, weight * change**2, n_clusters),
        left=_by(label, weight * (change - shift) ** 2, n_clusters),
    )


def _by(group: NDArray[np.integer[Any]], values: Float64Array, n_groups: int) -> Float64Array:
    """Sum of the values of each group."""
    return np.bincount(group, values, n_groups).astype(np.float64)


@dataclass(frozen=True)
class _Weighted:
    """Weighted sums over the voxels of each maximum."""

    peak: NDArray[np.intp]
    weight: Float64Array
    n_peaks: int

    @property
    def count(self) -> NDArray[np.intp]:
        """Voxels of each maximum."""
        return np.bincount(self.peak, minlength=self.n_peaks)

    def of(self, values: Float64Array) -> Float64Array:
        return _by(self.peak, self.weight * values, self.n_peaks)

    def products(self, columns: Float64Array) -> Float64Array:
        """Sums of products of columns (n, D), shape (M, D, D)."""
        rows = [[self.of(one * other) for other in columns.T] for one in columns.T]
        return np.moveaxis(np.array(rows), -1, 0)

    def without(self, columns: Float64Array, *regressors: Float64Array) -> Float64Array:
        """Columns (n, C) less what regressors explain of them, maximum by maximum."""
        columns, left = columns.copy(), list(regressors)
        while left:
            first, *left = left
            square = self.of(first**2)
            inverse = np.divide(1.0, square, out=np.zeros_like(square), where=square > 0)
            for column in (*columns.T, *left):
                column -= first * (self.of(first * column) * inverse)[self.peak]
        return columns


def _inverse(normal: Float64Array) -> Float64Array:
    """Inverses (M, D, D), nothing along directions that are not told."""
    size = np.sqrt(np.einsum("mii->mi", normal))
    unit = np.divide(1.0, size, out=np.zeros_like(size), where=size > 0)
    both = unit[:, :, None] * unit[:, None, :]
    return np.asarray(both * np.linalg.pinv(normal * both, rcond=_DEGENERATE, hermitian=True))


def _scale(axes: Sequence[Axis], index: NDArray[np.int64]) -> Float64Array:
    """How far along each axis (M, D) voxels move where q grows by a share of one: q, or 2 tan(theta)."""
    along = np.unravel_index(index, tuple(map(len, axes)))
    columns = []
    for axis, at in zip(axes, along, strict=True):
        values = axis.values[at]
        if axis.name.lower() in SCATTERING_ANGLES:
            degree = np.pi / 180 if axis.units.startswith("deg") else 1.0
            values = 2 * np.tan(values * degree / 2) / degree
        columns.append(values)
    return np.stack(columns, axis=1)
