"""Stepwise EM reaches what batch EM reaches."""

from __future__ import annotations

import numpy as np
import pytest

from xtec.core.shards import Local
from xtec.core.types import CovarianceType, Updates
from xtec.mixture import GaussianMixture, MixtureConfig, MixtureParameters, Trajectories
from xtec.mixture.em import expect
from xtec.mixture.stepwise import sweep


def simulated(n=20_000, k=3, t=6, dtype=np.float32):
    rng = np.random.default_rng(0)
    centres, widths = 2 * rng.standard_normal((k, t)), rng.uniform(0.5, 1.5, (k, t))
    which = rng.choice(k, n, p=[0.6, 0.3, 0.1])
    return (centres[which] + widths[which] * rng.standard_normal((n, t))).astype(dtype)


def a_start(rows, seed=0):
    rng = np.random.default_rng(seed)
    means = rows[rng.choice(len(rows), 3, replace=False)].astype(np.float64)
    variances = np.tile(rows.var(axis=0, dtype=np.float64), (3, 1))
    return MixtureParameters(np.full(3, 1 / 3), means, variances, CovarianceType.DIAG)


@pytest.mark.parametrize("covariance_type", list(CovarianceType))
def test_stepwise_reaches_the_likelihood_of_batches(covariance_type):
    rows = simulated(dtype=np.float64)
    fits = [
        GaussianMixture(MixtureConfig(n_components=3, covariance_type=covariance_type, n_init=4, em=em)).fit(
            rows
        )
        for em in Updates
    ]
    assert all(fit.converged for fit in fits)
    assert fits[1].log_likelihood == pytest.approx(fits[0].log_likelihood, abs=1e-3)


def test_a_few_sweeps_come_further_than_as_many_batch_iterations():
    rows = simulated()
    data, start = Trajectories(rows), a_start(rows)
    optimum = GaussianMixture(MixtureConfig(n_components=3)).fit(data, start).log_likelihood
    swept = expect(data, sweep(data, start, np.random.default_rng(0))).log_likelihood
    assert swept == pytest.approx(optimum, abs=1e-2)


@pytest.mark.parametrize("n", [3, 500, 5000])
def test_the_same_seed_gives_the_same_model(n):
    rows = simulated()[:n]
    config = MixtureConfig(n_components=3, em=Updates.STEPWISE, seed=4)
    one, again = (GaussianMixture(config).fit(rows, a_start(rows)) for _ in range(2))
    np.testing.assert_array_equal(one.parameters.means, again.parameters.means)
    assert one.history == again.history


@pytest.mark.parametrize("n_shards", [7, 70])
def test_shards_in_order_of_their_contents_are_no_obstacle(n_shards):
    """Batches are from all over the shards: none is of one cluster only."""
    rows = simulated()
    parts = np.array_split(rows[np.argsort(rows[:, 0])], n_shards)
    data = Trajectories(Local(parts))
    optimum = GaussianMixture(MixtureConfig(n_components=3)).fit(data, a_start(rows)).log_likelihood
    config = MixtureConfig(n_components=3, em=Updates.STEPWISE)
    found = GaussianMixture(config).fit(data, a_start(rows)).log_likelihood
    assert found == pytest.approx(optimum, abs=1e-3)
