"""Displacements of maxima from what changes on their slopes: closed forms, without noise or clustering."""

from __future__ import annotations

import numpy as np
import pytest

from xtec.core.axes import Axis
from xtec.core.types import ClusterCurves, ClusterMap, VoxelChanges
from xtec.reciprocal import moving as module
from xtec.reciprocal import moving_peaks
from xtec.reciprocal.slopes import slopes, summits

SPAN = -200.0
"""Mean of the low temperatures minus that of the high ones, K."""


def curves(units: str = "K") -> ClusterCurves:
    """Two clusters that go opposite ways."""
    scan = Axis("temperature" if units == "K" else "field", np.linspace(0, 300, 5), units)
    rising = np.linspace(-1.0, 1.0, 5)
    both = np.stack([-rising, rising])
    return ClusterCurves(scan, both, np.ones_like(both), both + 2, np.ones_like(both))


def pattern(
    axis: Axis, at: np.ndarray, width: np.ndarray, shift: np.ndarray, fading: float = 0.0
) -> tuple[ClusterMap, VoxelChanges]:
    """Peaks of height 1000 without background, displaced by `shift` between high and low temperatures.

    The clusters are those of the voxels that lose and that gain more than a share `fading` of the intensity.
    """
    x = axis.values[:, None]
    low, high = (np.exp(-((x - at - side * shift / 2) ** 2) / (2 * width**2)).sum(axis=1) for side in (1, -1))
    low, high = 1000 * (1 + fading / 2) * low, 1000 * (1 - fading / 2) * high
    mean, change = (low + high) / 2, low - high
    index = np.flatnonzero(mean > 5)
    label = np.where(change > fading * mean, 1, 2).astype(np.int16)[index]
    changes = VoxelChanges(mean[index].astype(np.float32), change[index].astype(np.float32))
    return ClusterMap([axis], index, label), changes


Q = Axis("q", np.arange(0.5, 9.5, 0.01), "1/angstrom")
AT = np.arange(1.0, 9.0)


@pytest.mark.parametrize("fading", [0.0, 0.05])
@pytest.mark.parametrize("expansion", [1e-5, -1e-5])
def test_a_common_relative_shift(expansion: float, fading: float) -> None:
    voxels, changes = pattern(Q, AT, np.full(8, 0.04), -AT * expansion * SPAN, fading)
    found = moving_peaks(voxels, changes, curves(), SPAN)
    assert [one.cluster for one in found] == [1, 2]
    assert [one.partners for one in found] == [(2,), (1,)]
    for one in found:
        assert one.shift is not None
        assert one.shift.value == pytest.approx(-expansion, rel=0.02)
        assert one.shift.units == "1/K"
        assert one.maxima == 8
        assert one.name == ("peaks move (thermal expansion)" if expansion > 0 else "peaks move")


def test_scattering_angles_are_turned_into_q() -> None:
    angle = Axis("two_theta", np.arange(5.0, 140.0, 0.05), "deg")
    at = np.arange(15.0, 136.0, 10.0)
    expansion = 3e-6
    shift = -2 * np.degrees(np.tan(np.radians(at) / 2)) * expansion * SPAN
    (first, _) = moving_peaks(*pattern(angle, at, np.full(13, 0.3), shift), curves(), SPAN)
    assert first.quantity == "q"
    assert first.shift is not None
    assert first.shift.value == pytest.approx(-expansion, rel=0.02)


def test_a_distance_that_grows_is_expansion_too() -> None:
    r = Axis("r", Q.values, "angstrom")
    voxels, changes = pattern(r, AT, np.full(8, 0.04), AT * 1e-5 * SPAN)
    found = moving_peaks(voxels, changes, curves(), SPAN)
    assert {one.name for one in found} == {"peaks move (thermal expansion)"}
    assert "d ln r/dT = (10" in found[0].text


def test_shifts_without_a_rule_are_no_expansion() -> None:
    shift = 0.003 * np.array([1.0, -1, -1, 1, 1, -1, -1, 1])
    found = moving_peaks(*pattern(Q, AT, np.full(8, 0.04), shift), curves(), SPAN)
    assert {one.name for one in found} == {"peaks move"}


def test_against_a_field_nothing_is_thermal() -> None:
    voxels, changes = pattern(Q, AT, np.full(8, 0.04), -AT * 1e-5 * SPAN)
    found = moving_peaks(voxels, changes, curves("T"), SPAN)
    assert {one.name for one in found} == {"peaks move"}
    assert "d ln q/dfield" in found[0].text


def test_peaks_that_fade_do_not_move() -> None:
    """Neighbouring clusters by strength: the cores and the wings of peaks that lose intensity."""
    voxels, changes = pattern(Q, AT, np.full(8, 0.04), np.zeros(8), 0.3)
    label = np.where(changes.intensity > 300, 1, 2).astype(np.int16)
    assert moving_peaks(ClusterMap([Q], voxels.index, label), changes, curves(), SPAN) == ()


def test_peaks_that_widen_do_not_move() -> None:
    """What they lose in the middle they gain on both flanks alike."""
    x = Q.values[:, None]
    narrow, wide = (np.exp(-((x - AT) ** 2) / (2 * w**2)).sum(axis=1) / w for w in (0.04, 0.05))
    mean, change = 20 * (narrow + wide), 40 * (narrow - wide)
    index = np.flatnonzero(mean > 5)
    changes = VoxelChanges(mean[index].astype(np.float32), change[index].astype(np.float32))
    label = np.where(change > 0, 1, 2).astype(np.int16)[index]
    assert moving_peaks(ClusterMap([Q], index, label), changes, curves(), SPAN) == ()


def test_noise_does_not_move() -> None:
    rng = np.random.default_rng(0)
    index = np.arange(900)
    mean, change = rng.normal(100, 1, 900), rng.normal(0, 2, 900)
    label = np.where(change > 0, 1, 2).astype(np.int16)
    changes = VoxelChanges(mean.astype(np.float32), change.astype(np.float32))
    assert moving_peaks(ClusterMap([Q], index, label), changes, curves(), SPAN) == ()


def test_the_same_some_voxels_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    voxels, changes = pattern(Q, AT, np.full(8, 0.04), -AT * 1e-5 * SPAN)
    whole = moving_peaks(voxels, changes, curves(), SPAN)
    monkeypatch.setattr(module, "_TOGETHER", 50)
    parts = moving_peaks(voxels, changes, curves(), SPAN)
    assert [one.cluster for one in parts] == [one.cluster for one in whole]
    assert parts[0].shift is not None
    assert parts[0].shift.value == pytest.approx(-1e-5, rel=0.05)


def test_one_plane_of_a_volume() -> None:
    voxels, changes = pattern(Q, AT, np.full(8, 0.04), -AT * 1e-5 * SPAN)
    plane = ClusterMap([Axis("Ql", np.zeros(1)), Axis("Qh", Q.values)], voxels.index, voxels.label)
    line, flat = (moving_peaks(one, changes, curves(), SPAN)[0].shift for one in (voxels, plane))
    assert line is not None
    assert flat is not None
    assert flat.value == pytest.approx(line.value)


def test_too_few_voxels_for_a_displacement() -> None:
    few = np.array([1.0, 2.0, 1.0], np.float32)
    voxels = ClusterMap([Q], np.array([5, 6, 7]), np.array([1, 2, 2], np.int16))
    assert moving_peaks(voxels, VoxelChanges(few, few), curves(), SPAN) == ()


def test_no_voxels() -> None:
    nothing = np.empty(0, np.float32)
    voxels = ClusterMap([Q], np.empty(0, np.int64), np.empty(0, np.int16))
    assert moving_peaks(voxels, VoxelChanges(nothing, nothing), curves(), SPAN) == ()


def test_slopes_of_a_gaussian_are_exact() -> None:
    axes = [Axis("Qk", np.arange(-1.0, 1.01, 0.1)), Axis("Qh", np.arange(-2.0, 2.01, 0.2))]
    k, h = (axis.values for axis in axes)
    height = 50 * np.exp(-(k[:, None] ** 2) / 0.18 - h**2 / 0.5)
    slope, inside = slopes(np.arange(height.size), height.ravel(), axes)
    exact = np.stack([-k[:, None] / 0.09 * height, -h / 0.25 * height], axis=-1).reshape(-1, 2)
    np.testing.assert_allclose(slope[inside], exact[inside], atol=1e-9)
    assert inside.sum() == 19 * 19


def test_every_voxel_climbs_to_the_maximum_of_its_peak() -> None:
    x = np.arange(21)
    height = sum(np.exp(-((x[:, None] - a) ** 2 + (x - b) ** 2) / 8) for a, b in ((5, 5), (15, 14)))
    top = summits(np.arange(height.size), height.ravel(), height.shape).reshape(height.shape)
    assert set(np.unique(top)) == {5 * 21 + 5, 15 * 21 + 14}
    assert (top[:9, :9] == 5 * 21 + 5).all()
    assert (top[12:, 12:] == 15 * 21 + 14).all()
