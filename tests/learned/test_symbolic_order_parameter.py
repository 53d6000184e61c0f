"""Planted formulas are found again; the list is a frontier; noise does not make a formula longer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.base import clone

from xtec.core.errors import ConfigError, InputError
from xtec.core.order import CurveReading
from xtec.core.types import Float64Array
from xtec.learned.formula_search import Formula, Weighted
from xtec.learned.formulas import ALONE, BACKGROUNDS, SETTING_IN, Scan
from xtec.learned.symbolic_order_parameter import SymbolicOrderParameter, pareto

LOW, HIGH = 20.0, 220.0


def chosen(one: CurveReading) -> dict[str, Any]:
    (found,) = [formula for formula in one.facts["formulas"] if formula["chosen"]]
    return found


def reading(x: Float64Array, truth: Float64Array, noise: float, seed: int) -> CurveReading:
    sigma = np.full(len(x), noise * (np.ptp(truth) or 1.0))
    y = truth + sigma * np.random.default_rng([seed, 8]).standard_normal(len(x))
    return SymbolicOrderParameter().fit(x, y, sigma)


def planted(name: str, seed: int) -> tuple[Float64Array, Float64Array, float, float | None]:
    """Temperatures, a curve of the formula, Tc and beta."""
    rng = np.random.default_rng([seed, 5])
    x = np.linspace(LOW, HIGH, int(rng.integers(24, 45)))
    tc, beta = float(rng.uniform(90, 190)), float(rng.uniform(0.12, 0.4))
    depth = np.clip(1 - x / tc, 0, None)
    law: dict[str, tuple[Float64Array, float | None]] = {
        "power law, constant": (2 * depth ** (2 * beta), beta),
        "mean field, linear, constant": (2 * depth - 0.004 * x, 0.5),
        "quartic, constant": (1.5 * np.clip(1 - (x / tc) ** 4, 0, None), 0.5),
        "jump, constant": (1.0 * (x < tc), None),
        "gap, constant": (2 * np.tanh(1.74 * np.sqrt(np.clip(tc / x - 1, 0, None))) ** 2, 0.5),
        "exponential, constant": (3 * np.exp(-x / (0.4 * tc)), None),
        "bose, constant": (1 / np.expm1(2 * tc / x), None),
        "linear, constant": (0.01 * x, None),
        "constant": (0 * x, None),
    }
    curve, exponent = law[name]
    return x, curve + 0.5, tc, exponent


@pytest.mark.parametrize(
    "name", ["power law, constant", "mean field, linear, constant", "quartic, constant", "jump, constant"]
)
def test_a_planted_formula_is_found_with_its_parameters(name: str) -> None:
    """Curves with noise of half a percent; intervals of Tc and beta hold what was planted."""
    same, held = 0, []
    for seed in range(3):
        x, truth, tc, beta = planted(name, 600 + seed)
        one = reading(x, truth, 0.005, seed)
        same += ", ".join(chosen(one)["terms"]) == name
        assert one.kind == ("first-order" if beta is None else "second-order")
        assert one.tc is not None
        held.append(one.tc.holds(tc))
        assert abs(one.tc.value - tc) < x[1] - x[0]
        if beta is None:
            assert one.beta is None
        else:
            assert one.beta is not None
            held.append(one.beta.holds(beta))
    assert same >= 2
    assert sum(held) >= binom.ppf(0.001, len(held), 0.93)


def test_a_gap_is_told_from_a_power_law_where_noise_is_low() -> None:
    names = []
    for seed in range(2):
        x, truth, tc, _ = planted("gap, constant", 50 + seed)
        one = reading(x, truth, 0.001, seed)
        names.append(", ".join(chosen(one)["terms"]))
        assert one.tc is not None
        assert abs(one.tc.value - tc) < 0.2 * (x[1] - x[0])
        assert one.facts["power_law"]["bic"] > 10
    assert names.count("gap, constant") == 2


@pytest.mark.parametrize("name", ["exponential, constant", "bose, constant", "linear, constant", "constant"])
def test_curves_without_tc_have_none_and_a_short_formula(name: str) -> None:
    same = 0
    for seed in range(3):
        x, truth, _, _ = planted(name, 30 + seed)
        one = reading(x, truth, 0.01, seed)
        assert one.kind == "none"
        assert one.tc is None
        same += ", ".join(chosen(one)["terms"]) == name
    assert same >= 2


@pytest.mark.parametrize("noise", [0.003, 0.03, 0.3])
def test_noise_does_not_make_a_formula_longer(noise: float) -> None:
    """Never longer than what was planted, but for one of three; at much noise shorter."""
    lengths = []
    for seed in range(3):
        x, truth, _, _ = planted("power law, constant", 80 + seed)
        lengths.append(chosen(reading(x, truth, noise, seed))["length"])
    assert np.sum(np.array(lengths) > 11) <= 1
    if noise == 0.3:
        assert min(lengths) < 11


def test_the_list_is_a_frontier() -> None:
    """Longer formulas fit better, one is chosen, and the power law is told beside them."""
    for name in ("quartic, constant", "bose, constant"):
        x, truth, _, _ = planted(name, 3)
        one = reading(x, truth, 0.01, 3)
        listed = one.facts["formulas"]
        assert np.all(np.diff([formula["length"] for formula in listed]) > 0)
        assert np.all(np.diff([formula["error"] for formula in listed]) < 0)
        assert "power law" in one.facts["power_law"]["terms"]
        assert chosen(one) in listed


def test_none_on_the_frontier_is_beaten_and_all_others_are() -> None:
    rng = np.random.default_rng(0)
    made = [*BACKGROUNDS, *ALONE]
    empty = np.empty(0)
    found = [Formula(terms, (empty,) * len(terms), empty, float(rng.integers(1, 9))) for terms in made]
    listed = pareto(found)

    def beats(one: Formula, other: Formula) -> bool:
        as_good = one.length <= other.length and one.misfit <= other.misfit
        return as_good and (one.length, one.misfit) != (other.length, other.misfit)

    assert not any(beats(other, one) for one in listed for other in found)
    alike = {(one.length, one.misfit) for one in listed}
    left = [one for one in found if (one.length, one.misfit) not in alike]
    assert left
    assert all(any(beats(other, one) for other in listed) for one in left)


def test_the_text_is_the_curve() -> None:
    """Read as an expression, with its rounded numbers, it gives the model; for every term of the library."""
    scan = Scan(np.linspace(LOW, HIGH, 30))
    rng = np.random.default_rng(2)
    names = {"exp": np.exp, "tanh": np.tanh, "sqrt": lambda v: np.sqrt(np.maximum(v, 0))}
    with np.errstate(invalid="ignore"):
        for terms in [*ALONE, *((*BACKGROUNDS[1], term) for term in SETTING_IN)]:
            parameters = tuple(rng.choice(one.starts(scan)) for one in terms)
            coefficients = rng.uniform(-2, 2, sum(one.n_columns for one in terms))
            one = Formula(terms, parameters, coefficients)
            python = one.text.replace("^", "**").replace("] (", "] * (").replace("[", "(").replace("]", ")")
            for unit in ("T", "exp", "tanh", "sqrt", "(1 -", "(T <"):
                for digit in "0123456789":
                    python = python.replace(f"{digit} {unit}", f"{digit} * {unit}")
            below = scan.x < one.tc if one.sets_in else True
            values = eval(python, {"T": scan.x, **names})
            scale = np.abs(one.design(scan.x) * coefficients).max()
            np.testing.assert_allclose(
                np.broadcast_to(values, scan.x.shape)[below], one.evaluate(scan.x)[below], atol=0.02 * scale
            )


def test_least_squares_are_at_their_minimum() -> None:
    """No small step of a parameter makes a polished formula fit better."""
    x, truth, _, _ = planted("power law, constant", 9)
    sigma = np.full(len(x), 0.02)
    y = truth + sigma * np.random.default_rng(1).standard_normal(len(x))
    curve = Weighted(Scan(x), y, sigma, True)
    start = (np.empty(0), np.array([160.0, 0.5]))
    terms = (ALONE[0][0], next(term for term in SETTING_IN if term.free_exponent))
    best = Formula(terms, start).refitted(curve).polished(curve)
    for step in ([0.05, 0], [-0.05, 0], [0, 0.002], [0, -0.002]):
        moved = Formula(terms, (best.parameters[0], best.parameters[1] + step)).refitted(curve)
        assert moved.misfit > best.misfit


def test_errors_that_are_not_known_and_any_order() -> None:
    x, truth, tc, _ = planted("power law, constant", 1)
    y = truth + 0.01 * np.random.default_rng(5).standard_normal(len(x))
    order = np.random.default_rng(6).permutation(len(x))
    one = SymbolicOrderParameter().fit(x[order], y[order], np.full(len(x), np.nan))
    other = SymbolicOrderParameter().fit(x, y, np.zeros(len(x)))
    assert one.kind == "second-order"
    assert one.tc is not None
    assert other.tc is not None
    assert one.tc.value == pytest.approx(other.tc.value)
    assert abs(one.tc.value - tc) < x[1] - x[0]
    assert chosen(one)["error"] == pytest.approx(0.01, rel=0.5)


def test_a_broad_fall_is_a_crossover() -> None:
    x = np.linspace(LOW, HIGH, 40)
    one = reading(x, 1 + 0.8 * np.tanh((120 - x) / 25), 0.01, 4)
    assert one.kind == "crossover"
    assert one.tc is not None
    assert one.tc.holds(120)


@pytest.mark.parametrize("seed", range(3))
def test_what_still_falls_at_the_end_of_the_scan_has_no_tc(seed: int) -> None:
    x = np.append(np.linspace(3, 480, 40), np.linspace(485, 500, 12))
    truth = 600 * np.sqrt(np.maximum(1 - (x / 496) ** 1.5, 0)) + 400
    found = reading(x, truth, 0.002, seed)
    assert found.kind == "none" or found.tc is None or found.tc.value < 475


def test_what_cannot_be_read_is_refused() -> None:
    x = np.linspace(LOW, HIGH, 10)
    assert SymbolicOrderParameter().fit(x[:7], x[:7], x[:7]).kind == "none"
    with pytest.raises(InputError, match="one shape"):
        SymbolicOrderParameter().fit(x, x[:5], x)
    with pytest.raises(InputError, match="above 0 K"):
        SymbolicOrderParameter().fit(x - 50, x, x)
    with pytest.raises(ConfigError, match="evidence"):
        SymbolicOrderParameter(evidence=-1.0).fit(x, x, x)
    assert clone(SymbolicOrderParameter(evidence=7.0)).evidence == 7.0
