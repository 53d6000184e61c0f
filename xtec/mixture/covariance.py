"""The covariance types: densities for the E step, estimates for the M step."""

from __future__ import annotations

from typing import Any

import numpy as np

from xtec.core.arrays import like, namespace
from xtec.core.types import CovarianceType, Float64Array
from xtec.mixture.moments import ComponentMoments
from xtec.mixture.parameters import MixtureParameters

_LOG_2PI = float(np.log(2 * np.pi))


def log_densities(block: Any, parameters: MixtureParameters) -> Any:
    """ln of each component's Gaussian density at each trajectory.

    Parameters
    ----------
    block : array, shape (n, T), float64
        Best near the origin (the data's mean subtracted): squares are expanded.
    parameters : MixtureParameters

    Returns
    -------
    array, shape (n, K), float64
        ``-(T ln 2pi + ln det C_k + (x - m_k)' C_k^-1 (x - m_k)) / 2``.
    """
    kind = parameters.covariance_type
    if kind in (CovarianceType.FULL, CovarianceType.TIED):
        return _log_densities_full(block, parameters)
    return _log_densities_diagonal(block, parameters.means, parameters.variances())


def _log_densities_diagonal(block: Any, means: Float64Array, variances: Float64Array) -> Any:
    precisions = like(1 / variances, block)
    scaled_means = like(means / variances, block)
    constants = like(
        np.sum(means * means / variances, axis=1)
        + np.sum(np.log(variances), axis=1)
        + means.shape[1] * _LOG_2PI,
        block,
    )
    return -0.5 * ((block * block) @ precisions.T - 2 * (block @ scaled_means.T) + constants)


def _log_densities_full(block: Any, parameters: MixtureParameters) -> Any:
    xp = namespace(block)
    n_components, n_features = parameters.means.shape
    covariances = np.broadcast_to(parameters.covariances, (n_components, n_features, n_features))
    columns = []
    for mean, covariance in zip(parameters.means, covariances, strict=True):
        factor = np.linalg.cholesky(covariance)
        whitening = np.linalg.solve(factor, np.eye(n_features)).T
        white = (block - like(mean, block)) @ like(whitening, block)
        constant = 2 * float(np.sum(np.log(np.diagonal(factor)))) + n_features * _LOG_2PI
        columns.append(-0.5 * (xp.sum(white * white, axis=1) + constant))
    return xp.stack(columns, axis=1)


def estimate(
    moments: ComponentMoments, covariance_type: CovarianceType, floor: Float64Array
) -> MixtureParameters:
    """M step: the parameters of highest likelihood whose variances do not fall below a floor.

    Parameters
    ----------
    moments : ComponentMoments
        Every component with a weight above zero.
    covariance_type : CovarianceType
    floor : array, shape (T,)
        Smallest variance allowed at each temperature.
    """
    weights = moments.weight / moments.weight.sum()
    if covariance_type is CovarianceType.TIED:
        pooled = moments.scatter.sum(axis=0) / moments.weight.sum()
        covariances = _clip_eigenvalues(pooled, float(floor.mean()))
    elif covariance_type is CovarianceType.FULL:
        each = moments.scatter / moments.weight[:, None, None]
        covariances = np.stack([_clip_eigenvalues(one, float(floor.mean())) for one in each])
    elif covariance_type is CovarianceType.SHARED:
        covariances = np.maximum(moments.scatter.sum(axis=0) / moments.weight.sum(), floor)
    else:
        covariances = moments.scatter / moments.weight[:, None]
        if covariance_type is CovarianceType.SPHERICAL:
            covariances = np.maximum(covariances.mean(axis=1), floor.mean())
        else:
            covariances = np.maximum(covariances, floor)
    return MixtureParameters(weights, moments.mean, covariances, covariance_type)


def _clip_eigenvalues(covariance: Float64Array, floor: float) -> Float64Array:
    values, vectors = np.linalg.eigh(covariance)
    if values[0] >= floor:
        return covariance
    clipped: Float64Array = (vectors * np.maximum(values, floor)) @ vectors.T
    return clipped
