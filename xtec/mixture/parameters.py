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
        ``diag`` (K, T), ``spherical`` (K,), ``full`` (K, T, T), ``tied`` (T, T), ``shared`` (T,).
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
        return free_parameters(self.n_components, self.n_features, self.covariance_type)

    def variances(self) -> Float64Array:
        """Variance of each component at each temperature, shape (K, T)."""
        k, t = self.means.shape
        if self.covariance_type is CovarianceType.DIAG:
            return self.covariances
        if self.covariance_type is CovarianceType.SHARED:
            return np.repeat(self.covariances[None], k, axis=0)
        if self.covariance_type is CovarianceType.SPHERICAL:
            return np.repeat(self.covariances[:, None], t, axis=1)
        diagonal = np.diagonal(self.covariances, axis1=-2, axis2=-1)
        return np.broadcast_to(diagonal, (k, t)).copy()

    def reordered(self, order: NDArray[np.intp]) -> MixtureParameters:
        """The same mixture with its components in another order."""
        return replace(
            self,
            weights=self.weights[order],
            means=self.means[order],
            covariances=self.covariances if self.is_common else self.covariances[order],
        )

    @property
    def is_common(self) -> bool:
        """Whether all components have the same covariances."""
        return self.covariance_type in (CovarianceType.TIED, CovarianceType.SHARED)


def free_parameters(n_components: int, n_features: int, covariance_type: CovarianceType) -> int:
    """Number of free parameters of a mixture of K components in T dimensions."""
    k, t = n_components, n_features
    covariances = {
        CovarianceType.DIAG: k * t,
        CovarianceType.SHARED: t,
        CovarianceType.SPHERICAL: k,
        CovarianceType.FULL: k * t * (t + 1) // 2,
        CovarianceType.TIED: t * (t + 1) // 2,
    }[covariance_type]
    return k - 1 + k * t + covariances
