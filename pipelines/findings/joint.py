"""Clustering the peaks of several samples together, so that a cluster means the same in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xtec.core.axes import Axis
from xtec.core.errors import ConfigError, NothingToClusterError
from xtec.core.results import ClusteredRun
from xtec.core.types import ClusterCurves, Float64Array, Rescale
from xtec.mixture import GaussianMixture, MixtureConfig
from xtec.order_parameter import ClusterMoments, cluster_curves
from xtec.preprocess import rescale
from xtec_pipelines.clustering.reading import number_clusters

_LEAST_TEMPERATURES = 4


@dataclass(frozen=True)
class JointClusters:
    """Clusters of the peaks of all samples.

    Attributes
    ----------
    curves : ClusterCurves
        On the common temperatures, over the peaks of all samples.
    counts : array, shape (samples, K)
        Peaks of each sample in each cluster.
    """

    curves: ClusterCurves
    counts: NDArray[np.int64]


def common_scan(runs: Sequence[ClusteredRun]) -> Axis:
    """Temperatures that all samples share: the overlap of their ranges, in steps of the coarsest.

    Raises
    ------
    ConfigError
        If the scans are not of the same variable, or hardly overlap.
    """
    scans = [run.curves.scan for run in runs]
    if len({(scan.name, scan.units) for scan in scans}) > 1:
        kinds = ", ".join(sorted({scan.label for scan in scans}))
        raise ConfigError(f"the samples were scanned over different variables: {kinds}")
    low = max(float(scan.values.min()) for scan in scans)
    high = min(float(scan.values.max()) for scan in scans)
    step = max(float(np.median(np.diff(np.unique(scan.values)))) for scan in scans)
    number = int(np.floor((high - low) / step + 1e-9)) + 1 if high > low else 0
    if number < _LEAST_TEMPERATURES:
        raise ConfigError(
            f"the samples share only {low:g} to {high:g} {scans[0].units}", hint="leave --joint out"
        )
    return Axis(scans[0].name, low + step * np.arange(number, dtype=np.float64), scans[0].units)


def cluster_jointly(
    runs: Sequence[ClusteredRun], n_clusters: int, seed: int = 0
) -> tuple[list[ClusteredRun], JointClusters]:
    """Cluster the peaks of all samples as one set of trajectories on common temperatures.

    Peaks that have no positive mean intensity there keep no label.

    Parameters
    ----------
    runs : sequence of ClusteredRun
    n_clusters : int
        K.
    seed : int

    Returns
    -------
    list of ClusteredRun
        The runs with the peaks' new labels.
    JointClusters

    Raises
    ------
    ConfigError
        If the scans do not fit together.
    NothingToClusterError
        If there are fewer peaks than clusters.
    """
    scan = common_scan(runs)
    means = [_on(scan, run) for run in runs]
    usable = [mean.mean(axis=1) > 0 for mean in means]
    rows = np.concatenate([mean[fine] for mean, fine in zip(means, usable, strict=True)])
    if len(rows) < n_clusters:
        raise NothingToClusterError(f"{len(rows)} peaks in all samples: too few for {n_clusters} clusters")
    rescaled = rescale(rows, Rescale.MEAN).rows
    model = GaussianMixture(MixtureConfig(n_components=n_clusters, seed=seed)).fit(rescaled)
    component, _ = model.predict(rescaled)
    found = component + np.int16(1)
    curves = cluster_curves(
        scan, ClusterMoments.of(rescaled, found, n_clusters), ClusterMoments.of(rows, found, n_clusters)
    )
    order, _ = number_clusters(curves, np.bincount(found, minlength=n_clusters + 1)[1:])
    rank = np.zeros(n_clusters + 1, np.int16)
    rank[order + 1] = np.arange(1, n_clusters + 1)
    labels = np.split(rank[found], np.cumsum([fine.sum() for fine in usable])[:-1])
    made, counts = [], []
    for run, fine, label in zip(runs, usable, labels, strict=True):
        whole = np.zeros(len(fine), np.int16)
        whole[fine] = label
        made.append(_relabelled(run, whole, n_clusters))
        counts.append(np.bincount(label, minlength=n_clusters + 1)[1:])
    return made, JointClusters(curves.reordered(order), np.array(counts))


def _on(scan: Axis, run: ClusteredRun) -> Float64Array:
    """Mean trajectories of the peaks at other temperatures, by straight lines between the measured ones."""
    order = np.argsort(run.curves.scan.values, kind="stable")
    x = run.curves.scan.values[order]
    mean = (run.peaks.intensity / run.peaks.size[:, None])[:, order]
    place = np.clip(np.searchsorted(x, scan.values) - 1, 0, len(x) - 2)
    step = x[place + 1] - x[place]
    share = np.clip((scan.values - x[place]) / np.where(step > 0, step, 1.0), 0.0, 1.0)
    on_grid: Float64Array = mean[:, place] * (1 - share) + mean[:, place + 1] * share
    return on_grid


def _relabelled(run: ClusteredRun, label: NDArray[np.int16], n_clusters: int) -> ClusteredRun:
    """The run with other clusters of its peaks; curves are means over their voxels."""
    intensity = run.peaks.intensity / run.peaks.size[:, None]
    moments = ClusterMoments.of(intensity, label, n_clusters)
    curves = cluster_curves(run.curves.scan, moments, moments)
    return replace(run, peaks=replace(run.peaks, label=label), curves=curves)
