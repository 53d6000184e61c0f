"""Boundaries from the closed form: the truth comes back, and as often inside the intervals as they say."""

from __future__ import annotations

import numpy as np
import pytest

from xtec.core.diagram import Boundary, DiagramPoint
from xtec.core.errors import ConfigError
from xtec.core.quantities import Quantity
from xtec.phase_diagram import fit_boundary

COMPOSITIONS = (0.0, 0.2, 0.45, 0.65, 0.8)


def law(x, t0=138.0, xc=0.9, phi=0.5):
    return t0 * np.clip(1 - np.asarray(x, dtype=float) / xc, 0, None) ** phi


def transition(x, tc, error=1.0, name=""):
    interval = (None, None) if error is None else (tc - 1.96 * error, tc + 1.96 * error)
    return DiagramPoint(name or f"x={x}", float(x), Quantity(float(tc), *interval, "K"), None)


def limit(x, below=40.0):
    return DiagramPoint(f"none at {x}", float(x), None, below)


def on_law(xs=COMPOSITIONS, error=1.0, **parameters):
    return [transition(x, law(x, **parameters), error) for x in xs]


def parameters(boundary: Boundary) -> list[Quantity]:
    assert boundary.t0 is not None
    assert boundary.xc is not None
    assert boundary.phi is not None
    return [boundary.t0, boundary.xc, boundary.phi]


def numbers(boundary: Boundary) -> list[float]:
    return [x for q in parameters(boundary) for x in (q.value, q.low or 0.0, q.high or np.inf)]


@pytest.mark.parametrize("phi", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("error", [1.0, 0.01, None])
def test_exact_transitions_give_the_truth(phi, error):
    points = [*on_law(phi=phi, error=error), limit(0.95)]
    boundary = fit_boundary(points, "q")
    t0, xc, exponent = parameters(boundary)
    assert (t0.value, xc.value, exponent.value) == pytest.approx((138, 0.9, phi), rel=1e-4)
    assert boundary.scatter == pytest.approx(0, abs=1e-6)
    assert t0.units == "K"
    x, tc, low, high = boundary.band.T
    np.testing.assert_allclose(tc, law(x, phi=phi), atol=0.2)
    assert np.all((low <= tc) & (tc <= high))


def random_boundary(rng, scatter=0.0):
    """Five to seven transitions with errors of 0.25 to 1 K, lopsided here and there, and limits around xc."""
    t0, xc, phi = rng.uniform(50, 300), rng.uniform(0.3, 3), rng.uniform(0.3, 1)
    n = rng.integers(5, 8)
    x = xc * np.append(0, rng.uniform(0.1, 0.93, n - 1))
    sigma = rng.uniform(0.25, 1.0, n)
    tc = law(x, t0, xc, phi) + sigma * rng.standard_normal(n) + scatter * rng.standard_normal(n)
    points = [transition(a, b, s) for a, b, s in zip(x, tc, sigma, strict=True)]
    beyond = limit(xc * rng.uniform(1.02, 1.3))
    close = xc * rng.uniform(0.97, 1)
    return (t0, xc, phi), [*points, beyond, limit(close, law(close, t0, xc, phi) + 10)]


def coverage(n, seed, scatter=0.0):
    """Share of boundaries with T0, xc, phi, and Tc at a random x inside their intervals; of missing ends."""
    rng = np.random.default_rng(seed)
    held, missing = np.zeros(4), 0
    for _ in range(n):
        truth, points = random_boundary(rng, scatter)
        boundary = fit_boundary(points, "q")
        found = parameters(boundary)
        assert found[1].value > max(point.x for point in points if point.tc is not None)
        inside = [quantity.holds(value) for quantity, value in zip(found, truth, strict=True)]
        at = rng.uniform(0, 0.97) * truth[1]
        x, _, low, high = boundary.band.T
        inside.append(np.interp(at, x, low) <= law(at, *truth) <= np.interp(at, x, high))
        held += inside
        missing += any(q.low is None or q.high is None for q in found)
    return held / n, missing / n


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say():
    held, missing = coverage(200, seed=1)
    assert np.all((held >= 0.9) & (held <= 0.995)), held
    assert missing < 0.05


def test_intervals_hold_the_truth_in_at_least_nine_of_ten():
    held, missing = coverage(50, seed=1)
    assert np.all(held >= 0.9), held
    assert missing < 0.05


def test_intervals_allow_for_scatter_beyond_the_errors():
    held, _ = coverage(40, seed=2, scatter=2.0)
    assert np.all(held >= 0.85), held


def test_scatter_is_measured():
    rng = np.random.default_rng(5)
    x = np.linspace(0, 0.85, 60)
    tc = law(x) + 3.0 * rng.standard_normal(60)
    boundary = fit_boundary([transition(*point, 1.0) for point in zip(x, tc, strict=True)], "q")
    assert boundary.scatter == pytest.approx(np.sqrt(9 - 1), rel=0.3)
    assert "scatter" in boundary.note


def test_limits_bound_what_transitions_leave_open():
    points = on_law((0.0, 0.2, 0.4), error=2.0)
    _, alone, _ = parameters(fit_boundary(points, "q"))
    _, bounded, _ = parameters(fit_boundary([*points, limit(0.5, 5.0)], "q"))
    assert alone.holds(1.2)
    assert bounded.high is not None
    assert not bounded.holds(1.2)


def test_a_limit_above_the_boundary_tells_nothing():
    points = on_law()
    plain, limited = fit_boundary(points, "q"), fit_boundary([*points, limit(0.3, 200.0)], "q")
    assert numbers(limited) == pytest.approx(numbers(plain), rel=1e-3)


def test_a_limit_below_the_boundary_is_named():
    note = fit_boundary([*on_law(), limit(0.3)], "q").note
    assert "none at 0.3" in note


def test_a_lopsided_interval_pulls_to_its_long_side():
    def with_last(below, above):
        tc = float(law(0.8))
        last = DiagramPoint("last", 0.8, Quantity(tc, tc - below, tc + above, "K"), None)
        first = [transition(x, law(x) + (3 if x == 0.65 else 0)) for x in COMPOSITIONS[:-1]]
        xc = fit_boundary([*first, last], "q").xc
        assert xc is not None
        return xc.value

    up, even, down = with_last(0.5, 8), with_last(2, 2), with_last(8, 0.5)
    assert down < even < up


@pytest.mark.parametrize("missing", ["low", "high"])
def test_a_missing_end_is_taken_from_the_other(missing):
    whole = on_law(error=1.0)
    tc = whole[2].tc
    assert tc is not None
    half = Quantity(
        tc.value, None if missing == "low" else tc.low, None if missing == "high" else tc.high, "K"
    )
    point = DiagramPoint(whole[2].name, whole[2].x, half, None)
    assert numbers(fit_boundary([*whole[:2], point, *whole[3:]], "q")) == pytest.approx(
        numbers(fit_boundary(whole, "q")), rel=1e-9
    )


@pytest.mark.parametrize("t_factor", [1e-3, 1.0, 1e4])
@pytest.mark.parametrize("x_factor", [1e-3, 1.0, 1e4])
def test_units_scale_the_answer(t_factor, x_factor):
    rng = np.random.default_rng(8)
    tc = law(COMPOSITIONS) + rng.standard_normal(5)
    plain = fit_boundary([*map(transition, COMPOSITIONS, tc), limit(0.95)], "q")
    scaled = fit_boundary(
        [
            *(
                transition(x * x_factor, t * t_factor, t_factor)
                for x, t in zip(COMPOSITIONS, tc, strict=True)
            ),
            limit(0.95 * x_factor, 40.0 * t_factor),
        ],
        "q",
    )
    factors = np.repeat([t_factor, x_factor, 1.0], 3)
    assert numbers(scaled) == pytest.approx(np.array(numbers(plain)) * factors, rel=1e-3)


def test_the_order_of_points_does_not_matter():
    rng = np.random.default_rng(3)
    points = [
        transition(x, law(x) + rng.standard_normal(), name=str(i)) for x in COMPOSITIONS for i in (1, 2)
    ]
    points += [limit(0.95), limit(0.95, 30.0)]
    one = fit_boundary(points, "q")
    other = fit_boundary([points[i] for i in rng.permutation(len(points))], "q")
    assert numbers(one) == numbers(other)
    np.testing.assert_array_equal(one.band, other.band)


def test_more_precise_transitions_give_shorter_intervals():
    wide, narrow = (parameters(fit_boundary(on_law(error=error), "q")) for error in (1.0, 0.25))
    for quantity, other in zip(wide, narrow, strict=True):
        assert 3 < quantity.error / other.error < 5.5


@pytest.mark.parametrize(
    ("points", "note"),
    [
        ([], "no sample has a transition"),
        ([limit(0.2)], "no sample has a transition"),
        ([transition(0.0, 138.0), limit(0.5)], "one x only"),
        ([transition(0.3, 100.0), transition(0.3, 101.0)], "one x only"),
        ([transition(-1.0, 100.0), transition(0.0, 90.0)], "x > 0"),
        ([transition(x, 100 + 50 * x) for x in COMPOSITIONS], "does not fall"),
        ([transition(0.0, 100.0), transition(0.3, 120.0)], "does not fall"),
    ],
)
def test_without_a_boundary_the_note_says_why(points, note):
    boundary = fit_boundary(points, "q")
    assert (boundary.name, boundary.t0, boundary.xc, boundary.phi) == ("q", None, None, None)
    assert boundary.band.shape == (0, 4)
    assert note in boundary.note


def test_two_transitions_are_taken_as_mean_field():
    boundary = fit_boundary(on_law((0.0, 0.6)), "q")
    t0, xc, phi = parameters(boundary)
    assert (t0.value, xc.value) == pytest.approx((138, 0.9), rel=1e-6)
    assert (phi.value, phi.low, phi.high) == (0.5, None, None)
    assert "1/2" in boundary.note
    # (Tc/T0)^2 = 1 - x/xc, so xc = x / (1 - r^2) with the error of r = Tc/T0 carried along.
    r = law(0.6) / 138
    error = 1.96 * 0.6 * 2 * r / (1 - r**2) ** 2 * np.hypot(1, r) / 138
    assert xc.error == pytest.approx(error, rel=0.05)


def test_three_transitions_leave_nothing_to_test_the_form():
    boundary = fit_boundary(on_law((0.0, 0.4, 0.8)), "q")
    t0, xc, phi = parameters(boundary)
    assert (t0.value, xc.value, phi.value) == pytest.approx((138, 0.9, 0.5), rel=1e-4)
    assert t0.error == pytest.approx(1.96, rel=0.05)
    assert "as many parameters" in boundary.note


def test_without_errors_and_without_freedom_there_are_no_intervals():
    boundary = fit_boundary(on_law((0.0, 0.4, 0.8), error=None), "q")
    for quantity in parameters(boundary):
        assert (quantity.low, quantity.high) == (None, None)
    assert np.isnan(boundary.band[:, 2:]).all()


def test_an_exponential_has_no_end():
    boundary = fit_boundary([transition(x, 100 * np.exp(-x), 0.5) for x in COMPOSITIONS], "q")
    assert (boundary.xc, boundary.phi) == (None, None)
    assert boundary.t0 is not None
    assert boundary.t0.holds(100)
    assert "hardly bends" in boundary.note


def test_an_end_that_nothing_bounds_is_none():
    _, xc, phi = parameters(fit_boundary(on_law(error=12.0), "q"))
    assert xc.high is None
    assert phi.high is None
    assert xc.low is not None
    assert xc.low >= 0.8


def test_errors_that_leave_everything_open_give_no_intervals():
    boundary = fit_boundary(on_law(error=150.0), "q")
    assert boundary.t0 is not None
    assert (boundary.t0.low, boundary.t0.high) == (None, None)
    assert "too large" in boundary.note


def test_a_cliff_ends_behind_the_last_transition():
    points = [transition(x, 100 - 3 * x) for x in COMPOSITIONS]
    _, xc, phi = parameters(fit_boundary([*points, limit(0.82)], "q"))
    assert 0.8 < xc.value <= 0.83
    assert phi.low is None
    assert phi.value < 0.1


def test_crossovers_are_mentioned():
    points = [DiagramPoint(p.name, p.x, p.tc, None, kind="crossover") for p in on_law()]
    assert "5 of 5 are crossovers" in fit_boundary(points, "q").note


@pytest.mark.parametrize(
    "point", [transition(np.nan, 100.0), transition(0.1, np.inf), transition(0.1, -3.0), limit(0.2, np.nan)]
)
def test_impossible_points_are_refused(point):
    with pytest.raises(ConfigError, match=r"finite|above zero"):
        fit_boundary([*on_law(), point], "q")
