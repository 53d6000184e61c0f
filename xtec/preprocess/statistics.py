"""Running sums over temperature for every voxel: all that masks and thresholds need to know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xtec.core.types import Float64Array


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
    def of_volume(cls, volume: NDArray[Any]) -> VoxelSums:
        """Sums of a block of voxels at all its temperatures, shape (T, ...)."""
        rows = volume.reshape(len(volume), -1)
        with np.errstate(invalid="ignore"):
            total = rows.sum(axis=0, dtype=np.float64)
        return cls(len(rows), total, rows.min(axis=0).astype(np.float64))

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
        return np.isfinite(self.total)

    @property
    def mean(self) -> Float64Array:
        """Mean intensity of each voxel."""
        return self.total / max(self.n_temperatures, 1)
