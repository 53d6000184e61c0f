"""The sampler keeps its bounds, spreads out, brackets, and finds Tc better than even temperatures do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from xtec.core.errors import ConfigError
from xtec.core.types import Float64Array
from xtec.operando import Bounds, Direction, Sampler
from xtec.operando.evidence import Evidence, Setting
from xtec.operando.gaussian_process import Onsets, SmoothBasis, Sums
from xtec.operando.lattice import BETA, Lattice
from xtec.order_parameter.models import onset

LOW, HIGH = 30.0, 300.0
Law = Callable[[float], float]


def ordering(tc: float, beta: float, level: float = 0.5) -> Law:
    def law(x: float) -> float:
        return level * (1 + 0.05 * (x - 165) / 165) + max(0.0, 1 - x / tc) ** (2 * beta)

    return law


def experiment(sampler: Sampler, law: Law, noise: float, seed: int, first: list[float], n: int) -> Sampler:
    """Tell the first temperatures, then ask and tell one by one, as far as `n` in all."""
    rng = np.random.default_rng(seed)
    for x in first:
        sampler.tell(x, law(x) + noise * rng.standard_normal(), noise)
    while sampler.measured.size < n and (asked := sampler.ask(1)):
        sampler.tell(asked[0], law(asked[0]) + noise * rng.standard_normal(), noise)
    return sampler


def tc_of(sampler: Sampler) -> float:
    (known,) = sampler.transitions()
    assert known is not None
    return known.tc.value


# Bounds


@st.composite
def asked(draw: st.DrawFn) -> tuple[Bounds, list[float], list[float], int]:
    low = draw(st.floats(2, 200))
    span = draw(st.floats(5, 300))
    step = draw(st.floats(0.3, 0.5)) * span if draw(st.booleans()) else draw(st.floats(0.05, 5))
    measured = draw(st.lists(st.floats(low - 5, low + span + 5), max_size=6))
    intensities = draw(st.lists(st.floats(-5, 5), min_size=len(measured), max_size=len(measured)))
    bounds = Bounds(low, low + span, min(step, span), draw(st.sampled_from(Direction)))
    return bounds, measured, intensities, draw(st.integers(1, 4))


@settings(max_examples=40, deadline=None)
@given(asked())
def test_never_outside_its_bounds(case: tuple[Bounds, list[float], list[float], int]) -> None:
    bounds, measured, intensities, n = case
    low, high, step = bounds.low, bounds.high, bounds.step
    sampler = Sampler(low, high, step=step, direction=bounds.direction, budget=len(measured) + 3)
    sampler.tell_many(measured, intensities, np.full(len(measured), 0.1))
    suggested = sampler.ask(n)
    assert len(set(suggested)) == len(suggested) <= n
    assert all(low <= t <= high for t in suggested)
    assert np.allclose((np.array(suggested) - low) / step % 1.0 % (1 - 1e-6), 0, atol=1e-6)
    if measured and bounds.direction is Direction.COOLING:
        assert all(t < measured[-1] for t in suggested)
        assert suggested == sorted(suggested, reverse=True)
    if measured and bounds.direction is Direction.WARMING:
        assert all(t > measured[-1] for t in suggested)
        assert suggested == sorted(suggested)
    grid = bounds.temperatures
    again = np.abs(np.subtract.outer(grid, measured)).min(axis=1, initial=np.inf) < step / 2
    if suggested and not again.all():
        assert not np.isin(suggested, grid[again]).any()


def test_measures_again_only_when_nothing_else_is_left() -> None:
    sampler = Sampler(10, 30, step=10)
    sampler.tell_many([10, 20], [1.0, 0.5], [0.01, 0.01])
    assert sampler.ask(3) == [30.0]
    sampler.tell(30, 0.5, 0.01)
    assert set(sampler.ask(2)) < {10.0, 20.0, 30.0}


def test_at_the_end_of_a_way_there_is_nothing_left() -> None:
    sampler = Sampler(10, 30, step=10, direction="cooling")
    sampler.tell(10, 1.0, 0.01)
    assert sampler.ask(2) == []


def test_the_range_ends_on_the_grid() -> None:
    assert Bounds(30, 300, 7).temperatures.max() == 296
    assert Bounds(0.1, 0.7, 0.1).temperatures[-1] == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ((300, 30), {}),
        ((30, 300), {"step": 0}),
        ((30, 300), {"step": 500}),
        ((30, 300), {"direction": "up"}),
        ((30, float("nan")), {}),
    ],
)
def test_what_is_no_range(arguments: tuple[float, float], options: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        Sampler(*arguments, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("y", "sigma"), [([1.0, 2.0], 0.1), (1.0, None), (1.0, 0.0), (1.0, -1.0), (1.0, float("nan"))]
)
def test_what_does_not_go_with_what_was_told(y: object, sigma: object) -> None:
    sampler = Sampler(LOW, HIGH)
    sampler.tell(40, 1.0, 0.1)
    with pytest.raises(ConfigError):
        sampler.tell(50, y, sigma)  # type: ignore[arg-type]
    assert sampler.measured.tolist() == [40.0]


def test_a_point_is_told_to_all_curves_or_none() -> None:
    sampler = Sampler(LOW, HIGH)
    for x in (40, 100, 200):
        sampler.tell(x, [1.0, 0.5], 0.1)
    before = sampler.transitions()
    with pytest.raises(ConfigError):
        sampler.tell(250, [5.0, 5.0], [0.1, 0.0])
    assert sampler.transitions() == before
    assert sampler.measured.tolist() == [40, 100, 200]


# Spreading and bracketing


def test_spreads_out_before_anything_is_known() -> None:
    suggestions = Sampler(LOW, HIGH).suggest(5)
    gaps = np.diff(np.sort([one.temperature for one in suggestions]))
    assert {LOW, HIGH} <= {one.temperature for one in suggestions}
    assert gaps.max() < 1.3 * (HIGH - LOW) / 4
    assert suggestions[0].reason == "nothing measured yet"


def test_spreads_out_where_there_is_no_transition() -> None:
    sampler = experiment(Sampler(LOW, HIGH), lambda x: 1 + 0.0005 * x, 0.01, 3, [LOW, 165, HIGH], 12)
    assert np.diff(np.sort(sampler.measured)).max() < 2.5 * (HIGH - LOW) / 11
    (known,) = sampler.transitions()
    assert known is not None
    assert known.seen < 0.1
    assert sampler.suggest()[0].reason.startswith("spreads out")


@pytest.mark.parametrize("tc", [100.0, 200.0, 250.0])
def test_brackets_a_transition_in_sight(tc: float) -> None:
    law = ordering(tc, 0.3)
    sampler = experiment(Sampler(LOW, HIGH), law, 0.01, 5, np.linspace(LOW, HIGH, 5).tolist(), 12)
    later = sampler.measured[5:]
    assert np.sum(np.abs(later - tc) < 25) >= 4
    assert (later < tc).any()
    assert (later > tc).any()
    assert np.abs(later - tc).min() < 3


def test_says_why() -> None:
    sampler = experiment(
        Sampler(LOW, HIGH), ordering(150, 0.3), 0.01, 1, np.linspace(LOW, HIGH, 12).tolist(), 12
    )
    first = sampler.suggest()[0]
    assert "Tc between" in first.reason
    assert first.information > 0.05


@pytest.mark.parametrize(("tc", "name"), [(36.0, "low"), (292.0, "high")])
def test_a_transition_just_inside_the_edge(tc: float, name: str) -> None:
    first = [LOW, 165.0, HIGH]
    sampler = experiment(Sampler(LOW, HIGH), ordering(tc, 0.25), 0.005, 2, first, 14)
    assert tc_of(sampler) == pytest.approx(tc, abs=3), name


def test_two_curves_share_the_temperatures() -> None:
    laws, rng = [ordering(90, 0.3), ordering(220, 0.3)], np.random.default_rng(0)
    sampler = Sampler(LOW, HIGH)
    todo = np.linspace(LOW, HIGH, 4).tolist()
    for _ in range(16):
        x = todo.pop(0) if todo else sampler.ask()[0]
        sampler.tell(x, [law(x) + 0.01 * rng.standard_normal() for law in laws], [0.01, 0.01])
    found = [one.tc.value for one in sampler.transitions() if one is not None]
    assert found == pytest.approx([90, 220], abs=3)


def test_a_curve_without_weight_does_not_count() -> None:
    laws, rng = [ordering(90, 0.3), ordering(220, 0.3)], np.random.default_rng(0)
    both, alone = Sampler(LOW, HIGH, weights=[1, 0]), Sampler(LOW, HIGH)
    for x in np.linspace(LOW, HIGH, 6):
        y = [law(x) + 0.01 * rng.standard_normal() for law in laws]
        both.tell(x, y, 0.01)
        alone.tell(x, y[0], 0.01)
    assert both.ask(3) == alone.ask(3)


# Told one by one, told at once


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 30))
def test_any_order_of_telling_is_one(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    law = ordering(rng.uniform(60, 270), 0.3)
    x = rng.permutation(np.linspace(LOW, HIGH, n))
    y = np.array([law(t) for t in x]) + 0.01 * rng.standard_normal(n)
    online, batch, shuffled = Sampler(LOW, HIGH), Sampler(LOW, HIGH), Sampler(LOW, HIGH)
    for one in zip(x, y, strict=True):
        online.tell(*one, 0.01)
    batch.tell_many(x, y, np.full(n, 0.01))
    order = rng.permutation(n)
    shuffled.tell_many(x[order], y[order], np.full(n, 0.01))
    assert online.suggest(2) == batch.suggest(2)
    assert online.transitions() == batch.transitions()
    (one,), (other,) = online.transitions(), shuffled.transitions()
    assert one is not None
    assert other is not None
    assert other.tc.value == pytest.approx(one.tc.value, rel=1e-4)
    assert other.beta.value == pytest.approx(one.beta.value, rel=1e-3)
    assert other.seen == pytest.approx(one.seen, abs=1e-4)


def test_sums_of_points_are_sums() -> None:
    rng = np.random.default_rng(1)
    onsets = Lattice.even(LOW, HIGH).onsets
    x, y, sigma = rng.uniform(LOW, HIGH, 50), rng.standard_normal(50), rng.uniform(0.5, 2, 50)
    once, each = (Sums.empty(SmoothBasis(LOW, HIGH), onsets) for _ in range(2))
    once.add(x, y, sigma)
    for k in rng.permutation(50):
        each.add(x[k : k + 1], y[k : k + 1], sigma[k : k + 1])
    for name in ("ff", "fy", "of", "oo", "oy", "yy", "n"):
        np.testing.assert_allclose(getattr(each, name), getattr(once, name), rtol=1e-10, atol=1e-10)


def test_the_scale_of_intensities_does_not_matter() -> None:
    law, x = ordering(150, 0.3), np.linspace(LOW, HIGH, 9)
    y = np.array([law(t) for t in x])
    one, other = Sampler(LOW, HIGH), Sampler(LOW, HIGH)
    one.tell_many(x, y, np.full(9, 0.01))
    other.tell_many(x, 1e4 * y + 1e5, np.full(9, 100.0))
    assert one.ask(3) == other.ask(3)


def test_errors_may_be_unknown() -> None:
    law, rng, sampler = ordering(150, 0.3), np.random.default_rng(0), Sampler(LOW, HIGH)
    sampler.tell_many(x := np.linspace(LOW, HIGH, 5), [law(t) for t in x])
    for _ in range(9):
        (t,) = sampler.ask()
        sampler.tell(t, law(t) + 0.01 * rng.standard_normal())
    assert tc_of(sampler) == pytest.approx(150, abs=3)


def test_speaks_as_recommenders_of_bluesky_adaptive_do() -> None:
    sampler = Sampler(LOW, HIGH)
    sampler.tell_many(np.array([[40.0], [150.0], [290.0]]), np.array([[1.0], [0.6], [0.1]]))
    assert dict(zip(["temperature"], sampler.ask(1), strict=True)).keys() == {"temperature"}


def test_points_outside_the_range_count() -> None:
    law = ordering(150, 0.3)
    x = np.array([20.0, 100.0, 130.0, 145.0, 160.0, 250.0, 310.0])
    y = np.array([law(t) for t in x])
    inside, outside = Sampler(90, 200), Sampler(15, 315)
    for sampler in (inside, outside):
        sampler.tell_many(x, y, np.full(7, 0.01))
    assert all(90 <= t <= 200 for t in inside.ask(4))
    assert tc_of(inside) == pytest.approx(tc_of(outside), abs=1)


def test_a_curve_may_be_missing_at_times() -> None:
    law, sampler = ordering(150, 0.3), Sampler(LOW, HIGH)
    for x in np.linspace(LOW, HIGH, 6):
        sampler.tell(x, [law(x), np.nan], 0.01)
    assert sampler.transitions()[1] is None
    assert len(sampler.ask(2)) == 2


# The mathematics, against other ways to the same numbers


def test_evidence_is_that_of_a_gaussian_process() -> None:
    rng = np.random.default_rng(0)
    x, y = np.sort(rng.uniform(LOW, HIGH, 7)), rng.standard_normal(7)
    sigma, setting, tc, beta = rng.uniform(0.1, 0.3, 7), Setting(2.0, 0.3, 0.8, 1.5), 140.0, 0.3
    basis = SmoothBasis(LOW, HIGH)
    each = np.array([tc]), np.array([beta]), np.ones(1), np.zeros(1)
    sums = Sums.empty(basis, Onsets(*each))
    sums.add(x, y, sigma)
    f = basis.features(x)
    covariance = (f * basis.variances(1.5, 0.3, 0.8)) @ f.T + np.diag((2 * sigma) ** 2)
    shape = onset(x, tc, beta, LOW)
    ordered = covariance + (2.0 * 1.5) ** 2 * np.outer(shape, shape)
    evidence = Evidence(sums, setting)
    constant = -0.5 * 7 * np.log(2 * np.pi) - np.log(sigma).sum()
    assert evidence.log_smooth + constant == pytest.approx(multivariate_normal(cov=covariance).logpdf(y))
    # Of all amplitudes, of which the positive ones have the share that the normal distribution gives them.
    from scipy.special import log_ndtr

    whole = float(evidence.log_onset[0] - np.log(2) - log_ndtr(evidence.significance[0]))
    assert whole + constant == pytest.approx(multivariate_normal(cov=ordered).logpdf(y))
    at = np.linspace(LOW, HIGH, 5)
    g = basis.features(at) * basis.variances(1.5, 0.3, 0.8)
    mean, left = evidence.smooth_at(at)
    np.testing.assert_allclose(mean, g @ f.T @ np.linalg.solve(covariance, y), rtol=1e-6, atol=1e-8)
    explained = g @ f.T @ np.linalg.solve(covariance, f @ g.T)
    np.testing.assert_allclose(left, g @ basis.features(at).T - explained, rtol=1e-5, atol=1e-6)


def test_sines_make_a_matern_process() -> None:
    x = np.linspace(LOW, HIGH, 31)
    basis, length = SmoothBasis(LOW, HIGH), 0.5
    f, variances = basis.features(x)[:, 2:], basis.variances(1.0, 1.0, length)[2:]
    r = np.sqrt(5) * np.abs(x[:, None] - x) / ((HIGH - LOW) / 2) / length
    matern = (1 + r + r**2 / 3) * np.exp(-r)
    inner = slice(5, -5)
    np.testing.assert_allclose(((f * variances) @ f.T)[inner, inner], matern[inner, inner], atol=0.03)


def test_lattices_integrate() -> None:
    """Mean and spread of a narrow bent ridge, found by closing in, against those it was made with."""

    def log_likelihood(tc: Float64Array, beta: Float64Array) -> Float64Array:
        ridge = 150 + 30 * (beta - 0.3) + 200 * (beta - 0.3) ** 2
        return -0.5 * ((tc - ridge) / 0.05) ** 2 - 0.5 * ((beta - 0.3) / 0.03) ** 2

    lattice, fine = Lattice.even(LOW, HIGH), False
    for number in range(12):
        onsets = lattice.onsets
        log = log_likelihood(onsets.tc, onsets.beta)
        lattice, fine = lattice.closer(log, rows=number % 3 == 2)
        if fine:
            break
    assert fine
    assert np.exp(onsets.log_prior).sum() == pytest.approx(1)
    weights = np.exp(log + onsets.log_prior)
    weights /= weights.sum()
    assert weights @ onsets.beta == pytest.approx(0.3, abs=0.003)
    assert np.sqrt(weights @ (onsets.beta - 0.3) ** 2) == pytest.approx(0.03, rel=0.1)
    assert weights @ onsets.tc == pytest.approx(150 + 200 * 0.03**2, abs=0.1)
    assert BETA[0] < onsets.beta.min() < onsets.beta.max() < BETA[1]


# The experiment


@pytest.mark.parametrize("n", [4, pytest.param(8, marks=pytest.mark.slow)])
def test_finds_tc_better_than_even_temperatures(n: int) -> None:
    """A smaller version of benchmarks/sampler.py."""
    errors = []
    for seed in range(n):
        rng = np.random.default_rng([7, seed])
        tc, noise = rng.uniform(40, 290), float(np.exp(rng.uniform(np.log(0.003), np.log(0.03))))
        law = ordering(tc, rng.uniform(0.12, 0.5), float(10 ** rng.uniform(-1, 0.5)))
        even = experiment(Sampler(LOW, HIGH), law, noise, seed, np.linspace(LOW, HIGH, 12).tolist(), 12)
        chosen = experiment(Sampler(LOW, HIGH), law, noise, seed, [LOW, 165.0, HIGH], 12)
        errors.append([abs(tc_of(one) - tc) for one in (even, chosen)])
    even_error, chosen_error = np.median(errors, axis=0)
    assert chosen_error < even_error / 2


def test_cooling_finds_the_transition() -> None:
    sampler = Sampler(LOW, HIGH, direction="cooling", budget=12)
    experiment(sampler, ordering(150, 0.3), 0.01, 0, [HIGH], 12)
    assert (np.diff(sampler.measured) < 0).all()
    assert sampler.measured.size == 12
    assert tc_of(sampler) == pytest.approx(150, abs=15)


def test_the_same_again() -> None:
    laws = [experiment(Sampler(LOW, HIGH), ordering(150, 0.3), 0.01, 0, [LOW], 8) for _ in range(2)]
    assert laws[0].measured.tolist() == laws[1].measured.tolist()
    assert laws[0].suggest(3) == laws[1].suggest(3)
