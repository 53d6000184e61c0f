"""One component of a mixture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from xtec.core.types import CovarianceType, Float64Array
from xtec.mixture.covariance import log_densities
from xtec.mixture.parameters import MixtureParameters


@dataclass
class Cluster_Gaussian:
    """One cluster's Gaussian.

    Attributes
    ----------
    mean : array, shape (T,)
    cov : array, shape (T,) or (T, T)
        Variances, or the full covariance.
    """

    mean: Float64Array
    cov: Float64Array

    @property
    def data_dim(self) -> int:
        """T."""
        return len(self.mean)

    def pdf(self, pt: ArrayLike) -> float:
        """Probability density at a point, shape (T,)."""
        kind = CovarianceType.DIAG if self.cov.ndim == 1 else CovarianceType.FULL
        one = MixtureParameters(np.ones(1), np.zeros((1, self.data_dim)), self.cov[None], kind)
        return float(np.exp(log_densities((np.asarray(pt) - self.mean)[None], one)[0, 0]))
