"""The estimator: truth recovered, the same answer every time, and what happens to odd data."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture as Oracle
from threadpoolctl import threadpool_limits

from xtec.core import parallel
from xtec.core.errors import ConfigError, DegenerateMixtureError
from xtec.core.types import CovarianceType
from xtec.mixture import GaussianMixture, MixtureConfig, MixtureParameters
from xtec.mixture.parameters import free_parameters

TYPES = list(CovarianceType)
ODD = (
    "copies",
    "two values",
    "one odd one out",
    "a line",
    "a constant column",
    "scales",
    "fewer than T",
    "outlier",
)


def separated(seed=0, n=900, k=4, t=6):
    """Trajectories of K clusters far apart, of different sizes and widths, and the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(k, n, p=np.arange(1, k + 1) / (k * (k + 1) / 2))
    centres = 8 * np.linalg.qr(rng.standard_normal((max(k, t), max(k, t))))[0][:k, :t]
    widths = rng.uniform(0.3, 1.0, (k, 1))
    return centres[truth] + widths[truth] * rng.standard_normal((n, t)), truth


def fit(rows, k, covariance_type=CovarianceType.DIAG, **options):
    return GaussianMixture(
        MixtureConfig(n_components=k, covariance_type=covariance_type, **{"n_init": 8, **options})
    ).fit(rows)


def assert_sound(model, rows):
    """No NaN anywhere, weights that add up, widths above zero, probabilities that are some."""
    parameters = model.parameters
    for values in (parameters.weights, parameters.means, parameters.covariances, model.history):
        assert np.isfinite(values).all()
    assert parameters.weights.sum() == pytest.approx(1)
    assert (parameters.weights > 0).all()
    assert (parameters.variances() > 0).all()
    assert np.isfinite([model.log_likelihood, model.bic()]).all()
    share = model.responsibilities(rows)
    np.testing.assert_allclose(share.sum(axis=1), 1, rtol=1e-9)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_separated_clusters_are_found(covariance_type):
    rows, truth = separated()
    model = fit(rows, 4, covariance_type)
    label, probability = model.predict(rows)
    assert adjusted_rand_score(truth, label) > 0.99
    assert probability.min() >= 0.25
    assert model.converged
    sizes = np.sort(np.bincount(truth)) / len(truth)
    np.testing.assert_allclose(np.sort(model.parameters.weights), sizes, atol=0.01)


@pytest.mark.parametrize("covariance_type", [kind for kind in TYPES if kind is not CovarianceType.SHARED])
def test_the_optimum_is_at_least_as_good_as_that_of_scikit_learn(covariance_type):
    rng = np.random.default_rng(3)
    rows = rng.standard_normal((500, 5)) * rng.uniform(0.5, 2, (3, 5))[rng.integers(0, 3, 500)]
    oracle = Oracle(3, covariance_type=str(covariance_type), n_init=5, reg_covar=0, random_state=0).fit(rows)
    model = fit(rows, 3, covariance_type, n_init=16)
    assert model.log_likelihood >= oracle.score(rows) - 1e-3


@pytest.mark.parametrize("covariance_type", TYPES)
def test_one_component_is_the_sample_itself(covariance_type):
    rows = np.random.default_rng(1).standard_normal((200, 4)) * [1, 2, 3, 4] + 7
    model = fit(rows, 1, covariance_type)
    expected = {
        CovarianceType.DIAG: rows.var(axis=0)[None],
        CovarianceType.SHARED: rows.var(axis=0),
        CovarianceType.SPHERICAL: rows.var(axis=0).mean()[None],
        CovarianceType.FULL: np.cov(rows.T, bias=True)[None],
        CovarianceType.TIED: np.cov(rows.T, bias=True),
    }[covariance_type]
    np.testing.assert_allclose(model.parameters.weights, [1.0])
    np.testing.assert_allclose(model.parameters.means[0], rows.mean(axis=0), rtol=1e-10)
    np.testing.assert_allclose(model.parameters.covariances, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("covariance_type", [CovarianceType.FULL, CovarianceType.DIAG])
def test_likelihood_of_one_component_is_the_entropy_of_its_gaussian(covariance_type):
    rows = np.random.default_rng(2).standard_normal((300, 5))
    covariance = np.cov(rows.T, bias=True)
    if covariance_type is CovarianceType.DIAG:
        covariance = np.diag(np.diagonal(covariance))
    entropy = 0.5 * (5 * (1 + np.log(2 * np.pi)) + np.linalg.slogdet(covariance)[1])
    model = fit(rows, 1, covariance_type)
    assert model.log_likelihood == pytest.approx(-entropy, rel=1e-10)
    free = 5 + (15 if covariance_type is CovarianceType.FULL else 5)
    assert model.bic() == pytest.approx(2 * 300 * entropy + free * np.log(300), rel=1e-10)


@pytest.mark.parametrize("k", [1, 3, 6])
@pytest.mark.parametrize("t", [1, 4, 11])
def test_free_parameters_are_counted_as_in_scikit_learn(k, t):
    for covariance_type in TYPES:
        if covariance_type is CovarianceType.SHARED:
            assert free_parameters(k, t, covariance_type) == k - 1 + k * t + t
            continue
        oracle = Oracle(k, covariance_type=str(covariance_type))
        oracle.means_ = np.zeros((k, t))
        assert free_parameters(k, t, covariance_type) == oracle._n_parameters()


def test_bic_finds_the_number_of_clusters():
    rows, _ = separated(4, n=600, k=3)
    scores = [fit(rows, k).bic() for k in range(1, 6)]
    assert int(np.argmin(scores)) + 1 == 3


def large():
    rng = np.random.default_rng(5)
    return (rng.standard_normal((21_000, 5)) + 3 * rng.integers(0, 2, (21_000, 1))).astype(np.float32)


def same(one, other):
    return all(
        np.array_equal(getattr(one.parameters, name), getattr(other.parameters, name))
        for name in ("weights", "means", "covariances")
    )


def test_same_seed_same_model_bit_for_bit_however_many_threads(monkeypatch):
    rows = large()
    models = []
    for cores, blas in ((1, 1), (2, 2), (5, 1)):
        monkeypatch.setattr(parallel, "n_cores", lambda cores=cores: cores)
        with threadpool_limits(limits=blas):
            models.append(fit(rows, 3, n_init=3, max_iter=20, tol=1e-4))
    assert same(models[0], models[1])
    assert same(models[0], models[2])
    assert models[0].history == models[1].history


def test_seeds_draw_different_starts():
    rows = np.random.default_rng(6).standard_normal((300, 4))
    models = [fit(rows, 5, n_init=1, max_iter=5, tol=0, seed=seed) for seed in (0, 0, 1)]
    assert same(models[0], models[1])
    assert not same(models[0], models[2])


def test_blocks_and_one_array_give_the_same_clusters():
    rows, truth = separated(7)
    whole = fit(rows, 4)
    parts = fit([rows[:1], rows[1:1], rows[1:500], rows[500:]], 4)
    assert parts.log_likelihood == pytest.approx(whole.log_likelihood, abs=1e-9)
    assert adjusted_rand_score(parts.predict(rows)[0], truth) > 0.99


def test_reordered_parameters_are_the_same_mixture_with_other_numbers():
    rows, _ = separated(8)
    model = fit(rows, 4)
    label, _ = model.predict(rows)
    order = np.array([3, 1, 0, 2])
    moved = fit(rows, 4)
    moved.parameters = model.parameters.reordered(order)
    np.testing.assert_array_equal(order[moved.predict(rows)[0]], label)
    assert moved.score(rows) == pytest.approx(model.score(rows), abs=1e-12)


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("exponent", [-100, 100])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_unit_does_not_matter(covariance_type, exponent, dtype):
    """Powers of two scale without rounding: the same clusters, the likelihood moved by -T ln(scale)."""
    rows, _ = separated(9, n=300)
    rows = rows.astype(np.float32).astype(dtype)
    scaled = (rows * dtype(2.0**exponent)).astype(dtype)
    here, there = fit(rows, 4, covariance_type, n_init=4), fit(scaled, 4, covariance_type, n_init=4)
    assert_sound(there, scaled)
    np.testing.assert_array_equal(there.predict(scaled)[0], here.predict(rows)[0])
    shift = -rows.shape[1] * exponent * np.log(2)
    assert there.log_likelihood == pytest.approx(here.log_likelihood + shift, abs=1e-6)


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("k", [1, 2, 4, 7, 8])
def test_nearly_as_many_clusters_as_trajectories(covariance_type, k):
    rows = np.random.default_rng(10).standard_normal((8, 3))
    assert_sound(fit(rows, k, covariance_type), rows)


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("shape", ODD)
def test_odd_data_never_give_nan(covariance_type, shape):
    rng = np.random.default_rng(11)
    rows = rng.standard_normal((60, 5))
    if shape == "copies":
        rows = np.repeat(rows[:6], 10, axis=0)
    elif shape == "two values":
        rows = np.where(np.arange(60)[:, None] < 20, 0.0, 1.0) * np.ones(5)
    elif shape == "one odd one out":
        rows = np.ones((60, 5))
        rows[17] = 2.0
    elif shape == "a line":
        rows = rows[:, :1] * np.arange(1, 6) + 3
    elif shape == "a constant column":
        rows[:, 2] = 4.0
    elif shape == "scales":
        rows = rows * [1e-30, 1e-10, 1.0, 1e10, 1e30]
    elif shape == "fewer than T":
        rows = rng.standard_normal((6, 40))
    elif shape == "outlier":
        rows[3] = 1e12
    for k in (1, 3, 5):
        assert_sound(fit(rows, k, covariance_type, max_iter=200), rows)


@pytest.mark.parametrize("rows", [np.full((20, 4), 3.0), np.zeros((5, 2)), np.ones((1, 3))])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_trajectories_all_the_same_are_an_error(rows, covariance_type):
    with pytest.raises(DegenerateMixtureError, match="all trajectories are the same"):
        fit(rows, 1, covariance_type)


def test_more_clusters_than_trajectories_are_an_error():
    with pytest.raises(ConfigError, match="5 clusters of 4 trajectories"):
        fit(np.random.default_rng(0).standard_normal((4, 3)), 5)
    with pytest.raises(ConfigError, match="1 clusters of 0 trajectories"):
        fit(np.empty((0, 3)), 1)


def test_any_trajectories_can_be_predicted_also_alike_ones():
    rows, _ = separated(12)
    model = fit(rows, 4)
    label, probability = model.predict(rows)
    alike, certainty = model.predict(np.repeat(rows[:1], 5, axis=0))
    np.testing.assert_array_equal(alike, np.repeat(label[:1], 5))
    np.testing.assert_allclose(certainty, probability[0], rtol=1e-6)
    one, _ = model.predict(rows[3:4])
    assert one[0] == label[3]


@pytest.mark.parametrize(
    "options", [{"n_components": 0}, {"n_init": 0}, {"max_iter": 0}, {"tol": -1e-9}, {"seed": -1}]
)
def test_options_outside_their_range_are_an_error(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        MixtureConfig(**{"n_components": 2, **options})


def test_no_convergence_is_said(caplog):
    rows = np.random.default_rng(13).standard_normal((200, 3))
    start = MixtureParameters(np.full(3, 1 / 3), rows[:3].copy(), np.ones((3, 3)), CovarianceType.DIAG)
    with caplog.at_level(logging.WARNING, "xtec"):
        model = GaussianMixture(MixtureConfig(n_components=3, max_iter=2, tol=0)).fit(rows, start)
    assert not model.converged
    assert model.n_iter == 2
    assert "without converging" in caplog.text


@pytest.mark.parametrize("seed", range(3))
def test_history_of_a_search_never_falls_and_ends_at_the_result(seed):
    rows, _ = separated(seed, n=400)
    model = fit(rows, 4, seed=seed)
    assert model.n_reseeded == 0
    assert model.history[-1] == model.log_likelihood
    assert np.diff(model.history).min() >= -1e-9
    assert all(other <= model.log_likelihood + 1e-9 for other in model.other_optima)
