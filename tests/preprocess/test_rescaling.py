"""Rescaled trajectories against their closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from xtec.core.errors import InputError
from xtec.core.types import Rescale
from xtec.preprocess import rescale, varying

CLOSED_FORMS = {
    Rescale.MEAN: lambda row: row / row.mean() - 1,
    Rescale.ZSCORE: lambda row: (row - row.mean()) / row.std(),
    Rescale.LOG_MEAN: lambda row: np.log(row) - np.log(row).mean(),
    Rescale.NONE: lambda row: row,
}


@pytest.fixture
def trajectories():
    return np.random.default_rng(0).lognormal(4, 1, (50, 13))


@pytest.mark.parametrize("how", list(Rescale))
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-13), (np.float32, 2e-6)])
def test_each_trajectory_follows_the_closed_form(trajectories, how, dtype, tolerance):
    given = trajectories.astype(dtype)
    expected = np.array([CLOSED_FORMS[how](row) for row in given.astype(np.float64)])
    rescaled = rescale(given, how)
    assert rescaled.rows.dtype == dtype
    np.testing.assert_allclose(rescaled.rows, expected, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(rescaled.intensity(), given, rtol=4 * tolerance)


@pytest.mark.parametrize("how", [Rescale.MEAN, Rescale.ZSCORE, Rescale.LOG_MEAN])
def test_brightness_drops_out(trajectories, how):
    np.testing.assert_allclose(
        rescale(37.5 * trajectories, how).rows, rescale(trajectories, how).rows, atol=1e-12
    )


@pytest.mark.parametrize("how", [Rescale.ZSCORE])
def test_zscore_drops_an_offset_too(trajectories, how):
    np.testing.assert_allclose(
        rescale(trajectories + 100, how).rows, rescale(trajectories, how).rows, atol=1e-9
    )


def test_input_is_left_alone(trajectories):
    before = trajectories.copy()
    for how in Rescale:
        rescale(trajectories, how)
    np.testing.assert_array_equal(trajectories, before)


@pytest.mark.parametrize(
    ("how", "row"),
    [
        (Rescale.MEAN, [1.0, -1.0, 0.0]),
        (Rescale.MEAN, [0.0, 0.0, 0.0]),
        (Rescale.MEAN, [-2.0, -1.0, 1.0]),
        (Rescale.ZSCORE, [3.0, 3.0, 3.0]),
        (Rescale.LOG_MEAN, [1.0, 0.0, 2.0]),
        (Rescale.LOG_MEAN, [1.0, -1.0, 2.0]),
    ],
)
def test_what_cannot_be_rescaled_is_an_error_with_a_way_out(how, row):
    with pytest.raises(InputError) as caught:
        rescale(np.array([[1.0, 2.0, 4.0], row]), how)
    assert "--rescale" in str(caught.value)


def test_large_float32_counts_keep_their_digits():
    row = np.array([[1e7, 1e7 + 1, 1e7 + 2]], dtype=np.float32)
    np.testing.assert_allclose(
        rescale(row, Rescale.ZSCORE).rows[0], [-np.sqrt(1.5), 0, np.sqrt(1.5)], atol=1e-6
    )
    np.testing.assert_allclose(rescale(row, Rescale.MEAN).rows[0], [-1e-7, 0, 1e-7], atol=1e-13)


def test_varying_compares_the_standard_deviation_over_temperature(trajectories):
    std = trajectories.std(axis=1)
    least = float(np.median(std))
    np.testing.assert_array_equal(varying(trajectories, least), std >= least)
    assert varying(trajectories, 0.0).all()
    assert not varying(trajectories, np.inf).any()
    np.testing.assert_array_equal(varying(np.array([[0.0, 2.0], [1.0, 1.0]]), 1.0), [True, False])
