"""What a curve is taken for, and Tc, beta, widths and tails against the planted ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from xtec.core.types import Float64Array
from xtec.order_parameter.candidates import (
    FIRST_ORDER,
    SECOND_ORDER,
    SMEARED,
    SMOOTH,
    TWO,
    Candidate,
    Curve,
)
from xtec.order_parameter.fit import _with_tail, fit_curve
from xtec.order_parameter.models import onset, tail

COARSE, DENSE, DENSER = (np.linspace(30.0, 220.0, n) for n in (24, 96, 191))

Measured = Callable[..., Curve]


def law(x: Float64Array, tc: float, beta: float = 0.35) -> Float64Array:
    """``(1 - T/Tc)^(2 beta)``."""
    return onset(x, tc, beta, 0.0)


def smeared_law(x: Float64Array, tc: float, width: float, beta: float = 0.35) -> Float64Array:
    """Mean of `law` over a Gaussian distribution of Tc, by the trapezoidal rule."""
    z = np.linspace(-5, 5, 1001)
    weight = np.exp(-(z**2) / 2)
    return weight @ onset(x, tc + width * z[:, None], beta, 0.0) / weight.sum()


@pytest.mark.parametrize("beta", [0.125, 0.23, 0.35, 0.5])
@pytest.mark.parametrize("tc", [71.3, 131.0, 188.8])
def test_exact_onsets_give_back_tc_and_beta(measured: Measured, tc: float, beta: float) -> None:
    curve = measured(COARSE, 1 + 5 * law(COARSE, tc, beta) - 0.001 * COARSE, 1e-3)
    fit = fit_curve(curve)
    assert fit.orders
    assert fit.best.kind == SECOND_ORDER
    assert (len(fit.tc), fit.scale) == (1, 1.0)
    assert fit.tc[0].value == pytest.approx(tc, abs=0.02)
    assert fit.beta[0].value == pytest.approx(beta, abs=1e-3)
    assert fit.tc[0].holds(tc)
    assert fit.beta[0].holds(beta)
    assert fit.best.rises == pytest.approx(5 * law(np.array([30.0]), tc, beta), rel=2e-3)


@pytest.mark.parametrize("seed", range(3))
def test_saturating_onsets_keep_their_exponent(measured: Measured, seed: int) -> None:
    curve = measured(DENSE, 1 + 5 * onset(DENSE, 131.0, 0.3, 30.0, 2.2), 0.02, seed)
    fit = fit_curve(curve)
    assert fit.best.saturation > 1
    assert fit.tc[0].value == pytest.approx(131, abs=1)
    assert fit.beta[0].value == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize("grows", [0.0, 0.002])
@pytest.mark.parametrize("seed", [None, 0, 1])
def test_a_jump_lies_in_the_gap_between_two_temperatures(
    measured: Measured, grows: float, seed: int | None
) -> None:
    truth = 1 + 5 * (COARSE < 131) * (1 + grows * (131 - COARSE))
    fit = fit_curve(measured(COARSE, truth, 0.03, seed))
    assert fit.best.kind == FIRST_ORDER
    (tc,) = fit.tc
    assert fit.beta == (None,)
    gap = COARSE[COARSE < 131].max(), COARSE[COARSE > 131].min()
    assert tc.low <= gap[0] < tc.value < gap[1] <= tc.high
    assert tc.holds(131)


SMOOTH_CURVES: dict[str, Callable[[np.random.Generator, Float64Array], Float64Array]] = {
    "line": lambda rng, x: 1 - rng.uniform(0, 1) * x / 220,
    "Debye-Waller": lambda rng, x: np.exp(-rng.uniform(0.1, 3) * x / 220),
    "anharmonic": lambda rng, x: np.exp(-rng.uniform(0.1, 1) * x / 220 - rng.uniform(0, 2) * (x / 220) ** 2),
    "Curie": lambda rng, x: rng.uniform(0, 1) + 30 / (x + rng.uniform(0, 150)),
    "thermal diffuse": lambda rng, x: 0.1 + rng.uniform(0.5, 2) * x / 220,
    "phonon": lambda rng, x: 1 / np.tanh(rng.uniform(20, 200) / x),
    "moving peak": lambda rng, x: (
        rng.uniform(0, 1) + 1 / (1 + np.exp((x - rng.uniform(80, 170)) / rng.uniform(40, 60)))
    ),
    "noise": lambda rng, x: np.ones_like(x),
}


@pytest.mark.parametrize("sigma", [1e-4, 1e-3, 1e-2])
@pytest.mark.parametrize("kind", SMOOTH_CURVES)
def test_smooth_curves_without_noise_do_not_order(measured: Measured, kind: str, sigma: float) -> None:
    fit = fit_curve(measured(COARSE, SMOOTH_CURVES[kind](np.random.default_rng(0), COARSE), sigma))
    assert not fit.orders
    assert (fit.tc, fit.beta, fit.width, fit.tail) == ((), (), None, None)
    assert fit.best.kind == SMOOTH
    assert fit.reason


def false_transitions(
    counted: Callable[..., Curve],
    kinds: list[Callable[[np.random.Generator, Float64Array], Float64Array]],
    n: int,
) -> int:
    """Of n noisy curves of several kinds and numbers of temperatures, those that seem to order."""
    wrong = 0
    for i in range(n):
        rng = np.random.default_rng([i, 5])
        x = np.linspace(30, 220, int(rng.integers(10, 60)))
        wrong += fit_curve(counted(x, kinds[i % len(kinds)](rng, x), 10 ** rng.uniform(2, 5), rng)).orders
    return wrong


@pytest.mark.parametrize("n", [32, pytest.param(104, marks=pytest.mark.slow)])
def test_about_one_in_fifty_smooth_and_noisy_curves_or_fewer_are_taken_for_order(
    counted: Callable[..., Curve], n: int
) -> None:
    assert false_transitions(counted, list(SMOOTH_CURVES.values()), n) <= 1 + n // 100


def test_fluctuations_of_order_below_the_scan_are_no_transition(counted: Callable[..., Curve]) -> None:
    """Critical scattering, a Curie-Weiss law of a Weiss temperature 5 to 30 K below the lowest one."""

    def critical(rng: np.random.Generator, x: Float64Array) -> Float64Array:
        return rng.uniform(0, 1) + 30 / (x - rng.uniform(0, 25))

    assert false_transitions(counted, [critical], 16) <= 1


def test_intensity_that_sets_in_above_a_temperature_does_not_order(measured: Measured) -> None:
    fit = fit_curve(measured(COARSE, 6 - 5 * law(COARSE, 131), 0.02, 0))
    assert not fit.orders
    assert fit.reason == "no onset below which 10 % of its intensity is gained"


def test_a_faint_onset_on_a_strong_peak_does_not_order(measured: Measured) -> None:
    truth = 100 + 5 * law(COARSE, 131)
    assert not fit_curve(measured(COARSE, truth, 0.02, 0)).orders
    assert fit_curve(measured(COARSE, truth - 95, 0.02, 0)).orders


def test_fluctuations_on_top_of_order_are_reported_as_a_share_of_it(measured: Measured) -> None:
    rise = 5 * law(np.array([30.0]), 131)[0]
    truth = 1 + 5 * law(DENSE, 131) + 0.06 * rise * tail(DENSE, 131.0, 0.03)
    fits = [fit_curve(measured(DENSE, truth, 0.01, seed)) for seed in range(8)]
    for fit in fits:
        assert fit.best.kind == SECOND_ORDER
        assert fit.tail.value == pytest.approx(0.06, abs=0.02)
        assert fit.tail.value == pytest.approx(fit.best.coefficients[1] / fit.best.rises[0], abs=0.005)
        assert fit.tc[0].value == pytest.approx(131, abs=1)
    assert sum(fit.tail.holds(0.06) for fit in fits) >= 6
    assert sum(fit.tc[0].holds(131) for fit in fits) >= 6


@pytest.mark.parametrize("seed", range(3))
def test_order_without_fluctuations_reports_none(measured: Measured, seed: int) -> None:
    fit = fit_curve(measured(DENSE, 1 + 5 * law(DENSE, 131), 0.01, seed))
    assert fit.tail is None
    assert not fit.best.rounding or fit.best.coefficients[1] > 0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("width", [4.0, 8.0])
def test_a_smeared_onset_gives_its_width(measured: Measured, width: float, seed: int) -> None:
    fit = fit_curve(measured(DENSE, 1 + 5 * smeared_law(DENSE, 131, width), 0.01, seed))
    assert fit.orders
    assert fit.best.kind == SMEARED
    assert fit.width.value == pytest.approx(width, rel=0.25)
    assert fit.tc[0].value == pytest.approx(131, abs=1)
    assert fit.beta[0].value == pytest.approx(0.35, abs=0.02)
    assert fit.width.units == "K"


def test_fluctuations_beside_a_smeared_onset_count_where_they_are_above_zero(measured: Measured) -> None:
    around = tail(COARSE, 131.0, 0.08)
    for height, n in ((0.5, 1), (-0.5, 0)):
        curve = measured(COARSE, 1 + 5 * smeared_law(COARSE, 131, 8) + height * around, 0.02)
        best = Candidate(SMEARED, np.inf, 6, (131.0,), (0.35,), width=8.0).refitted(curve)
        found = _with_tail(best, curve)
        assert len(found) == n
        assert all(one.n_parameters == 7 for one in found)
        assert [one.coefficients[1] for one in found] == pytest.approx([height] * n, rel=0.05)
        assert [one.tc[0] for one in found] == pytest.approx([131] * n, abs=0.2)
    assert _with_tail(replace(best, kind=SECOND_ORDER), curve) == []


@pytest.mark.parametrize("slope", [-0.004, 0.004])
def test_a_smeared_onset_on_a_sloping_background_gives_its_width(measured: Measured, slope: float) -> None:
    truth = 2 + 5 * smeared_law(COARSE, 131, 12) + slope * COARSE
    fit = fit_curve(measured(COARSE, truth, 0.01))
    assert fit.best.kind == SMEARED
    assert fit.width.value == pytest.approx(12, rel=0.1)
    assert fit.tc[0].value == pytest.approx(131, abs=1)


def test_a_wide_crossover_is_order_where_no_polynomial_follows_it(measured: Measured) -> None:
    """Of 20 K, at an error where the planted curve has a BIC lower by more than ten than any polynomial."""
    fit = fit_curve(measured(DENSE, 1 + 5 * smeared_law(DENSE, 131, 20), 0.01))
    assert fit.best.kind == SMEARED
    assert fit.width.value == pytest.approx(20, rel=0.1)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("x", "sigma", "temperatures"), [(DENSER, 0.01, (131.0, 126.0)), (DENSE, 0.02, (171.0, 101.0))]
)
def test_two_onsets_are_told_apart_where_temperatures_are_dense(
    measured: Measured, x: Float64Array, sigma: float, temperatures: tuple[float, float], seed: int
) -> None:
    fit = fit_curve(measured(x, 1 + sum(5 * law(x, tc) for tc in temperatures), sigma, seed))
    assert fit.orders
    assert fit.best.kind == TWO
    for tc, beta, truth in zip(fit.tc, fit.beta, temperatures, strict=True):
        assert tc.value == pytest.approx(truth, abs=0.6)
        assert beta.value == pytest.approx(0.35, abs=0.03)
        assert tc.holds(truth) or abs(tc.value - truth) < 0.2


@pytest.mark.parametrize("seed", range(3))
def test_two_onsets_within_a_spacing_are_one(measured: Measured, seed: int) -> None:
    truth = 1 + 5 * law(COARSE, 131) + 5 * law(COARSE, 126)
    fit = fit_curve(measured(COARSE, truth, 0.03, seed))
    assert len(fit.tc) == 1
    assert 126 < fit.tc[0].value < 131


@pytest.mark.parametrize(("share", "onsets"), [(0.05, 1), (0.3, 2)])
def test_a_second_onset_gains_a_tenth_at_least(measured: Measured, share: float, onsets: int) -> None:
    curve = measured(DENSER, 1 + 5 * law(DENSER, 171) + 5 * share * law(DENSER, 101), 1e-3, 0)
    assert len(fit_curve(curve).tc) == onsets


@pytest.mark.parametrize("n", [11, 12])
def test_two_onsets_take_twelve_temperatures(measured: Measured, n: int) -> None:
    x = np.linspace(30, 250, n)
    fit = fit_curve(measured(x, 1 + 5 * law(x, 201) + 9 * law(x, 105), 1e-4))
    assert (TWO in fit.criteria) == (n == 12)


def test_intervals_of_two_onsets_are_those_of_the_errors_given(measured: Measured) -> None:
    """Half-lengths on exact data against 1.97 standard deviations from the curvature at the truth."""
    truth = (131.45, 0.35, 126.45, 0.35)  # between temperatures: at one of them a curve has a cusp

    def columns(tc1: float, beta1: float, tc2: float, beta2: float) -> Float64Array:
        line = [np.ones_like(DENSER), DENSER]
        return np.stack([law(DENSER, tc1, beta1), law(DENSER, tc2, beta2), *line], axis=1)

    steps = np.diag([1e-4, 1e-5, 1e-4, 1e-5])
    weights = np.array([5.0, 5.0, 1.0, 0.0])
    slopes = [(columns(*(truth + h)) - columns(*(truth - h))) @ weights / (2 * h.sum()) for h in steps]
    jacobian = np.concatenate([np.stack(slopes, axis=1), columns(*truth)], axis=1) / 3e-3
    expected = 1.97 * np.sqrt(np.diag(np.linalg.inv(jacobian.T @ jacobian))[:4])
    fit = fit_curve(measured(DENSER, columns(*truth) @ weights, 3e-3))
    found = [one.error for one in (fit.tc[0], fit.beta[0], fit.tc[1], fit.beta[1])]
    np.testing.assert_allclose(found, expected, rtol=0.5)


@pytest.mark.parametrize("n", [1, 2, 5, 7])
def test_too_few_temperatures_say_so(measured: Measured, n: int) -> None:
    x = np.repeat(np.linspace(30, 220, n), 3)
    fit = fit_curve(measured(x, 1 + 5 * law(x, 131), 0.01))
    assert not fit.orders
    assert fit.best is None
    assert "temperatures" in fit.reason


@pytest.mark.parametrize("factor", [1e-9, 1e-3, 1e3, 1e5, 1e7, 1e9])
def test_the_unit_of_intensity_does_not_matter(measured: Measured, factor: float) -> None:
    curve = measured(COARSE, 1 + 5 * law(COARSE, 131), 0.02, 1)
    one = fit_curve(curve)
    other = fit_curve(replace(curve, y=factor * curve.y, sigma=factor * curve.sigma))
    assert other.orders
    for mine, yours in ((one.tc[0], other.tc[0]), (one.beta[0], other.beta[0])):
        assert (yours.value, yours.low, yours.high) == pytest.approx(
            (mine.value, mine.low, mine.high), rel=1e-5
        )


def test_a_straight_background_does_not_matter(measured: Measured) -> None:
    curve = measured(COARSE, 1 + 5 * law(COARSE, 131), 0.02, 1)
    one, other = fit_curve(curve), fit_curve(replace(curve, y=curve.y + 3 + 0.01 * COARSE))
    assert other.tc[0].value == pytest.approx(one.tc[0].value, abs=0.01)
    assert other.beta[0].value == pytest.approx(one.beta[0].value, abs=1e-3)


@pytest.mark.parametrize("shift", [-400.0, -100.0, 1000.0])
def test_the_zero_of_the_scan_variable_does_not_matter(measured: Measured, shift: float) -> None:
    """Fields and degrees Celsius have no absolute zero."""
    curve = measured(COARSE, 1 + 5 * law(COARSE, 131), 0.005, 1)
    one, other = fit_curve(curve), fit_curve(replace(curve, x=COARSE + shift))
    assert other.orders
    assert other.tc[0].value - shift == pytest.approx(one.tc[0].value, abs=0.3)
    assert other.tc[0].holds(131 + shift)
    assert other.beta[0].value == pytest.approx(one.beta[0].value, abs=0.005)


@pytest.mark.parametrize("jitter", [0.0, 1e-6, 0.05])
def test_temperatures_may_repeat(measured: Measured, jitter: float) -> None:
    x = np.repeat(COARSE, 2)
    x = np.sort(x + jitter * np.random.default_rng(0).standard_normal(len(x)))
    fit = fit_curve(measured(x, 1 + 5 * law(x, 131), 0.02, 2))
    assert fit.best.kind == SECOND_ORDER
    assert fit.tc[0].value == pytest.approx(131, abs=1)
    assert fit.beta[0].value == pytest.approx(0.35, abs=0.02)


def test_unevenly_spaced_temperatures(measured: Measured) -> None:
    x = np.r_[np.arange(5, 100, 19.0), np.arange(100, 160, 3.0), np.arange(160, 300, 28.0)]
    fit = fit_curve(measured(x, 1 + 5 * law(x, 131), 0.02, 0))
    assert fit.tc[0].holds(131)
    assert fit.tc[0].value == pytest.approx(131, abs=1)


@pytest.mark.parametrize("units", ["K", "T", ""])
def test_temperatures_are_in_the_units_given(measured: Measured, units: str) -> None:
    fit = fit_curve(measured(COARSE, 1 + 5 * law(COARSE, 131), 0.02, 0), units)
    assert [one.units for one in fit.tc] == [units]
    assert [one.units for one in fit.beta] == [""]


def test_intervals_grow_with_what_the_fit_leaves(measured: Measured) -> None:
    """Errors given three times too small are found out."""
    curve = measured(DENSE, 1 + 5 * law(DENSE, 131), 0.03, 0)
    honest, boastful = fit_curve(curve), fit_curve(replace(curve, sigma=curve.sigma / 3))
    assert boastful.scale == pytest.approx(9, rel=0.35)
    assert boastful.tc[0].error == pytest.approx(honest.tc[0].error, rel=0.3)


def test_the_scale_counts_the_degrees_of_freedom(measured: Measured) -> None:
    """Of a curve with errors given three times too small: the sum of squares over n - p is 9 on average."""
    scales = []
    for seed in range(10):
        curve = measured(COARSE, 1 + 5 * law(COARSE, 131), 0.03, seed)
        scales.append(fit_curve(replace(curve, sigma=curve.sigma / 3)).scale)
    assert np.mean(scales) == pytest.approx(9, rel=0.2)  # over n + p it would be 5.9


def test_draws_that_scatter_widen_the_intervals_and_draws_that_agree_do_not(measured: Measured) -> None:
    curve = measured(DENSE, 1 + 5 * law(DENSE, 131), 0.02, 0)
    rng = np.random.default_rng(0)
    scattered = np.stack([1 + 5 * law(DENSE, tc) for tc in 131 + rng.normal(0, 1.0, 60)])
    one = fit_curve(curve)
    same = fit_curve(curve, resampled=np.tile(curve.y, (60, 1)))
    wide = fit_curve(curve, resampled=scattered)
    assert same.tc[0].error == pytest.approx(one.tc[0].error, rel=0.02)
    assert wide.tc[0].error > one.tc[0].error + 0.3
