"""The M step in closed form: floors of variances, empty components, and where they start anew."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from xtec.core.types import CovarianceType, Float64Array
from xtec.mixture.covariance import estimate
from xtec.mixture.em import EMPTY, log_likelihoods, maximise
from xtec.mixture.moments import ComponentMoments, has_full_scatter
from xtec.mixture.parameters import MixtureParameters
from xtec.mixture.trajectories import Trajectories

TYPES = list(CovarianceType)
FLOOR = np.array([0.5, 2.0, 1.0])


def in_type(matrices: Float64Array, covariance_type: CovarianceType) -> Float64Array:
    """Diagonal matrices (K, T, T), which are alike where the type has one for all."""
    variances = np.diagonal(matrices, axis1=1, axis2=2)
    return {
        CovarianceType.FULL: matrices,
        CovarianceType.TIED: matrices[0],
        CovarianceType.DIAG: variances,
        CovarianceType.SHARED: variances[0],
        CovarianceType.SPHERICAL: variances[:, 0],
    }[covariance_type]


@pytest.mark.parametrize("covariance_type", TYPES)
def test_variances_below_the_floor_are_raised_to_it_and_others_left(covariance_type: CovarianceType) -> None:
    """Two components of weights 1 and 3, with variances below and above the floors."""
    weight, mean = np.array([1.0, 3.0]), np.arange(6.0).reshape(2, 3)
    variances = np.array([[0.1, 5.0, 3.0], [4.0, 0.2, 0.9]])
    scatter = weight[:, None] * variances
    if has_full_scatter(covariance_type):
        scatter = np.stack([np.diag(row) for row in scatter])
    found = estimate(ComponentMoments(weight, mean, scatter), covariance_type, FLOOR)
    np.testing.assert_allclose(found.weights, [0.25, 0.75])
    np.testing.assert_allclose(found.means, mean)
    pooled, level = np.array([0.25, 0.75]) @ variances, FLOOR.mean()
    expected = {
        CovarianceType.DIAG: np.maximum(variances, FLOOR),
        CovarianceType.SHARED: np.maximum(pooled, FLOOR),
        CovarianceType.SPHERICAL: np.maximum(variances.mean(axis=1), level),
        CovarianceType.FULL: np.stack([np.diag(np.maximum(row, level)) for row in variances]),
        CovarianceType.TIED: np.diag(np.maximum(pooled, level)),
    }[covariance_type]
    np.testing.assert_allclose(found.covariances, expected, atol=1e-12)


@pytest.mark.parametrize("covariance_type", [CovarianceType.FULL, CovarianceType.TIED])
def test_only_directions_that_are_too_narrow_are_widened(covariance_type: CovarianceType) -> None:
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    covariance = turn @ np.diag([0.01, 1.5, 7.0]) @ turn.T
    moments = ComponentMoments(np.array([4.0]), np.zeros((1, 3)), 4 * covariance[None])
    found = estimate(moments, covariance_type, FLOOR).covariances.reshape(3, 3)
    np.testing.assert_allclose(found, turn @ np.diag([FLOOR.mean(), 1.5, 7.0]) @ turn.T, atol=1e-12)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_a_spherical_width_is_held_up_by_the_mean_of_the_floors(covariance_type: CovarianceType) -> None:
    scatter = np.full((1, 3), 1e-9)
    if has_full_scatter(covariance_type):
        scatter = np.diag(scatter[0])[None]
    found = estimate(ComponentMoments(np.ones(1), np.zeros((1, 3)), scatter), covariance_type, FLOOR)
    lowest = FLOOR if covariance_type in (CovarianceType.DIAG, CovarianceType.SHARED) else FLOOR.mean()
    np.testing.assert_allclose(found.variances(), np.broadcast_to(lowest, (1, 3)))


def lost(covariance_type: CovarianceType) -> tuple[Trajectories, Float64Array, MixtureParameters]:
    """Trajectories in shards, and a mixture of three that is nowhere near them in its last two."""
    rows = np.random.default_rng(0).normal([1.0, -2.0, 5.0], 0.3, (60, 3))
    means = np.array([rows.mean(axis=0), [50.0, 50.0, 50.0], [-90.0, 0.0, 10.0]])
    covariances = in_type(np.repeat(0.25 * np.eye(3)[None], 3, axis=0), covariance_type)
    shards = Trajectories([rows[:25], rows[25:25], rows[25:]])
    return shards, rows, MixtureParameters(np.full(3, 1 / 3), means, covariances, covariance_type)


def whole(rows: Float64Array, covariance_type: CovarianceType) -> ComponentMoments:
    """Moments where all trajectories are of the first component."""
    share = np.zeros((len(rows), 3))
    share[:, 0] = 1
    return ComponentMoments.of_block(rows, share, full=has_full_scatter(covariance_type))


def ln_densities(rows: Float64Array, parameters: MixtureParameters) -> Float64Array:
    """By scipy; the covariance of every component is 0.25 at each temperature."""
    each = [multivariate_normal(mean, 0.25 * np.eye(3)).logpdf(rows) for mean in parameters.means]
    return np.asarray(logsumexp(np.stack(each, axis=1), axis=1, b=parameters.weights))


@pytest.mark.parametrize("covariance_type", TYPES)
def test_densities_of_all_trajectories_in_their_order(covariance_type: CovarianceType) -> None:
    data, rows, parameters = lost(covariance_type)
    np.testing.assert_allclose(log_likelihoods(data, parameters), ln_densities(rows, parameters), rtol=1e-9)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_empty_components_stay_where_they_are_with_the_width_of_all(covariance_type: CovarianceType) -> None:
    data, rows, parameters = lost(covariance_type)
    found = maximise(data, whole(rows, covariance_type), parameters)
    np.testing.assert_allclose(found.weights, np.array([60.0, EMPTY, EMPTY]) / 60, rtol=1e-8)
    np.testing.assert_allclose(found.means, [rows.mean(axis=0), *parameters.means[1:]], rtol=1e-9)
    variance = rows.var(axis=0)
    expected = variance.mean() if covariance_type is CovarianceType.SPHERICAL else variance
    np.testing.assert_allclose(found.variances(), np.broadcast_to(expected, (3, 3)), rtol=1e-6)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_the_first_empty_component_starts_anew_on_the_least_likely_trajectory(
    covariance_type: CovarianceType,
) -> None:
    data, rows, parameters = lost(covariance_type)
    found = maximise(data, whole(rows, covariance_type), parameters, reseed=True)
    farthest = rows[int(ln_densities(rows, parameters).argmin())]
    np.testing.assert_allclose(found.means, [rows.mean(axis=0), farthest, parameters.means[2]], rtol=1e-9)
    np.testing.assert_allclose(found.weights, np.array([60.0, 1.0, EMPTY]) / 61, rtol=1e-8)
    variance = rows.var(axis=0)
    expected = variance.mean() if covariance_type is CovarianceType.SPHERICAL else variance
    np.testing.assert_allclose(found.variances(), np.broadcast_to(expected, (3, 3)), rtol=1e-6)
