"""Trajectories and positions of peaks against scipy.ndimage and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from xtec.peaks import average_peaks, connect, peak_centroids, peak_maxima, sum_peaks


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def found(request):
    """A volume of 5 temperatures, the label of each voxel from 1, and trajectories and peaks of the kept."""
    rng = np.random.default_rng(0)
    volume = rng.lognormal(2, 1, (5, 6, 14, 17)).astype(request.param)
    mask = rng.random(volume.shape[1:]) < 0.08
    index = np.flatnonzero(mask)
    peak = connect(index, mask.shape)
    labels = np.zeros(mask.size, dtype=int)
    labels[index] = peak + 1
    return volume, labels.reshape(mask.shape), volume.reshape(5, -1)[:, index].T, peak


def test_means_sums_and_maxima_are_those_of_scipy(found):
    volume, labels, trajectories, peak = found
    numbers = np.arange(1, peak.max() + 2)
    assert len(numbers) > 20
    for ours, theirs in (
        (average_peaks, ndimage.mean),
        (sum_peaks, ndimage.sum),
        (peak_maxima, ndimage.maximum),
    ):
        expected = np.stack([theirs(one.astype(np.float64), labels, numbers) for one in volume], axis=1)
        np.testing.assert_allclose(ours(trajectories, peak), expected, rtol=1e-12)


def test_averages_are_in_double_precision():
    trajectories = np.array([[2.0**24], [1.0], [1.0]], dtype=np.float32)
    peak = np.zeros(3, dtype=np.int32)
    assert sum_peaks(trajectories, peak)[0, 0] == pytest.approx(2.0**24 + 2, abs=1e-6)
    assert average_peaks(trajectories, peak).dtype == np.float64


def test_maxima_are_taken_at_each_temperature_by_itself():
    trajectories = np.array([[1.0, 9.0], [5.0, 2.0], [7.0, 7.0]])
    np.testing.assert_array_equal(peak_maxima(trajectories, np.array([0, 0, 1])), [[5, 9], [7, 7]])


def test_voxels_of_a_peak_need_not_be_neighbours_in_the_list():
    rng = np.random.default_rng(1)
    trajectories, peak = rng.random((60, 4)), rng.permutation(np.repeat(np.arange(12), 5)).astype(np.int32)
    for p in range(12):
        mine = trajectories[peak == p]
        np.testing.assert_allclose(average_peaks(trajectories, peak)[p], mine.mean(axis=0), rtol=1e-13)
        np.testing.assert_allclose(sum_peaks(trajectories, peak)[p], mine.sum(axis=0), rtol=1e-13)
        np.testing.assert_array_equal(peak_maxima(trajectories, peak)[p], mine.max(axis=0))


def test_centroids_are_weighted_means_of_positions(found):
    volume, labels, trajectories, peak = found
    index = np.flatnonzero(labels)
    position = np.stack(np.unravel_index(index, labels.shape), axis=1) * [0.5, 0.1, -0.2] + [0, 3, 7]
    weight = trajectories.mean(axis=1, dtype=np.float64)
    ours = peak_centroids(position, weight, peak)
    np.testing.assert_allclose(
        ours, [np.average(position[peak == p], axis=0, weights=weight[peak == p]) for p in range(len(ours))]
    )
    mean = volume.astype(np.float64).mean(axis=0)
    centre = np.array(ndimage.center_of_mass(mean, labels, np.arange(1, peak.max() + 2)))
    np.testing.assert_allclose(ours, centre * [0.5, 0.1, -0.2] + [0, 3, 7], rtol=1e-10)
