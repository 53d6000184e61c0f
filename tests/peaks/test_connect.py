"""Connected voxels against scipy.ndimage.label with a full structuring element."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from xtec.peaks import connect, peak_sizes


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
    st.lists(st.sampled_from([1, 2, 3, 4, 7, 9]), min_size=1, max_size=3),
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


def test_nothing_makes_no_peaks():
    assert connect(np.empty(0, dtype=np.int64), (4, 5)).size == 0


def test_sizes_count_the_voxels():
    mask = np.random.default_rng(2).random((30, 40)) < 0.2
    peak = ours(mask)
    sizes = peak_sizes(peak)
    np.testing.assert_array_equal(sizes, [np.count_nonzero(peak == p) for p in range(peak.max() + 1)])
    assert sizes.sum() == np.count_nonzero(mask)
