"""A clustering run as data: what is written, drawn and shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xtec.core.types import (
    BackgroundThreshold,
    ClusterCurves,
    ClusterMap,
    Float64Array,
    VoxelCounts,
)


@dataclass(frozen=True)
class ClusterSummary:
    """One line of the table a person reads.

    Attributes
    ----------
    number : int
        1..K, by falling order-parameter score, then size.
    voxels, peaks : int
        Members; `peaks` is None where voxels were clustered.
    share : float
        Share of the clustered voxels.
    trend : str
        How its intensity goes with temperature, in a phrase.
    reading : str
        What that may be, in the field's words.
    order_parameter : bool or None
        Whether it behaves like one; None where that cannot be told.
    onset : float or None
        First estimate of the temperature where it sets in.
    """

    number: int
    voxels: int
    peaks: int | None
    share: float
    trend: str
    reading: str
    order_parameter: bool | None
    onset: float | None


@dataclass(frozen=True)
class PeakTable:
    """Peaks that were clustered in place of their voxels (X-TEC-s).

    Attributes
    ----------
    label : array, shape (P,), int16
        Cluster number 1..K.
    size : array, shape (P,)
        Voxels in each.
    centroid : array, shape (P, ndim)
        Intensity-weighted mean position, in the axes' units and order.
    intensity : array, shape (P, T)
        Sum over the peak's voxels.
    maximum : array, shape (P, T)
        Largest of its voxels' intensities.
    """

    label: NDArray[np.int16]
    size: NDArray[np.int64]
    centroid: Float64Array
    intensity: Float64Array
    maximum: Float64Array


@dataclass(frozen=True)
class Selection:
    """How the number of clusters was chosen; curves over R numbers of clusters.

    Attributes
    ----------
    n_clusters : array, shape (R,)
    bic, icl : array, shape (R,)
        Of plain mixtures of so many components, on a sample; lower is better.
    silhouette, stability : array, shape (R,)
        Of the same: mean silhouette, and agreement (adjusted Rand index) with a fit to a bootstrap sample
        from another seed.
    size, fidelity : array, shape (R,)
        Of the most faithful way to join the clusters found into so many, in nats; NaN above their number.
    gain : array, shape (R,)
        What the last of so many clusters explained better, in nats for each trajectory it took; at the number
        after the one recommended, what the next would have. NaN where that was not tried.
    frontier : array, shape (P, 3)
        Number of clusters, size and fidelity of the clusterings that no other beats.
    recommended : int
    reason, sensitivity : str
        Why, and what would change it.
    """

    n_clusters: NDArray[np.intp]
    bic: Float64Array
    icl: Float64Array
    silhouette: Float64Array
    stability: Float64Array
    size: Float64Array
    fidelity: Float64Array
    gain: Float64Array
    frontier: Float64Array
    recommended: int
    reason: str
    sensitivity: str


@dataclass(frozen=True)
class FittedMixture:
    """The mixture behind the labels, components numbered as the clusters.

    Attributes
    ----------
    weights : array, shape (K,)
    means : array, shape (K, T)
    covariances : array
        Shaped as in scikit-learn; without the counting noise, where that was known.
    covariance_type : str
    log_likelihood : float
        Mean per trajectory.
    bic : float
    n_iter, n_init : int
    converged : bool
    n_reseeded : int
        Components that ran empty and were started anew.
    """

    weights: Float64Array
    means: Float64Array
    covariances: Float64Array
    covariance_type: str
    log_likelihood: float
    bic: float
    n_iter: int
    n_init: int
    converged: bool
    n_reseeded: int


@dataclass(frozen=True)
class ClusterRun:
    """Everything that `xtec cluster` finds out.

    Attributes
    ----------
    title, sample : str
    mode : str
        ``d`` or ``s``.
    mode_reason : str
    map : ClusterMap
    probability : array, shape (n,), float32
        Probability of the label of each voxel (of its peak's, in mode s).
    curves : ClusterCurves
    mixture : FittedMixture
    threshold : BackgroundThreshold
    counts : VoxelCounts
    clusters : sequence of ClusterSummary
    peaks : PeakTable or None
    process : mapping
        Provenance: version, options, seed, inputs, timings.
    warnings : sequence of str
        What to doubt.
    selection : Selection or None
        Where the number of clusters was not given.
    """

    title: str
    sample: str
    mode: str
    mode_reason: str
    map: ClusterMap
    probability: NDArray[np.float32]
    curves: ClusterCurves
    mixture: FittedMixture
    threshold: BackgroundThreshold
    counts: VoxelCounts
    clusters: Sequence[ClusterSummary]
    peaks: PeakTable | None
    process: Mapping[str, Any]
    warnings: Sequence[str] = field(default=())
    selection: Selection | None = None
