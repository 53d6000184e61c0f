"""Peaks of voxels whose arrays are of another library, against the compiled loops."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xtec.core.arrays import home, is_host
from xtec.core.grouped import minima
from xtec.peaks import PeakSums, connect
from xtec.peaks.connect import _connected, _pairs, _united, half_of_the_neighbours, padded
from xtec.peaks.sums import positions


def plainly(index, shape, course=None):
    """The plain loops on NumPy arrays."""
    return _connected(padded(index, shape), course, half_of_the_neighbours(shape))


def snake(length, gap=2):
    """Rows that hang together at alternate ends: one voxel wide, and its ends far apart."""
    mask = np.zeros((length, length), dtype=bool)
    mask[::gap] = True
    for number, row in enumerate(range(0, length - gap, gap)):
        mask[row : row + gap, -1 if number % 2 == 0 else 0] = True
    return mask


def spiral(size):
    """One voxel wide, from the border inwards, with one empty voxel between the turns."""
    mask = np.zeros((size, size), dtype=bool)
    row, column, step, run = 0, 0, (0, 1), size - 1
    mask[0, 0] = True
    for turn in range(size - 1):
        for _ in range(run):
            row, column = row + step[0], column + step[1]
            mask[row, column] = True
        step = (step[1], -step[0])
        run -= 2 if turn % 2 == 1 or turn == 0 else 0
        if run <= 0:
            break
    return mask


@given(
    st.lists(st.sampled_from([1, 2, 3, 5, 8, 12]), min_size=1, max_size=4),
    st.sampled_from([0.0, 0.05, 0.2, 0.5, 1.0]),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_the_plain_loops_find_the_same_peaks(shape, density, with_course, seed):
    rng = np.random.default_rng(seed)
    index = np.flatnonzero(rng.random(np.prod(shape)) < density)
    course = rng.choice(np.array([-1, 0, 1], np.int8), index.size) if with_course else None
    found = plainly(index, shape, course)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, connect(index, shape, course))


@pytest.mark.parametrize("density", [0.005, 0.03, 0.2])
def test_large_sparse_volumes(density):
    shape = (12, 60, 70)
    index = np.flatnonzero(np.random.default_rng(1).random(shape) < density)
    np.testing.assert_array_equal(plainly(index, shape), connect(index, shape))


THREADS = {
    "snake": snake(121),
    "wide snake": snake(151, 3),
    "standing snake": np.ascontiguousarray(snake(121).T),
    "spiral": spiral(131),
    "spiral from within": np.ascontiguousarray(spiral(131)[::-1, ::-1]),
}


@pytest.mark.parametrize("mask", THREADS.values(), ids=THREADS)
def test_a_long_thread_is_one_peak(mask):
    index = np.flatnonzero(mask)
    assert index.size > 5000
    assert connect(index, mask.shape).max() == 0
    assert plainly(index, mask.shape).max() == 0


@pytest.mark.parametrize("order", ["rising", "alternating", "random", "combed"])
def test_rounds_are_few_for_a_chain_in_any_order(order, monkeypatch):
    """Two rounds halve the trees that are left, whatever the order of the items along the chain."""
    n = 2**13
    chain = {
        "rising": np.arange(n),
        "alternating": np.stack([np.arange(n // 2), np.arange(n)[: n // 2 - 1 : -1]], axis=1).ravel(),
        "random": np.random.default_rng(0).permutation(n),
        "combed": np.argsort([int(f"{i:013b}"[::-1], 2) for i in range(n)]),
    }[order]
    rounds = []

    def counted(*arguments):
        rounds.append(1)
        return minima(*arguments)

    monkeypatch.setattr(sys.modules[_united.__module__], "minima", counted)
    root = _united(np.arange(n, dtype=np.int32), chain[:-1], chain[1:])
    assert not root.any()
    assert len(rounds) <= 2 * 13


def test_courses_stay_in_eight_bits():
    index, course = np.arange(4), np.array([1, 1, -1, 0], np.int8)
    one, other = _pairs(index, course, 1)
    np.testing.assert_array_equal(np.stack([one, other], axis=1), [[0, 1], [2, 3]])
    np.testing.assert_array_equal(plainly(index, (4,), course), [0, 0, 1, 1])


@pytest.mark.parametrize("shape", [(400,), (30, 31), (9, 10, 11)])
@pytest.mark.parametrize("with_course", [False, True])
def test_peaks_elsewhere(device, shape, with_course):
    rng = np.random.default_rng(2)
    index = np.flatnonzero(rng.random(np.prod(shape)) < 0.3)
    course = rng.choice(np.array([-1, 0, 1], np.int8), index.size) if with_course else None
    there = connect(device.upload(index), shape, device.upload(course) if with_course else None)
    assert not is_host(there)
    found = home(there)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, connect(index, shape, course))
    np.testing.assert_array_equal(home(padded(device.upload(index), shape)), padded(index, shape))


def test_a_snake_elsewhere(device):
    mask = snake(91)
    index = np.flatnonzero(mask)
    assert home(connect(device.upload(index), mask.shape)).max() == 0


@pytest.mark.parametrize("index", [[], [7], [0, 19], [2**33, 2**33 + 1, 2**33 + 2001]])
def test_few_voxels_elsewhere(device, index):
    shape = (3000, 2000, 2000)
    index = np.array(index, np.int64)
    expected = connect(index, shape)
    np.testing.assert_array_equal(home(connect(device.upload(index), shape)), expected)
    np.testing.assert_array_equal(plainly(index, shape), expected)


def axes_of(shape):
    """Coordinates along each axis: evenly spaced, one of them falling."""
    return [3.0 - 0.2 * np.arange(shape[0]), *(0.1 * np.arange(size) for size in shape[1:])]


def some_peaks(shape, dtype, order="F", seed=3):
    """Indices, intensities of five temperatures and peaks, not in the order of the indices."""
    rng = np.random.default_rng(seed)
    index = np.flatnonzero(rng.random(np.prod(shape)) < 0.1)
    peak, mixed = connect(index, shape), rng.permutation(index.size)
    intensity = np.asarray(rng.normal(2.0, 3.0, (index.size, 5)), dtype, order=order)
    return index[mixed], intensity, np.ascontiguousarray(peak[mixed])


def assert_same(found, expected):
    for name in ("first", "size", "maximum"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    for name in ("total", "moment"):  # sums in another order
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-10, atol=1e-10)
    for name, array in vars(expected).items():
        assert vars(found)[name].dtype == array.dtype


@pytest.mark.parametrize("shape", [(300,), (30, 31), (9, 10, 11)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_sums_elsewhere(device, shape, dtype, order):
    arrays, axes = some_peaks(shape, dtype, order), axes_of(shape)
    expected = PeakSums.of(*arrays, axes)
    assert len(expected) > 3
    there = PeakSums.of(*map(device.upload, arrays), axes)
    assert not is_host(there.total)
    assert len(there) == len(expected)
    assert_same(home(there), expected)
    assert_same(PeakSums._elsewhere(*arrays, axes), expected)


def test_sums_elsewhere_are_in_double_precision(device):
    intensity = np.array([[2.0**24], [1.0], [1.0]], dtype=np.float32)
    arrays = (np.arange(3), intensity, np.zeros(3, dtype=np.int32))
    found = home(PeakSums.of(*map(device.upload, arrays), [np.arange(3.0)]))
    assert found.total[0, 0] == 2.0**24 + 2
    assert found.moment[0, 0] == 3


def test_extremes_elsewhere_are_exact(device):
    """Indices beyond 53 bits, and intensities that single precision does not tell apart."""
    index = np.array([2**53 + 1, 2**53 + 2, 5])
    intensity = np.array([[1.0], [1.0 + 1e-12], [-3.0 - 1e-12]])
    arrays = (index, intensity, np.array([0, 0, 1], np.int32))
    found = home(PeakSums.of(*map(device.upload, arrays), [np.arange(2.0)]))
    np.testing.assert_array_equal(found.first, [2**53 + 1, 5])
    np.testing.assert_array_equal(found.maximum, [[1.0 + 1e-12], [-3.0 - 1e-12]])


def test_no_voxels_elsewhere(device):
    arrays = (np.empty(0, np.int64), np.empty((0, 3), np.float32), np.empty(0, np.int32))
    axes = axes_of((4, 5))
    found, expected = home(PeakSums.of(*map(device.upload, arrays), axes)), PeakSums.of(*arrays, axes)
    assert len(found) == 0
    for name, array in vars(expected).items():
        assert vars(found)[name].shape == array.shape


def test_positions_elsewhere(device):
    index, axes = np.array([0, 7, 19]), axes_of((4, 5))
    for found, expected in zip(positions(device.upload(index), axes), positions(index, axes), strict=True):
        np.testing.assert_array_equal(home(found), expected)
