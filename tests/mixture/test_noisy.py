"""The mixture behind noise: closed forms, the published equations written plainly, and planted truth."""

from __future__ import annotations

import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import norm

from xtec.core.errors import ConfigError
from xtec.core.types import CovarianceType, Rescale
from xtec.mixture import GaussianMixture, Labeller, MixtureConfig, MixtureParameters, Noisy, Trajectories
from xtec.mixture.em import expect, log_likelihoods, maximise, run_em
from xtec.mixture.fused import Frame
from xtec.mixture.kernels import ROWS
from xtec.mixture.noise import shape_of_noise
from xtec.mixture.noisy import NoisyModel
from xtec.mixture.noisy_kernels import _double, _single

FLAT = Rescale.ZSCORE
"""Noise that is the same at all temperatures."""

DIAGONAL = [CovarianceType.DIAG, CovarianceType.SPHERICAL, CovarianceType.SHARED]


def a_mixture(rng, k, t):
    means = 0.4 * rng.standard_normal((k, t))
    return MixtureParameters(
        rng.dirichlet(10 * np.ones(k)), means, 10 ** rng.uniform(-2, -0.5, (k, t)), CovarianceType.DIAG
    )


def drawn(rng, mixture, n, how, noise):
    """Trajectories of a mixture behind noise, and the component of each."""
    which = rng.choice(mixture.n_components, n, p=mixture.weights)
    variance = mixture.covariances[which] + noise[:, None] * shape_of_noise(mixture.means, how)[which]
    return mixture.means[which] + np.sqrt(variance) * rng.standard_normal(variance.shape), which


def some(seed, n=900, k=3, t=6, how=FLAT, dtype=np.float64):
    rng = np.random.default_rng([seed, k, t])
    mixture = a_mixture(rng, k, t)
    noise = 10 ** rng.uniform(-3, 0.5, n)
    return Noisy(drawn(rng, mixture, n, how, noise)[0].astype(dtype), noise.astype(dtype)), mixture


def e_step(block, mixture, how):
    """Responsibilities and ln densities, and of all components the variances without and with noise."""
    rows = block.rows[:, None].astype(np.float64)
    noise = block.noise[:, None, None] * shape_of_noise(mixture.means, how)
    variance = mixture.variances()
    total = variance + noise
    joint = np.log(mixture.weights) + norm.logpdf(rows, mixture.means, np.sqrt(total)).sum(axis=2)
    density = logsumexp(joint, axis=1)
    return np.exp(joint - density[:, None]), density, variance, total


def behind_noise(block, mixture, how):
    """M step by the published equations, but for the mean, which is the weighted one of what is seen."""
    share, density, variance, total = e_step(block, mixture, how)
    rows = block.rows[:, None].astype(np.float64)
    means = (share[:, :, None] / total * rows).sum(axis=0) / (share[:, :, None] / total).sum(axis=0)
    behind, left = means + variance / total * (rows - means), variance - variance**2 / total
    scatter = np.einsum("nk,nkt->kt", share, (behind - means) ** 2 + left)
    return share.sum(axis=0), means, scatter, density


def em_step(block, mixture, how, floor):
    weight, means, scatter, density = behind_noise(block, mixture, how)
    variances = np.maximum(scatter / weight[:, None], floor)
    return MixtureParameters(weight / len(block), means, variances, CovarianceType.DIAG), density.mean()


def far_off(rng, mixture):
    """A start that EM has some way to go from."""
    return MixtureParameters(
        np.full(mixture.n_components, 1 / mixture.n_components),
        mixture.means + 0.2 * rng.standard_normal(mixture.means.shape),
        np.full(mixture.means.shape, 0.5),
        CovarianceType.DIAG,
    )


@pytest.mark.parametrize("how", list(Rescale))
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-11)])
@pytest.mark.parametrize(
    ("n", "k", "t"), [(1, 1, 2), (511, 2, 5), (513, 4, 3), (3000, 5, 20), (1500, 3, 130)]
)
def test_sums_are_those_of_the_definition(n, k, t, dtype, tolerance, how):
    block, mixture = some(0, n, k, t, how, dtype)
    data = Trajectories(block, how)
    weight, mean, scatter, density = behind_noise(block, mixture, how)
    found = expect(data, mixture)
    np.testing.assert_allclose(found.moments.weight, weight, rtol=tolerance, atol=tolerance * n)
    np.testing.assert_allclose(found.moments.mean, mean, atol=20 * tolerance)
    np.testing.assert_allclose(found.moments.scatter, scatter, rtol=50 * tolerance, atol=tolerance)
    assert found.log_likelihood == pytest.approx(density.mean(), abs=tolerance * t)
    np.testing.assert_allclose(log_likelihoods(data, mixture), density, rtol=1e-5, atol=3 * tolerance * t)


@pytest.mark.parametrize("how", [FLAT, Rescale.MEAN])
def test_twenty_iterations_of_the_published_equations(how):
    block, truth = some(1, how=how)
    data, here = Trajectories(block, how), far_off(np.random.default_rng(1), truth)
    run = run_em(data, here, tol=-np.inf, max_iter=20)
    history = []
    for _ in range(20):
        here, log_likelihood = em_step(block, here, how, data.floor)
        history.append(log_likelihood)
    np.testing.assert_allclose(run.parameters.weights, here.weights, rtol=1e-9)
    np.testing.assert_allclose(run.parameters.means, here.means, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(run.parameters.covariances, here.covariances, rtol=1e-8)
    np.testing.assert_allclose(run.history[:-1], history, rtol=1e-10)


@pytest.mark.parametrize("how", list(Rescale))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_without_noise_it_is_the_plain_mixture(dtype, how):
    block, truth = some(2, how=how, dtype=dtype)
    silent = Trajectories(Noisy(block.rows, np.zeros_like(block.noise)), how)
    here = far_off(np.random.default_rng(2), truth)
    found, plain = (run_em(data, here, tol=-np.inf, max_iter=20) for data in (silent, silent.plain))
    tolerance = 1e-4 if dtype is np.float32 else 1e-10
    np.testing.assert_allclose(found.parameters.means, plain.parameters.means, atol=tolerance)
    np.testing.assert_allclose(found.parameters.covariances, plain.parameters.covariances, rtol=tolerance)
    np.testing.assert_allclose(found.history, plain.history, atol=tolerance)


def test_one_component_and_equal_noise_have_a_known_solution():
    """The mean of all, and their variance less that of the noise, or next to none where there is less."""
    rng = np.random.default_rng(3)
    t, level = 5, 0.3
    rows = rng.standard_normal((4000, t)) * np.sqrt([0.1, 0.5, 1.0, 2.0, 4.0])
    data = Trajectories(Noisy(rows, np.full(len(rows), level)), FLAT)
    start = MixtureParameters(np.ones(1), np.ones((1, t)), np.ones((1, t)), CovarianceType.DIAG)
    run = run_em(data, start, tol=1e-9, max_iter=2000, accelerate=True)
    noise = level * (1 - 1 / t)
    np.testing.assert_allclose(run.parameters.means[0], rows.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(run.parameters.covariances[0, 1:], rows.var(axis=0)[1:] - noise, rtol=1e-3)
    assert rows[:, 0].var() < noise
    assert run.parameters.covariances[0, 0] < 0.01 * noise
    expected = norm.logpdf(rows, rows.mean(axis=0), np.sqrt(run.parameters.covariances + noise))
    assert run.log_likelihood == pytest.approx(expected.sum(axis=1).mean(), abs=1e-6)


def test_trajectories_that_are_all_noise_say_nothing_but_their_mean():
    block, truth = some(4)
    drowned = Trajectories(Noisy(block.rows, np.full(len(block), 1e9)), FLAT)
    found = expect(drowned, truth).moments
    np.testing.assert_allclose(found.weight / len(block), truth.weights, rtol=1e-6)
    after = maximise(drowned, found, truth)
    np.testing.assert_allclose(after.means, np.tile(block.rows.mean(axis=0), (3, 1)), atol=1e-6)
    np.testing.assert_allclose(after.covariances, truth.covariances, rtol=1e-6)


@pytest.mark.parametrize("accelerate", [False, True])
@pytest.mark.parametrize("covariance_type", DIAGONAL)
@pytest.mark.parametrize("seed", range(3))
def test_likelihood_never_falls(seed, covariance_type, accelerate):
    block, truth = some(seed, n=300, k=4)
    covariances = {CovarianceType.DIAG: np.ones((4, 6)), CovarianceType.SPHERICAL: np.ones(4)}
    start = MixtureParameters(
        truth.weights, truth.means, covariances.get(covariance_type, np.ones(6)), covariance_type
    )
    run = run_em(Trajectories(block, FLAT), start, tol=-np.inf, max_iter=100, accelerate=accelerate)
    assert run.n_reseeded == 0
    assert np.diff(run.history).min() >= -1e-10


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(0, 300), max_size=6), st.randoms(use_true_random=False))
def test_any_blocks_in_any_order_give_the_same_model(cuts, random):
    block, truth = some(5, n=300, how=Rescale.MEAN)
    blocks = [block[low:high] for low, high in itertools.pairwise([0, *sorted(cuts), 300])]
    random.shuffle(blocks)
    start = far_off(np.random.default_rng(5), truth)
    whole, parts = (
        run_em(Trajectories(one, Rescale.MEAN), start, tol=-np.inf, max_iter=15) for one in (block, blocks)
    )
    np.testing.assert_allclose(parts.parameters.means, whole.parameters.means, atol=1e-9)
    np.testing.assert_allclose(parts.parameters.covariances, whole.parameters.covariances, rtol=1e-8)
    np.testing.assert_allclose(parts.history, whole.history, rtol=1e-9)


def test_planted_widths_come_back_where_the_plain_mixture_takes_noise_for_width():
    rng = np.random.default_rng(6)
    truth = MixtureParameters(
        np.array([0.3, 0.7]),
        np.outer([1.0, -1.0], np.linspace(1, -1, 8)),
        np.full((2, 8), 0.04),
        CovarianceType.DIAG,
    )
    noise = 10 ** rng.uniform(-2, 0, 20_000)
    rows, which = drawn(rng, truth, noise.size, FLAT, noise)
    data = Trajectories(Noisy(rows.astype(np.float32), noise.astype(np.float32)), FLAT)
    found = GaussianMixture(MixtureConfig(n_components=2)).fit(data)
    plain = GaussianMixture(MixtureConfig(n_components=2)).fit(data.plain)
    order = np.argsort(found.parameters.weights)
    np.testing.assert_allclose(found.parameters.covariances, truth.covariances, rtol=0.12)
    np.testing.assert_allclose(found.parameters.means[order], truth.means, atol=0.02)
    assert plain.parameters.covariances.max() > 2 * truth.covariances.max()
    label, probability = found.predict(Noisy(rows, noise))
    assert np.mean(order[which] == label) > 0.97
    share = found.responsibilities(Noisy(rows, noise))
    np.testing.assert_allclose(share.max(axis=1), probability, rtol=1e-6)
    assert np.mean(probability) == pytest.approx(np.mean(order[which] == label), abs=0.01)


def test_clusters_differ_in_shape_where_the_plain_mixture_tells_quiet_from_noisy():
    """A few weak trajectories that order, among flat ones: half of all are noisy."""
    rng = np.random.default_rng(7)
    n, course = 6000, np.linspace(1, -1, 16)
    noise = np.where(np.arange(n) % 2, 0.3, 0.005)
    orders = rng.random(n) < 0.1
    rows = 0.6 * orders[:, None] * course + np.sqrt(noise[:, None]) * rng.standard_normal((n, 16))
    data = Trajectories(Noisy(rows, noise), FLAT)

    def recall(model, block):
        label, _ = model.predict(block)
        small = np.bincount(label).argmin()
        return np.mean(label[orders] == small), np.mean(label[~orders] == small)

    config = MixtureConfig(n_components=2)
    found, false = recall(GaussianMixture(config).fit(data), Noisy(rows, noise))
    assert found > 0.85
    assert false < 0.03
    lost, confused = recall(GaussianMixture(config).fit(data.plain), rows)
    assert lost < 0.6 or confused > 0.3


@pytest.mark.parametrize("how", [Rescale.MEAN, Rescale.LOG_MEAN])
def test_the_shape_of_noise_is_that_of_rescaled_counts(how):
    rng = np.random.default_rng(8)
    expected = 3000 * np.array([0.3, 0.5, 1.0, 1.4, 1.8])
    counts = rng.poisson(expected, (200_000, 5)).astype(np.float64)
    rows = counts / counts.mean(axis=1, keepdims=True) - 1
    if how is Rescale.LOG_MEAN:
        rows = np.log(counts) - np.log(counts).mean(axis=1, keepdims=True)
    shape = shape_of_noise(rows.mean(axis=0)[None], how)[0]
    np.testing.assert_allclose(rows.var(axis=0), shape / expected.mean(), rtol=0.02)


def test_an_empty_component_is_started_anew():
    block, truth = some(9)
    means = truth.means.copy()
    means[1] = 1e4
    lost = MixtureParameters(truth.weights, means, truth.covariances, CovarianceType.DIAG)
    run = run_em(Trajectories(block, FLAT), lost, tol=1e-8, max_iter=300)
    assert run.n_reseeded == 1
    assert np.abs(run.parameters.means).max() < 20
    assert (run.parameters.weights * len(block) > 0.5).all()


def test_a_sample_keeps_each_trajectory_with_its_noise():
    rows = np.random.default_rng(10).standard_normal((5000, 3))
    data = Trajectories([Noisy(part, part[:, 0] ** 2) for part in np.split(rows, 4)], FLAT)
    sample = data.sample(np.random.default_rng(0), 300)
    (one,) = sample.map(lambda block: block)
    assert (sample.n, sample.noise, len(one)) == (300, FLAT, 300)
    np.testing.assert_array_equal(one.noise, one.rows[:, 0] ** 2)


@pytest.mark.parametrize("covariance_type", [CovarianceType.FULL, CovarianceType.TIED])
def test_covariances_that_noise_is_not_made_for_are_refused(covariance_type):
    block, _ = some(11, n=50)
    with pytest.raises(ConfigError, match="covariances") as refused:
        GaussianMixture(MixtureConfig(n_components=2, covariance_type=covariance_type)).fit(
            Trajectories(block, FLAT)
        )
    assert "--covariance diag" in str(refused.value.hint)


def test_models_can_be_sent_to_other_processes():
    block, truth = some(12, dtype=np.float32)
    model = NoisyModel(truth, Frame.of_mixture(truth), np.float32, FLAT)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model.sums))(block), model.sums(block))
    labeller = Labeller(truth, FLAT)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(labeller))(block)[0], labeller(block)[0])


@pytest.mark.parametrize(("kernel", "dtype"), [(_single, np.float32), (_double, np.float64)])
def test_logarithms_are_good_to_the_last_digits(kernel, dtype):
    info = np.finfo(dtype)
    exponent = np.linspace(np.log(info.smallest_normal), np.log(info.max), ROWS)
    values = np.exp(exponent * 0.999).astype(dtype)
    values[:7] = 1, 2, 0.5, 1 + info.eps, 1 - info.epsneg, np.sqrt(2), np.sqrt(0.5)
    found = np.zeros(ROWS, dtype)
    kernel(values, found)
    expected = -0.5 * np.log(values.astype(np.longdouble))
    np.testing.assert_allclose(found, expected, rtol=2 * float(info.eps), atol=0.2 * float(info.eps))
