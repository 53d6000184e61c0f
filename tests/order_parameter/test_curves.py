"""Cluster curves against plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from xtec.core.axes import Axis
from xtec.core.types import ClusterCurves
from xtec.order_parameter import ClusterMoments
from xtec.order_parameter import cluster_curves as curves_of_moments

SCAN = Axis("temperature", np.linspace(10, 60, 6), "K")


def cluster_curves(scan, rescaled, item, intensity, voxel, k, pieces=1) -> ClusterCurves:
    """Curves of labelled trajectories, taken in pieces."""

    def moments(rows, label):
        total = ClusterMoments.empty(k, rows.shape[1])
        for part, numbers in zip(np.array_split(rows, pieces), np.array_split(label, pieces), strict=True):
            total = total.merge(ClusterMoments.of(np.asfortranarray(part), numbers, k))
        return total

    return curves_of_moments(scan, moments(rescaled, item), moments(intensity, voxel))


@pytest.mark.parametrize("pieces", [1, 7, 100])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_means_and_spreads_are_those_of_the_members(dtype, pieces):
    rng = np.random.default_rng(0)
    rescaled, intensity = (
        rng.standard_normal((40, 6)).astype(dtype),
        rng.lognormal(3, 1, (90, 6)).astype(dtype),
    )
    item = rng.integers(1, 4, 40).astype(np.int16)
    voxel = rng.integers(0, 4, 90).astype(np.int16)
    curves = cluster_curves(SCAN, rescaled, item, intensity, voxel, 3, pieces)
    assert curves.n_clusters == 3
    for k in range(3):
        mine = [row.astype(np.float64) for row, label in zip(rescaled, item, strict=True) if label == k + 1]
        np.testing.assert_allclose(curves.rescaled_mean[k], np.mean(mine, axis=0), rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(curves.rescaled_std[k], np.std(mine, axis=0), rtol=1e-6)
        raw = [row.astype(np.float64) for row, label in zip(intensity, voxel, strict=True) if label == k + 1]
        np.testing.assert_allclose(curves.intensity_mean[k], np.mean(raw, axis=0), rtol=1e-6)
        error = np.std(raw, axis=0) / np.sqrt(len(raw))
        np.testing.assert_allclose(curves.intensity_error[k], error, rtol=1e-6)


def test_empty_clusters_are_nan_and_one_member_has_no_spread():
    rows = np.array([[1.0] * 6, [2.0] * 6, [4.0] * 6])
    label = np.array([1, 1, 4], dtype=np.int16)
    curves = cluster_curves(SCAN, rows, label, rows, label, 5)
    for k in (1, 2, 4):
        assert np.isnan(curves.intensity_mean[k]).all()
        assert np.isnan(curves.rescaled_mean[k]).all()
    np.testing.assert_array_equal(curves.intensity_mean[[0, 3], 0], [1.5, 4.0])
    np.testing.assert_allclose(curves.intensity_error[[0, 3], 0], [0.5 / np.sqrt(2), 0.0])


def test_sums_are_in_double_precision():
    rows = np.concatenate([np.full((1, 6), 2.0**24), np.ones((3, 6))]).astype(np.float32)
    ones = np.ones(4, dtype=np.int16)
    curves = cluster_curves(SCAN, rows, ones, rows, ones, 1)
    np.testing.assert_array_equal(curves.intensity_mean[0], np.full(6, (2.0**24 + 3) / 4))


def test_reordering_moves_whole_clusters():
    rng = np.random.default_rng(1)
    rows, label = rng.random((30, 6)), rng.integers(1, 4, 30).astype(np.int16)
    curves = cluster_curves(SCAN, rows, label, rows, label, 3)
    order = np.array([2, 0, 1])
    moved = curves.reordered(order)
    for name in ("rescaled_mean", "rescaled_std", "intensity_mean", "intensity_error"):
        np.testing.assert_array_equal(getattr(moved, name), getattr(curves, name)[order])
    assert moved.scan is curves.scan


def test_a_weak_cluster_beside_a_very_bright_one_keeps_its_spread():
    rng = np.random.default_rng(0)
    label = np.array([1, 2] * 500, np.int16)
    rows = np.where(label[:, None] == 1, 1e10, 10.0) + rng.standard_normal((1000, 3))
    _, std = ClusterMoments.of(rows, label, 2).mean_and_std()
    np.testing.assert_allclose(std[1], rows[label == 2].std(axis=0), rtol=1e-9)
