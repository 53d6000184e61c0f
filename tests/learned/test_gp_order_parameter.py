"""Tc with its interval where no power law holds, no transition in smooth curves, and the online form."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binom, multivariate_normal
from sklearn.base import clone

from xtec.core.errors import ConfigError, InputError
from xtec.core.order import CurveReading
from xtec.core.types import Float64Array
from xtec.learned.change_point import Change, ChangeSums, SmoothPart
from xtec.learned.change_posterior import CurveSums
from xtec.learned.gp_order_parameter import GPOrderParameter
from xtec.operando.gaussian_process import Onsets

LOW, HIGH = 30.0, 220.0
Law = Callable[[Float64Array, np.random.Generator], Float64Array]
Points = tuple[Float64Array, Float64Array, Float64Array]


def two_slopes(depth: Float64Array, rng: np.random.Generator) -> Float64Array:
    """Grows in proportion to the depth below Tc, at another rate further down."""
    knee, height = rng.uniform(0.2, 0.6), rng.uniform(0.5, 0.85)
    return np.where(depth < knee, height * depth / knee, height + (1 - height) * (depth - knee) / (1 - knee))


def plateau(depth: Float64Array, rng: np.random.Generator) -> Float64Array:
    """Saturates."""
    return np.tanh(rng.uniform(2, 6) * depth ** rng.uniform(0.4, 1.0))


def bent(depth: Float64Array, rng: np.random.Generator) -> Float64Array:
    """A tanh whose slope changes further down."""
    return np.tanh(rng.uniform(1, 3) * depth) * (1 + rng.uniform(-0.3, 0.5) * depth**2)


def root(depth: Float64Array, rng: np.random.Generator) -> Float64Array:
    return depth ** (2 * rng.uniform(0.15, 0.5))


def ordering(law: Law, seed: int, curved: bool = False) -> tuple[Points, float]:
    """An order parameter on a sloping or curved background, noise of 0.5 to 3 %; and its Tc."""
    rng = np.random.default_rng(seed)
    x = np.linspace(LOW, HIGH, int(rng.integers(20, 45)))
    tc = float(rng.uniform(x[5], x[-6]))
    u = (x - LOW) / (HIGH - LOW)
    y = law(np.clip((tc - x) / (tc - LOW), 0, None), rng) + rng.uniform(0.2, 1) * (1 - 0.2 * u)
    if curved:
        y += rng.uniform(0.1, 0.4) * np.exp(-u / 0.5) + rng.uniform(0, 0.3) * u**2
    sigma = np.full(len(x), 10 ** rng.uniform(-2.3, -1.5))
    return (x, y + sigma * rng.standard_normal(len(x)), sigma), tc


def smooth_curve(seed: int) -> Points:
    """Debye-Waller, thermal diffuse, Curie-Weiss above an order below the scan, or a broad hump."""
    rng = np.random.default_rng(seed)
    x = np.linspace(LOW, HIGH, int(rng.integers(14, 45)))
    u = (x - LOW) / (HIGH - LOW)
    y = [
        4 * np.exp(-rng.uniform(0.1, 2) * (x / HIGH) ** rng.uniform(1, 2)),
        0.5 + rng.uniform(0.2, 1) * u,
        0.3 + 0.2 / (u + rng.uniform(0.05, 0.5)),
        0.3 + 1 / (1 + ((u - rng.uniform(0.3, 0.7)) / rng.uniform(0.25, 0.5)) ** 2),
        0.3 + 1 / (1 + np.exp((u - rng.uniform(0.3, 0.7)) / rng.uniform(0.12, 0.3))),
    ][seed % 5]
    sigma = np.full(len(x), 10 ** rng.uniform(-2.3, -1.5))
    return x, y + sigma * rng.standard_normal(len(x)), sigma


@pytest.fixture(scope="module", params=[16, pytest.param(32, marks=pytest.mark.slow)])
def read(request: pytest.FixtureRequest) -> list[tuple[CurveReading, float]]:
    """Readings of curves that no power law fits, with their Tc."""
    laws: list[tuple[Law, bool]] = [(two_slopes, False), (plateau, False), (bent, False), (root, True)]
    made = [ordering(*laws[i % 4][:1], 7000 + i, laws[i % 4][1]) for i in range(request.param)]
    return [(GPOrderParameter().fit(*points), tc) for points, tc in made]


def test_the_interval_holds_tc_where_no_power_law_fits(read: list[tuple[CurveReading, float]]) -> None:
    """Bounds are the 0.1 % end of a binomial of 90 % below; and intervals are short enough to be of use."""
    known = [(one.tc, tc) for one, tc in read if one.tc is not None]
    assert len(known) > 0.75 * len(read)
    held = sum(found.holds(tc) for found, tc in known)
    assert held >= binom.ppf(0.001, len(known), 0.9)
    assert np.median([found.error for found, _ in known]) < 0.05 * (HIGH - LOW)


def test_an_order_parameter_is_no_jump_and_has_no_exponent(read: list[tuple[CurveReading, float]]) -> None:
    seen = [one for one, _ in read if one.tc is not None]
    assert all(one.beta is None for one, _ in read)
    assert np.mean([one.kind == "second-order" and not one.facts["jump"] for one in seen]) > 0.9


@pytest.mark.parametrize("n", [10, pytest.param(20, marks=pytest.mark.slow)])
def test_smooth_curves_have_no_transition(n: int) -> None:
    """Of 20, more than one would come about in one of a hundred such tests at a rate of 0.8 %."""
    kinds = [GPOrderParameter().fit(*smooth_curve(9000 + i)) for i in range(n)]
    assert sum(one.kind != "none" for one in kinds) <= 1
    assert all(one.tc is None and one.reason for one in kinds if one.kind == "none")


def test_a_jump_is_one_and_lies_in_its_gap() -> None:
    for seed in range(5):
        rng = np.random.default_rng([seed, 3])
        x = np.linspace(LOW, HIGH, 25)
        tc = rng.uniform(x[5], x[-6])
        y = (x < tc) * (1 + 0.3 * (tc - x) / tc) + 0.5 + 0.02 * rng.standard_normal(25)
        one = GPOrderParameter().fit(x, y, np.full(25, 0.02))
        assert one.kind == "first-order"
        assert one.facts["jump"]
        assert one.tc is not None
        assert one.tc.holds(tc)
        assert one.tc.error < 1.5 * (x[1] - x[0])


def test_what_is_gained_above_a_temperature_does_not_count() -> None:
    (x, y, sigma), _ = ordering(plateau, 5)
    assert GPOrderParameter().fit(x, y, sigma).kind == "second-order"
    assert GPOrderParameter().fit(x, 3 - y, sigma).kind == "none"


def test_errors_that_are_not_known_are_found() -> None:
    """With the noise from the curve, the answer is about the same, and the noise is right."""
    for seed in range(3):
        (x, y, sigma), tc = ordering(plateau, 40 + seed)
        with_errors = GPOrderParameter().fit(x, y, sigma)
        without = GPOrderParameter().fit(x, y, np.full(len(x), np.nan))
        assert with_errors.tc is not None
        assert without.tc is not None
        assert without.tc.holds(tc)
        assert abs(with_errors.tc.value - without.tc.value) < with_errors.tc.error
        assert 0.5 < without.facts["noise"] / sigma[0] < 2


def test_point_by_point_is_as_all_at_once() -> None:
    """In whichever order, also where points come from outside the range so far."""
    (x, y, sigma), _ = ordering(plateau, 11)
    whole = GPOrderParameter().fit(x, y, sigma)
    order = np.random.default_rng(0).permutation(len(x))
    growing = GPOrderParameter()
    growing.fit(x[order[:9]], y[order[:9]], sigma[order[:9]])
    for i in order[9:]:
        growing.update(x[i], y[i], sigma[i])
    bit_by_bit = growing.read()
    assert whole.tc is not None
    assert bit_by_bit.tc is not None
    found, expected = bit_by_bit.tc, whole.tc
    np.testing.assert_allclose(
        [found.value, found.low, found.high], [expected.value, expected.low, expected.high]
    )
    np.testing.assert_allclose(bit_by_bit.model, whole.model, rtol=1e-6)
    assert bit_by_bit.facts["log_evidence"] == pytest.approx(whole.facts["log_evidence"], rel=1e-6)


def test_a_point_inside_the_range_enters_the_sums_alone() -> None:
    """What it adds is added to the sums there are, which are not made anew."""
    (x, y, sigma), _ = ordering(plateau, 12)
    growing = GPOrderParameter()
    growing.fit(np.delete(x, 7), np.delete(y, 7), np.delete(sigma, 7))
    before = growing._sums
    growing.update(x[7], y[7], sigma[7])
    assert growing._sums is before
    again = CurveSums.empty(x[0], x[-1])
    again.add(x, y - y[0], sigma)
    np.testing.assert_allclose(before.change.of, again.change.of, rtol=1e-9, atol=1e-6)


def test_evidence_is_that_of_a_normal_distribution() -> None:
    """With and without a change, against the density of the points with their whole covariance."""
    rng = np.random.default_rng(4)
    x, sigma = np.sort(rng.uniform(LOW, HIGH, 15)), rng.uniform(0.05, 0.1, 15)
    y = np.where(x < 140, (140 - x) / 110, 0) + sigma * rng.standard_normal(15)
    onsets = Onsets(np.array([100.0, 150.0]), np.array([0.0, 0.3]), np.array([1.0, 2.0]), np.log([0.5, 0.5]))
    sums = ChangeSums.empty(LOW, HIGH, 12, onsets)
    sums.add(x, y, sigma)
    smooth = SmoothPart(sums, 1.3, 0.2, 0.7, 1.0)
    change = Change(smooth, 0.3, 0.8)
    f, g = sums.smooth.features(x), sums.gained(x)
    noise = np.diag((1.3 * sigma) ** 2)
    covariance = (f * sums.smooth.variances(1.0, 0.2, 0.7)) @ f.T + noise
    z = y - sums.mean
    alone = multivariate_normal(cov=covariance).logpdf(z)
    variances = change._root**2
    for i in range(2):
        both = covariance + (g[i].T * variances) @ g[i]
        level = g[i, -1] * variances[-1]
        mean = level @ np.linalg.solve(both, z)
        deviation = np.sqrt(variances[-1] - level @ np.linalg.solve(both, level))
        positive = np.log(2 * multivariate_normal.cdf(mean / deviation))
        expected = multivariate_normal(cov=both).logpdf(z) + positive - alone
        assert change.log_onset[i] - smooth.log_smooth == pytest.approx(expected, abs=1e-6)
        solved = covariance + (g[i].T * variances) @ g[i] - noise
        np.testing.assert_allclose(
            change.curves(x)[i], sums.mean + solved @ np.linalg.solve(both, z), atol=1e-6
        )


def test_units_of_intensity_do_not_matter() -> None:
    (x, y, sigma), _ = ordering(plateau, 21)
    one, other = GPOrderParameter().fit(x, y, sigma), GPOrderParameter().fit(x, 1e4 * y, 1e4 * sigma)
    assert one.tc is not None
    assert other.tc is not None
    assert other.tc.value == pytest.approx(one.tc.value, abs=1e-6)


def test_few_temperatures_say_nothing() -> None:
    x = np.linspace(LOW, HIGH, 7)
    assert GPOrderParameter().fit(x, 1.0 * (x < 100), np.full(7, 0.01)).kind == "none"
    assert GPOrderParameter().fit(np.full(9, 50.0), np.arange(9.0), np.ones(9)).kind == "none"
    (x, y, sigma), _ = ordering(plateau, 5)
    y[3] = np.nan
    assert GPOrderParameter().fit(x, y, sigma).kind == "second-order"


def test_what_cannot_be_read_is_refused() -> None:
    x = np.linspace(LOW, HIGH, 10)
    with pytest.raises(InputError, match="one shape"):
        GPOrderParameter().fit(x, x[:5], x)
    with pytest.raises(InputError, match="not finite"):
        GPOrderParameter().fit(np.full(10, np.nan), x, x)
    with pytest.raises(ConfigError, match="evidence"):
        GPOrderParameter(evidence=-1.0).fit(x, x, x)
    assert clone(GPOrderParameter(evidence=7.0)).evidence == 7.0
