"""The search for an optimum: which runs on a sample are judged on all trajectories."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from xtec.core.types import CovarianceType
from xtec.mixture import GaussianMixture, MixtureConfig, MixtureParameters, Trajectories
from xtec.mixture.em import EMState
from xtec.mixture.search import _in_doubt
from xtec.mixture.starts import Sample


def three_groups(n, seed=0):
    rng = np.random.default_rng(seed)
    which = rng.integers(0, 3, n)
    return np.array([[0.0, 0], [4, 0], [0, 4]])[which] + rng.standard_normal((n, 2))


def at(means):
    k = len(means)
    ones = np.ones((k, 2))
    parameters = MixtureParameters(np.full(k, 1 / k), np.array(means, float), ones, CovarianceType.DIAG)
    return EMState(parameters, converged=True)


TRUTH = at([[0, 0], [4, 0], [0, 4]])
SLIGHTLY_OFF = at([[0.01, 0], [4, 0], [0, 4]])
WRONG = at([[0, 0], [4, 0], [4, 4]])


def test_what_the_sample_leaves_open_is_judged_on_all():
    sample = Sample(Trajectories([three_groups(2000)]))
    assert _in_doubt(sample, [TRUTH, SLIGHTLY_OFF, WRONG]) == [TRUTH, SLIGHTLY_OFF]


def test_a_run_that_has_not_converged_may_still_rise():
    sample = Sample(Trajectories([three_groups(2000)]))
    rising = replace(WRONG, converged=False)
    assert _in_doubt(sample, [TRUTH, rising]) == [TRUTH, rising]


def test_a_tie_is_left_open():
    sample = Sample(Trajectories([three_groups(500)]))
    assert _in_doubt(sample, [TRUTH, TRUTH]) == [TRUTH, TRUTH]


@pytest.mark.parametrize("seed", range(5))
def test_the_optimum_found_is_no_worse_than_the_truth(seed):
    rows = three_groups(60_000, seed)
    found = GaussianMixture(MixtureConfig(n_components=3, seed=seed)).fit(rows)
    truth = GaussianMixture(MixtureConfig(n_components=3)).fit(rows, start=TRUTH.parameters)
    assert found.log_likelihood >= truth.log_likelihood - 1e-5
