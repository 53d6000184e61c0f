"""The mixture behind noise on arrays of another library, against the compiled loops."""

from __future__ import annotations

import numpy as np
import pytest

from xtec.core.arrays import home, is_host
from xtec.core.types import CovarianceType, Rescale
from xtec.mixture import GaussianMixture, Labeller, MixtureConfig, MixtureParameters, Noisy, Trajectories
from xtec.mixture.em import expect, log_likelihoods, run_em
from xtec.mixture.fused import Frame
from xtec.mixture.labels import Responsibilities
from xtec.mixture.noise import shape_of_noise
from xtec.mixture.noisy import NoisyModel

TOLERANCE = {np.float32: 2e-5, np.float64: 1e-11}
"""Relative to the size of a term: compiled loops work in the precision of the data, these in float64."""


def some(n, k, t, how, dtype, seed=0):
    """Trajectories of a mixture behind noise of every level."""
    rng = np.random.default_rng([seed, k, t])
    mixture = MixtureParameters(
        rng.dirichlet(10 * np.ones(k)),
        0.4 * rng.standard_normal((k, t)),
        10 ** rng.uniform(-2, -0.5, (k, t)),
        CovarianceType.DIAG,
    )
    noise = 10 ** rng.uniform(-3, 0.5, n)
    which = rng.choice(k, n, p=mixture.weights)
    variance = mixture.covariances[which] + noise[:, None] * shape_of_noise(mixture.means, how)[which]
    rows = mixture.means[which] + np.sqrt(variance) * rng.standard_normal(variance.shape)
    return Noisy(np.asfortranarray(rows, dtype), noise.astype(dtype)), mixture


def uploaded(device, block):
    return Noisy(device.upload(block.rows), device.upload(block.noise))


class Plain(NoisyModel):
    """With the plain loops for NumPy arrays too."""

    def sums(self, block):
        _, k, t = self.model.shape
        sums = np.zeros((k + 1, 5 * t + 1))
        self._add_plainly(block, sums)
        return sums

    def shares(self, block):
        return self._shared_plainly(block)


SIZES = [(1, 1, 2), (511, 2, 5), (513, 4, 3), (3000, 5, 20), (700, 3, 130)]


def assert_same_sums(found, expected, shape, n, dtype):
    """But for columns that fill up the kernels' temperatures."""
    k, t = shape
    assert found.shape == expected.shape
    tolerance = TOLERANCE[dtype]
    np.testing.assert_allclose(found[:, 0], expected[:, 0], rtol=tolerance, atol=tolerance * n * t)
    for one, other in zip(
        np.split(found[:, 1:], 5, axis=1), np.split(expected[:, 1:], 5, axis=1), strict=True
    ):
        np.testing.assert_allclose(one[:k, :t], other[:k, :t], rtol=50 * tolerance, atol=tolerance * n)


@pytest.mark.parametrize("how", list(Rescale))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", SIZES)
def test_the_plain_sums_are_the_compiled_ones(size, dtype, how):
    block, mixture = some(*size, how, dtype)
    compiled, plain = (
        kind(mixture, Frame.of_mixture(mixture), np.dtype(dtype), how) for kind in (NoisyModel, Plain)
    )
    assert_same_sums(plain.sums(block), compiled.sums(block), size[1:], size[0], dtype)
    tolerance = TOLERANCE[dtype] * size[2]
    for one, other in zip(plain.shares(block), compiled.shares(block), strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("how", list(Rescale))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", SIZES)
def test_passes_elsewhere(device, size, dtype, how):
    block, mixture = some(*size, how, dtype)
    model, there = (
        NoisyModel(mixture, Frame.of_mixture(mixture), np.dtype(dtype), how),
        uploaded(device, block),
    )
    assert_same_sums(model.sums(there), model.sums(block), size[1:], size[0], dtype)
    tolerance = TOLERANCE[dtype] * size[2]
    share, density = model.shares(there)
    assert not is_host(share)
    expected, expected_density = model.shares(block)
    np.testing.assert_allclose(home(share), expected, atol=tolerance)
    np.testing.assert_allclose(home(density), expected_density, rtol=tolerance, atol=tolerance)
    label, probability = home(model.predict(there))
    assert (label.dtype, probability.dtype) == (np.int16, np.float32)
    np.testing.assert_array_equal(label, model.predict(block)[0])
    np.testing.assert_allclose(probability, model.predict(block)[1], atol=tolerance + 1e-7)
    lowest, outlier = model.least_likely(there)
    assert isinstance(lowest, float)
    assert lowest == pytest.approx(model.least_likely(block)[0], rel=tolerance, abs=tolerance)
    np.testing.assert_array_equal(outlier, model.least_likely(block)[1])
    assert outlier.dtype == np.float64


def test_any_number_of_rows_at_a_time_gives_the_same(device, monkeypatch):
    block, mixture = some(1000, 3, 6, Rescale.MEAN, np.float64)
    model = NoisyModel(mixture, Frame.of_mixture(mixture), np.float64, Rescale.MEAN)
    there = uploaded(device, block)
    whole, shares = model.sums(there), home(model.shares(there))
    for rows in (1, 7, 999):
        monkeypatch.setattr("xtec.mixture.noisy._ELSEWHERE_BYTES", rows * 8 * 3 * 6)
        np.testing.assert_allclose(model.sums(there), whole, rtol=1e-11, atol=1e-9)
        for one, other in zip(home(model.shares(there)), shares, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)


def test_no_rows_elsewhere(device):
    block, mixture = some(5, 3, 6, Rescale.MEAN, np.float32)
    model = NoisyModel(mixture, Frame.of_mixture(mixture), np.float32, Rescale.MEAN)
    nothing = uploaded(device, block[:0])
    np.testing.assert_array_equal(model.sums(nothing), model.sums(block[:0]))
    assert [one.shape for one in home(model.shares(nothing))] == [(0, 3), (0,)]
    assert [one.shape for one in home(model.predict(nothing))] == [(0,), (0,)]
    assert model.least_likely(nothing)[0] == np.inf


def test_trajectories_that_are_all_noise_elsewhere(device):
    """Noise is bounded as it is for compiled loops; a component far away has no share, and no weight."""
    block, mixture = some(300, 3, 6, Rescale.ZSCORE, np.float64)
    means = mixture.means.copy()
    means[1] = 1e9
    lost = MixtureParameters(np.array([0.5, 0.5, 0.0]), means, mixture.covariances, CovarianceType.DIAG)
    for noise in (np.full(300, 1e12), np.zeros(300)):
        drowned = Noisy(block.rows, noise)
        model = NoisyModel(lost, Frame.of_mixture(mixture), np.float64, Rescale.ZSCORE)
        found, expected = model.sums(uploaded(device, drowned)), model.sums(drowned)
        assert np.isfinite(found).all()
        np.testing.assert_allclose(found[:3, 0], expected[:3, 0], rtol=1e-9)
        np.testing.assert_allclose(found[-1, 0], expected[-1, 0], rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("how", [Rescale.MEAN, Rescale.ZSCORE])
def test_em_elsewhere_goes_the_same_way(device, how, dtype):
    block, truth = some(900, 3, 6, how, dtype, seed=1)
    start = MixtureParameters(
        np.full(3, 1 / 3), truth.means + 0.1, np.full(truth.means.shape, 0.5), CovarianceType.DIAG
    )
    here = Trajectories([block[:500], block[500:]], how)
    there = Trajectories([uploaded(device, block[:500]), uploaded(device, block[500:])], how)
    ours, theirs = (run_em(data, start, tol=-np.inf, max_iter=20) for data in (here, there))
    tolerance = 1e-3 if dtype is np.float32 else 1e-8  # roundings add up over the iterations
    np.testing.assert_allclose(theirs.parameters.weights, ours.parameters.weights, atol=tolerance)
    np.testing.assert_allclose(theirs.parameters.means, ours.parameters.means, atol=tolerance)
    np.testing.assert_allclose(theirs.parameters.covariances, ours.parameters.covariances, rtol=tolerance)
    np.testing.assert_allclose(theirs.history, ours.history, atol=tolerance)
    np.testing.assert_allclose(
        log_likelihoods(there, truth), log_likelihoods(here, truth), atol=100 * TOLERANCE[dtype]
    )


def test_an_empty_component_starts_anew_elsewhere(device):
    block, truth = some(900, 3, 6, Rescale.ZSCORE, np.float64, seed=2)
    means = truth.means.copy()
    means[1] = 1e4
    lost = MixtureParameters(truth.weights, means, truth.covariances, CovarianceType.DIAG)
    here, there = (Trajectories(one, Rescale.ZSCORE) for one in (block, uploaded(device, block)))
    ours, theirs = (run_em(data, lost, tol=1e-8, max_iter=300) for data in (here, there))
    assert theirs.n_reseeded == ours.n_reseeded == 1
    assert theirs.log_likelihood == pytest.approx(ours.log_likelihood, abs=1e-7)


def test_a_fit_and_its_labels_elsewhere(device):
    block, _ = some(3000, 2, 8, Rescale.MEAN, np.float64, seed=3)
    there = uploaded(device, block)
    config = MixtureConfig(n_components=2, n_init=2)
    ours, theirs = (GaussianMixture(config).fit(Trajectories(one, Rescale.MEAN)) for one in (block, there))
    assert theirs.log_likelihood == pytest.approx(ours.log_likelihood, abs=1e-6)
    np.testing.assert_allclose(theirs.parameters.means, ours.parameters.means, atol=1e-4)
    labeller, shares = (
        Labeller(ours.parameters, Rescale.MEAN),
        Responsibilities(ours.parameters, Rescale.MEAN),
    )
    np.testing.assert_array_equal(home(labeller(there))[0], labeller(block)[0])
    np.testing.assert_allclose(home(shares(there)), shares(block), atol=1e-9)
    assert expect(Trajectories(there, Rescale.MEAN), ours.parameters).log_likelihood == pytest.approx(
        ours.log_likelihood, abs=1e-9
    )
