"""Each cluster against temperature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xtec.core.arrays import home, is_host, namespace, some_rows
from xtec.core.axes import Axis
from xtec.core.backend import device_of
from xtec.core.compiled import compiled
from xtec.core.device import halving
from xtec.core.types import ClusterCurves, Float64Array, FloatArray

_BYTES = 2**26
"""Trajectories that are converted to float64 at a time on other devices."""

_LANES = 4
"""Sums side by side, which need not wait for each other where neighbours share a label."""


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
    def of(cls, trajectories: Any, label: Any, n_clusters: int) -> ClusterMoments:
        """Moments of labelled trajectories.

        Parameters
        ----------
        trajectories : array, shape (n, T)
            Of any array library, as the labels.
        label : array, shape (n,)
            Cluster number 1..K of each; 0 for none.
        n_clusters : int
            K.
        """
        if not is_host(trajectories):
            return cls.plain(trajectories, label, n_clusters)
        size = np.bincount(label, minlength=n_clusters + 1)[1:].astype(np.float64)
        near, first, second = np.zeros((3, trajectories.shape[1], n_clusters + 1))
        _group(trajectories.T, label, near, first, second)
        step = first.T[1:] / np.maximum(size, 1.0)[:, None]
        squares = np.maximum(second.T[1:] - size[:, None] * step**2, 0.0)
        return cls(size, near.T[1:] + step, squares)

    @classmethod
    def plain(cls, trajectories: Any, label: Any, n_clusters: int) -> ClusterMoments:
        """As `of`, in any array library, some trajectories at a time."""
        n, t = trajectories.shape

        def work(part: slice) -> ClusterMoments:
            return _moments(some_rows(trajectories, part), label[part], n_clusters)

        moments = cls.empty(n_clusters, t)
        for one in halving(device_of(trajectories), n, work, _BYTES // (8 * t)):
            moments = moments.merge(one)
        return moments

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


def _moments(trajectories: Any, label: Any, n_clusters: int) -> ClusterMoments:
    """Moments about the mean of each cluster, in two passes."""
    xp = namespace(trajectories)
    numbers = xp.arange(1, n_clusters + 1, dtype=label.dtype, device=label.device)
    member = xp.astype(label[None, :] == numbers[:, None], xp.float64)
    columns, size = xp.astype(trajectories.T, xp.float64), xp.sum(member, axis=1)
    mean = (member @ columns.T) / xp.where(size > 0, size, xp.ones_like(size))[:, None]
    squares = xp.stack([(columns - mean[k, :, None]) ** 2 @ member[k, :] for k in range(n_clusters)])
    return home(ClusterMoments(size, mean, squares))


@compiled
def _group(
    rows: FloatArray, label: NDArray[np.int16], near: Float64Array, first: Float64Array, second: Float64Array
) -> None:
    """First and second moments by label, of rows (T, n) into (T, K+1), about a trajectory of each label.

    One of its own: about a bright one the spread of a weak cluster would drown in rounding.
    """
    example = np.full(first.shape[1], -1)
    for i in range(label.size):
        example[label[i]] = i
    for t in range(rows.shape[0]):
        for k in range(first.shape[1]):
            if example[k] >= 0:
                near[t, k] = rows[t, example[k]]
    sums = np.empty((_LANES, first.shape[1], 2))
    whole = label.size - label.size % _LANES
    for t in range(rows.shape[0]):
        sums[:] = 0
        for i in range(0, whole, _LANES):
            for lane in range(_LANES):
                k = label[i + lane]
                step = np.float64(rows[t, i + lane]) - near[t, k]
                sums[lane, k, 0] += step
                sums[lane, k, 1] += step * step
        for i in range(whole, label.size):
            step = np.float64(rows[t, i]) - near[t, label[i]]
            sums[0, label[i], 0] += step
            sums[0, label[i], 1] += step * step
        for lane in range(_LANES):
            for k in range(first.shape[1]):
                first[t, k] += sums[lane, k, 0]
                second[t, k] += sums[lane, k, 1]


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
