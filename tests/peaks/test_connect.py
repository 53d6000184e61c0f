"""Connected voxels against scipy.ndimage.label with a full structuring element."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.sparse.csgraph import connected_components

from xtec.peaks import connect, join


def oracle(mask):
    """Label of each voxel of the mask, numbered by first voxel in C order, from 0."""
    labels, _ = ndimage.label(mask, structure=np.ones((3,) * mask.ndim))
    flat = labels.reshape(-1)[mask.reshape(-1)]
    _, first, which = np.unique(flat, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[which]


def ours(mask):
    return connect(np.flatnonzero(mask), mask.shape)


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.sampled_from([1, 2, 3, 4, 7, 9]), min_size=1, max_size=4),
    st.sampled_from([0.0, 0.05, 0.15, 0.3, 0.5, 0.8, 1.0]),
    st.integers(0, 2**32 - 1),
)
def test_peaks_are_those_of_scipy(shape, density, seed):
    mask = np.random.default_rng(seed).random(shape) < density
    found = ours(mask)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, oracle(mask))


@pytest.mark.parametrize("density", [0.005, 0.03, 0.08, 0.2])
def test_large_sparse_volumes(density):
    mask = np.random.default_rng(1).random((12, 60, 70)) < density
    np.testing.assert_array_equal(ours(mask), oracle(mask))


@pytest.mark.parametrize("shape", [(6, 5), (4, 3, 5), (2, 2, 2), (1, 4, 3), (4, 1, 3), (4, 3, 1), (9,)])
def test_no_pair_of_voxels_is_joined_around_the_edge(shape):
    """Every pair of voxels: connected exactly if no coordinate differs by more than one."""
    size = int(np.prod(shape))
    for first in range(size):
        for second in range(first + 1, size):
            a, b = (np.array(np.unravel_index(i, shape)) for i in (first, second))
            peaks = connect(np.array([first, second]), shape)
            assert (peaks[0] == peaks[1]) == (np.abs(a - b).max() <= 1), (a, b)


def test_end_of_a_row_and_start_of_the_next_are_apart():
    mask = np.zeros((3, 4), dtype=bool)
    mask[0, 3] = mask[1, 0] = mask[2, 3] = True
    np.testing.assert_array_equal(ours(mask), [0, 1, 2])


def test_a_long_thread_is_one_peak():
    """A snake through every second row: its ends are far apart in the order of the voxels."""
    mask = np.zeros((41, 50), dtype=bool)
    mask[::2] = True
    mask[1::4, -1] = True
    mask[3::4, 0] = True
    assert ours(mask).max() == 0


def test_peaks_are_numbered_by_their_first_voxels():
    mask = np.zeros((5, 9), dtype=bool)
    mask[0, 8] = mask[1, 0] = mask[4, 4] = True
    mask[0, 3] = mask[1, 4] = mask[2, 5] = True
    np.testing.assert_array_equal(ours(mask), [0, 1, 2, 0, 0, 3])


def test_indices_beyond_32_bits():
    shape = (3000, 2000, 2000)
    index = np.array([0, 1, 2**33, 2**33 + 1, 2**33 + 2001, np.prod(shape) - 1])
    np.testing.assert_array_equal(connect(index, shape), [0, 0, 1, 1, 1, 2])


def test_a_dense_volume_is_one_peak():
    mask = np.ones((11, 1, 13, 2), dtype=bool)
    assert ours(mask).max() == 0


@pytest.mark.parametrize("shape", [(4, 5, 6), (4, 5), (4,), (1, 1, 1)])
@pytest.mark.parametrize("place", [0, -1])
def test_one_voxel_is_a_peak(shape, place):
    index = np.arange(np.prod(shape))[[place]]
    np.testing.assert_array_equal(connect(index, shape), [0])


def test_the_index_is_left_as_it_was():
    index = np.array([0, 5, 6, 19])
    index.flags.writeable = False
    connect(index, (4, 5))
    np.testing.assert_array_equal(index, [0, 5, 6, 19])


def test_nothing_makes_no_peaks():
    assert connect(np.empty(0, dtype=np.int64), (4, 5)).size == 0


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.sampled_from([1, 2, 3, 5, 8]), min_size=1, max_size=3),
    st.sampled_from([0.1, 0.3, 0.6]),
    st.integers(1, 5),
    st.integers(0, 2**32 - 1),
)
def test_components_of_any_split_of_the_voxels_are_joined(shape, density, n_parts, seed):
    """Voxels dealt out at random, every part connected by itself, and all of them shown to `join`."""
    rng = np.random.default_rng(seed)
    mask = rng.random(shape) < density
    index = np.flatnonzero(mask)
    part = rng.integers(0, n_parts, index.size)
    component, n_components = np.empty(index.size, dtype=np.int32), 0
    for p in range(n_parts):
        mine = connect(index[part == p], shape)
        component[part == p] = mine + n_components
        n_components += int(mine.max(initial=-1)) + 1
    order = rng.permutation(index.size)
    group = join(index[order], component[order], np.zeros(index.size, np.int8), shape, n_components)
    assert group.shape == (n_components,)
    whole = oracle(mask)
    assert len(set(zip(group[component], whole, strict=True))) == len(set(group)) == len(set(whole))
    _, first = np.unique(group, return_index=True)
    assert (np.diff(first) > 0).all()


def test_components_without_a_voxel_stay_alone():
    group = join(np.array([7, 6]), np.array([4, 1], dtype=np.int32), np.zeros(2, np.int8), (3, 5), 6)
    np.testing.assert_array_equal(group, [0, 1, 2, 3, 1, 4])
    np.testing.assert_array_equal(
        join(np.empty(0, int), np.empty(0, np.int32), np.empty(0, np.int8), (3, 5), 2), [0, 1]
    )
    assert join(np.empty(0, int), np.empty(0, np.int32), np.empty(0, np.int8), (3, 5), 0).size == 0


def test_components_joined_through_a_third_are_one():
    """Three voxels on a diagonal, each a component of its own."""
    index = np.array([12, 0, 6])
    for component in ([0, 1, 2], [2, 0, 1], [1, 2, 0]):
        alike = np.zeros(len(component), np.int8)
        joined = join(index, np.array(component, dtype=np.int32), alike, (3, 5), 3)
        np.testing.assert_array_equal(joined, [0, 0, 0])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("shape", [(40,), (13, 17), (6, 7, 8)])
def test_voxels_that_go_opposite_ways_are_not_joined(shape, seed):
    """Against a graph with an edge for each pair of neighbours whose courses agree or are not known."""
    rng = np.random.default_rng(seed)
    index = np.flatnonzero(rng.random(np.prod(shape)) < 0.5)
    course = rng.choice(np.array([-1, 0, 1], np.int8), index.size)
    position = np.stack(np.unravel_index(index, shape), axis=1)
    near = (np.abs(position[:, None] - position[None]) <= 1).all(axis=2)
    agree = course[:, None] * course[None].astype(int) >= 0
    n, expected = connected_components(near & agree, directed=False)
    found = connect(index, shape, course)
    assert found.max() + 1 == n
    assert len(set(zip(found, expected, strict=True))) == n
