"""One trajectory a peak: the mean over its voxels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from xtec.core.types import Float64Array, FloatArray


def peak_sizes(peak: NDArray[np.int32]) -> NDArray[np.int64]:
    """Number of voxels in each peak, shape (P,)."""
    return np.bincount(peak).astype(np.int64)


def average_peaks(trajectories: FloatArray, peak: NDArray[np.int32]) -> Float64Array:
    """Mean trajectory of each peak, in one grouped sum.

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
    sizes = peak_sizes(peak)
    membership = sparse.csr_array(
        (np.ones(peak.size), (peak, np.arange(peak.size))), shape=(sizes.size, peak.size)
    )
    return np.asarray(membership @ trajectories) / sizes[:, None]


def sum_peaks(trajectories: FloatArray, peak: NDArray[np.int32]) -> Float64Array:
    """Sum of each peak's trajectories (its integrated intensity), shape (P, T)."""
    return average_peaks(trajectories, peak) * peak_sizes(peak)[:, None]


def peak_maxima(trajectories: FloatArray, peak: NDArray[np.int32]) -> FloatArray:
    """Largest intensity of each peak's voxels at each temperature, shape (P, T)."""
    order = np.argsort(peak, kind="stable")
    starts = np.searchsorted(peak[order], np.arange(peak.max() + 1))
    maxima: FloatArray = np.maximum.reduceat(trajectories[order], starts, axis=0)
    return maxima


def peak_centroids(position: Float64Array, weight: Float64Array, peak: NDArray[np.int32]) -> Float64Array:
    """Weighted mean position of each peak.

    Parameters
    ----------
    position : array, shape (n, ndim)
    weight : array, shape (n,)
        Above zero, the mean intensity for instance.
    peak : array, shape (n,)

    Returns
    -------
    array, shape (P, ndim)
    """
    total = np.bincount(peak, weight)
    return np.stack([np.bincount(peak, weight * along) / total for along in position.T], axis=1)
