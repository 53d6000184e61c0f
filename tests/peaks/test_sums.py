"""Sums over peaks against scipy.ndimage and plain loops."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy import ndimage

from xtec.peaks import PeakSums, average_peaks, connect

AXES = ([0.5, -0.2, 0.1], [0.0, 3.0, 7.0])


def axes_of(shape):
    """Coordinates along each axis: evenly spaced, one of them falling."""
    steps, starts = (values[-len(shape) :] for values in AXES)
    return [start + step * np.arange(n) for n, step, start in zip(shape, steps, starts, strict=True)]


@pytest.fixture(
    params=[(6, 14, 17), (1, 14, 17), (6, 60, 1), (2, 30, 2), (40, 41), (1, 300), (300,)],
    ids=lambda shape: "x".join(map(str, shape)),
)
def shape(request):
    return request.param


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def found(request, shape):
    """A volume of 5 temperatures, the label of each voxel from 1, then index, trajectories, peaks."""
    rng = np.random.default_rng(0)
    volume = rng.lognormal(2, 1, (5, *shape)).astype(request.param)
    mask = rng.random(shape) < 0.08
    index = np.flatnonzero(mask)
    peak = connect(index, shape)
    labels = np.zeros(mask.size, dtype=int)
    labels[index] = peak + 1
    return volume, labels.reshape(shape), index, volume.reshape(5, -1)[:, index].T, peak


def test_sums_means_and_maxima_are_those_of_scipy(found, shape):
    volume, labels, index, trajectories, peak = found
    sums = PeakSums.of(index, trajectories, peak, axes_of(shape))
    numbers = np.arange(1, peak.max() + 2)
    assert len(sums) == len(numbers) > 3
    volume = volume.astype(np.float64)
    for ours, theirs in ((sums.total, ndimage.sum), (sums.mean, ndimage.mean)):
        expected = np.stack([theirs(one, labels, numbers) for one in volume], axis=1)
        np.testing.assert_allclose(ours, expected, rtol=1e-12)
    expected = np.stack([ndimage.maximum(one, labels, numbers) for one in volume], axis=1)
    np.testing.assert_array_equal(sums.maximum, expected)
    np.testing.assert_allclose(average_peaks(trajectories, peak), sums.mean, rtol=1e-15)


def test_centroids_are_weighted_means_of_positions(found, shape):
    volume, labels, index, trajectories, peak = found
    sums = PeakSums.of(index, trajectories, peak, axes_of(shape))
    mean = volume.mean(axis=0, dtype=np.float64)
    centre = np.array(ndimage.center_of_mass(mean, labels, np.arange(1, peak.max() + 2)))
    steps, starts = (values[-len(shape) :] for values in AXES)
    np.testing.assert_allclose(sums.centroid, centre * steps + starts, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(sums.weight, ndimage.sum(mean, labels, np.arange(1, peak.max() + 2)))


def test_sizes_and_first_voxels_are_counted(found, shape):
    _, _, index, trajectories, peak = found
    sums = PeakSums.of(index, trajectories, peak, axes_of(shape))
    for p in range(len(sums)):
        assert sums.size[p] == np.count_nonzero(peak == p)
        assert sums.first[p] == index[peak == p].min()


def test_voxels_may_come_in_any_order_and_layout():
    rng = np.random.default_rng(1)
    index, peak = rng.permutation(90)[:60], rng.permutation(np.repeat(np.arange(12), 5)).astype(np.int32)
    trajectories = rng.random((60, 4))
    for array in (
        np.asfortranarray(trajectories),
        np.ascontiguousarray(trajectories),
        trajectories[::-1][::-1],
    ):
        array.flags.writeable = False
        sums = PeakSums.of(index, array, peak, axes_of((9, 10)))
        for p in range(12):
            mine = trajectories[peak == p]
            assert sums.first[p] == index[peak == p].min()
            np.testing.assert_allclose(sums.total[p], mine.sum(axis=0), rtol=1e-13)
            np.testing.assert_array_equal(sums.maximum[p], mine.max(axis=0))


def test_sums_are_in_double_precision():
    trajectories = np.array([[2.0**24], [1.0], [1.0]], dtype=np.float32)
    sums = PeakSums.of(np.arange(3), trajectories, np.zeros(3, dtype=np.int32), [np.arange(3.0)])
    assert sums.total[0, 0] == 2.0**24 + 2
    assert sums.mean.dtype == sums.maximum.dtype == sums.centroid.dtype == np.float64


def test_maxima_are_taken_at_each_temperature_by_itself_and_may_be_negative():
    trajectories = np.array([[1.0, 9.0], [5.0, 2.0], [-7.0, -8.0]])
    sums = PeakSums.of(np.array([0, 1, 3]), trajectories, np.array([0, 0, 1], np.int32), [np.arange(4.0)])
    np.testing.assert_array_equal(sums.maximum, [[5, 9], [-7, -8]])


def test_parts_of_peaks_are_regrouped(found, shape):
    """Each voxel a part of its own, in any order; then put back into the peaks and their order."""
    _, _, index, trajectories, peak = found
    whole = PeakSums.of(index, trajectories, peak, axes_of(shape))
    order = np.random.default_rng(2).permutation(index.size)
    halves = [
        PeakSums.of(index[half], trajectories[half], np.arange(half.size, dtype=np.int32), axes_of(shape))
        for half in np.array_split(order, 2)
    ]
    shuffled = np.random.default_rng(3).permutation(len(whole)).astype(np.int32)
    parts = PeakSums.concatenate(halves)
    sums, number = parts.regrouped(shuffled[peak[order]], len(whole)).in_order()
    np.testing.assert_array_equal(number[shuffled], np.arange(len(whole)))
    assert_same(sums, whole)


def assert_same(one, other):
    """Equal numbers, equal sums up to rounding."""
    for name in ("first", "size", "maximum"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    for name in ("total", "mean", "weight", "moment", "centroid"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-12, atol=1e-12)
    for name, array in vars(one).items():
        assert array.dtype == vars(other)[name].dtype


def test_no_voxels_make_no_peaks():
    nothing = PeakSums.of(
        np.empty(0, np.int64), np.empty((0, 3), np.float32), np.empty(0, np.int32), axes_of((4, 5))
    )
    assert len(nothing) == 0
    assert nothing.mean.shape == nothing.maximum.shape == (0, 3)
    assert nothing.centroid.shape == (0, 2)
    one = PeakSums.of(np.array([7]), np.ones((1, 3), np.float32), np.zeros(1, np.int32), axes_of((4, 5)))
    both, _ = PeakSums.concatenate([nothing, one, nothing]).regrouped(np.array([0], np.int32), 1).in_order()
    assert_same(both, one)


def test_sums_travel_between_processes():
    sums = PeakSums.of(np.array([7]), np.ones((1, 3)), np.zeros(1, np.int32), axes_of((4, 5)))
    assert_same(pickle.loads(pickle.dumps(sums)), sums)
