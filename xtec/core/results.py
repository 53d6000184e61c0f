"""A clustering run as data: what is written, drawn and shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xtec.core.quantities import SampleInfo
from xtec.core.types import (
    BackgroundThreshold,
    ClusterCurves,
    ClusterMap,
    Float64Array,
    VoxelChanges,
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
        Members; where voxels were clustered a peak is connected voxels of the cluster.
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
    peaks: int
    share: float
    trend: str
    reading: str
    order_parameter: bool | None
    onset: float | None


@dataclass(frozen=True)
class PeakShapes:
    """Shape of the larger peaks against temperature; distances in the axes' units and order.

    Attributes
    ----------
    peak : array, shape (S,)
        Which peaks, 0..P-1.
    displacement : array, shape (S, T, ndim), float32
        Intensity-weighted mean position, relative to the centroid of all temperatures.
    width : array, shape (S, T, ndim), float32
        Root of the second central moment of what stands above background; NaN where that is not clear.
    asymmetry : array, shape (S, T, ndim), float32
        Skewness of the same.
    """

    peak: NDArray[np.int64]
    displacement: NDArray[np.float32]
    width: NDArray[np.float32]
    asymmetry: NDArray[np.float32]


@dataclass(frozen=True)
class PeakMaxima:
    """Voxels where what changes with temperature is highest; a peak may have several, or none.

    Attributes
    ----------
    peak : array, shape (M,)
        Which peak each belongs to, 0..P-1.
    change : array, shape (M,)
        Mean intensity at the lowest third of temperatures minus that at the highest.
    position, error : array, shape (M, ndim)
        In the axes' units and order, and its standard error.
    whole : array, shape (M, ndim), bool
        False along an axis where it lies at the end of the grid.
    """

    peak: NDArray[np.int64]
    change: Float64Array
    position: Float64Array
    error: Float64Array
    whole: NDArray[np.bool_]


@dataclass(frozen=True)
class PeakTable:
    """Peaks: connected voxels, clustered as one (X-TEC-s) or of the same cluster.

    Attributes
    ----------
    label : array, shape (P,), int16
        Cluster number 1..K; 0 for peaks that were left out.
    size : array, shape (P,)
        Voxels in each.
    centroid : array, shape (P, ndim)
        Intensity-weighted mean position, in the axes' units and order.
    intensity : array, shape (P, T)
        Sum over the peak's voxels: the integrated intensity.
    maximum : array, shape (P, T)
        Largest of its voxels' intensities.
    shapes : PeakShapes
    maxima : PeakMaxima
    """

    label: NDArray[np.int16]
    size: NDArray[np.int64]
    centroid: Float64Array
    intensity: Float64Array
    maximum: Float64Array
    shapes: PeakShapes
    maxima: PeakMaxima

    @property
    def spread(self) -> Float64Array:
        """Integrated intensity over maximum, in voxels, shape (P, T): large where a peak is broad."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.maximum > 0, self.intensity / self.maximum, np.nan)


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
class Changes:
    """What has become of the clusters of a shorter series.

    Attributes
    ----------
    new, gone : tuple of int
        Numbers of clusters that do not go on from one of them, and those that no cluster has any more.
    """

    new: tuple[int, ...] = ()
    gone: tuple[int, ...] = ()


@dataclass(frozen=True)
class ClusterRun:
    """Everything that `xtec cluster` finds out.

    Attributes
    ----------
    title : str
    sample : SampleInfo
    mode : str
        ``d``, ``s`` or ``smooth``.
    mode_reason : str
    map : ClusterMap
    probability : array, shape (n,), float32
        Probability of the label of each voxel (of its peak's, in mode s).
    curves : ClusterCurves
    mixture : FittedMixture
    threshold : BackgroundThreshold
    counts : VoxelCounts
    clusters : sequence of ClusterSummary
    peaks : PeakTable
    process : mapping
        Provenance: version, options, seed, inputs, timings.
    warnings : sequence of str
        What to doubt.
    selection : Selection or None
        Where the number of clusters was not given.
    changes : Changes or None
        Where clusters go on from those of a shorter series.
    novelty : array, shape (n,), float32, or None
        How unlike a reference each voxel is, where that was asked for; the higher, the less like it.
    novelty_limit : float or None
        Above which a voxel counts as novel.
    learned : mapping of str to bytes
        What plugins learned, as files, by their option.
    count_scale : float
        Variance over mean of an intensity that only noise moves.
    voxel_changes : VoxelChanges or None
    """

    title: str
    sample: SampleInfo
    mode: str
    mode_reason: str
    map: ClusterMap
    probability: NDArray[np.float32]
    curves: ClusterCurves
    mixture: FittedMixture
    threshold: BackgroundThreshold
    counts: VoxelCounts
    clusters: Sequence[ClusterSummary]
    peaks: PeakTable
    process: Mapping[str, Any]
    warnings: Sequence[str] = field(default=())
    selection: Selection | None = None
    changes: Changes | None = None
    novelty: NDArray[np.float32] | None = None
    novelty_limit: float | None = None
    learned: Mapping[str, bytes] = field(default_factory=dict)
    count_scale: float = 1.0
    voxel_changes: VoxelChanges | None = None

    @property
    def novel(self) -> NDArray[np.bool_] | None:
        """Which voxels count as novel; None where nothing is known of it."""
        if self.novelty is None or self.novelty_limit is None:
            return None
        return self.novelty > self.novelty_limit


@dataclass(frozen=True)
class ClusteredRun:
    """What later commands take from the results of a run.

    Attributes
    ----------
    name : str
        Of the run folder.
    sample : SampleInfo
    curves : ClusterCurves
    map : ClusterMap
    peaks : PeakTable
    mode : str
    count_scale : float
        Variance over mean of an intensity; 1 where that was not found out.
    systematic : float
        Relative error of bright voxels besides.
    background : float
        Intensity of a voxel below the threshold; 0 where there was none.
    voxel_changes : VoxelChanges or None
        Where the run has kept them.
    """

    name: str
    sample: SampleInfo
    curves: ClusterCurves
    map: ClusterMap
    peaks: PeakTable
    mode: str
    count_scale: float
    systematic: float
    background: float
    voxel_changes: VoxelChanges | None = None

    @property
    def n_clusters(self) -> int:
        """K."""
        return self.curves.n_clusters
