"""Each cluster against temperature."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xtec.core.axes import Axis
from xtec.core.compiled import compiled
from xtec.core.types import ClusterCurves, Float64Array, FloatArray


@dataclass(frozen=True)
class ClusterMoments:
    """Size, mean and spread of the trajectories in each cluster; those of two sets of them merge.

    Attributes
    ----------
    size : array, shape (K,)
    mean : array, shape (K, T)
        Zero where there are none.
    squares : array, shape (K, T)
        Sum of squared deviations from the mean.
    """

    size: Float64Array
    mean: Float64Array
    squares: Float64Array

    @classmethod
    def empty(cls, n_clusters: int, n_temperatures: int) -> ClusterMoments:
        """Of no trajectories: the identity of `merge`."""
        nothing = np.zeros((n_clusters, n_temperatures))
        return cls(np.zeros(n_clusters), nothing, nothing)

    @classmethod
    def of(cls, trajectories: FloatArray, label: NDArray[np.int16], n_clusters: int) -> ClusterMoments:
        """Moments of labelled trajectories.

        Parameters
        ----------
        trajectories : array, shape (n, T)
        label : array, shape (n,)
            Cluster number 1..K of each; 0 for none.
        n_clusters : int
            K.
        """
        size = np.bincount(label, minlength=n_clusters + 1)[1:].astype(np.float64)
        mean, squares = np.zeros((2, trajectories.shape[1], n_clusters + 1))
        _group(trajectories.T, label, np.concatenate([[1.0], np.maximum(size, 1.0)]), mean, squares)
        return cls(size, mean.T[1:], squares.T[1:])

    def merge(self, other: ClusterMoments) -> ClusterMoments:
        """Of both sets of trajectories (Chan, Golub & LeVeque 1983)."""
        size = self.size + other.size
        share = (other.size / np.maximum(size, 1.0))[:, None]
        step = other.mean - self.mean
        squares = self.squares + other.squares + step**2 * self.size[:, None] * share
        return ClusterMoments(size, self.mean + step * share, squares)

    def mean_and_std(self) -> tuple[Float64Array, Float64Array]:
        """Mean and standard deviation, each (K, T); NaN for empty clusters."""
        size = np.where(self.size > 0, self.size, np.nan)[:, None]
        return self.mean + 0 * size, np.sqrt(self.squares / size)


@compiled
def _group(
    rows: FloatArray,
    label: NDArray[np.int16],
    size: Float64Array,
    mean: Float64Array,
    squares: Float64Array,
) -> None:
    """Mean and squared deviations by label, of rows (T, n) into (T, K+1)."""
    for t in range(rows.shape[0]):
        for i in range(label.size):
            mean[t, label[i]] += np.float64(rows[t, i])
        for k in range(size.size):
            mean[t, k] /= size[k]
        for i in range(label.size):
            deviation = np.float64(rows[t, i]) - mean[t, label[i]]
            squares[t, label[i]] += deviation * deviation


def cluster_curves(scan: Axis, rescaled: ClusterMoments, intensity: ClusterMoments) -> ClusterCurves:
    """Mean and spread of each cluster's trajectories.

    Parameters
    ----------
    scan : Axis
        T temperatures.
    rescaled : ClusterMoments
        Of what was clustered: rescaled trajectories of voxels, or of peaks.
    intensity : ClusterMoments
        Of the raw intensities of the voxels.
    """
    mean, std = rescaled.mean_and_std()
    raw, raw_std = intensity.mean_and_std()
    return ClusterCurves(scan, mean, std, raw, raw_std / np.sqrt(np.maximum(intensity.size, 1))[:, None])
