"""Shape of peaks against temperature: moments of the intensity about each peak's centroid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xtec.core.compiled import compiled
from xtec.core.types import Float64Array, FloatArray
from xtec.peaks.sums import positions

_TOGETHER = 2**16
"""Voxels whose distances are in memory at a time."""

_SIGNIFICANT = 5.0
"""Net intensity needed for a shape, in standard deviations of its counts."""


@dataclass(frozen=True)
class ShapeSums:
    """Sums over the voxels of S peaks, about a point of each; those of two sets of voxels add up.

    Attributes
    ----------
    intensity : array, shape (S, T, D, 4)
        Sum of the intensity times the distance along each axis to the power 0, 1, 2, 3.
    voxels : array, shape (S, D, 4)
        The same with every intensity 1.
    """

    intensity: Float64Array
    voxels: Float64Array

    @classmethod
    def of(
        cls,
        index: NDArray[np.int64],
        intensity: FloatArray,
        peak: NDArray[np.int32],
        about: Float64Array,
        axes_values: Sequence[Float64Array],
    ) -> ShapeSums:
        """Sum over the voxels of one shard.

        Parameters
        ----------
        index : array, shape (n,), int64
            Flat C-order index of each voxel.
        intensity : array, shape (n, T)
        peak : array, shape (n,), int32
            Peak of each voxel, 0..S-1; -1 for none.
        about : array, shape (S, D)
            Where distances are measured from, in the axes' units.
        axes_values : sequence of array
            Coordinates along each axis of the grid, slowest first.
        """
        n_peaks, n_axes = about.shape
        sums, voxels = (np.zeros((n_peaks, n_axes, 4, n)) for n in (intensity.shape[1], 1))
        rows, one = intensity.T, np.ones((1, min(index.size, _TOGETHER)), intensity.dtype)
        for start in range(0, index.size, _TOGETHER):
            some = slice(start, start + _TOGETHER)
            place = np.stack(list(positions(index[some], axes_values)), axis=1)
            _moments(rows[:, some], peak[some], place, about, sums)
            _moments(one[:, : len(place)], peak[some], place, about, voxels)
        return cls(sums.transpose(0, 3, 1, 2), voxels[..., 0])

    @classmethod
    def empty(cls, n_peaks: int, n_temperatures: int, n_axes: int) -> ShapeSums:
        """Of no voxels."""
        return cls(np.zeros((n_peaks, n_temperatures, n_axes, 4)), np.zeros((n_peaks, n_axes, 4)))

    def add(self, other: ShapeSums, at: NDArray[np.intp]) -> None:
        """Add in place the sums of some of the peaks, which are at these numbers here, each once."""
        self.intensity[at] += other.intensity
        self.voxels[at] += other.voxels


@dataclass(frozen=True)
class Shapes:
    """Shape of S peaks along each of D axes at T temperatures; all in the axes' units.

    Attributes
    ----------
    displacement : array, shape (S, T, D)
        Intensity-weighted mean position, relative to the point the sums are about.
    width : array, shape (S, T, D)
        Root of the second central moment of the intensity above background; NaN where that intensity is
        within five standard deviations of its counts.
    asymmetry : array, shape (S, T, D)
        Skewness of the same: third central moment over the cube of the width.
    """

    displacement: Float64Array
    width: Float64Array
    asymmetry: Float64Array


def shapes(sums: ShapeSums, background: float, count_scale: float) -> Shapes:
    """Displacement, width and asymmetry from sums.

    Parameters
    ----------
    sums : ShapeSums
    background : float
        Intensity of a voxel without a peak.
    count_scale : float
        Variance over mean of an intensity; 1 for counts.
    """
    total = sums.intensity[..., 0]
    net = sums.intensity - background * sums.voxels[:, None]
    clear = net[..., 0] > _SIGNIFICANT * np.sqrt(count_scale * np.maximum(total, 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        displacement = np.where(total > 0, sums.intensity[..., 1] / total, np.nan)
        first, second, third = (np.where(clear, net[..., power] / net[..., 0], np.nan) for power in (1, 2, 3))
        variance = second - first**2
        width = np.sqrt(np.where(variance > 0, variance, np.nan))
        asymmetry = (third - 3 * first * variance - first**3) / width**3
    return Shapes(displacement, width, asymmetry)


@compiled
def _moments(
    rows: FloatArray, owner: NDArray[np.int32], place: Float64Array, about: Float64Array, sums: Float64Array
) -> None:
    """Add rows (T, n) times powers of the distances to the sums (S, D, 4, T) of their owners, but for -1.

    A trajectory is taken as a whole, which is what vector registers can add up.
    """
    trajectory = np.empty(rows.shape[0])
    for i in range(owner.size):
        peak = owner[i]
        if peak < 0:
            continue
        for t in range(rows.shape[0]):
            trajectory[t] = rows[t, i]
        for axis in range(place.shape[1]):
            distance, weight = place[i, axis] - about[peak, axis], 1.0
            for power in range(4):
                for t in range(rows.shape[0]):
                    sums[peak, axis, power, t] += weight * trajectory[t]
                weight *= distance
