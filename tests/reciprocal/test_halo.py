"""Halos around Bragg positions against shells counted voxel by voxel."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from xtec.core.axes import Axis
from xtec.core.errors import ConfigError
from xtec.core.types import ClusterMap
from xtec.reciprocal import halo, halos

NAMES = ("Ql", "Qk", "Qh")


def grid_axes(spans, pixels=20, names=NAMES):
    return [
        Axis(name, np.linspace(low, high, round((high - low) * pixels) + 1), "r.l.u.")
        for name, (low, high) in zip(names, spans, strict=True)
    ]


def positions(axes):
    """Coordinates of every voxel, in the order of the axes."""
    return np.stack(np.meshgrid(*(axis.values for axis in axes), indexing="ij"), axis=-1)


def make_map(axes, label):
    index = np.flatnonzero(label.ravel())
    return ClusterMap(axes, index, label.ravel()[index].astype(np.int16))


def nodes(*spans):
    ranges = [np.arange(low, high + 1) for low, high in spans]
    return np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3)


def core_and_halo(axes, odd_halo):
    """Label 1 within 0.1 of every position; out to 0.3, label 2 where H is odd if `odd_halo`."""
    q = positions(axes)
    node = np.round(q)
    distance = np.linalg.norm(q - node, axis=-1)
    label = np.where(distance < 0.1 - 1e-9, 1, 0)
    ring = (distance >= 0.1 - 1e-9) & (distance < 0.3 - 1e-9)
    return np.where(ring & ((node[..., -1] % 2 == 1) | (not odd_halo)), 2, label)


def test_planted_core_and_halo_are_found_around_their_class():
    axes = grid_axes([(-1.5, 1.5)] * 3)
    hkl = nodes((-1, 1), (-1, 1), (-1, 1))
    odd, even = halos(make_map(axes, core_and_halo(axes, True)), hkl, hkl[:, 0] % 2 == 0, ("odd", "even"), 3)
    assert (odd.name, even.name) == ("odd", "even")
    assert (odd.reflections, even.reflections) == (18, 9)
    np.testing.assert_allclose(odd.distance, np.arange(10) * 0.05 + 0.025)
    np.testing.assert_array_equal(odd.share[:2], [[0, 1, 0, 0]] * 2)
    np.testing.assert_array_equal(odd.share[2:6], [[0, 0, 1, 0]] * 4)
    np.testing.assert_array_equal(odd.share[6:], [[1, 0, 0, 0]] * 4)
    np.testing.assert_array_equal(even.share[:2], [[0, 1, 0, 0]] * 2)
    np.testing.assert_array_equal(even.share[2:], [[1, 0, 0, 0]] * 8)


@pytest.mark.parametrize("names", [NAMES, ("Qk", "Qh"), ("Ql", "Qh"), ("Qh",)])
@pytest.mark.parametrize("together", [2**20, 50])
def test_shares_are_those_counted_one_by_one(names, together, monkeypatch):
    monkeypatch.setattr(halo, "_TOGETHER", together)
    rng = np.random.default_rng(1)
    axes = grid_axes([(-1.3, 2.2), (-0.9, 1.1), (0.1, 2.7)][-len(names) :], pixels=11, names=names)
    label = rng.integers(0, 4, [len(axis) for axis in axes])
    hkl = np.array([(0, 0, 0), (1, 0, 0), (2, 1, 1), (1, 1, 2), (9, 9, 9)])
    number = np.array([0, 1, 1, 2, 2])
    columns = [{"Qh": 0, "Qk": 1, "Ql": 2}[name] for name in names]
    if len(names) < 3:  # positions that the axes tell apart
        hkl, number = hkl[[0, 1, 2, 4]], number[[0, 1, 2, 4]]
    if names == ("Qh",):
        hkl, number = hkl[[0, 1, 2]], number[[0, 1, 2]]
    found = halos(make_map(axes, label), hkl, number, ("a", "b", "c"), 3, reach=0.45, step=0.15)
    expected = np.zeros((3, 3, 4))
    for q, name in zip(positions(axes).reshape(-1, len(names)), label.ravel(), strict=True):
        at = (hkl[:, columns] == np.round(q)).all(axis=1)
        distance = np.linalg.norm(q - np.round(q))
        if at.any() and distance < 0.45:
            expected[number[at][0], int(distance / 0.15), name] += 1
    assert expected.sum() > 0
    for i, one in enumerate(found):
        total = expected[i].sum(axis=1, keepdims=True)
        with np.errstate(invalid="ignore"):
            np.testing.assert_allclose(one.share, expected[i] / total)


def test_voxels_near_other_positions_do_not_count():
    axes = grid_axes([(-1.5, 1.5)] * 2, names=("Qk", "Qh"))
    label = np.where(np.round(positions(axes)[..., 1]) == 0, 1, 2)
    (found,) = halos(make_map(axes, label), np.array([[0, 0, 0]]), np.array([0]), ("centre",), 2)
    np.testing.assert_array_equal(found.share, [[0, 1, 0]] * 10)


def test_class_outside_the_map_has_no_shares():
    axes = grid_axes([(-0.5, 0.5)] * 3)
    label = np.ones([len(axis) for axis in axes], dtype=int)
    inside, outside = halos(
        make_map(axes, label), np.array([[0, 0, 0], [5, 0, 0]]), np.array([0, 1]), ("a", "b"), 1
    )
    assert np.all(inside.share == [0, 1])
    assert np.all(np.isnan(outside.share))
    assert outside.reflections == 1


def test_large_maps_are_never_dense():
    axes = grid_axes([(-4.0, 4.0), (-6.0, 6.0), (-6.0, 6.0)])
    voxels = int(np.prod([len(axis) for axis in axes]))
    cluster_map = ClusterMap(axes, np.arange(0, voxels, 1000), np.ones(len(range(0, voxels, 1000)), np.int16))
    hkl = nodes((-6, 6), (-6, 6), (-4, 4))
    tracemalloc.start()
    halos(cluster_map, hkl, np.zeros(len(hkl), dtype=int), ("all",), 1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.6 * voxels * 16  # one float and one integer for each voxel would be 16 bytes


@pytest.mark.parametrize("reach", [0.0, -1.0, 0.6])
def test_reach_ends_half_way_to_the_next_position(reach):
    axes = grid_axes([(-0.5, 0.5)] * 3)
    label = np.ones([len(axis) for axis in axes], dtype=int)
    with pytest.raises(ConfigError, match="halos reach"):
        halos(make_map(axes, label), np.zeros((1, 3), dtype=int), np.zeros(1, dtype=int), ("a",), 1, reach)


def test_angles_have_no_halos():
    axes = [Axis("two_theta", np.linspace(0, 10, 11), "deg")]
    with pytest.raises(ConfigError, match="axes H, K, L"):
        halos(
            make_map(axes, np.ones(11, dtype=int)),
            np.zeros((1, 3), dtype=int),
            np.zeros(1, dtype=int),
            ("a",),
            1,
        )
