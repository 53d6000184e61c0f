"""Planted ordering wave vectors are found, with their fractions, errors, stars and zones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from xtec.core.quantities import SampleInfo
from xtec.reciprocal import PeakPositions, find_wave_vectors, make_lattice

PIXEL = 0.05
THIRD = 1 / 3


def along_axes(x):
    """(x, 0, 0), its negative and its permutations."""
    return [tuple(row) for row in np.vstack([x * np.eye(3), -x * np.eye(3)]).tolist()]


# Members of the stars, written out by hand.
CUBIC_ARMS = {
    (0.5, 0.5, 0): [(0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)],
    (THIRD, 0, 0): along_axes(THIRD),
    (0.5, THIRD, THIRD): [
        member
        for s in (1, -1)
        for t in (1, -1)
        for member in (
            (0.5, s * THIRD, t * THIRD),
            (s * THIRD, 0.5, t * THIRD),
            (s * THIRD, t * THIRD, 0.5),
        )
    ],
    (0.287, 0, 0): along_axes(0.287),
    (0, 0, 0): [(0, 0, 0)],
}
# a* and b* enclose 60 degrees: six-fold turns take (1, 0) to (0, 1) to (-1, 1).
HEXAGONAL_ARMS = {
    (0.5, 0, 0): [(0.5, 0, 0), (0, 0.5, 0), (0.5, 0.5, 0)],
    (THIRD, 0, 0): [(s * h, s * k, 0) for s in (THIRD, -THIRD) for h, k in ((1, 0), (0, 1), (-1, 1))],
    (THIRD, THIRD, 0.5): [(THIRD, THIRD, 0.5), (-THIRD, -THIRD, 0.5)],
    (0.287, 0, 0): [(s * h, s * k, 0) for s in (0.287, -0.287) for h, k in ((1, 0), (0, 1), (-1, 1))],
    (0, 0, 0): [(0, 0, 0)],
}
CASES = [("m-3m", q, arms) for q, arms in CUBIC_ARMS.items()]
CASES += [("6/mmm", q, arms) for q, arms in HEXAGONAL_ARMS.items()]
TEXT = {0.5: "1/2", THIRD: "1/3", 0: "0", 0.287: None}
LOW, HIGH = np.array([-2.6, -3.0, -2.0]), np.array([3.3, 3.0, 2.5])


def lattice_of(symbol):
    return make_lattice(SampleInfo(), [], None, asked=symbol)


def centroids(arms, scatter, rng, low=LOW, high=HIGH, keep=1.0):
    """Peaks at every G + arm from `low` to `high`; those at its edges are cut, and drawn inwards."""
    g = np.stack(np.meshgrid(*[np.arange(-7.0, 8.0)] * 3, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    true = (g + np.array(arms)).reshape(-1, 3)
    true = true[((true >= low - 1e-9) & (true <= high + 1e-9)).all(axis=1)]
    true = true[rng.random(len(true)) < keep]
    hkl = true + rng.normal(0, scatter * PIXEL, true.shape)
    at_low, at_high = true < low + PIXEL, true > high - PIXEL
    hkl += 0.8 * PIXEL * (at_low.astype(float) - at_high)
    return hkl, ~(at_low | at_high)


def positions(*parts, low=LOW, high=HIGH, stray=0.0, rng=None):
    hkl, whole = (np.concatenate(part) for part in zip(*parts, strict=True))
    n = round(stray * len(hkl))
    if n:
        hkl = np.vstack([hkl, rng.uniform(low, high, (n, 3))])
        whole = np.vstack([whole, np.ones((n, 3), dtype=bool)])
    return PeakPositions(hkl, whole, np.ones(len(hkl)), None, np.full(3, PIXEL), low, high)


@pytest.mark.parametrize("scatter", [0.1, 0.3])
@pytest.mark.parametrize(("symbol", "q", "arms"), CASES)
def test_planted_wave_vector_is_found(symbol, q, arms, scatter):
    rng = np.random.default_rng(5)
    clean = positions(centroids(arms, scatter, rng))
    peaks = positions((clean.hkl, clean.whole), stray=0.1, rng=rng)
    (found,) = find_wave_vectors(peaks, lattice_of(symbol), (2,))
    np.testing.assert_allclose(found.q, q, atol=0.005)
    assert np.all(np.abs(found.q - q) < 4 * found.uncertainty)
    assert found.uncertainty.max() < 0.003
    assert found.fraction == tuple(TEXT[x] for x in q)
    assert found.is_bragg == (not any(q))
    assert found.clusters == (2,)
    assert found.multiplicity == len(arms) == len(found.arms)
    for arm in found.arms:
        away = np.abs(np.array(arms) - arm.q)
        assert (np.abs(away - np.round(away)).max(axis=1) < 0.02).sum() == 1
    assert found.peaks == sum(arm.peaks for arm in found.arms)
    assert 0.98 * len(clean.hkl) <= found.peaks <= 1.03 * len(clean.hkl)


def test_zones_are_counted_by_hand():
    # Arm (1/2, 1/2, 0) is inside for H = -1/2, 1/2, K = -1/2, 1/2, L = -1, 0, 1: 12 zones.
    low, high = np.array([-0.9, -0.9, -1.2]), np.array([0.9, 0.9, 1.2])
    rng = np.random.default_rng(0)
    hkl, whole = centroids([(0.5, 0.5, 0)], 0.1, rng, low, high)
    assert len(hkl) == 12
    monoclinic = lattice_of("2/m")
    (found,) = find_wave_vectors(positions((hkl, whole), low=low, high=high), monoclinic, (1,))
    assert (found.zones, found.zones_measured, found.multiplicity) == (12, 12, 1)
    (found,) = find_wave_vectors(positions((hkl[:7], whole[:7]), low=low, high=high), monoclinic, (1,))
    assert (found.zones, found.zones_measured, found.arms[0].zones) == (7, 12, 7)


def test_zones_of_a_cubic_star_are_those_of_any_arm():
    # G = round(position - arm): (1/2, 1/2, 0) and (1/2, 0, 1/2) of one G are one zone.
    low, high = np.full(3, -0.2), np.full(3, 0.7)
    hkl = np.array(CUBIC_ARMS[0.5, 0.5, 0])
    peaks = positions((hkl, np.ones((3, 3), dtype=bool)), low=low, high=high)
    (found,) = find_wave_vectors(peaks, lattice_of("m-3m"), (1,))
    assert (found.peaks, found.zones, found.zones_measured) == (3, 1, 1)


@pytest.mark.parametrize("seed", range(3))
def test_two_wave_vectors_of_one_cluster(seed):
    rng = np.random.default_rng(seed)
    half = centroids(CUBIC_ARMS[0.5, 0.5, 0], 0.2, rng)
    incommensurate = centroids(CUBIC_ARMS[0.287, 0, 0], 0.2, rng, keep=0.1)
    peaks = positions(half, incommensurate, stray=0.1, rng=rng)
    first, second = find_wave_vectors(peaks, lattice_of("m-3m"), (1, 3))
    assert first.text == "(1/2, 1/2, 0)"
    assert second.fraction == (None, "0", "0")
    assert second.q[0] == pytest.approx(0.287, abs=0.005)
    assert first.peaks == pytest.approx(len(half[0]), rel=0.03)
    assert second.peaks == pytest.approx(len(incommensurate[0]), rel=0.15)
    assert (first.multiplicity, second.multiplicity) == (3, 6)


def test_satellites_of_bragg_peaks_are_not_bragg_peaks():
    rng = np.random.default_rng(1)
    near = along_axes(0.12)
    peaks = positions(centroids([(0, 0, 0)], 0.2, rng), centroids(near, 0.2, rng))
    satellite, bragg = find_wave_vectors(peaks, lattice_of("m-3m"), (1,))
    assert bragg.is_bragg
    assert not satellite.is_bragg
    assert satellite.q[0] == pytest.approx(0.12, abs=0.003)
    assert satellite.multiplicity == 6


def test_arms_without_peaks_are_missing_and_still_counted_in_the_star():
    rng = np.random.default_rng(2)
    peaks = positions(centroids([(0, 0, 0.287), (0, 0, -0.287)], 0.2, rng), stray=0.1, rng=rng)
    (found,) = find_wave_vectors(peaks, lattice_of("m-3m"), (1,))
    assert len(found.arms) == 2
    assert found.multiplicity == 6
    np.testing.assert_allclose(sorted(arm.q[2] for arm in found.arms), [-0.287, 0.287], atol=0.003)
    np.testing.assert_allclose(found.q, (0.287, 0, 0), atol=0.003)


def test_peaks_cut_in_every_zone_still_find_their_arm():
    # Layers L = 0 and L = 1 at the edges of the region, L = 1/2 inside: as in a slab of one zone.
    rng = np.random.default_rng(3)
    low, high = np.array([-4.2, -4.2, 0.0]), np.array([4.2, 4.2, 1.0])
    hkl, whole = centroids(CUBIC_ARMS[0.5, 0.5, 0], 0.2, rng, low, high)
    lattice = lattice_of("m-3m")
    (found,) = find_wave_vectors(positions((hkl, whole), low=low, high=high), lattice, (1,))
    assert found.text == "(1/2, 1/2, 0)"
    assert found.peaks == len(hkl)
    assert len(found.arms) == 3
    assert found.uncertainty.max() < 0.003
    # Without the layer inside, nothing knows L better than to a pixel.
    edge = ~whole[:, 2]
    (found,) = find_wave_vectors(positions((hkl[edge], whole[edge]), low=low, high=high), lattice, (1,))
    assert found.text == "(1/2, 1/2, 0)"
    assert [arm.peaks for arm in found.arms] == [edge.sum()]
    assert found.uncertainty[2] > 0.25 * PIXEL
    assert found.uncertainty[:2].max() < 0.003


def test_a_biased_coordinate_does_not_move_the_mean():
    rng = np.random.default_rng(4)
    hkl, whole = centroids([(0.25, 0.1, 0.4)], 0.1, rng)
    cut = np.arange(len(hkl)) % 3 == 0
    hkl[cut, 0] += 1.2 * PIXEL
    whole[cut, 0] = False
    (found,) = find_wave_vectors(positions((hkl, whole)), lattice_of("-1"), (1,))
    np.testing.assert_allclose(found.q, (0.25, 0.1, 0.4), atol=0.002)
    assert found.peaks == len(hkl)


def test_axis_that_was_not_measured_stays_unknown():
    rng = np.random.default_rng(6)
    hkl, whole = centroids([(0.5, 0.287, 0), (0.5, -0.287, 0), (0.287, 0.5, 0), (-0.287, 0.5, 0)], 0.2, rng)
    peaks = positions((hkl, whole))
    nothing = np.array([1, 1, np.nan])
    peaks = replace(peaks, hkl=hkl * nothing, low=LOW * nothing, high=HIGH * nothing)
    (found,) = find_wave_vectors(peaks, lattice_of("m-3m"), (1,))
    assert found.fraction == ("1/2", None, None)
    assert found.text == "(1/2, 0.287, ?)"
    assert found.multiplicity == 4  # L stays apart, so H and K alone are exchanged
    assert np.isnan(found.q[2])
    assert np.isnan(found.uncertainty[2])


@pytest.mark.parametrize("with_errors", [False, True])
def test_errors_hold_what_they_promise(with_errors):
    off = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        arms, lattice = CUBIC_ARMS[0.287, 0, 0], lattice_of("m-3m")
        hkl, whole = centroids(arms, 0.2, rng, keep=0.04)
        peaks = positions((hkl, whole))
        if with_errors:
            peaks = replace(peaks, error=np.full(hkl.shape, 0.2 * PIXEL))
        (found,) = find_wave_vectors(peaks, lattice, (1,))
        off.append((found.q[0] - 0.287) / found.uncertainty[0])
    # Standard normal, but for the floor: never much wider, nor very much narrower.
    assert 0.5 < np.std(off) < 1.15


def test_precise_centroids_count_for_more():
    rng = np.random.default_rng(7)
    arm, low, high = (0.21, 0.1, 0.3), np.full(3, -2.9), np.full(3, 2.9)
    hkl, whole = centroids([arm], 0.05, rng, low, high)
    poor = np.arange(len(hkl)) % 2 == 0
    hkl[poor, 0] += 0.5 * PIXEL
    error = np.where(poor[:, None], 0.5, 0.05) * PIXEL * np.ones(3)
    peaks = positions((hkl, whole), low=low, high=high)
    (blind,) = find_wave_vectors(peaks, lattice_of("-1"), (1,))
    (found,) = find_wave_vectors(replace(peaks, error=error), lattice_of("-1"), (1,))
    assert abs(blind.q[0] - 0.21) > 0.01
    assert abs(found.q[0] - 0.21) < 0.003


def test_arms_that_disagree_widen_the_error():
    rng = np.random.default_rng(8)
    arms = np.array(CUBIC_ARMS[0.287, 0, 0])
    shifted = arms * np.array([1, 1.0, 1.0, 1.0, 1.05, 1.05])[:, None]
    lattice = lattice_of("m-3m")
    (straight,) = find_wave_vectors(positions(centroids(arms, 0.1, rng)), lattice, (1,))
    (crooked,) = find_wave_vectors(positions(centroids(shifted, 0.1, rng)), lattice, (1,))
    assert crooked.uncertainty[0] > 5 * straight.uncertainty[0]


@pytest.mark.parametrize("n", [1, 2])
def test_one_or_two_peaks_are_a_wave_vector_of_wide_error(n):
    hkl = np.array([(1.5, 0.5, 2.0), (0.5, 2.0, 0.5)])[:n] + 0.004
    peaks = positions((hkl, np.ones((n, 3), dtype=bool)))
    (found,) = find_wave_vectors(peaks, lattice_of("m-3m"), (1,))
    assert found.peaks == n
    assert found.multiplicity == 3
    assert found.text == "(1/2, 1/2, 0)"
    assert np.all(found.uncertainty > 0.2 * PIXEL / np.sqrt(n))


def test_one_peak_at_each_arm_is_enough():
    hkl = np.array(CUBIC_ARMS[0.287, 0, 0]) + np.array([1, 2, 0])
    (found,) = find_wave_vectors(positions((hkl, np.ones((6, 3), dtype=bool))), lattice_of("m-3m"), (1,))
    assert found.peaks == 6
    assert found.q[0] == pytest.approx(0.287, abs=0.005)


def test_scattered_peaks_are_no_wave_vector():
    rng = np.random.default_rng(9)
    hkl = rng.uniform(LOW, HIGH, (400, 3))
    assert find_wave_vectors(positions((hkl, np.ones((400, 3), dtype=bool))), lattice_of("m-3m"), (1,)) == []


@pytest.mark.parametrize(("share", "kept"), [(0.02, False), (0.05, True)])
def test_places_of_a_few_percent_of_the_peaks_are_stray(share, kept):
    rng = np.random.default_rng(11)
    many = centroids(CUBIC_ARMS[0.5, 0.5, 0], 0.2, rng)
    few = centroids([(0.2, 0.3, 0.4)], 0.1, rng)
    n_few = round(share * len(many[0]))
    found = find_wave_vectors(positions(many, tuple(part[:n_few] for part in few)), lattice_of("m-3m"), (1,))
    assert len(found) == 1 + kept


def test_no_peaks_have_no_wave_vector():
    nothing = (np.empty((0, 3)), np.empty((0, 3), dtype=bool))
    assert find_wave_vectors(positions(nothing), lattice_of("m-3m"), (1,)) == []


def test_one_layer_alone():
    rng = np.random.default_rng(10)
    low, high = np.array([-3.0, -3.0, 0.5]), np.array([3.0, 3.0, 0.5])
    hkl, whole = centroids([(0.5, 0, 0.5), (0, 0.5, 0.5)], 0.1, rng, low, high)
    hkl[:, 2], whole[:, 2] = 0.5, False
    peaks = replace(positions((hkl, whole), low=low, high=high), pixel=np.array([PIXEL, PIXEL, 0.0]))
    (found,) = find_wave_vectors(peaks, lattice_of("m-3m"), (1,))
    assert found.text == "(1/2, 1/2, 0)"
    assert len(found.arms) == 2
    assert found.multiplicity == 3
