"""Where onsets are looked for, and least squares of one curve, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from xtec.order_parameter.candidates import (
    SATURATIONS,
    SMEARED,
    SMOOTH,
    Candidate,
    Curve,
    jump,
    one_onset,
    smeared,
    smooth,
    start_grid,
    two_onsets,
)
from xtec.order_parameter.polish import polished

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


def noisy(truth: np.ndarray, x: np.ndarray, sigma: float = 0.01) -> Curve:
    rng = np.random.default_rng(1)
    return Curve(x, truth + sigma * rng.standard_normal(len(x)), np.full(len(x), sigma))


WARM = np.linspace(20.0, 300.0, 29)
ORDER = np.clip(1 - WARM / 160, 0, None) ** 0.7
TAILED = ORDER + 0.1 / (1 + np.abs(WARM / 160 - 1) / 0.08) + 0.2


def test_parameters_are_counted() -> None:
    """What BIC charges for: the columns of least squares, and what else each form may choose."""
    curve = noisy(TAILED, WARM)
    onsets = list(one_onset(curve))
    pair = two_onsets(noisy(ORDER + np.clip(1 - WARM / 80, 0, None) ** 0.7, WARM))
    assert pair is not None
    found = [
        *smooth(curve),
        *jump(curve),
        *onsets,
        *smeared(curve, onsets[0]),
        *smeared(curve, onsets[-1]),
        pair,
    ]
    assert {one.saturation for one in onsets} == set(SATURATIONS)
    assert any(one.rounding for one in onsets)
    for one in found:
        columns = one.design(WARM, curve).shape[1] - int(not one.coefficients.all())  # a jump without growth
        chosen = len(one.tc) + len(one.beta) + bool(one.rounding) + (one.kind == SMEARED)
        chosen += (one.saturation != 1.0) + (one.weiss is not None)
        assert one.n_parameters == columns + chosen, one


def test_a_jump_never_shrinks_on_cooling() -> None:
    """Intensity that falls again below a jump is the background's, or not described."""
    curve = noisy(np.where(WARM < 155, 1.0 - 0.004 * (155 - WARM), 0.0) + 0.3, WARM)
    found = list(jump(curve))
    assert found
    for one in found:
        assert (one.coefficients[:2] >= 0).all()
    assert min(found, key=lambda one: one.misfit).tc[0] == pytest.approx(155)


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_two_onsets_in_any_unit(factor: float) -> None:
    truth = ORDER + np.clip(1 - WARM / 80, 0, None) ** 0.7 + 0.2
    one = two_onsets(noisy(truth, WARM))
    other = two_onsets(Curve(WARM, *(factor * part for part in (noisy(truth, WARM).y, np.full(29, 0.01)))))
    assert one is not None
    assert other is not None
    assert (other.tc, other.beta) == (one.tc, one.beta)
    np.testing.assert_allclose(other.coefficients, factor * one.coefficients, rtol=1e-6)


def test_polynomials_are_those_of_numpy() -> None:
    curve = noisy(TAILED, WARM)
    for one in smooth(curve):
        if one.weiss is None:
            expected = np.polynomial.Polynomial.fit(WARM, curve.y, one.n_parameters - 1)
            np.testing.assert_allclose(one.evaluate(WARM, curve), expected(WARM), rtol=1e-8)
            assert one.kind == SMOOTH


def test_what_rises_with_temperature_is_not_polished_into_an_order() -> None:
    curve = noisy(1.0 - 0.5 * ORDER, WARM)
    start = Candidate("second-order", np.inf, 5, (150.0,), (0.3,)).refitted(curve)
    assert start.rises < 0
    assert polished(start, curve) is start
