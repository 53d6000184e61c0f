"""What is known of each peak: sums over its voxels, which add up over shards."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xtec.core import grouped
from xtec.core.arrays import is_host, like, namespace
from xtec.core.compiled import compiled
from xtec.core.types import Float64Array, FloatArray

_LAST = int(np.iinfo(np.int64).max)
"""After the index of any voxel."""


@dataclass(frozen=True)
class PeakSums:
    """Sums over the voxels of each of P peaks.

    Attributes
    ----------
    first : array, shape (P,), int64
        Smallest flat index of the peak's voxels.
    size : array, shape (P,), int64
        Number of voxels.
    total : array, shape (P, T), float64
        Sum of the raw intensity: the peak's integrated intensity.
    maximum : array, shape (P, T), float64
        Largest intensity of a voxel, at each temperature by itself.
    moment : array, shape (P, ndim), float64
        Sum of the voxels' positions, each times the voxel's mean intensity.
    """

    first: NDArray[np.int64]
    size: NDArray[np.int64]
    total: Float64Array
    maximum: Float64Array
    moment: Float64Array

    @classmethod
    def of(cls, index: Any, intensity: Any, label: Any, axes_values: Sequence[Float64Array]) -> PeakSums:
        """Sum over the voxels of one shard, in any array library.

        Parameters
        ----------
        index : array, shape (n,), int64
            Flat C-order index of each voxel in the whole grid.
        intensity : array, shape (n, T)
            Raw intensities; Fortran order (each temperature contiguous) saves a copy.
        label : array, shape (n,), int32
            Peak number of each voxel, 0..P-1, as `connect` gives it.
        axes_values : sequence of array
            Coordinates along each axis of the grid, slowest first; their lengths are the grid's shape.
        """
        if not is_host(intensity):
            return cls._elsewhere(index, intensity, label, axes_values)
        n_peaks = int(label.max(initial=-1)) + 1
        intensity = np.asfortranarray(intensity)
        total, maximum = _trajectories(intensity, intensity, label, n_peaks)
        weight = intensity.mean(axis=1, dtype=np.float64)
        moments = (weight * along for along in positions(index, axes_values))
        return cls(
            first=_least(index, label, n_peaks),
            size=np.bincount(label, minlength=n_peaks),
            total=total,
            maximum=maximum,
            moment=_columns(moments, label, n_peaks),
        )

    @classmethod
    def _elsewhere(
        cls, index: Any, intensity: Any, label: Any, axes_values: Sequence[Float64Array]
    ) -> PeakSums:
        """As `of`, without compiled loops."""
        xp = namespace(intensity)
        n_peaks = int(xp.max(label)) + 1 if label.size else 0
        columns = [intensity[:, t] for t in range(intensity.shape[1])]
        largest = [grouped.maxima(column, label, n_peaks, -math.inf) for column in columns]
        weight = xp.sum(intensity, axis=1, dtype=xp.float64) / len(columns)
        moments = [weight * along for along in positions(index, axes_values)]
        return cls(
            first=grouped.minima(index, label, n_peaks, _LAST),
            size=grouped.counts(label, n_peaks),
            total=xp.stack([grouped.sums(column, label, n_peaks) for column in columns], axis=1),
            maximum=xp.astype(xp.stack(largest, axis=1), xp.float64),
            moment=xp.stack([grouped.sums(moment, label, n_peaks) for moment in moments], axis=1),
        )

    @classmethod
    def concatenate(cls, parts: Sequence[PeakSums]) -> PeakSums:
        """Peaks of several shards, one shard after the other."""
        arrays = zip(*(vars(part).values() for part in parts), strict=True)
        return cls(*map(np.concatenate, arrays))

    def regrouped(self, group: NDArray[np.int32], n_groups: int) -> PeakSums:
        """Sums of whole peaks from those of their parts.

        Parameters
        ----------
        group : array, shape (P,), int32
            The peak that each row is a part of, 0..n_groups-1, as `join` gives it.
        n_groups : int
        """
        total, maximum = _trajectories(self.total, self.maximum, group, n_groups)
        return PeakSums(
            first=_least(self.first, group, n_groups),
            size=np.bincount(group, self.size, minlength=n_groups).astype(np.int64),
            total=total,
            maximum=maximum,
            moment=_columns(self.moment.T, group, n_groups),
        )

    def in_order(self) -> tuple[PeakSums, NDArray[np.int32]]:
        """The same peaks in the order of their first voxels, and the new number of each, shape (P,)."""
        order = np.argsort(self.first)
        number = np.empty(order.size, dtype=np.int32)
        number[order] = np.arange(order.size, dtype=np.int32)
        return PeakSums(*(array[order] for array in vars(self).values())), number

    def __getitem__(self, which: slice) -> PeakSums:
        return PeakSums(*(array[which] for array in vars(self).values()))

    def __len__(self) -> int:
        """Number of peaks, P."""
        return self.first.size

    @property
    def mean(self) -> Float64Array:
        """Mean trajectory of each peak's voxels, shape (P, T)."""
        mean: Float64Array = self.total / self.size[:, None]
        return mean

    @property
    def weight(self) -> Float64Array:
        """Sum of the voxels' mean intensities, shape (P,)."""
        weight: Float64Array = self.total.mean(axis=1)
        return weight

    @property
    def centroid(self) -> Float64Array:
        """Mean position weighted by mean intensity (which should be above zero), shape (P, ndim)."""
        centroid: Float64Array = self.moment / self.weight[:, None]
        return centroid


def average_peaks(trajectories: FloatArray, peak: NDArray[np.int32]) -> Float64Array:
    """Mean trajectory of each peak, without anything else that `PeakSums` knows.

    Parameters
    ----------
    trajectories : array, shape (n, T)
        Raw intensities of the voxels.
    peak : array, shape (n,)
        Peak number of each voxel, 0..P-1.

    Returns
    -------
    array, shape (P, T), float64
    """
    sizes = np.bincount(peak)
    trajectories = np.asfortranarray(trajectories)
    total, _ = _trajectories(trajectories, trajectories, peak, sizes.size)
    mean: Float64Array = total / sizes[:, None]
    return mean


def _least(index: NDArray[np.int64], group: NDArray[np.int32], n_groups: int) -> NDArray[np.int64]:
    least = np.full(n_groups, _LAST)
    np.minimum.at(least, group, index)
    return least


def positions(index: Any, axes_values: Sequence[Float64Array]) -> Iterator[Any]:
    """Coordinates of voxels, shape (n,), one axis of the grid after the other, slowest first."""
    xp = namespace(index)
    for axis, values in enumerate(axes_values):
        stride = math.prod(map(len, axes_values[axis + 1 :]))
        yield xp.take(like(values, index), index // stride % len(values))


def _columns(columns: Iterable[Float64Array], group: NDArray[np.int32], n_groups: int) -> Float64Array:
    """Sum of the rows of each group in a table given column by column."""
    return np.stack([np.bincount(group, column, minlength=n_groups) for column in columns], axis=1)


def _trajectories(
    summed: FloatArray, compared: FloatArray, group: NDArray[np.int32], n_groups: int
) -> tuple[Float64Array, Float64Array]:
    """Sum of the one and maximum of the other, shape (n, T), over the rows of each group."""
    total, maximum = _grouped(
        np.ascontiguousarray(summed.T),
        np.ascontiguousarray(compared.T),
        np.ascontiguousarray(group, dtype=np.int32),
        n_groups,
    )
    return total.T, maximum.T


@compiled
def _grouped(
    summed: FloatArray, compared: FloatArray, group: NDArray[np.int32], n_groups: int
) -> tuple[Float64Array, Float64Array]:
    """As `_trajectories`, transposed: each temperature's intensities are next to one another in memory."""
    n_temperatures, n = summed.shape
    total = np.zeros((n_temperatures, n_groups))
    maximum = np.full((n_temperatures, n_groups), -np.inf)
    for t in range(n_temperatures):
        for i in range(n):
            total[t, group[i]] += summed[t, i]
            maximum[t, group[i]] = max(maximum[t, group[i]], compared[t, i])
    return total, maximum
