"""Peaks that set in at different temperatures, told apart."""

from __future__ import annotations

import numpy as np
import pytest

from xtec.core.types import Float64Array
from xtec.order_parameter.candidates import Curve
from xtec.order_parameter.models import onset
from xtec.order_parameter.split import peak_onsets, peak_temperatures, split


def counts(
    x: Float64Array, tc: Float64Array, strength: Float64Array, rng: np.random.Generator
) -> Float64Array:
    """Peaks (P, T) that set in at each Tc, on backgrounds of their own."""
    background = rng.uniform(0.1, 0.6, len(tc)) * strength
    order = onset(x, tc[:, None], 0.35, 0.0)
    return rng.poisson(background[:, None] + strength[:, None] * order).astype(float)


def curve_of(x: Float64Array, peaks: Float64Array) -> tuple[Curve, Float64Array, Float64Array]:
    """The curve of all peaks, the peaks, and the variance of each."""
    total = peaks.sum(axis=0)
    return Curve(x, total, np.sqrt(total)), peaks, peaks.mean(axis=1)


def groups_of(x: Float64Array, peaks: Float64Array) -> set[frozenset[int]]:
    groups = split(peak_onsets(*curve_of(x, peaks)), x[1] - x[0])
    np.testing.assert_array_equal(np.sum(groups, axis=0), 1)
    return {frozenset(np.flatnonzero(group).tolist()) for group in groups}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n_peaks", [12, 40])
@pytest.mark.parametrize(
    ("temperatures", "strength", "n"),
    [((131.0, 126.0), 1e5, 96), ((131.0, 126.0), 1e5, 39), ((131.0, 91.0), 1e3, 24)],
)
def test_peaks_of_two_temperatures_are_put_into_their_groups(
    temperatures: tuple[float, float], strength: float, n: int, n_peaks: int, seed: int
) -> None:
    rng, x = np.random.default_rng(seed), np.linspace(30, 220, n)
    kind = rng.permutation(np.repeat([0, 1], n_peaks // 2))
    peaks = counts(x, np.array(temperatures)[kind], strength * rng.uniform(0.5, 3, n_peaks), rng)
    assert groups_of(x, peaks) == {frozenset(np.flatnonzero(kind == one).tolist()) for one in (0, 1)}


@pytest.mark.parametrize("seed", range(8))
def test_peaks_of_one_temperature_are_not_split(seed: int) -> None:
    """Of strengths that differ three-hundredfold, and some of noise alone."""
    rng, x = np.random.default_rng(seed), np.linspace(30, 220, 24)
    peaks = counts(x, np.full(40, 131.0), 10 ** rng.uniform(1.5, 4, 40), rng)
    peaks[:4] = rng.poisson(50, (4, 24))
    assert groups_of(x, peaks) == {frozenset(range(40))}


@pytest.mark.parametrize("seed", range(3))
def test_three_temperatures(seed: int) -> None:
    rng, x = np.random.default_rng(seed), np.linspace(30, 220, 24)
    kind = rng.permutation(np.repeat([0, 1, 2], 15))
    peaks = counts(x, np.array([60.0, 110.0, 170.0])[kind], 10 ** rng.uniform(3, 4, 45), rng)
    assert groups_of(x, peaks) == {frozenset(np.flatnonzero(kind == one).tolist()) for one in range(3)}


def test_the_order_of_the_peaks_does_not_matter() -> None:
    rng, x = np.random.default_rng(1), np.linspace(30, 220, 24)
    tc = np.repeat([131.0, 105.0], [25, 15])
    peaks, places = counts(x, tc, 10 ** rng.uniform(2.5, 4, 40), rng), rng.permutation(40)
    expected = groups_of(x, peaks)
    assert len(expected) == 2
    assert {frozenset(places[list(group)].tolist()) for group in groups_of(x, peaks[places])} == expected


def test_few_peaks_are_not_split() -> None:
    rng, x = np.random.default_rng(2), np.linspace(30, 220, 24)
    peaks = counts(x, np.array([131.0, 131, 131, 80, 80]), np.full(5, 1e4), rng)
    assert groups_of(x, peaks) == {frozenset(range(5))}


def test_each_peak_has_its_own_onset_and_peaks_of_noise_have_none() -> None:
    rng, x = np.random.default_rng(3), np.linspace(30, 220, 39)
    tc = rng.uniform(60, 190, 60)
    peaks = counts(x, tc, np.full(60, 3e3), rng)
    peaks[:20] = rng.poisson(300, (20, 39))
    found = peak_temperatures(*curve_of(x, peaks), np.array([110.0]))
    assert np.isnan([found.tc[:20], found.low[:20], found.high[:20]]).all()
    np.testing.assert_allclose(found.tc[20:], tc[20:], atol=x[1] - x[0])
    assert np.mean((found.low[20:] <= tc[20:]) & (tc[20:] <= found.high[20:])) > 0.8
