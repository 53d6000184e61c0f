"""How noisy an intensity is: variance over mean, the count scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xtec.core.types import Float64Array


@dataclass(frozen=True)
class CountScale:
    """Variance of an intensity over its mean, against the mean.

    Intensities that are counts divided by a constant c have ``1/c`` everywhere. Merged and symmetrised
    volumes need not be so even: bright voxels vary by more than counting.

    Attributes
    ----------
    intensity : array, shape (m,)
        Mean intensities, rising.
    scale : array, shape (m,)
        Variance over mean at these.
    """

    intensity: Float64Array
    scale: Float64Array

    @classmethod
    def constant(cls, counts_per_unit: float) -> CountScale:
        """Intensities are counts divided by `counts_per_unit`."""
        return cls(np.ones(1), np.array([1 / counts_per_unit]))

    def __call__(self, mean: Float64Array) -> Float64Array:
        """Variance over mean at some mean intensities: linear between logarithms, flat outside."""
        with np.errstate(divide="ignore", invalid="ignore"):
            at = np.log(np.maximum(mean, self.intensity[0]))
        return np.asarray(np.exp(np.interp(at, np.log(self.intensity), np.log(self.scale))))
