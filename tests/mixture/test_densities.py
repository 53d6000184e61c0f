"""Component densities against scipy, in more and fewer temperatures than components."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from xtec.core.types import CovarianceType
from xtec.mixture.covariance import log_densities
from xtec.mixture.em import responsibilities
from xtec.mixture.parameters import MixtureParameters


def covariance_matrices(rng, covariance_type, k, t):
    """Parameters of one type, and the (K, T, T) matrices that they stand for."""
    mixing = rng.standard_normal((k, t, t)) / np.sqrt(t)
    full = mixing @ mixing.transpose(0, 2, 1) + 0.3 * np.eye(t)
    variances = rng.uniform(0.2, 3, (k, t))
    if covariance_type is CovarianceType.FULL:
        return full, full
    if covariance_type is CovarianceType.TIED:
        return full[0], np.repeat(full[:1], k, axis=0)
    if covariance_type is CovarianceType.DIAG:
        return variances, np.array([np.diag(row) for row in variances])
    if covariance_type is CovarianceType.SHARED:
        return variances[0], np.repeat(np.diag(variances[0])[None], k, axis=0)
    return variances[:, 0], np.array([one * np.eye(t) for one in variances[:, 0]])


def random_mixture(covariance_type, k, t, seed=0):
    rng = np.random.default_rng([seed, k, t])
    covariances, matrices = covariance_matrices(rng, covariance_type, k, t)
    means = 2 * rng.standard_normal((k, t))
    parameters = MixtureParameters(rng.dirichlet(np.ones(k)), means, covariances, covariance_type)
    rows = means[rng.integers(0, k, 40)] + rng.standard_normal((40, t))
    expected = np.stack(
        [multivariate_normal(m, c).logpdf(rows) for m, c in zip(means, matrices, strict=True)], axis=1
    )
    return parameters, rows, expected, matrices


@pytest.mark.parametrize(("k", "t"), [(1, 4), (3, 7), (5, 2), (4, 24)])
@pytest.mark.parametrize("covariance_type", list(CovarianceType))
def test_densities_are_those_of_scipy(covariance_type, k, t):
    parameters, rows, expected, matrices = random_mixture(covariance_type, k, t)
    np.testing.assert_allclose(log_densities(rows, parameters), expected, rtol=1e-10, atol=1e-9)
    np.testing.assert_allclose(parameters.variances(), np.diagonal(matrices, axis1=1, axis2=2))


@pytest.mark.parametrize("covariance_type", list(CovarianceType))
def test_responsibilities_and_likelihood_follow_from_the_densities(covariance_type):
    parameters, rows, expected, _ = random_mixture(covariance_type, 3, 5)
    joint = expected + np.log(parameters.weights)
    share, log_density = responsibilities(rows, parameters)
    np.testing.assert_allclose(log_density, logsumexp(joint, axis=1), rtol=1e-10)
    np.testing.assert_allclose(
        share, np.exp(joint - logsumexp(joint, axis=1, keepdims=True)), rtol=1e-8, atol=1e-12
    )
    np.testing.assert_allclose(share.sum(axis=1), 1)


@pytest.mark.parametrize("covariance_type", list(CovarianceType))
def test_many_temperatures_with_small_variances_do_not_underflow(covariance_type):
    """The determinant of 110 variances of 1e-3 is 1e-330, below the smallest float64."""
    k, t, variance = 3, 110, 1e-3
    rng = np.random.default_rng(0)
    matrix = variance * np.eye(t)
    covariances = {
        CovarianceType.DIAG: np.full((k, t), variance),
        CovarianceType.SHARED: np.full(t, variance),
        CovarianceType.SPHERICAL: np.full(k, variance),
        CovarianceType.FULL: np.repeat(matrix[None], k, axis=0),
        CovarianceType.TIED: matrix,
    }[covariance_type]
    means = rng.standard_normal((k, t))
    rows = means[[0, 1, 2]] + np.sqrt(variance) * rng.standard_normal((3, t))
    parameters = MixtureParameters(np.full(k, 1 / k), means, covariances, covariance_type)
    squares = ((rows[:, None] - means) ** 2).sum(axis=2)
    expected = -0.5 * (t * np.log(2 * np.pi * variance) + squares / variance)
    found = log_densities(rows, parameters)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    share, log_density = responsibilities(rows, parameters)
    np.testing.assert_allclose(share, np.eye(3), atol=1e-12)
    assert np.isfinite(log_density).all()


def test_a_trajectory_far_from_every_component_still_belongs_somewhere():
    parameters = MixtureParameters(
        np.array([0.5, 0.5]), np.array([[0.0], [1.0]]), np.full((2, 1), 1e-4), CovarianceType.DIAG
    )
    share, log_density = responsibilities(np.array([[1e6], [-1e6]]), parameters)
    np.testing.assert_array_equal(share, [[0, 1], [1, 0]])
    np.testing.assert_allclose(log_density, [-0.5 * (1e6 - 1) ** 2 / 1e-4, -0.5 * 1e12 / 1e-4], rtol=1e-9)


def test_a_component_without_weight_gets_nothing():
    parameters = MixtureParameters(
        np.array([1.0, 0.0]), np.zeros((2, 3)), np.ones((2, 3)), CovarianceType.DIAG
    )
    share, _ = responsibilities(np.zeros((4, 3)), parameters)
    np.testing.assert_array_equal(share, np.tile([1.0, 0.0], (4, 1)))


@pytest.mark.parametrize("covariance_type", list(CovarianceType))
def test_reordering_components_reorders_everything_that_belongs_to_them(covariance_type):
    parameters, rows, expected, _ = random_mixture(covariance_type, 4, 6)
    order = np.array([2, 0, 3, 1])
    moved = parameters.reordered(order)
    np.testing.assert_array_equal(moved.weights, parameters.weights[order])
    np.testing.assert_allclose(log_densities(rows, moved), expected[:, order], rtol=1e-10, atol=1e-9)
    np.testing.assert_array_equal(moved.variances(), parameters.variances()[order])
