"""Intervals against closed forms, and against another minimiser at their ends."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import least_squares
from scipy.stats import chi2
from scipy.stats import f as fisher

from xtec.core.quantities import Quantity
from xtec.core.types import Float64Array
from xtec.order_parameter.candidates import SECOND_ORDER, SMEARED, TWO, Candidate, Curve
from xtec.order_parameter.intervals import Intervals, _stretched, _wider, profile_interval, threshold
from xtec.order_parameter.models import onset
from xtec.order_parameter.polish import polished, profiled

X = np.linspace(30.0, 220.0, 96)

Measured = Callable[..., Curve]


@pytest.mark.parametrize("n_parameters", [4, 5, 8])
@pytest.mark.parametrize("n", [9, 24, 191])
def test_thresholds_are_those_of_chi_square_and_of_f_where_errors_are_too_small(
    n: int, n_parameters: int
) -> None:
    freedom = n - n_parameters
    assert threshold(freedom, n, n_parameters, 1.0) == pytest.approx(chi2.ppf(0.95, 1), rel=1e-3)
    assert threshold(0.1 * freedom, n, n_parameters, 1.0) == pytest.approx(chi2.ppf(0.95, 1), rel=1e-3)
    f = fisher.ppf(0.95, 1, freedom)
    assert threshold(3.0 * freedom, n, n_parameters, 1.0) == pytest.approx(3 * f)
    assert threshold(3.0 * freedom, n, n_parameters, 4.0) == pytest.approx(4 * f)


def test_no_freedom_left_counts_as_one() -> None:
    for n in (5, 4, 3):
        assert threshold(2.0, n, 5, 1.0) == pytest.approx(2 * fisher.ppf(0.95, 1, 1))


GRIDS = {
    "even": np.linspace(100.0, 160.0, 61),
    "uneven": np.union1d(np.linspace(100.0, 160.0, 33), [120.3, 131.2, 131.9, 147.0]),
}


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("at", [120.4, 131.0, 131.37, 139.9])
def test_a_parabola_gives_its_vertex_and_the_grid_points_just_outside(grid: str, at: float) -> None:
    values, width = GRIDS[grid], 4.0
    profile = 7.0 + ((values - at) / width) ** 2
    found = profile_interval(values, profile, 3.84)
    assert found.value == pytest.approx(at, abs=1e-6)
    reach = width * np.sqrt(profile.min() - 7.0 + 3.84)
    assert found.low == values[values < at - reach].max()
    assert found.high == values[values > at + reach].min()


@pytest.mark.parametrize("at", [95.0, 101.0, 159.0, 170.0])
def test_an_interval_is_open_where_the_grid_ends(at: float) -> None:
    values = GRIDS["even"]
    found = profile_interval(values, ((values - at) / 4.0) ** 2, 3.84)
    assert found.value == pytest.approx(np.clip(at, 100, 160), abs=1e-6)
    assert (found.low is None) == (at < 130)
    assert (found.high is None) == (at > 130)


@pytest.mark.parametrize("least", [1.3, 2.0, 4.6, 7.7])
def test_the_value_is_the_lowest_point_of_a_parabola_wherever_it_lies(least: float) -> None:
    values = np.arange(10.0)
    assert profile_interval(values, (values - least) ** 2, 3.84).value == pytest.approx(least)


def test_beside_a_point_without_a_fit_the_least_grid_point_is_the_value() -> None:
    values = np.arange(5.0)
    assert profile_interval(values, np.array([9.0, np.inf, 1.0, 1.5, 9.0]), 2.0) == Quantity(2.0, 1.0, 4.0)


def test_finer_steps_reach_to_the_first_point_that_is_not_near() -> None:
    values = np.linspace(100.0, 160.0, 61)
    near = (values > 119.5) & (values < 130.5)
    np.testing.assert_allclose(_stretched(values, near, 30.0, 220.0), np.linspace(119, 131, 49))
    beginning, end = values < 110.5, values > 149.5
    np.testing.assert_allclose(_stretched(values, beginning, 30.0, 220.0), np.linspace(94, 111, 49))
    np.testing.assert_allclose(_stretched(values, end, 30.0, 220.0), np.linspace(149, 166, 49))
    np.testing.assert_allclose(_stretched(values, beginning, 98.0, 220.0), np.linspace(98, 111, 49))
    np.testing.assert_allclose(_stretched(values, end, 30.0, 161.0), np.linspace(149, 161, 49))


def test_draws_widen_an_interval_about_its_own_value() -> None:
    drawn = list(np.linspace(199.0, 203.0, 401) ** 1.0)
    low, middle, high = np.quantile(drawn, [0.025, 0.5, 0.975])
    wide = _wider(Quantity(131.0, 130.5, 131.5), drawn)
    assert (wide.value, wide.low, wide.high) == (
        131.0,
        pytest.approx(131 - (middle - low)),
        pytest.approx(131 + (high - middle)),
    )
    for kept in (Quantity(131.0, 129.0, 133.0), Quantity(131.0, None, 131.5)):
        assert _wider(kept, drawn) == kept


def one_transition(tc: Quantity, beta: Quantity | None) -> Intervals:
    return Intervals(Candidate(SECOND_ORDER, 1.0, 5, (131.0,), (0.3,)), (tc,), (beta,))


def test_intervals_hold_those_of_another_form() -> None:
    mine = one_transition(Quantity(131.0, 130.0, 132.0), Quantity(0.3, 0.28, 0.32))
    other = one_transition(Quantity(133.0, 129.0, None), Quantity(0.35, 0.31, 0.36))
    both = mine.holding(other)
    assert both.tc == (Quantity(131.0, 129.0, 133.0),)
    assert both.beta == (Quantity(0.3, 0.28, 0.36),)
    inside = one_transition(Quantity(130.5, 130.2, 130.8), None)
    assert mine.holding(inside) == mine
    jump = one_transition(Quantity(131.0, 130.0, None), None)
    assert jump.holding(other).beta == (None,)
    assert jump.holding(other).tc == (Quantity(131.0, 129.0, None),)


def test_intervals_of_two_transitions_stay_apart() -> None:
    one = one_transition(Quantity(131.0, 130.0, 132.0), Quantity(0.3, 0.28, 0.32))
    two = Intervals(one.best, (Quantity(150.0, 149.0, 151.0), one.tc[0]), (None, None))
    assert two.holding(one) == two
    assert one.holding(two) == one


def smeared_curve(measured: Measured) -> tuple[Candidate, Curve]:
    """A smeared onset with noise, and its least sum of squares."""
    truth = Candidate(SMEARED, 0.0, 6, (131.0,), (0.35,), width=6.0)
    curve = measured(X, np.zeros(len(X)), 0.02)
    shape = truth.design(X, curve) @ [5.0, 1.0, -0.3]
    curve = measured(X, shape, 0.02, 3)
    return polished(truth.refitted(curve), curve), curve


def least(one: Candidate, curve: Curve, fixed: dict[str, float]) -> float:
    """Sum of squares with some parameters fixed, the least over the others, by another minimiser."""
    known = {"tc0": one.tc[0], "beta0": one.beta[0], "width": one.width}
    if one.kind == TWO:
        known = {"tc0": one.tc[0], "beta0": one.beta[0], "tc1": one.tc[1], "beta1": one.beta[1]}
    free = [name for name in known if name not in fixed]

    def residual(at: Float64Array) -> Float64Array:
        values = known | fixed | dict(zip(free, at, strict=True))
        n = len(one.tc)
        moved = Candidate(
            one.kind,
            0.0,
            one.n_parameters,
            tuple(values[f"tc{i}"] for i in range(n)),
            tuple(values[f"beta{i}"] for i in range(n)),
            values.get("width", 0.0),
        )
        weighted = moved.design(curve.x, curve) / curve.sigma[:, None]
        y = curve.y / curve.sigma
        return y - weighted @ np.linalg.lstsq(weighted, y, rcond=None)[0]

    scale = [max(abs(known[name]), 0.1) for name in free]
    return 2 * least_squares(residual, [known[name] for name in free], x_scale=scale, xtol=1e-12).cost


@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_at_the_ends_of_a_profile_the_sum_of_squares_has_risen_by_three_point_eight_four(
    measured: Measured, scale: float
) -> None:
    best, curve = smeared_curve(measured)
    found = profiled(best, curve, scale)
    assert set(found) == {"tc0", "beta0", "width"}
    assert best.misfit == pytest.approx(least(best, curve, {}), rel=1e-6)
    for name, (value, low, high) in found.items():
        assert value == pytest.approx(
            {"tc0": best.tc, "beta0": best.beta, "width": (best.width,)}[name][0], rel=1e-3
        )
        assert low is not None
        assert high is not None
        assert low < value < high
        for end in (low, high):
            risen = (least(best, curve, {name: end}) - best.misfit) / scale
            assert risen == pytest.approx(1.96**2, rel=0.1), name


def test_a_profile_without_an_end_is_open(measured: Measured) -> None:
    """With errors as large as the rise, no exponent and no width is ruled out."""
    best, curve = smeared_curve(measured)
    found = profiled(best, curve, 1e7)
    assert found["beta0"][1:] == (None, None)
    assert found["width"][1:] == (None, None)


@pytest.mark.parametrize(("tc", "beta"), [(133.0, 0.3), (128.5, 0.42)])
def test_polishing_finds_the_least_sum_of_squares_and_keeps_what_is_better(
    measured: Measured, tc: float, beta: float
) -> None:
    curve = measured(X, 1 + 5 * onset(X, 131.3, 0.35, 30.0), 0.02, 5)
    start = Candidate(SECOND_ORDER, np.inf, 5, (tc,), (beta,)).refitted(curve)
    found = polished(start, curve)
    assert found.misfit < start.misfit
    assert found.width == 0.0
    assert found.misfit == pytest.approx(least(found, curve, {"width": 0.0}), rel=1e-4)
    assert polished(found, curve).misfit <= found.misfit


def test_an_onset_of_negative_height_is_not_moved(measured: Measured) -> None:
    """Intensity that sets in above a temperature: polishing must not sell it as order."""
    curve = measured(X, 6 - 5 * onset(X, 131.3, 0.35, 30.0), 0.02, 5)
    start = Candidate(SECOND_ORDER, np.inf, 5, (128.0,), (0.3,)).refitted(curve)
    assert start.rises[0] < 0
    assert polished(start, curve) is start
