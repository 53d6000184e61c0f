"""Counting noise told by the data, against counts that were drawn."""

from __future__ import annotations

import numpy as np
import pytest

from xtec.core.errors import InputError
from xtec.core.types import Rescale
from xtec.preprocess import CountScale, noise_of_rescaled, rescale

SCAN = np.array([30.0, 40.0, 45.0, 60.0, 80.0, 85.0, 100.0, 130.0, 135.0, 150.0, 170.0, 200.0])


def counted(counts, levels, shape=1.0, n=4000):
    """Intensities of n voxels at each level, counted."""
    expected = np.repeat(levels, n)[:, None] * np.broadcast_to(shape, SCAN.shape)
    return np.random.default_rng(0).poisson(counts * expected) / counts


@pytest.mark.parametrize("counts", [0.5, 1.0, 20.0])
def test_quiet_voxels_tell_the_scale(counts):
    rows = counted(counts, [8.0, 40.0, 300.0])
    scale = CountScale.estimate(rows.mean(axis=1), rows.var(axis=1, ddof=1), SCAN.size - 1)
    np.testing.assert_allclose(counts * scale(np.array([8.0, 40.0, 300.0, 1e5])), 1, atol=0.05)


def test_a_scale_that_grows_with_intensity_is_followed():
    levels = np.array([10.0, 100.0, 1000.0])
    rows = np.concatenate([counted(c, [level]) for c, level in zip([1, 0.5, 0.1], levels, strict=True)])
    scale = CountScale.estimate(rows.mean(axis=1), rows.var(axis=1, ddof=1), SCAN.size - 1)
    np.testing.assert_allclose(scale(levels), [1, 2, 10], rtol=0.06)


def test_voxels_that_do_not_vary_tell_nothing():
    with pytest.raises(InputError, match="do not vary"):
        CountScale.estimate(np.ones(10), np.zeros(10), 5)


@pytest.mark.parametrize("how", list(Rescale))
def test_noise_of_rescaled_counts(how):
    """Of flat trajectories: the variance that they have, but for what their own mean and width take up."""
    rows = counted(2.0, [50.0, 500.0])
    rescaled = rescale(rows, how)
    noise = noise_of_rescaled(CountScale.constant(2.0), rows.mean(axis=1), rescaled)
    if how is Rescale.NONE:
        np.testing.assert_allclose(noise, 0.5)
    else:
        seen = rescaled.rows.var(axis=1, ddof=1)
        np.testing.assert_allclose(
            noise.reshape(2, -1).mean(axis=1) / seen.reshape(2, -1).mean(axis=1), 1, rtol=0.25
        )
    averaged = noise_of_rescaled(CountScale.constant(2.0), rows.mean(axis=1), rescaled, np.full(8000, 4.0))
    np.testing.assert_allclose(averaged, noise / 4, rtol=1e-6)
