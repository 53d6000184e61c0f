"""Moments, order statistics and histograms of values in pieces, against NumPy on all of them at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from xtec.core.arrays import home
from xtec.core.device import Device
from xtec.core.shards import Local
from xtec.preprocess import spread
from xtec.preprocess.spread import Spread, histogram_sums, order_statistic, spread_of

Place = Callable[[np.ndarray], Any]


@pytest.fixture(params=["here", "elsewhere"])
def place(request: pytest.FixtureRequest, device: Device) -> Place:
    """Values as they are, and on arrays that are not NumPy's."""
    return device.upload if request.param == "elsewhere" else lambda values: values


VALUES = {
    "different": np.random.default_rng(0).normal(3.0, 2.0, 401),
    "many alike": np.round(np.random.default_rng(1).normal(0.0, 1.0, 400), 1),
    "far outliers": np.r_[np.random.default_rng(2).normal(size=300), 1e6, -1e6],
    "below zero": -np.random.default_rng(3).gamma(2.0, 5.0, 123),
    "all alike": np.full(50, 7.25),
    "one": np.array([-4.5]),
}
"""The extremes lie at the ends of the list in some, the middle and both ends in others."""


def in_pieces(values: np.ndarray, place: Place) -> Local[Any]:
    """Four unequal pieces, one of them empty."""
    n = len(values)
    return Local([place(part) for part in np.split(values, [0, n // 3, n // 2])])


@pytest.mark.parametrize("name", VALUES)
def test_moments_and_extremes_are_those_of_all_values(name: str, place: Place) -> None:
    values = VALUES[name]
    found = spread_of(in_pieces(values, place))
    assert (found.n, found.low, found.high) == (len(values), values.min(), values.max())
    assert found.mean == pytest.approx(values.mean(), rel=1e-12, abs=1e-12)
    assert found.squares == pytest.approx(((values - values.mean()) ** 2).sum(), rel=1e-12, abs=1e-12)
    assert found.std == pytest.approx(values.std(), rel=1e-12, abs=1e-12)


def test_nothing_has_no_spread(place: Place) -> None:
    nothing = spread_of(in_pieces(np.empty(0), place))
    assert nothing == Spread() == Spread().merge(Spread())
    assert np.isnan(nothing.std)


def test_nothing_changes_nothing(place: Place) -> None:
    some = Spread.of(place(VALUES["different"] * 1e-3))
    assert Spread().merge(some) == some == some.merge(Spread())


def test_squares_are_exact_far_from_zero(place: Place) -> None:
    """1e8 + 1 and 1e8 - 1, again and again: sums of plain squares would lose the squares of 1."""
    values = 1e8 + np.tile([-1.0, 1.0], 500)
    assert Spread.of(place(values)).squares == 1000.0
    assert spread_of(in_pieces(values, place)).squares == pytest.approx(1000.0, rel=1e-6)


@pytest.mark.parametrize("few", [1, 10, 1 << 18])
@pytest.mark.parametrize("name", VALUES)
def test_every_rank_is_that_of_the_sorted_values(
    name: str, few: int, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether all values may be sorted, or are narrowed down to ten, or to one or some alike."""
    monkeypatch.setattr(spread, "_FEW", few)
    values = VALUES[name]
    pieces, ordered = in_pieces(values, place), np.sort(values)
    known = spread_of(pieces)
    ranks = {0, 1, len(values) // 4, len(values) // 2, 3 * len(values) // 4, len(values) - 2, len(values) - 1}
    for rank in ranks & set(range(len(values))):
        assert order_statistic(pieces, rank, known) == ordered[rank], rank


@pytest.mark.parametrize("n_bins", [1, 2, 7, 100])
@pytest.mark.parametrize("centre", [0.0, 2.5])
@pytest.mark.parametrize("name", VALUES)
def test_bins_hold_what_numpy_puts_into_them(name: str, centre: float, n_bins: int, place: Place) -> None:
    values = VALUES[name]
    edges = np.histogram_bin_edges([values.min(), values.max()], n_bins)
    found = np.asarray(home(histogram_sums(in_pieces(values, place), edges, centre)))
    for power in range(3):
        expected = np.histogram(values, edges, weights=(values - centre) ** power)[0]
        np.testing.assert_allclose(found[power], expected, rtol=1e-10, atol=1e-10 * np.abs(expected).max())


def test_values_on_an_edge_belong_above_it_whatever_the_rounding(place: Place) -> None:
    """Each edge itself, and the numbers just below and above it; the last edge belongs to the last bin."""
    for low, high in ((0.1, 0.7), (-3.3, 1.9), (1e3, 1e3 + 1e-3)):
        edges = np.histogram_bin_edges([low, high], 49)
        inner = edges[1:-1]
        values = np.r_[edges, np.nextafter(inner, -np.inf), np.nextafter(inner, np.inf)]
        at = np.minimum(np.searchsorted(edges, values, side="right") - 1, 48)
        found = np.asarray(home(histogram_sums(in_pieces(values, place), edges, 0.0)))
        np.testing.assert_array_equal(found[0], np.bincount(at, minlength=49))
