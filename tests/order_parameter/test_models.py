"""Shapes of order parameters against closed forms and adaptive quadrature."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from xtec.order_parameter.models import onset, smeared_onset, step, tail

X = np.linspace(30.0, 220.0, 39)
BETAS = [0.1, 0.125, 0.35, 0.5, 1.0]
SATURATIONS = [1.0, 1.5, 3.3, 5.0]


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("tc", [60.0, 131.0, 219.0])
def test_an_onset_is_the_power_law_up_to_its_height_at_the_lowest_temperature(tc: float, beta: float) -> None:
    law = np.clip(1 - X / tc, 0, None) ** (2 * beta)
    np.testing.assert_allclose(onset(X, tc, beta, 30.0), law / (1 - 30 / tc) ** (2 * beta), rtol=1e-12)
    np.testing.assert_allclose(onset(X, tc, beta, 0.0), law, rtol=1e-12)


@pytest.mark.parametrize("saturation", SATURATIONS)
@pytest.mark.parametrize("beta", BETAS)
def test_the_exponent_near_tc_does_not_depend_on_saturation(saturation: float, beta: float) -> None:
    far, near = onset(131.0 - np.array([1e-3, 1e-5]), 131.0, beta, 30.0, saturation)
    assert np.log(far / near) / np.log(100) == pytest.approx(2 * beta, abs=1e-4)


@pytest.mark.parametrize("saturation", SATURATIONS)
def test_onsets_fall_from_one_to_zero_and_level_off_the_more_the_larger_the_saturation(
    saturation: float,
) -> None:
    curve = onset(X, 131.0, 0.35, 30.0, saturation)
    assert curve[0] == 1
    assert (np.diff(curve[X < 131]) < 0).all()
    assert (curve[X >= 131] == 0).all()
    inside = (X > 30) & (X < 131)
    assert (curve < onset(X, 131.0, 0.35, 30.0, saturation + 0.5))[inside].all()


def test_onsets_of_many_temperatures_and_exponents_at_once() -> None:
    tc, beta = np.array([90.0, 131.0]), np.array([0.2, 0.35, 0.5])
    together = onset(X, tc[:, None, None], beta[:, None], 30.0)
    for i, j in np.ndindex(2, 3):
        np.testing.assert_array_equal(together[i, j], onset(X, tc[i], beta[j], 30.0))


@pytest.mark.parametrize("beta", [0.125, 0.2, 0.35, 0.5])
@pytest.mark.parametrize(("tc", "width"), [(131.0, 1.0), (131.0, 5.0), (131.0, 15.0), (60.0, 10.0)])
def test_a_smeared_onset_is_the_mean_of_power_laws_over_a_gaussian(
    tc: float, width: float, beta: float
) -> None:
    def mean(x: float) -> float:
        ends = x, max(x, tc + 8 * width)
        inside = [c for c in (tc - width, tc, tc + width) if ends[0] < c < ends[1]]
        return quad(
            lambda c: norm.pdf(c, tc, width) * (1 - x / c) ** (2 * beta), *ends, points=inside, limit=200
        )[0]

    truth = np.array([mean(x) for x in X])
    np.testing.assert_allclose(smeared_onset(X, tc, beta, width, 30.0), truth / truth[0], atol=2e-3)


@pytest.mark.parametrize("beta", [0.125, 0.5])
def test_parts_of_a_smeared_onset_are_as_high_as_each_other_at_zero(beta: float) -> None:
    """A scan from zero: there the mean is one as each of its parts is."""
    x, tc, width = np.linspace(0.0, 60.0, 13), 20.0, 4.0
    centres = tc + width * np.linspace(-4.9, 4.9, 40_001)
    weights = norm.pdf(centres, tc, width)
    mean = np.array([weights @ np.clip(1 - at / centres, 0, None) ** (2 * beta) for at in x]) / weights.sum()
    np.testing.assert_allclose(smeared_onset(x, tc, beta, width, 0.0), mean, atol=1e-5)


def test_an_onset_without_smearing_is_not_smeared() -> None:
    np.testing.assert_array_equal(smeared_onset(X, 131.0, 0.35, 0.0, 30.0), onset(X, 131.0, 0.35, 30.0))
    np.testing.assert_allclose(
        smeared_onset(X, 131.0, 0.35, 1e-9, 30.0), onset(X, 131.0, 0.35, 30.0), atol=1e-9
    )


@pytest.mark.parametrize("rounding", [0.01, 0.2])
def test_a_tail_is_a_curie_weiss_law_on_both_sides(rounding: float) -> None:
    curve = tail(X, 131.0, rounding)
    np.testing.assert_allclose(1 / curve, 1 + np.abs(X - 131) / (131 * rounding), rtol=1e-12)
    assert tail(np.array([131.0]), 131.0, rounding) == 1
    assert tail(131 * np.array([1 - rounding, 1 + rounding]), 131.0, rounding) == pytest.approx([0.5, 0.5])


def test_a_step_is_level_below_tc_and_what_grows_is_a_straight_line() -> None:
    x = np.array([30.0, 80.5, 130.0, 131.0, 220.0])
    jumped, grown = step(x, 131.0, 30.0)
    np.testing.assert_array_equal(jumped, [1, 1, 1, 0, 0])
    np.testing.assert_allclose(grown, [1, 0.5, 1 / 101, 0, 0], rtol=1e-12)
