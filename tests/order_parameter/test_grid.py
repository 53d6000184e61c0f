"""The grid's least squares against non-negative least squares at each of its points."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import nnls

from xtec.core.types import Float64Array
from xtec.order_parameter.grid import ROUNDINGS, OnsetGrid
from xtec.order_parameter.models import onset, tail

X = np.array([20.0, 30, 30, 45, 60, 80, 90, 95, 100, 110, 130, 150, 170, 200])
TC = np.array([41.0, 77.7, 98.0, 133.0])
BETA = np.array([0.1, 0.35, 0.8])


def curves(rng: np.random.Generator) -> Float64Array:
    """An onset, one with a tail, one upside down, a jump, and noise."""
    below = onset(X, 98.0, 0.3, 20.0)
    rows = [5 * below + 1, 3 * below + 2 * tail(X, 98.0, 0.03), 9 - 4 * below, 1.0 * (X < 92), 0 * X]
    return np.array(rows) + 0.1 * rng.standard_normal((5, len(X)))


def nonnegative(columns: list[Float64Array], y: Float64Array, sigma: Float64Array, prior: float) -> tuple:
    """Coefficients of columns, and the sum of squares left with a straight background of either sign.

    The last of two columns has a normal prior of mean zero and standard deviation `prior`.
    """
    line = [np.ones_like(X), -np.ones_like(X), X / 100, -X / 100]
    design = np.stack([*columns, *line], axis=1) / sigma[:, None]
    ridge = np.zeros((1, design.shape[1]))
    ridge[0, 1] = 1 / prior if len(columns) == 2 else 0.0
    found, left = nnls(np.vstack([design, ridge]), np.r_[y / sigma, 0.0])
    return found[: len(columns)], left**2


@pytest.fixture
def grid() -> OnsetGrid:
    return OnsetGrid(X, np.random.default_rng(0).uniform(0.05, 0.2, len(X)), TC, BETA, 1.5)


@pytest.mark.parametrize("tails", [False, True])
def test_every_point_is_the_best_with_coefficients_that_are_not_negative(
    grid: OnsetGrid, tails: bool
) -> None:
    measured, prior = curves(np.random.default_rng(1)), np.array([0.2, 2.0, 0.2, 0.5, 0.1])
    solved = grid.solve(measured, prior if tails else None)
    assert solved.misfit.shape == (5, len(TC), len(BETA))
    seen = set()
    for (n, i, j), misfit in np.ndenumerate(solved.misfit):
        f = onset(X, TC[i], BETA[j], 20.0, 1.5)
        shapes = {-1: [f]} | {r: [f, tail(X, TC[i], ROUNDINGS[r])] for r in range(4 * tails)}
        found = {r: nonnegative(shape, measured[n], grid.sigma, prior[n]) for r, shape in shapes.items()}
        found = {r: one for r, one in found.items() if one[0][0] > 1e-12}
        assert np.isfinite(misfit) == bool(found)
        if not found:
            continue
        assert misfit == pytest.approx(min(left for _, left in found.values()), rel=1e-8)
        coefficients, left = found[solved.rounding[n, i, j]]
        assert left == pytest.approx(misfit, rel=1e-8)
        assert solved.rise[n, i, j] == pytest.approx(coefficients[0], rel=1e-6)
        assert solved.tail[n, i, j] == pytest.approx(
            coefficients[1] if len(coefficients) > 1 else 0.0, rel=1e-6
        )
        seen.add(solved.rounding[n, i, j])
    assert (len(seen) > 2) == tails
    assert np.isinf(solved.misfit[2]).any()


def test_curves_at_once_are_those_one_by_one(grid: OnsetGrid) -> None:
    measured, prior = curves(np.random.default_rng(2)), np.array([0.2, 2.0, 0.2, 0.5, 0.1])
    together = grid.solve(measured, prior)
    for n in range(5):
        alone = grid.solve(measured[n : n + 1], prior[n : n + 1])
        np.testing.assert_allclose(alone.misfit[0], together.misfit[n], rtol=1e-9)
        np.testing.assert_array_equal(alone.rounding[0], together.rounding[n])


@pytest.mark.parametrize("factor", [1e-9, 1e-3, 1e3, 1e6, 1e9])
def test_the_unit_of_intensity_only_scales_the_coefficients(grid: OnsetGrid, factor: float) -> None:
    measured, prior = curves(np.random.default_rng(3)), np.array([0.2, 2.0, 0.2, 0.5, 0.1])
    one = grid.solve(measured, prior)
    other = OnsetGrid(X, factor * grid.sigma, TC, BETA, 1.5).solve(factor * measured, factor * prior)
    np.testing.assert_allclose(other.misfit, one.misfit, rtol=1e-6)
    np.testing.assert_allclose(other.rise, factor * one.rise, rtol=1e-6)
    np.testing.assert_allclose(other.tail, factor * one.tail, rtol=1e-6)


def test_a_straight_line_is_explained_by_the_background_alone(grid: OnsetGrid) -> None:
    line = np.array([[3.0, -0.02]]) @ np.stack([np.ones_like(X), X])
    np.testing.assert_allclose(grid.project(line), 0, atol=1e-10)
    bent = curves(np.random.default_rng(4))
    np.testing.assert_allclose(grid.solve(bent + line, None).misfit, grid.solve(bent, None).misfit, rtol=1e-8)
