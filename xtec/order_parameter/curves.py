"""Each cluster against temperature."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xtec.core.axes import Axis
from xtec.core.types import ClusterCurves, Float64Array, FloatArray


def cluster_curves(
    scan: Axis,
    rescaled: FloatArray,
    rescaled_label: NDArray[np.int16],
    intensity: FloatArray,
    label: NDArray[np.int16],
    n_clusters: int,
) -> ClusterCurves:
    """Mean and spread of each cluster's trajectories.

    Parameters
    ----------
    scan : Axis
        T temperatures.
    rescaled : array, shape (m, T)
        What was clustered: rescaled trajectories of voxels, or of peaks.
    rescaled_label : array, shape (m,)
        Cluster number 1..K of each.
    intensity : array, shape (n, T)
        Raw intensities of the voxels.
    label : array, shape (n,)
        Cluster number of each voxel; 0 for none.
    n_clusters : int
        K.
    """
    mean, std, _ = _grouped(rescaled, rescaled_label, n_clusters)
    raw, raw_std, size = _grouped(intensity, label, n_clusters)
    return ClusterCurves(scan, mean, std, raw, raw_std / np.sqrt(np.maximum(size, 1))[:, None])


def _grouped(
    values: FloatArray, label: NDArray[np.int16], n_clusters: int
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Mean (K, T), standard deviation (K, T) and size (K,) of each group; NaN for empty ones."""
    shape = (n_clusters, values.shape[1])
    mean, std = np.full(shape, np.nan), np.full(shape, np.nan)
    size = np.zeros(n_clusters)
    for k in range(n_clusters):
        members = values[label == k + 1]
        size[k] = len(members)
        if len(members):
            mean[k] = members.mean(axis=0, dtype=np.float64)
            std[k] = members.std(axis=0, dtype=np.float64)
    return mean, std, size
