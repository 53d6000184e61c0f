"""Expectation maximisation against scikit-learn, closed forms, and itself in other blocks."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as Oracle

from xtec.core.types import CovarianceType
from xtec.mixture import GaussianMixture, MixtureConfig, MixtureParameters
from xtec.mixture.em import EMState, expect, recast, run_em
from xtec.mixture.trajectories import Trajectories

SKLEARN_TYPES = [kind for kind in CovarianceType if kind is not CovarianceType.SHARED]


def overlapping(seed, n=600, k=3, t=5):
    """Trajectories of K overlapping clusters, float64."""
    rng = np.random.default_rng([seed, k, t])
    centres = 1.5 * rng.standard_normal((k, t))
    widths = rng.uniform(0.5, 1.5, (k, t))
    which = rng.choice(k, n, p=rng.dirichlet(5 * np.ones(k)))
    return centres[which] + widths[which] * rng.standard_normal((n, t))


def a_start(rows, k, covariance_type, seed=0):
    """Means at random trajectories, one common width; covariances in the shape of the type."""
    rng = np.random.default_rng(seed)
    t = rows.shape[1]
    variance = float(rows.var())
    covariances = {
        CovarianceType.DIAG: np.full((k, t), variance),
        CovarianceType.SHARED: np.full(t, variance),
        CovarianceType.SPHERICAL: np.full(k, variance),
        CovarianceType.FULL: np.repeat(variance * np.eye(t)[None], k, axis=0),
        CovarianceType.TIED: variance * np.eye(t),
    }[covariance_type]
    means = rows[rng.choice(len(rows), k, replace=False)].astype(np.float64)
    return MixtureParameters(np.full(k, 1 / k), means, covariances, covariance_type)


def oracle_from(rows, start, iterations):
    """scikit-learn's mixture after a number of iterations from the same start."""
    full = start.covariance_type in (CovarianceType.FULL, CovarianceType.TIED)
    model = Oracle(
        start.n_components,
        covariance_type=str(start.covariance_type),
        tol=0,
        reg_covar=0,
        max_iter=iterations,
        weights_init=start.weights,
        means_init=start.means,
        precisions_init=np.linalg.inv(start.covariances) if full else 1 / start.covariances,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(rows)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("k", "t"), [(3, 5), (2, 9), (4, 2)])
@pytest.mark.parametrize("covariance_type", SKLEARN_TYPES)
def test_same_model_as_scikit_learn_from_the_same_start(covariance_type, k, t, seed):
    rows = overlapping(seed, n=400, k=k, t=t)
    start = a_start(rows, k, covariance_type, seed)
    assert_same_as_oracle(rows, start, oracle_from(rows, start, 40), 1e-6)


@pytest.mark.parametrize("covariance_type", SKLEARN_TYPES)
def test_single_precision_trajectories_give_the_model_of_double_ones(covariance_type):
    rows = overlapping(0, n=400)
    start = a_start(rows, 3, covariance_type)
    assert_same_as_oracle(rows.astype(np.float32), start, oracle_from(rows, start, 40), 1e-4)


def assert_same_as_oracle(rows, start, oracle, tolerance):
    run = run_em(Trajectories([rows]), start, tol=-np.inf, max_iter=40)
    assert run.n_iter == 40
    np.testing.assert_allclose(run.parameters.weights, oracle.weights_, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(run.parameters.means, oracle.means_, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(
        run.parameters.covariances, oracle.covariances_, rtol=tolerance, atol=tolerance
    )
    assert run.log_likelihood == pytest.approx(oracle.score(rows), abs=tolerance)


@pytest.mark.parametrize("covariance_type", SKLEARN_TYPES)
def test_estimator_agrees_with_scikit_learn_where_both_have_converged(covariance_type):
    rows = overlapping(1, n=300, k=2)
    start = a_start(rows, 2, covariance_type)
    oracle = oracle_from(rows, start, 200)
    config = MixtureConfig(n_components=2, covariance_type=covariance_type, tol=1e-12, max_iter=200)
    model = GaussianMixture(config).fit(rows, start)
    assert model.log_likelihood == pytest.approx(oracle.score(rows), abs=1e-8)
    np.testing.assert_allclose(model.responsibilities(rows), oracle.predict_proba(rows), atol=1e-4)
    label, probability = model.predict(rows)
    assert np.mean(label == oracle.predict(rows)) > 0.998
    np.testing.assert_allclose(probability, oracle.predict_proba(rows).max(axis=1), atol=1e-4)
    assert model.score(rows) == pytest.approx(model.log_likelihood, abs=1e-10)
    assert model.bic() == pytest.approx(oracle.bic(rows), rel=1e-8)
    assert model.parameters.n_free == oracle._n_parameters()


def test_shared_covariance_follows_its_definition():
    """One diagonal for all: the mean over all trajectories of the responsibility-weighted squares."""
    rows = overlapping(2, n=300, k=3, t=4)
    start = a_start(rows, 3, CovarianceType.SHARED)
    weights, means, variance = start.weights, start.means, start.covariances
    history = []
    for _ in range(30):
        dense = (
            np.stack([multivariate_normal(m, np.diag(variance)).pdf(rows) for m in means], axis=1) * weights
        )
        history.append(np.log(dense.sum(axis=1)).mean())
        share = dense / dense.sum(axis=1, keepdims=True)
        weights = share.mean(axis=0)
        means = (share.T @ rows) / share.sum(axis=0)[:, None]
        variance = sum((share[:, k, None] * (rows - means[k]) ** 2).sum(axis=0) for k in range(3)) / len(rows)
    run = run_em(Trajectories([rows]), start, tol=-np.inf, max_iter=30)
    np.testing.assert_allclose(run.parameters.weights, weights, rtol=1e-8)
    np.testing.assert_allclose(run.parameters.means, means, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(run.parameters.covariances, variance, rtol=1e-8)
    np.testing.assert_allclose(run.history[:-1], history, rtol=1e-9)
    assert run.parameters.n_free == 2 + 3 * 4 + 4


@pytest.mark.parametrize("covariance_type", list(CovarianceType))
@pytest.mark.parametrize("seed", range(4))
def test_likelihood_never_falls(covariance_type, seed):
    rows = np.random.default_rng(seed).standard_normal((150, 4))
    run = run_em(Trajectories([rows]), a_start(rows, 4, covariance_type, seed), tol=-np.inf, max_iter=80)
    assert run.n_reseeded == 0
    assert np.diff(run.history).min() >= -1e-10


@pytest.mark.parametrize("covariance_type", list(CovarianceType))
@pytest.mark.parametrize("seed", range(4))
def test_likelihood_never_falls_where_variances_are_held_up(covariance_type, seed):
    """Half of the trajectories are copies of one: without a floor their component would have no width."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((120, 3)) * [1.0, 1e-2, 1.0]
    rows[:60] = rows[0]
    data = Trajectories([rows])
    run = run_em(data, a_start(rows, 3, covariance_type, seed), tol=-np.inf, max_iter=80)
    assert run.n_reseeded == 0
    # Densities at the floor cancel terms a million times larger than they are.
    assert np.diff(run.history).min() >= -1e-8
    if covariance_type in (CovarianceType.DIAG, CovarianceType.SHARED):
        assert (run.parameters.variances() >= data.floor * (1 - 1e-12)).all()
    if covariance_type is CovarianceType.DIAG:
        np.testing.assert_allclose(run.parameters.variances().min(axis=0), data.floor)


@pytest.mark.parametrize("covariance_type", list(CovarianceType))
def test_history_is_the_likelihood_before_each_iteration_and_of_the_result(covariance_type):
    rows = overlapping(3)
    data, start = Trajectories([rows]), a_start(rows, 3, covariance_type)
    run = run_em(data, start, tol=1e-4, max_iter=500)
    assert run.history[0] == expect(data, start).log_likelihood
    assert run.history[-1] == run.log_likelihood == expect(data, run.parameters).log_likelihood
    assert run.n_iter == len(run.history) - 1
    assert run.converged
    gains = np.diff(run.history)
    assert gains[-1] < 1e-4
    assert (gains[:-1] >= 1e-4).all()


def test_running_out_of_iterations_is_no_convergence():
    rows = overlapping(3)
    run = run_em(Trajectories([rows]), a_start(rows, 3, CovarianceType.DIAG), tol=0, max_iter=3)
    assert (run.converged, run.n_iter) == (False, 3)


def test_a_run_that_has_not_begun_has_no_iterations():
    start = a_start(overlapping(3), 3, CovarianceType.DIAG)
    assert EMState(start).n_iter == 0
    assert run_em(Trajectories([overlapping(3)]), start, tol=0, max_iter=0).n_iter == 0


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.integers(0, 200), max_size=8),
    st.randoms(use_true_random=False),
    st.sampled_from(list(CovarianceType)),
)
def test_any_blocks_in_any_order_give_the_same_model(cuts, random, covariance_type):
    """Blocks of one row and of none included; float64 rounding grows to 1e-9 at most in 20 iterations."""
    rows = overlapping(4, n=200, k=2, t=3)
    start = a_start(rows, 2, covariance_type)
    edges = [0, *sorted(cuts), 200]
    blocks = [rows[low:high] for low, high in itertools.pairwise(edges)]
    random.shuffle(blocks)
    whole = run_em(Trajectories([rows]), start, tol=-np.inf, max_iter=20)
    parts = run_em(Trajectories(blocks), start, tol=-np.inf, max_iter=20)
    np.testing.assert_allclose(parts.parameters.weights, whole.parameters.weights, rtol=1e-9)
    np.testing.assert_allclose(parts.parameters.means, whole.parameters.means, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(
        parts.parameters.covariances, whole.parameters.covariances, rtol=1e-9, atol=1e-9
    )
    np.testing.assert_allclose(parts.history, whole.history, rtol=1e-9)


def test_more_rows_than_are_worked_on_at_a_time_give_the_same_model():
    rows = overlapping(5, n=20_001, k=3, t=4)
    start = a_start(rows, 3, CovarianceType.DIAG)
    run = run_em(Trajectories([rows]), start, tol=-np.inf, max_iter=10)
    oracle = oracle_from(rows, start, 10)
    np.testing.assert_allclose(run.parameters.means, oracle.means_, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(run.parameters.covariances, oracle.covariances_, rtol=1e-8)


@pytest.mark.parametrize("covariance_type", list(CovarianceType))
def test_an_offset_moves_the_means_and_nothing_else(covariance_type):
    rows = overlapping(8)
    start = a_start(rows, 3, covariance_type)
    moved = MixtureParameters(start.weights, start.means + 1e5, start.covariances, covariance_type)
    here = run_em(Trajectories([rows]), start, tol=-np.inf, max_iter=30)
    there = run_em(Trajectories([rows + 1e5]), moved, tol=-np.inf, max_iter=30)
    np.testing.assert_allclose(there.parameters.means - 1e5, here.parameters.means, atol=1e-7)
    np.testing.assert_allclose(there.parameters.covariances, here.parameters.covariances, atol=1e-7)
    assert there.log_likelihood == pytest.approx(here.log_likelihood, abs=1e-9)


@pytest.mark.parametrize("covariance_type", list(CovarianceType))
@pytest.mark.parametrize("far", [50.0, 1e4, 1e8])
def test_an_empty_component_is_started_anew(covariance_type, far):
    rows = overlapping(9, k=2)
    start = a_start(rows, 3, covariance_type)
    means = start.means.copy()
    means[1] = far
    lost = MixtureParameters(start.weights, means, start.covariances * 0.01, covariance_type)
    run = run_em(Trajectories([rows]), lost, tol=1e-8, max_iter=500)
    assert run.n_reseeded >= 1
    assert (run.parameters.weights * len(rows) > 0.5).all()
    assert np.isfinite(run.parameters.means).all()
    assert np.abs(run.parameters.means).max() < 20


def test_several_empty_components_start_anew_in_different_places():
    rng = np.random.default_rng(0)
    which = np.repeat(np.arange(3), 100)
    rows = 10 * np.eye(3)[which] + 0.5 * rng.standard_normal((300, 3))
    means = np.array([rows.mean(axis=0), np.full(3, 1e6), np.full(3, 1e6)])
    lost = MixtureParameters(np.full(3, 1 / 3), means, np.full((3, 3), 20.0), CovarianceType.DIAG)
    run = run_em(Trajectories([rows]), lost, tol=1e-9, max_iter=500)
    assert run.n_reseeded >= 2
    assert len(np.unique(np.round(run.parameters.means, 6), axis=0)) == 3
    assert (run.parameters.weights * 300 > 0.5).all()


@pytest.mark.parametrize("target", list(CovarianceType))
def test_recasting_keeps_the_clusters_and_estimates_the_other_covariances(target):
    rows = overlapping(10)
    data = Trajectories([rows])
    shared = run_em(data, a_start(rows, 3, CovarianceType.SHARED), tol=1e-9, max_iter=500).parameters
    share = GaussianMixture(MixtureConfig(n_components=3)).fit(rows, shared).responsibilities(rows)
    cast = recast(data, shared, target)
    assert cast.covariance_type is target
    weight = share.sum(axis=0)
    means = (share.T @ rows) / weight[:, None]
    np.testing.assert_allclose(cast.means, means, atol=1e-3)
    full = np.array([((rows - means[k]) * share[:, k, None]).T @ (rows - means[k]) for k in range(3)])
    expected = {
        CovarianceType.FULL: full / weight[:, None, None],
        CovarianceType.TIED: full.sum(axis=0) / len(rows),
        CovarianceType.DIAG: np.diagonal(full, axis1=1, axis2=2) / weight[:, None],
        CovarianceType.SHARED: np.diagonal(full.sum(axis=0)) / len(rows),
        CovarianceType.SPHERICAL: np.diagonal(full, axis1=1, axis2=2).mean(axis=1) / weight,
    }[target]
    np.testing.assert_allclose(cast.covariances, expected, atol=2e-3)


@pytest.mark.parametrize("accelerate", [False, True])
@pytest.mark.parametrize("covariance_type", list(CovarianceType))
def test_a_saved_state_goes_on_as_if_nothing_had_been(covariance_type, accelerate):
    rows = overlapping(11, n=900).astype(np.float32)
    data, start = Trajectories([rows]), a_start(rows, 3, covariance_type)
    states = []
    options = {"tol": 1e-5, "max_iter": 200, "accelerate": accelerate}
    whole = run_em(data, start, **options, save=states.append)
    assert whole.converged
    assert states[-1] is whole
    assert len(states) >= whole.n_iter // 2 if accelerate else len(states) == whole.n_iter
    for saved in (EMState(start), *states[:6], states[-1]):
        state = EMState(saved.parameters, saved.history, saved.n_reseeded, saved.converged)
        again = run_em(data, state, **options)
        assert again.history == whole.history
        np.testing.assert_array_equal(again.parameters.means, whole.parameters.means)
        np.testing.assert_array_equal(again.parameters.covariances, whole.parameters.covariances)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("covariance_type", list(CovarianceType))
@pytest.mark.parametrize("seed", range(5))
def test_longer_steps_end_where_plain_ones_do(covariance_type, seed, dtype):
    rows = overlapping(seed, n=2000).astype(dtype)
    data, start = Trajectories([rows]), a_start(rows, 3, covariance_type, seed)
    plain, longer = (
        run_em(data, start, tol=1e-8, max_iter=3000, accelerate=accelerate) for accelerate in (False, True)
    )
    assert longer.converged
    assert longer.log_likelihood >= plain.log_likelihood - 1e-6
    assert longer.n_iter <= plain.n_iter
    assert np.diff(longer.history).min() >= -1e-7
    assert expect(data, longer.parameters).log_likelihood == longer.log_likelihood


@pytest.mark.parametrize(
    "covariance_type", [CovarianceType.DIAG, CovarianceType.SHARED, CovarianceType.SPHERICAL]
)
def test_longer_steps_save_a_third_of_the_iterations_and_more(covariance_type):
    """Over starts that take plain EM 27 to 110 iterations; it was 40 % and more."""
    needed = np.zeros(2)
    for seed in (1, 3, 4):
        rows = overlapping(seed, n=2000)
        data, start = Trajectories([rows]), a_start(rows, 3, covariance_type, seed)
        for longer in (False, True):
            needed[int(longer)] += run_em(data, start, tol=1e-8, max_iter=500, accelerate=longer).n_iter
    assert needed[1] < 2 / 3 * needed[0]


@pytest.mark.parametrize("covariance_type", [CovarianceType.DIAG, CovarianceType.SHARED])
@pytest.mark.parametrize("seed", range(4))
def test_longer_steps_keep_variances_up(covariance_type, seed):
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((120, 3)) * [1.0, 1e-2, 1.0]
    rows[:60] = rows[0]
    data = Trajectories([rows])
    run = run_em(data, a_start(rows, 3, covariance_type, seed), tol=1e-9, max_iter=300, accelerate=True)
    assert (run.parameters.variances() >= data.floor * (1 - 1e-12)).all()
    assert np.diff(run.history).min() >= -1e-8


@pytest.mark.parametrize("seed", range(3))
def test_single_precision_likelihood_never_visibly_falls(seed):
    rows = overlapping(seed, n=20_000, k=4, t=24).astype(np.float32) + 5
    data = Trajectories([np.asfortranarray(rows)])
    run = run_em(data, a_start(rows, 4, CovarianceType.DIAG, seed), tol=1e-7, max_iter=300)
    assert np.diff(run.history).min() >= -5e-8
