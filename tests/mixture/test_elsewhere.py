"""The mixture on arrays that are not NumPy's: the same sums, the same fit, the same labels."""

from __future__ import annotations

import numpy as np
import pytest

from xtec.core.arrays import home
from xtec.core.device import Device
from xtec.core.types import CovarianceType, Updates
from xtec.mixture import GaussianMixture, MixtureConfig, MixtureParameters, Trajectories
from xtec.mixture.em import PlainModel, expect, log_likelihoods
from xtec.mixture.moments import has_full_scatter

KINDS = list(CovarianceType)


def two_classes(n: int, dtype: type, seed: int = 0) -> np.ndarray:
    """Trajectories that fall at a transition, and some that do not."""
    rng = np.random.default_rng(seed)
    step = np.where(np.arange(9) < 5, 1.0, -1.0)
    strength = np.where(rng.random(n) < 0.3, 1.0, 0.0)
    return np.asfortranarray(strength[:, None] * step + 0.2 * rng.normal(size=(n, 9)), dtype=dtype)


def mixture(kind: CovarianceType) -> MixtureParameters:
    """Two components near the classes."""
    variance = np.full((2, 9), 0.05)
    covariances = {
        CovarianceType.DIAG: variance,
        CovarianceType.SHARED: variance[0],
        CovarianceType.SPHERICAL: variance[:, 0],
        CovarianceType.FULL: np.stack([np.diag(one) for one in variance]),
        CovarianceType.TIED: np.diag(variance[0]),
    }[kind]
    means = np.stack([np.zeros(9), np.where(np.arange(9) < 5, 0.8, -0.8)])
    return MixtureParameters(np.array([0.6, 0.4]), means, covariances, kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sums_of_a_pass_are_the_same(device: Device, kind: CovarianceType, dtype: type) -> None:
    rows = two_classes(20_000, dtype)
    here, there = Trajectories(rows), Trajectories(device.upload(rows))
    np.testing.assert_allclose(there.mean, here.mean, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(there.variance, here.variance, rtol=1e-5)
    full = has_full_scatter(kind)
    ours, theirs = (expect(data, mixture(kind), full=full) for data in (here, there))
    # Compiled sums of float32 take single precision within a tile.
    tolerance = 3e-6 if dtype is np.float32 else 1e-11
    np.testing.assert_allclose(theirs.moments.weight, ours.moments.weight, rtol=tolerance)
    np.testing.assert_allclose(theirs.moments.mean, ours.moments.mean, atol=tolerance)
    largest = np.abs(ours.moments.scatter).max()
    np.testing.assert_allclose(theirs.moments.scatter, ours.moments.scatter, atol=tolerance * largest)
    assert theirs.log_likelihood == pytest.approx(ours.log_likelihood, abs=tolerance)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fit_ends_in_the_same_place(device: Device, kind: CovarianceType) -> None:
    rows = two_classes(5_000, np.float64)
    config = MixtureConfig(n_components=2, covariance_type=kind, n_init=4)
    here, there = (GaussianMixture(config).fit(data) for data in (rows, device.upload(rows)))
    assert there.log_likelihood == pytest.approx(here.log_likelihood, abs=1e-8)
    assert there.bic() == pytest.approx(here.bic(), rel=1e-8)
    np.testing.assert_allclose(there.parameters.means, here.parameters.means, atol=1e-4)
    label, probability = there.predict(device.upload(rows))
    np.testing.assert_array_equal(label, here.predict(rows)[0])
    np.testing.assert_allclose(probability, here.predict(rows)[1], atol=1e-4)
    np.testing.assert_allclose(
        there.responsibilities(device.upload(rows)), here.responsibilities(rows), atol=1e-4
    )


def test_stepwise_em_takes_batches_elsewhere(device: Device) -> None:
    rows = two_classes(5_000, np.float64)
    config = MixtureConfig(n_components=2, n_init=4, em=Updates.STEPWISE)
    here, there = (GaussianMixture(config).fit(data) for data in (rows, device.upload(rows)))
    assert there.log_likelihood == pytest.approx(here.log_likelihood, abs=1e-6)


def test_an_empty_component_starts_anew_on_the_same_trajectory(device: Device) -> None:
    rows = two_classes(2_000, np.float64)
    far = MixtureParameters(np.array([0.5, 0.5, 0.0]), np.zeros((3, 9)), np.ones((3, 9)), CovarianceType.DIAG)
    model = PlainModel(far, rows.mean(axis=0))
    value, row = model.least_likely(device.upload(rows))
    assert value == pytest.approx(model.least_likely(rows)[0])
    np.testing.assert_array_equal(row, model.least_likely(rows)[1])


def test_no_rows_give_nothing(device: Device) -> None:
    model = PlainModel(mixture(CovarianceType.DIAG), np.zeros(9))
    nothing = device.upload(np.empty((0, 9)))
    moments, total = model(nothing)
    assert total == 0
    assert not moments.weight.any()
    assert home(model.responsibilities(nothing)).shape == (0, 2)
    assert model.least_likely(nothing)[0] == np.inf


def test_densities_stay_in_order(device: Device) -> None:
    rows = two_classes(3_000, np.float64)
    parameters = mixture(CovarianceType.DIAG)
    np.testing.assert_allclose(
        log_likelihoods(Trajectories(device.upload(rows)), parameters),
        log_likelihoods(Trajectories(rows), parameters),
        atol=1e-12,
    )
