"""Running sums over temperature for every voxel: all that masks and thresholds need to know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xtec.core.arrays import is_host, namespace
from xtec.core.compiled import compiled
from xtec.core.types import Float64Array

_TILE = 2048
"""Voxels whose sums stay in the processor's cache while the temperatures go by."""


@compiled
def _accumulate(rows: NDArray[Any], total: Float64Array, minimum: Float64Array) -> None:
    """Add rows (T, n) to the sums of their voxels, one temperature after the other."""
    for start in range(0, rows.shape[1], _TILE):
        stop = min(start + _TILE, rows.shape[1])
        sums, least = total[start:stop], minimum[start:stop]
        for t in range(rows.shape[0]):
            row = rows[t, start:stop]
            for voxel in range(row.size):
                sums[voxel] += np.float64(row[voxel])
        for t in range(rows.shape[0]):
            row = rows[t, start:stop]
            for voxel in range(row.size):
                least[voxel] = min(least[voxel], np.float64(row[voxel]))
        for voxel in range(sums.size):
            if not np.isfinite(sums[voxel]):
                _mark_nan(rows[:, start + voxel], least, voxel)


@compiled
def _mark_nan(trajectory: NDArray[Any], least: Float64Array, voxel: int) -> None:
    """Comparisons pass over NaN, so it is looked for where a sum says that there may be one."""
    least[voxel] = np.inf
    for intensity in trajectory:
        if np.isnan(intensity):
            least[voxel] = np.nan
            return
        least[voxel] = min(least[voxel], np.float64(intensity))


def plain_sums(volume: Any) -> tuple[Any, Any]:
    """Sum and minimum of each voxel over temperature, float64; those of a NaN are NaN.

    Parameters
    ----------
    volume : array, shape (T, ...)
    """
    xp = namespace(volume)
    rows = xp.astype(xp.reshape(volume, (volume.shape[0], -1)), xp.float64)
    return xp.sum(rows, axis=0), xp.min(rows, axis=0)


@dataclass
class VoxelSums:
    """Sums over the temperatures seen so far; one entry a voxel.

    One object serves a whole block at once, a series that grows by a temperature, and halves of a series
    summed apart: `of_volume`, `add_temperature` and `merge` end in the same sums (to float64 rounding).

    Attributes
    ----------
    n_temperatures : int
    total : array, shape (n,), float64
        Sum of the intensities.
    minimum : array, shape (n,), float64
        Smallest intensity; NaN once one was NaN.
    """

    n_temperatures: int
    total: Float64Array
    minimum: Float64Array

    @classmethod
    def empty(cls, n_voxels: int) -> VoxelSums:
        """No temperature seen yet."""
        return cls(0, np.zeros(n_voxels), np.full(n_voxels, np.inf))

    @classmethod
    def of_volume(cls, volume: Any) -> VoxelSums:
        """Sums of a block of voxels at all its temperatures, shape (T, ...), of any array library."""
        if not is_host(volume):
            return cls(volume.shape[0], *plain_sums(volume))
        rows = volume.reshape(len(volume), -1)
        sums = cls.empty(rows.shape[1])
        _accumulate(rows, sums.total, sums.minimum)
        sums.n_temperatures = len(rows)
        return sums

    def add_temperature(self, intensities: NDArray[Any]) -> None:
        """Take in one more temperature of the same voxels, shape (n,)."""
        self.n_temperatures += 1
        with np.errstate(invalid="ignore"):
            self.total += intensities.reshape(-1)
        self.minimum = np.minimum(self.minimum, intensities.reshape(-1))

    def merge(self, other: VoxelSums) -> VoxelSums:
        """Sums over both sets of temperatures of the same voxels."""
        with np.errstate(invalid="ignore"):
            total = self.total + other.total
        return VoxelSums(
            self.n_temperatures + other.n_temperatures,
            total,
            np.minimum(self.minimum, other.minimum),
        )

    @property
    def finite(self) -> NDArray[np.bool_]:
        """Voxels whose intensity was a number at every temperature."""
        found: NDArray[np.bool_] = namespace(self.total).isfinite(self.total)
        return found

    @property
    def mean(self) -> Float64Array:
        """Mean intensity of each voxel."""
        return self.total / max(self.n_temperatures, 1)
