"""Compiled sums of diagonal components against the plain ones."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xtec.core.types import CovarianceType
from xtec.mixture.em import PlainModel, responsibilities
from xtec.mixture.fused import Frame, FusedModel, moments_of_all, precision
from xtec.mixture.kernels import ROWS, _double, _single
from xtec.mixture.parameters import MixtureParameters

DIAGONAL = [CovarianceType.DIAG, CovarianceType.SPHERICAL, CovarianceType.SHARED]
TOLERANCE = {np.float32: 1e-5, np.float64: 1e-12}


def mixture(rng, k, t, covariance_type):
    """A mixture whose components overlap."""
    means = rng.standard_normal((k, t)) / np.sqrt(t)
    variances = {
        CovarianceType.DIAG: rng.uniform(0.6, 1.6, (k, t)),
        CovarianceType.SPHERICAL: rng.uniform(0.8, 1.2, k),
        CovarianceType.SHARED: rng.uniform(0.5, 2, t),
    }[covariance_type]
    return MixtureParameters(rng.dirichlet(10 * np.ones(k)), means, variances, covariance_type)


def rows_of(rng, parameters, n):
    which = rng.choice(parameters.n_components, n, p=parameters.weights)
    spread = np.sqrt(parameters.variances())[which]
    return parameters.means[which] + spread * rng.standard_normal((n, parameters.n_features))


def frame_of(rows):
    rows = rows.astype(np.float64)
    return Frame.of(rows.mean(axis=0), rows.var(axis=0))


def assert_as_plain(rows, parameters, tolerance, blocks=None):
    model = FusedModel(parameters, frame_of(rows), rows.dtype)
    sums = sum(map(model.sums, blocks if blocks is not None else [rows]))
    moments, log_likelihood = model.expectation(sums, len(rows))
    centre = rows.mean(axis=0, dtype=np.float64)
    plain, total = PlainModel(parameters, centre)(rows)
    width = np.sqrt(parameters.variances().mean(axis=0))
    np.testing.assert_allclose(moments.weight, plain.weight, rtol=tolerance, atol=tolerance)
    some = plain.weight > 1e-3
    np.testing.assert_allclose(
        ((moments.mean - centre) / width)[some], (plain.mean / width)[some], rtol=tolerance, atol=tolerance
    )
    np.testing.assert_allclose(
        moments.scatter / width**2, plain.scatter / width**2, rtol=tolerance, atol=tolerance * len(rows)
    )
    size = max(1.0, abs(total) / len(rows))
    assert log_likelihood == pytest.approx(total / len(rows), abs=tolerance * size)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("covariance_type", DIAGONAL)
@pytest.mark.parametrize(
    ("n", "k", "t"),
    [(1, 1, 1), (1, 4, 24), (7, 3, 2), (511, 2, 5), (512, 5, 4), (513, 4, 3), (3000, 40, 130), (2500, 4, 24)],
)
def test_sums_are_the_plain_ones(n, k, t, covariance_type, dtype):
    rng = np.random.default_rng([n, k, t])
    parameters = mixture(rng, k, t, covariance_type)
    assert_as_plain(rows_of(rng, parameters, n).astype(dtype), parameters, TOLERANCE[dtype])


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 2000),
    st.integers(1, 40),
    st.integers(1, 130),
    st.sampled_from(DIAGONAL),
    st.sampled_from([np.float32, np.float64]),
    st.integers(0, 2**31),
)
def test_sums_are_the_plain_ones_in_any_shape(n, k, t, covariance_type, dtype, seed):
    rng = np.random.default_rng(seed)
    parameters = mixture(rng, k, t, covariance_type)
    rounding = TOLERANCE[dtype] * (1 + t / 20)  # a ln density sums t terms
    assert_as_plain(rows_of(rng, parameters, n).astype(dtype), parameters, rounding)


LAYOUTS = {
    "fortran": np.asfortranarray,
    "every other row": lambda rows: np.repeat(rows, 2, axis=0)[::2],
    "every other row of columns": lambda rows: np.asfortranarray(np.repeat(rows, 2, axis=0))[::2],
    "part of the columns": lambda rows: np.concatenate([rows, rows, rows], axis=1)[
        :, rows.shape[1] : 2 * rows.shape[1]
    ],
    "backwards": lambda rows: np.ascontiguousarray(rows[::-1])[::-1],
    "columns backwards": lambda rows: np.ascontiguousarray(rows[:, ::-1])[:, ::-1],
    "one for all": lambda rows: np.broadcast_to(rows[0], rows.shape),
    "field of records": lambda rows: np.rec.fromarrays([rows, np.zeros(rows.shape, np.int8)])["f0"],
    "read-only": lambda rows: np.frombuffer(rows.tobytes(), rows.dtype).reshape(rows.shape),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_memory_order_does_not_matter(layout, dtype):
    rng = np.random.default_rng(0)
    parameters = mixture(rng, 3, 7, CovarianceType.DIAG)
    rows = LAYOUTS[layout](rows_of(rng, parameters, 1300).astype(dtype))
    plain = np.ascontiguousarray(rows)
    model = FusedModel(parameters, frame_of(plain), dtype)
    np.testing.assert_allclose(model.sums(rows), model.sums(plain), rtol=1e-13, atol=1e-13)
    for found, expected in zip(model.predict(rows), model.predict(plain), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sums_of_blocks_add_up(dtype):
    rng = np.random.default_rng(1)
    parameters = mixture(rng, 3, 6, CovarianceType.DIAG)
    rows = rows_of(rng, parameters, 2000).astype(dtype)
    assert_as_plain(rows, parameters, TOLERANCE[dtype], np.split(rows, [0, 1, 700, 1500]))


@pytest.mark.parametrize("covariance_type", DIAGONAL)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 600])
def test_labels_are_those_of_the_largest_share(n, dtype, covariance_type):
    rng = np.random.default_rng(2)
    parameters = mixture(rng, 5, 9, covariance_type)
    rows = rows_of(rng, parameters, n).astype(dtype)
    label, probability = FusedModel(parameters, Frame.of_mixture(parameters), dtype).predict(rows)
    share, _ = responsibilities(rows.astype(np.float64), parameters)
    assert (label.dtype, probability.dtype) == (np.int16, np.float32)
    np.testing.assert_allclose(probability, share.max(axis=1), rtol=1e-5)
    np.testing.assert_allclose(share[np.arange(n), label], share.max(axis=1), rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_far_away_belong_to_the_nearest_component_whole(dtype):
    """Densities of the others underflow; so do all of them without the highest taken out."""
    parameters = MixtureParameters(
        np.array([0.5, 0.5]), np.array([[0.0], [1.0]]), np.full((2, 1), 1e-4), CovarianceType.DIAG
    )
    rows = np.array([[1e6], [-1e6], [0.0], [1.0]], dtype)
    model = FusedModel(parameters, frame_of(rows), dtype)
    assert np.isfinite(model.sums(rows)).all()
    np.testing.assert_array_equal(model.predict(rows)[0], [1, 0, 0, 1])
    model = FusedModel(parameters, Frame.of_mixture(parameters), dtype)
    moments, _ = model.expectation(model.sums(rows), 4)
    np.testing.assert_allclose(moments.weight, [2, 2], rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_component_without_weight_gets_nothing(dtype):
    rng = np.random.default_rng(3)
    whole = mixture(rng, 3, 4, CovarianceType.DIAG)
    parameters = MixtureParameters(
        np.array([0.4, 0.0, 0.6]), whole.means, whole.covariances, CovarianceType.DIAG
    )
    rows = rows_of(rng, parameters, 700).astype(dtype)
    model = FusedModel(parameters, frame_of(rows), dtype)
    moments, log_likelihood = model.expectation(model.sums(rows), 700)
    assert moments.weight[1] == 0
    assert np.isfinite(moments.mean).all()
    assert np.isfinite(log_likelihood)
    assert_as_plain(rows, parameters, TOLERANCE[dtype])


@pytest.mark.parametrize("far", [1e8, 1e20, 1e30])
def test_a_component_out_of_sight_does_no_harm(far):
    rng = np.random.default_rng(4)
    parameters = mixture(rng, 3, 4, CovarianceType.DIAG)
    rows = rows_of(rng, parameters, 700).astype(np.float32)
    means = parameters.means.copy()
    means[1] = far
    lost = MixtureParameters(parameters.weights, means, parameters.covariances, CovarianceType.DIAG)
    model = FusedModel(lost, frame_of(rows), np.float32)
    moments, log_likelihood = model.expectation(model.sums(rows), 700)
    assert moments.weight[1] == 0
    np.testing.assert_allclose(moments.weight.sum(), 700, rtol=1e-6)
    assert np.isfinite(moments.scatter).all()
    assert np.isfinite(log_likelihood)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [2.0**-100, 2.0**100])
def test_the_unit_does_not_matter(dtype, scale):
    rng = np.random.default_rng(5)
    here = mixture(rng, 3, 4, CovarianceType.DIAG)
    rows = rows_of(rng, here, 700).astype(dtype)
    there = MixtureParameters(
        here.weights, here.means * scale, here.covariances * scale**2, CovarianceType.DIAG
    )
    scaled = (rows * dtype(scale)).astype(dtype)
    one, other = FusedModel(here, frame_of(rows), dtype), FusedModel(there, frame_of(scaled), dtype)
    moments, log_likelihood = one.expectation(one.sums(rows), 700)
    moved, shifted = other.expectation(other.sums(scaled), 700)
    np.testing.assert_allclose(moved.weight, moments.weight, rtol=1e-6)
    np.testing.assert_allclose(moved.mean / scale, moments.mean, rtol=1e-5, atol=1e-6)
    assert shifted == pytest.approx(log_likelihood - 4 * np.log(scale), abs=1e-6)


def test_an_offset_costs_single_precision_nothing_but_the_digits_of_the_data():
    rng = np.random.default_rng(6)
    parameters = mixture(rng, 3, 4, CovarianceType.DIAG)
    rows = (rows_of(rng, parameters, 3000) + 4096).astype(np.float32)
    moved = MixtureParameters(
        parameters.weights, parameters.means + 4096, parameters.covariances, CovarianceType.DIAG
    )
    assert_as_plain(rows, moved, 1e-5)


def test_rounding_adds_no_noise_to_the_likelihood():
    """In single precision: parameters that differ a little differ in likelihood as they should."""
    rng = np.random.default_rng(7)
    parameters = mixture(rng, 4, 24, CovarianceType.DIAG)
    rows = rows_of(rng, parameters, 20_000).astype(np.float32)
    frame, errors = frame_of(rows), []
    for step in range(30):
        nearby = MixtureParameters(
            parameters.weights, parameters.means + 1e-5 * step, parameters.covariances, CovarianceType.DIAG
        )
        single, double = (FusedModel(nearby, frame, dtype) for dtype in (np.float32, np.float64))
        _, low = single.expectation(single.sums(rows), len(rows))
        _, high = double.expectation(double.sums(rows), len(rows))
        errors.append(low - high)
    assert np.std(errors) < 5e-8


def test_only_single_precision_is_worked_on_as_it_is():
    assert precision(np.float32) == precision(np.dtype("=f4")) == np.float32
    for dtype in (np.float64, np.float16, np.uint16, np.int64):
        assert precision(np.dtype(dtype)) == np.float64


def test_the_rounding_of_constants_is_taken_off_the_likelihood():
    """In single precision: at means far apart, with powers of two for widths, nothing else is rounded."""
    means = np.array([[0.0] * 5, [64.0] * 5])
    weights, variances = np.array([0.3, 0.7]), np.array([0.5, 2.0])
    parameters = MixtureParameters(weights, means, variances, CovarianceType.SPHERICAL)
    rows = means[[0, 1, 1]].astype(np.float32)
    model = FusedModel(parameters, Frame(np.zeros(5), np.ones(5)), np.float32)
    _, log_likelihood = model.expectation(model.sums(rows), 3)
    densities = np.log(weights) - 2.5 * np.log(2 * np.pi * variances)
    assert np.abs(model.rounding).max() > 1e-9
    assert log_likelihood == pytest.approx(densities[[0, 1, 1]].mean(), abs=1e-13)


@pytest.mark.parametrize(("kernel", "dtype"), [(_single, np.float32), (_double, np.float64)])
def test_exponentials_are_good_to_the_last_digits_and_vanish_far_down(kernel, dtype):
    info = np.finfo(dtype)
    values = -np.linspace(0, -0.99 * np.log(info.smallest_normal), ROWS).astype(dtype)
    found, total = values.copy(), np.zeros(ROWS, dtype)
    kernel(found, np.zeros(ROWS, dtype), total)
    np.testing.assert_allclose(found, np.exp(values.astype(np.longdouble)), rtol=1.5 * float(info.eps))
    np.testing.assert_array_equal(found, total)
    assert found[0] == 1
    far = np.full(ROWS, -1e30, dtype)
    kernel(far, np.zeros(ROWS, dtype), total)
    assert not far.any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "t"), [(1, 3), (2, 1), (ROWS - 1, 5), (ROWS, 4), (ROWS + 1, 2), (3000, 24)])
def test_moments_of_all_are_those_of_numpy(n, t, dtype):
    rng = np.random.default_rng([n, t])
    rows = (rng.uniform(-5, 5, t) + rng.uniform(0.5, 2, t) * rng.standard_normal((n, t))).astype(dtype)
    found, exact = moments_of_all(rows), rows.astype(np.float64)
    scatter = n * exact.var(axis=0)
    assert found.weight.tolist() == [n]
    np.testing.assert_allclose(found.mean[0], exact.mean(axis=0), rtol=0, atol=10 * TOLERANCE[dtype])
    np.testing.assert_allclose(found.scatter[0], scatter, rtol=10 * TOLERANCE[dtype], atol=TOLERANCE[dtype])


def test_a_model_can_be_sent_to_other_processes():
    rng = np.random.default_rng(8)
    parameters = mixture(rng, 3, 4, CovarianceType.DIAG)
    rows = rows_of(rng, parameters, 100).astype(np.float32)
    model = FusedModel(parameters, frame_of(rows), np.float32)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model.sums))(rows), model.sums(rows))
