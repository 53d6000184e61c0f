"""The vocabulary: one name and one sentence for each quantity that crosses a module boundary.

Two layouts exist, and no other order crosses a function boundary:

- volume, shape ``(T, L, K, H)`` (or ``(T, K, H)``, ``(T, H)``): every voxel at every temperature;
- trajectories, shape ``(n, T)``: intensity of n voxels (or peaks) against temperature.

Data are float32, sums float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xtec.core.axes import Axis

FloatArray = NDArray[np.floating[Any]]
Float64Array = NDArray[np.float64]
IntArray = NDArray[np.signedinteger[Any]]


class Mode(StrEnum):
    """What is clustered: every voxel (X-TEC-d), averages of connected peaks, or voxels with smoothed labels.

    The last two are the two kinds of X-TEC-s.
    """

    VOXELS = "d"
    PEAKS = "s"
    SMOOTH = "smooth"
    AUTO = "auto"


class SmoothKernel(StrEnum):
    """Which voxels are neighbours: those near each other, or at nearly the same place of any zone."""

    LOCAL = "local"
    PERIODIC = "periodic"


class Rescale(StrEnum):
    """How a trajectory is made comparable with brighter and weaker ones."""

    MEAN = "mean"
    ZSCORE = "zscore"
    LOG_MEAN = "log-mean"
    NONE = "none"


class CovarianceType(StrEnum):
    """Shape of a component's covariance over temperature, as in scikit-learn; and one more.

    ``shared`` is one diagonal for all components: the simplest, for few trajectories.
    """

    DIAG = "diag"
    SHARED = "shared"
    FULL = "full"
    TIED = "tied"
    SPHERICAL = "spherical"


class Backend(StrEnum):
    """What block kernels work on."""

    AUTO = "auto"
    """A GPU where there is one and the series is large, else the processor."""
    NUMPY = "numpy"
    CUPY = "cupy"


class Updates(StrEnum):
    """When EM moves the parameters."""

    BATCH = "batch"
    """After all trajectories."""
    STEPWISE = "stepwise"
    """After every few of them, for some sweeps; then after all."""


@dataclass(frozen=True)
class VoxelCounts:
    """How many voxels there were and what became of them.

    ``n_total = n_empty + n_nan + n_nonpositive + (voxels judged by the threshold)``.
    """

    n_total: int
    n_empty: int = 0
    """Mean over temperature is zero or below, or as good as zero."""
    n_nan: int = 0
    """Not finite at one temperature at least, or too large for an intensity."""
    n_nonpositive: int = 0
    """Dropped on request, or for a logarithm's sake: some temperature has no positive intensity."""
    n_kept: int = 0
    n_beyond: int = 0
    """Of the empty ones and those with a NaN: neither, but too small or too large for an intensity."""

    def merge(self, other: VoxelCounts) -> VoxelCounts:
        """Of two sets of voxels together."""
        return VoxelCounts(
            *(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True))
        )

    @property
    def n_judged(self) -> int:
        """Voxels that the threshold judged."""
        return self.n_total - self.n_empty - self.n_nan - self.n_nonpositive


@dataclass(frozen=True)
class Significance:
    """Which voxels vary with temperature by more than their noise, and how noisy intensities are.

    Attributes
    ----------
    fdr : float
        Share of false discoveries that was asked for.
    cutoff : float
        Voxels with a larger chi-square are kept; infinite if none is.
    n_waves : int
        Degrees of freedom of chi-square: cosines over the scan.
    n_significant : int
        Voxels above the cutoff.
    scale : float
        Variance over mean of an intensity: 1 for counts.
    systematic : float
        Relative error that bright voxels have besides.
    cell_scale : array
        Variance over mean in cells of the grid, as many along each axis as the array's shape says.
    intensity : array, shape (m,)
        Mean intensities, rising.
    variance_over_mean : array, shape (3, m)
        Quartiles, over the voxels of such an intensity, of what they vary from one temperature to the next;
        each divided by what it is for noise of one scale, so that there all three agree.
    """

    fdr: float
    cutoff: float
    n_waves: int
    n_significant: int
    scale: float
    systematic: float
    cell_scale: Float64Array
    intensity: Float64Array
    variance_over_mean: Float64Array


@dataclass(frozen=True)
class BackgroundThreshold:
    """Where background ends: the cutoff in ln of the mean intensity, and how it was found.

    Attributes
    ----------
    method : str
        ``kl``, ``significance``, ``kl+significance``, ``simple``, ``value`` or ``none``.
    cutoff : float
        Voxels with ``ln mean_t I > cutoff`` are kept; ``-inf`` for ``none``, ``inf`` for ``significance``.
    edges : array, shape (B+1,)
        Bin edges of the histogram of ``ln mean_t I``.
    density : array, shape (B,)
        Probability density in each bin.
    background_mean, background_std : float
        Gaussian taken as background: moments of the voxels below the cutoff.
    credible : bool
        Whether the cutoff lies between one standard deviation below and two above the mean of all.
    n_steps : int
        Steps of the search (0 where there was none).
    significance : Significance, optional
        Voxels that this keeps are kept whatever their mean.
    """

    method: str
    cutoff: float
    edges: Float64Array
    density: Float64Array
    background_mean: float
    background_std: float
    credible: bool
    n_steps: int = 0
    significance: Significance | None = None


@dataclass(frozen=True)
class ClusterCurves:
    """Each cluster against temperature; row k belongs to cluster number k + 1.

    Attributes
    ----------
    scan : Axis
        Temperatures (or fields, times, ...), T of them.
    rescaled_mean, rescaled_std : array, shape (K, T)
        Mean and standard deviation over the cluster's members of what was clustered.
    intensity_mean, intensity_error : array, shape (K, T)
        Mean raw intensity over the cluster's voxels and its standard error.
    """

    scan: Axis
    rescaled_mean: Float64Array
    rescaled_std: Float64Array
    intensity_mean: Float64Array
    intensity_error: Float64Array

    @property
    def n_clusters(self) -> int:
        """K."""
        return len(self.rescaled_mean)

    def reordered(self, order: NDArray[np.intp]) -> ClusterCurves:
        """The same curves with the clusters in another order; NaN for a cluster -1."""
        names = ("rescaled_mean", "rescaled_std", "intensity_mean", "intensity_error")
        return ClusterCurves(self.scan, *(rows_or_nan(getattr(self, name), order) for name in names))


def rows_or_nan(values: Float64Array, order: NDArray[np.intp]) -> Float64Array:
    """Rows in another order; NaN for a row -1."""
    chosen = values[order]
    chosen[order < 0] = np.nan
    return chosen


@dataclass(frozen=True)
class ClusterMap:
    """Which voxel belongs to which cluster, kept sparse.

    Attributes
    ----------
    axes : sequence of Axis
        Reciprocal-space axes, slowest first; their lengths are the map's shape.
    index : array, shape (n,), int64
        Flat C-order index of each clustered voxel, rising.
    label : array, shape (n,), int16
        Cluster number 1..K.
    angles : array, shape (ndim,), optional
        Angles between the axes in degrees, as NeXus ``@angles``: for (Ql, Qk, Qh) gamma*, beta*, alpha*.
    """

    axes: Sequence[Axis]
    index: NDArray[np.int64]
    label: NDArray[np.int16]
    angles: Float64Array | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of voxels along each axis."""
        return tuple(len(axis) for axis in self.axes)

    def slab(self, start: int, stop: int) -> NDArray[np.int16]:
        """Dense labels (0 = not clustered) of the planes start..stop-1 along the slowest axis."""
        plane = int(np.prod(self.shape[1:], dtype=np.int64))
        first, last = np.searchsorted(self.index, [start * plane, stop * plane])
        dense = np.zeros((stop - start) * plane, dtype=np.int16)
        dense[self.index[first:last] - start * plane] = self.label[first:last]
        return dense.reshape(stop - start, *self.shape[1:])

    def with_slowest(self, axis: int) -> ClusterMap:
        """The same map with another axis first, the others in their order."""
        order = [axis, *(i for i in range(len(self.axes)) if i != axis)]
        places = np.unravel_index(self.index, self.shape)
        shape = tuple(self.shape[i] for i in order)
        index = np.ravel_multi_index([places[i] for i in order], shape).astype(np.int64)
        rising = np.argsort(index, kind="stable")
        angles = None if self.angles is None else self.angles[order]
        return ClusterMap([self.axes[i] for i in order], index[rising], self.label[rising], angles)


@dataclass(frozen=True)
class VoxelChanges:
    """What is known of each clustered voxel by itself, in the order of its map.

    Attributes
    ----------
    intensity : array, shape (n,), float32
        Mean over the scan.
    change : array, shape (n,), float32
        Mean intensity at the lowest third of temperatures minus that at the highest.
    """

    intensity: NDArray[np.float32]
    change: NDArray[np.float32]
