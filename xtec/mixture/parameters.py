"""What a Gaussian mixture is: weights, means, covariances."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xtec.core.types import CovarianceType, Float64Array


@dataclass(frozen=True)
class MixtureParameters:
    """Parameters of a mixture of K Gaussians in T dimensions; shapes as in scikit-learn.

    Attributes
    ----------
    weights : array, shape (K,)
        Share of each component; they add up to one.
    means : array, shape (K, T)
    covariances : array
        ``diag`` (K, T), ``spherical`` (K,), ``full`` (K, T, T), ``tied`` (T, T).
    covariance_type : CovarianceType
    """

    weights: Float64Array
    means: Float64Array
    covariances: Float64Array
    covariance_type: CovarianceType

    @property
    def n_components(self) -> int:
        """K."""
        return len(self.weights)

    @property
    def n_features(self) -> int:
        """T."""
        return int(self.means.shape[1])

    @property
    def n_free(self) -> int:
        """Number of free parameters: p in BIC = -2 ln L + p ln n."""
        k, t = self.means.shape
        covariances = {
            CovarianceType.DIAG: k * t,
            CovarianceType.SPHERICAL: k,
            CovarianceType.FULL: k * t * (t + 1) // 2,
            CovarianceType.TIED: t * (t + 1) // 2,
        }[self.covariance_type]
        return int(k - 1 + k * t + covariances)

    def variances(self) -> Float64Array:
        """Variance of each component at each temperature, shape (K, T)."""
        k, t = self.means.shape
        if self.covariance_type is CovarianceType.DIAG:
            return self.covariances
        if self.covariance_type is CovarianceType.SPHERICAL:
            return np.repeat(self.covariances[:, None], t, axis=1)
        diagonal = np.diagonal(self.covariances, axis1=-2, axis2=-1)
        return np.broadcast_to(diagonal, (k, t)).copy()

    def reordered(self, order: NDArray[np.intp]) -> MixtureParameters:
        """The same mixture with its components in another order."""
        tied = self.covariance_type is CovarianceType.TIED
        return replace(
            self,
            weights=self.weights[order],
            means=self.means[order],
            covariances=self.covariances if tied else self.covariances[order],
        )
