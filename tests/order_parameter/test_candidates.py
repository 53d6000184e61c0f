"""Where onsets are looked for, and least squares of one curve, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from xtec.order_parameter.candidates import Curve, start_grid

UNEVEN = np.r_[np.arange(5, 100, 19.0), np.arange(100, 160, 3.0), np.arange(160, 300, 28.0)]


def at(x: np.ndarray) -> Curve:
    rng = np.random.default_rng(0)
    return Curve(x, rng.normal(size=len(x)), rng.uniform(0.5, 2.0, len(x)))


@pytest.mark.parametrize("times", [1, 3])
def test_six_onsets_are_tried_in_every_gap_between_temperatures(times: int) -> None:
    """But for the outermost gaps, where two temperatures are not left on either side."""
    found = start_grid(at(np.repeat(UNEVEN, times)))
    inner = UNEVEN[1:-1]
    shares = (np.arange(6) + 0.5) / 6
    expected = inner[:-1, None] + np.diff(inner)[:, None] * shares
    np.testing.assert_allclose(found.tc, expected.ravel(), rtol=1e-12)


@pytest.mark.parametrize("n", [60, 200, 241, 500, 2000])
def test_many_temperatures_share_some_hundred_onsets_all_over_the_scan(n: int) -> None:
    x = np.linspace(30.0, 220.0, n)
    tc = start_grid(at(x)).tc
    assert 100 <= len(tc) <= 240
    np.testing.assert_allclose(np.diff(tc), np.diff(tc)[0], rtol=1e-9)
    assert x[1] < tc[0] < tc[-1] < x[-2]
    assert tc[0] - x[1] < np.diff(tc)[0]
    assert x[-2] - tc[-1] < 2 * np.diff(tc)[0]


def test_least_squares_are_weighted_by_the_errors() -> None:
    curve = at(UNEVEN)
    columns = np.stack([np.ones_like(UNEVEN), UNEVEN, UNEVEN**2], axis=1)
    coefficients, misfit = curve.least_squares(columns)
    expected = np.polynomial.polynomial.polyfit(UNEVEN, curve.y, 2, w=1 / curve.sigma)
    np.testing.assert_allclose(coefficients, expected, rtol=1e-7)
    left = (curve.y - columns @ expected) / curve.sigma
    assert misfit == pytest.approx((left**2).sum())
    np.testing.assert_allclose(curve.residual(columns), left, atol=1e-9)
