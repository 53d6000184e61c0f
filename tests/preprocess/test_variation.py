"""Slow and rough variation, from their definition."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.fft import dct

from xtec.preprocess import n_waves, split_variation, waves


@pytest.mark.parametrize("n", [4, 5, 6, 12, 24, 31, 213])
def test_waves_are_the_first_cosines(n):
    basis = waves(n)
    assert len(basis) == n_waves(n) >= 1
    np.testing.assert_allclose(basis @ basis.T, np.eye(len(basis)), atol=1e-12)
    np.testing.assert_allclose(basis.sum(axis=1), 0, atol=1e-12)
    signal = np.random.default_rng(n).random(n)
    np.testing.assert_allclose(basis @ signal, dct(signal, norm="ortho")[1 : len(basis) + 1])


@pytest.mark.parametrize("n", [1, 2, 3])
def test_too_few_temperatures_have_none(n):
    assert n_waves(n) == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.uint16])
@pytest.mark.parametrize("n_voxels", [1, 700, 5000])
def test_parts_add_up_to_the_variance(dtype, n_voxels):
    rng = np.random.default_rng(1)
    rows = rng.poisson(rng.gamma(2, 300, n_voxels), (24, n_voxels)).astype(dtype)
    mean = rows.mean(axis=0, dtype=np.float64)
    rows = rows[:, mean > 0]
    mean = mean[mean > 0]
    smooth, rough = split_variation(rows, mean)
    coefficients = waves(24) @ rows
    expected = (coefficients**2).sum(axis=0) / mean
    np.testing.assert_allclose(smooth, expected, rtol=1e-3, atol=1e-4)
    left = 24 - 1 - n_waves(24)
    np.testing.assert_allclose(
        smooth + left * rough, rows.var(axis=0, dtype=np.float64) * 24 / mean, rtol=1e-4, atol=1e-4
    )


def test_small_changes_of_large_numbers_are_seen():
    rows = (1e6 + np.arange(24)[:, None] * np.ones(3)).astype(np.float32)
    smooth, rough = split_variation(rows, rows.mean(axis=0, dtype=np.float64))
    assert (smooth > 0.99 * rows.astype(float).var(axis=0) * 24 / 1e6).all()
    assert (rough < 1e-5).all()
