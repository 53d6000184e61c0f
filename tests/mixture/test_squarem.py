"""Squared extrapolation where its answer is known: steps that converge at one rate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from xtec.core.types import CovarianceType, Float64Array
from xtec.mixture.parameters import MixtureParameters
from xtec.mixture.squarem import extrapolate
from xtec.mixture.trajectories import RELATIVE_FLOOR

DIAGONAL = [CovarianceType.DIAG, CovarianceType.SPHERICAL, CovarianceType.SHARED]
K, T = 3, 4
FLOOR = RELATIVE_FLOOR * np.array([1.0, 4.0, 0.25, 9.0])


def limit_of(covariance_type: CovarianceType) -> MixtureParameters:
    rng = np.random.default_rng(0)
    shape = {CovarianceType.DIAG: (K, T), CovarianceType.SPHERICAL: (K,), CovarianceType.SHARED: (T,)}
    weights = np.array([0.5, 0.3, 0.2])
    return MixtureParameters(
        weights, rng.normal(size=(K, T)), rng.uniform(0.5, 2, shape[covariance_type]), covariance_type
    )


def away(limit: MixtureParameters, how_far: float) -> MixtureParameters:
    """A mixture whose ln weights, means and ln variances are off by fixed differences times a factor.

    Weights are left as they are, not normalised: what adds up to one does not go at one rate.
    """
    rng = np.random.default_rng(1)

    def off(values: Float64Array) -> Float64Array:
        return how_far * rng.normal(size=values.shape)

    return replace(
        limit,
        weights=limit.weights * np.exp(off(limit.weights)),
        means=limit.means + off(limit.means),
        covariances=limit.covariances * np.exp(off(limit.covariances)),
    )


@pytest.mark.parametrize("covariance_type", DIAGONAL)
@pytest.mark.parametrize("rate", [0.3, 0.9, 0.99])
def test_steps_of_one_rate_are_taken_to_their_limit(covariance_type: CovarianceType, rate: float) -> None:
    limit = limit_of(covariance_type)
    steps = tuple(away(limit, 0.2 * rate**power) for power in range(3))
    found = extrapolate(steps, FLOOR)
    assert found.covariance_type is covariance_type
    np.testing.assert_allclose(found.weights, limit.weights, rtol=1e-9)
    np.testing.assert_allclose(found.means, limit.means, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.covariances, limit.covariances, rtol=1e-9)


@pytest.mark.parametrize("covariance_type", DIAGONAL)
def test_variances_are_held_up(covariance_type: CovarianceType) -> None:
    limit = limit_of(covariance_type)
    limit = replace(limit, covariances=np.full(limit.covariances.shape, 1e-3 * FLOOR.min()))
    found = extrapolate(tuple(away(limit, 0.2 * 0.9**power) for power in range(3)), FLOOR)
    lowest = FLOOR.mean() if covariance_type is CovarianceType.SPHERICAL else FLOOR
    np.testing.assert_allclose(found.covariances, np.broadcast_to(lowest, limit.covariances.shape))
    np.testing.assert_allclose(found.means, limit.means, rtol=1e-9, atol=1e-9)


def test_steps_that_stand_still_or_grow_are_not_prolonged() -> None:
    limit = limit_of(CovarianceType.DIAG)
    for how_far in ((0.0, 0.0, 0.0), (0.1, 0.2, 0.3), (0.1, 0.3, 0.9), (0.1, -0.05, 0.025)):
        steps = tuple(away(limit, far) for far in how_far)
        assert extrapolate(steps, FLOOR) is steps[-1], how_far


def test_a_component_without_weight_is_not_prolonged() -> None:
    steps = [away(limit_of(CovarianceType.DIAG), 0.2 * 0.9**power) for power in range(3)]
    for number in range(3):
        bare = list(steps)
        bare[number] = replace(steps[number], weights=np.array([0.6, 0.4, 0.0]))
        assert extrapolate((bare[0], bare[1], bare[2]), FLOOR) is bare[-1]


def test_a_step_out_of_the_numbers_is_not_taken() -> None:
    """ln variances that rise by 300, then 299: they head for 90,000, where variances are infinite."""
    limit = limit_of(CovarianceType.SHARED)
    steps = tuple(replace(limit, covariances=np.exp(np.full(T, ln))) for ln in (0.0, 300.0, 599.0))
    assert extrapolate(steps, FLOOR) is steps[-1]


@pytest.mark.parametrize("covariance_type", [CovarianceType.FULL, CovarianceType.TIED])
def test_covariances_between_temperatures_are_not_prolonged(covariance_type: CovarianceType) -> None:
    one = np.eye(T) if covariance_type is CovarianceType.TIED else np.repeat(np.eye(T)[None], K, axis=0)
    steps = tuple(
        MixtureParameters(np.full(K, 1 / K), 1 + 0.9**power * np.ones((K, T)), one, covariance_type)
        for power in range(3)
    )
    assert extrapolate(steps, FLOOR) is steps[-1]
