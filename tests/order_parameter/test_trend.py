"""Curves with and without a transition, told apart; onsets against the planted ones."""

from __future__ import annotations

import re

import numpy as np
import pytest

from xtec.core.axes import Axis
from xtec.order_parameter import describe


def kelvin(n, low=20.0, high=300.0):
    return Axis("temperature", np.linspace(low, high, n), "K")


def order(temperature, tc, beta):
    return np.clip(1 - temperature / tc, 0, None) ** (2 * beta)


@pytest.mark.parametrize("beta", [0.2, 0.25, 0.35, 0.5])
@pytest.mark.parametrize("background", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("n", [10, 16, 24, 60, 200])
@pytest.mark.parametrize("tc", [90.0, 131.0, 200.0])
def test_planted_onsets_are_found(n, tc, beta, background):
    scan = kelvin(n)
    rng = np.random.default_rng([n, int(tc), int(100 * beta)])
    curve = order(scan.values, tc, beta) + background * (1 - 0.1 * scan.values / 300)
    noisy = curve + 0.002 * curve.mean() * rng.standard_normal(n)
    trend = describe(scan, 340.0 * noisy)
    assert trend.orders is True
    # Within a step of the scan, but not finer than the 3 % that the noise allows a faint, gradual onset.
    assert trend.onset == pytest.approx(tc, abs=max(scan.step, 0.03 * tc))
    assert 0 < trend.score <= 1
    assert ("gone above" if background == 0 else f"{trend.onset:.3g} K") in trend.text


@pytest.mark.parametrize("noise", [0.0, 0.005, 0.02])
@pytest.mark.parametrize("beta", [0.2, 0.35, 0.5])
def test_noise_as_of_small_clusters_is_no_obstacle(beta, noise):
    scan, hits = kelvin(20), 0
    for seed in range(20):
        rng = np.random.default_rng([seed, int(100 * beta)])
        tc = rng.uniform(80, 240)
        curve = order(scan.values, tc, beta) + noise * rng.standard_normal(20)
        trend = describe(scan, curve)
        hits += bool(trend.orders) and abs(trend.onset - tc) <= scan.step
    assert hits >= (16 if beta == 0.5 else 19)  # beta = 1/2 is a straight fall, the hardest to tell


def test_fields_times_and_pressures_order_too():
    pressure = Axis("pressure", np.linspace(0, 8, 17), "GPa")
    trend = describe(pressure, 5 * order(pressure.values, 4.1, 0.3) + 1)
    assert trend.orders
    assert trend.onset == pytest.approx(4.1, abs=0.5)
    assert "GPa" in trend.text


def test_the_order_of_the_scan_does_not_matter():
    scan = kelvin(18)
    curve = order(scan.values, 140, 0.35) + 0.2
    shuffle = np.random.default_rng(0).permutation(18)
    assert describe(scan[shuffle], curve[shuffle]) == describe(scan, curve)


def test_warming_and_cooling_in_one_scan():
    values = np.r_[np.linspace(20, 250, 12), np.linspace(250, 20, 12)]
    trend = describe(Axis("temperature", values, "K"), order(values, 120, 0.35) + 0.1)
    assert trend.orders
    assert trend.onset == pytest.approx(120, abs=21)


@pytest.mark.parametrize("factor", [1e-6, 1.0, 1e9])
def test_the_unit_of_intensity_does_not_matter(factor):
    scan = kelvin(16)
    curve = order(scan.values, 140, 0.35) + 0.3 + 0.001 * np.random.default_rng(1).standard_normal(16)
    one, other = describe(scan, curve), describe(scan, factor * curve)
    assert other.orders
    assert (other.onset, other.score) == pytest.approx((one.onset, one.score), rel=1e-6)


def sigmoid(rng, u):
    """A peak that moves out of its box, over a good part of the scan."""
    return 1 / (1 + np.exp((u - rng.uniform(0.3, 0.7)) / rng.uniform(0.12, 0.3))) + rng.uniform(0, 1)


def random_walk(rng, u):
    """A Gaussian process that turns over a good part of the scan."""
    length = rng.uniform(0.4, 1)
    covariance = np.exp(-((u[:, None] - u) ** 2) / (2 * length**2)) + 1e-8 * np.eye(len(u))
    return 1 + 0.3 * np.linalg.cholesky(covariance) @ rng.standard_normal(len(u))


SMOOTH = {
    "line": lambda rng, u: 1 + rng.uniform(-0.9, 2) * u,
    "Debye-Waller": lambda rng, u: np.exp(-rng.uniform(0.05, 3) * u),
    "anharmonic": lambda rng, u: np.exp(-rng.uniform(0.05, 1) * u - rng.uniform(0, 2) * u**2),
    "grows": lambda rng, u: 0.1 + u,
    "phonons": lambda rng, u: 1 / np.tanh(0.5 / (u + 0.15)),
    "constant": lambda rng, u: np.ones_like(u),
    "moving peak": sigmoid,
    "hump": lambda rng, u: (
        np.exp(-((u - rng.uniform(-0.2, 1.2)) ** 2) / (2 * rng.uniform(0.25, 0.6) ** 2)) + rng.uniform(0, 1)
    ),
    "wandering": random_walk,
}


@pytest.mark.parametrize("n", [7, 10, 16, 24, 80])
@pytest.mark.parametrize("kind", SMOOTH)
def test_smooth_curves_without_noise_do_not_order(kind, n):
    u = np.linspace(0, 1, n)
    for seed in range(5):
        trend = describe(kelvin(n), 1000 * SMOOTH[kind](np.random.default_rng(seed), u))
        assert trend.orders is False
        assert (trend.onset, trend.score) == (None, 0.0)


@pytest.mark.parametrize("n", [7, 8, 12, 24, 60])
@pytest.mark.parametrize("noise", [0.002, 0.02, 0.1])
def test_at_most_one_in_twenty_smooth_and_noisy_curves_is_taken_for_order(n, noise):
    rng = np.random.default_rng([n, int(1000 * noise)])
    u, kinds, wrong = np.linspace(0, 1, n), list(SMOOTH.values()), 0
    for i in range(200):
        curve = kinds[i % len(kinds)](rng, u)
        wrong += describe(kelvin(n), curve + noise * np.abs(curve).mean() * rng.standard_normal(n)).orders
    assert wrong <= 10


def test_pure_noise_does_not_order():
    rng = np.random.default_rng(4)
    wrong = sum(
        bool(describe(kelvin(n), rng.poisson(30, n) / 1.0).orders) for n in (9, 16, 30) for _ in range(100)
    )
    assert wrong <= 15


def test_intensity_that_sets_in_above_a_temperature_is_no_order_parameter():
    scan = kelvin(24)
    assert describe(scan, 2 - order(scan.values, 130, 0.35)).orders is False


def test_a_faint_onset_on_a_strong_peak_is_left_to_others():
    scan = kelvin(24)
    assert describe(scan, 1000 + 50 * order(scan.values, 130, 0.35)).orders is False


@pytest.mark.parametrize("n", [1, 2, 3, 5, 6])
def test_few_temperatures_leave_it_open(n):
    scan = kelvin(n) if n > 1 else Axis("temperature", np.array([100.0]), "K")
    trend = describe(scan, order(scan.values, 130, 0.35) + 0.1)
    assert (trend.orders, trend.onset, trend.score) == (None, None, 0.0)


def test_repeated_temperatures_do_not_count():
    values = np.repeat([20.0, 60.0, 100.0, 140.0], 5)
    assert describe(Axis("temperature", values, "K"), order(values, 90, 0.35)).orders is None


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_cluster_without_members_has_no_trend(bad):
    trend = describe(kelvin(12), np.full(12, bad))
    assert (trend.text, trend.orders, trend.onset) == ("no members", None, None)


def test_nothing_at_all_is_steady():
    trend = describe(kelvin(12), np.zeros(12))
    assert (trend.orders, trend.change) == (False, 0.0)
    assert "steady" in trend.text


@pytest.mark.parametrize(
    ("high", "change", "text"),
    [(0.5, -0.5, "falls slowly, 18 %/100 K"), (1.5, 0.5, "grows with temperature"), (1.01, 0.01, "steady")],
)
def test_phrases_of_smooth_curves(high, change, text):
    scan = kelvin(15)
    u = (scan.values - scan.values[0]) / np.ptp(scan.values)
    trend = describe(scan, 1 + (high - 1) * u)
    assert trend.change == pytest.approx(change, abs=1e-9)
    assert trend.text.startswith(text)


@pytest.mark.parametrize("units", ["K", "T", ""])
@pytest.mark.parametrize("n", [16, 31, 200])
def test_critical_scattering_and_phases_between_two_fields(n, units):
    for seed in range(10):
        rng = np.random.default_rng([n, seed])
        scan = Axis("field", np.linspace(0, 6, n), units)
        place, tilt = rng.uniform(1.5, 4.5), rng.uniform(-0.3, 0.3)
        bump = 0.6 * np.exp(-((scan.values - place) ** 2) / (2 * 0.5**2))
        trend = describe(scan, 70 * (1 + bump + tilt * scan.values / 6 + 0.01 * rng.standard_normal(n)))
        found = re.fullmatch(rf"highest at about (\S+){f' {units}' if units else ''} \(\+\d+ %\)", trend.text)
        assert found
        assert trend.turns
        assert float(found[1]) == pytest.approx(place, abs=max(scan.step, 0.3))
        assert trend.change == pytest.approx(tilt, abs=0.15)


@pytest.mark.parametrize("noise", [0.0, 0.01])
@pytest.mark.parametrize("width", [8.0, 15.0, 30.0])
@pytest.mark.parametrize("n", [24, 60, 200])
def test_what_comes_and_goes_again_is_no_order(n, width, noise):
    scan, wrong = kelvin(n), 0
    for seed in range(20):
        rng = np.random.default_rng([n, int(width), seed])
        place, tilt, height = rng.uniform(90, 230), rng.uniform(-0.5, 0.5), rng.choice([-0.7, -0.3, 0.3, 2])
        bump = height * np.exp(-((scan.values - place) ** 2) / (2 * width**2))
        curve = 1 + bump + tilt * scan.values / 300 + noise * rng.standard_normal(n)
        wrong += describe(scan, curve).orders
    assert wrong <= 1


@pytest.mark.parametrize("factor", [1e-6, 1e9])
@pytest.mark.parametrize(
    ("depth", "text"), [(1, "highest at about 150 K (+33 %)"), (-0.5, "lowest at about 150 K (-50 %)")]
)
def test_height_and_depth_go_with_the_nearer_end(depth, text, factor):
    scan = kelvin(19, 50, 250)
    curve = 1 + depth * (1 - ((scan.values - 150) / 100) ** 2)
    curve[-1] = 1.5
    trend = describe(scan, factor * curve)
    assert trend.turns
    assert trend.text == text


@pytest.mark.parametrize("noise", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("n", [7, 12, 31, 200])
def test_noise_and_single_points_do_not_turn(n, noise):
    rng = np.random.default_rng([n, int(100 * noise)])
    wrong = 0
    for _ in range(100):
        curve = 1 + rng.uniform(-0.5, 0.5) * np.linspace(0, 1, n) + noise * rng.standard_normal(n)
        curve[n // 2] *= 3
        wrong += describe(kelvin(n), curve).turns
    assert wrong <= 2
