"""Peaks of clusters, and the curve that some of them make together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xtec.core.axes import Axis
from xtec.core.types import Float64Array

_DRAWS = 200
_LEAST_PEAKS = 5
"""Peaks needed for draws of them to say anything."""

_FAINT = 1e-3
"""Intensities below this share of the mean have the error of one there."""


@dataclass(frozen=True)
class ClusterPeaks:
    """Peaks of a run as the analysis takes them.

    Attributes
    ----------
    scan : Axis
        T temperatures, in the order of measurement.
    label : array, shape (P,)
        Cluster number 1..K; 0 for none.
    size : array, shape (P,)
        Voxels of each peak.
    intensity : array, shape (P, T)
        Integrated over the peak.
    count_scale : float
        Variance over mean of a voxel's intensity.
    systematic : float
        Relative error besides.
    kind : mapping
        Text for each cluster; only clusters of the same text share an order parameter.
    """

    scan: Axis
    label: NDArray[np.int16]
    size: NDArray[np.int64]
    intensity: Float64Array
    count_scale: float = 1.0
    systematic: float = 1e-3
    kind: Mapping[int, str] | None = None

    def mean(self, members: NDArray[np.intp], rows: NDArray[np.intp]) -> tuple[Float64Array, Float64Array]:
        """Mean intensity over the voxels of some peaks at some temperatures, and its standard error.

        The error is that of counting, and a relative one besides.
        """
        voxels = float(self.size[members].sum())
        y: Float64Array = self.intensity[members][:, rows].sum(axis=0) / voxels
        level = np.maximum(np.abs(y), _FAINT * np.abs(y).mean() + 1e-300)
        return y, np.sqrt(self.count_scale * level / voxels + (self.systematic * level) ** 2)

    def draws(self, members: NDArray[np.intp], rows: NDArray[np.intp], seed: int) -> Float64Array | None:
        """The mean of peaks drawn with replacement, shape (B, T); None for too few peaks."""
        if members.size < _LEAST_PEAKS:
            return None
        rng = np.random.default_rng([seed, members.size, int(members[0])])
        even = np.full(members.size, 1 / members.size)
        times = rng.multinomial(members.size, even, size=_DRAWS).astype(np.float64)
        total = times @ self.intensity[members][:, rows]
        return np.asarray(total / (times @ self.size[members])[:, None])

    def variance(self, members: NDArray[np.intp], rows: NDArray[np.intp]) -> Float64Array:
        """Mean variance of each peak's integrated intensity, shape (m,)."""
        level = np.maximum(np.abs(self.intensity[members][:, rows]).mean(axis=1), 1e-300)
        return np.asarray(self.count_scale * level + (self.systematic * level) ** 2)
