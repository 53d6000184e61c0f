"""Any split of the grid into shards, in any order, gives the peaks of the whole."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xtec.core.chunking import plan_blocks, rim
from xtec.peaks import PeakSums, ShardPeaks, connect, unite


def cut(shape, rng, most=3):
    """Boxes that cover the grid: every axis cut at random places."""
    edges = []
    for size in shape:
        inner = rng.choice(np.arange(1, size), rng.integers(0, min(most, size)), replace=False)
        edges.append(itertools.pairwise([0, *sorted(inner.tolist()), size]))
    return list(itertools.product(*([slice(*pair) for pair in axis] for axis in edges)))


def cut_again(block, rng):
    """The same box in two, along a random axis if it is long enough: no longer a product of edges."""
    axis = int(rng.integers(len(block)))
    start, stop = block[axis].start, block[axis].stop
    if stop - start < 2:
        return [block]
    middle = int(rng.integers(start + 1, stop))
    return [(*block[:axis], part, *block[axis + 1 :]) for part in (slice(start, middle), slice(middle, stop))]


def owners(shape, shards):
    """Number of the shard that each voxel of the grid belongs to."""
    owner = np.full(shape, -1)
    for number, blocks in enumerate(shards):
        for block in blocks:
            assert (owner[block] == -1).all()
            owner[block] = number
    assert (owner >= 0).all()
    return owner


def touching(owner):
    """Voxels with a neighbour in another shard, by looking at every pair."""
    touches = np.zeros(owner.shape, dtype=bool)
    for step in itertools.product((-1, 0, 1), repeat=owner.ndim):
        here = tuple(slice(max(0, -s), n - max(0, s)) for s, n in zip(step, owner.shape, strict=True))
        there = tuple(slice(max(0, s), n - max(0, -s)) for s, n in zip(step, owner.shape, strict=True))
        touches[here] |= owner[here] != owner[there]
    return touches


def axes_of(shape):
    return [np.linspace(-1, 2, size) for size in shape]


def course_of(index):
    """Some voxels rise, some fall; most may be joined with either."""
    return np.random.default_rng(1).choice(np.array([-1, 0, 0, 0, 1], np.int8), index.size)


def split_peaks(mask, intensity, shards, course=None):
    """Peaks of the kept voxels as found shard by shard: the sums, and each voxel's peak."""
    shape, index = mask.shape, np.flatnonzero(mask)
    course = np.zeros(index.size, np.int8) if course is None else course
    owner = owners(shape, shards).reshape(-1)[index]
    found, labels = [], []
    for number, blocks in enumerate(shards):
        mine = owner == number
        label = connect(index[mine], shape, course[mine])
        edge = rim(index[mine], shape, blocks)
        sums = PeakSums.of(index[mine], np.asfortranarray(intensity[mine]), label, axes_of(shape))
        found.append(ShardPeaks(sums, index[mine][edge], label[edge], course[mine][edge]))
        labels.append(label)
    sums, numbers = unite(found, shape)
    peak = np.full(index.size, -1, dtype=np.int32)
    for number, (mine, label) in enumerate(zip(numbers, labels, strict=True)):
        peak[owner == number] = mine[label]
    return sums, peak


def assert_as_the_whole(mask, shards, seed=0):
    index = np.flatnonzero(mask)
    intensity = np.random.default_rng(seed).lognormal(2, 1, (index.size, 4)).astype(np.float32)
    label = connect(index, mask.shape, course_of(index))
    whole = PeakSums.of(index, intensity, label, axes_of(mask.shape))
    sums, peak = split_peaks(mask, intensity, shards, course_of(index))
    np.testing.assert_array_equal(peak, label)
    for name in ("first", "size", "maximum"):
        np.testing.assert_array_equal(getattr(sums, name), getattr(whole, name))
    for name in ("total", "mean", "centroid"):
        np.testing.assert_allclose(getattr(sums, name), getattr(whole, name), rtol=1e-12, atol=1e-12)


grids = st.lists(st.sampled_from([1, 2, 3, 5, 8]), min_size=1, max_size=3)
seeds = st.integers(0, 2**32 - 1)


@settings(deadline=None, max_examples=100)
@given(grids, st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]), st.integers(1, 5), seeds)
def test_any_split_into_blocks_and_shards_gives_the_same_peaks(shape, density, n_shards, seed):
    rng = np.random.default_rng(seed)
    mask = rng.random(shape) < density
    blocks = [part for block in cut(shape, rng) for part in cut_again(block, rng)]
    which = rng.integers(0, n_shards, len(blocks))
    shards = [[block for block, w in zip(blocks, which, strict=True) if w == n] for n in range(n_shards)]
    assert_as_the_whole(mask, shards, seed)


@settings(deadline=None, max_examples=100)
@given(grids, st.integers(1, 4), seeds)
def test_the_rim_holds_all_voxels_that_touch_another_shard(shape, n_shards, seed):
    rng = np.random.default_rng(seed)
    blocks = [part for block in cut(shape, rng) for part in cut_again(block, rng)]
    which = rng.integers(0, n_shards, len(blocks))
    shards = [[block for block, w in zip(blocks, which, strict=True) if w == n] for n in range(n_shards)]
    owner = owners(shape, shards)
    touches = touching(owner).reshape(-1)
    for number, mine in enumerate(shards):
        index = np.flatnonzero(owner == number)
        assert (rim(index, shape, mine) >= touches[index]).all()


@pytest.mark.parametrize("chunks", [(1, 1, 1), (1, 7, 6), (4, 2, 3)])
def test_blocks_of_one_shard_have_no_rim_between_them(chunks):
    """Thin blocks in a row are one box; without that, every voxel of a chunked series would be rim."""
    shape = (8, 14, 12)
    blocks = plan_blocks(shape, voxel_bytes=1, budget=24, chunks=chunks)
    assert len(blocks) > 10
    assert not rim(np.arange(np.prod(shape)), shape, blocks).any()
    half = [block for block in blocks if block[0].stop <= 4]
    index = np.arange(np.prod(shape) // 2)
    expected = index // (14 * 12) == 3
    np.testing.assert_array_equal(rim(index, shape, half[::-1]), expected)


def test_a_peak_that_winds_through_three_shards():
    """A snake that leaves and enters the shards again and again is one peak; a voxel beside it another."""
    mask = np.zeros((13, 15), dtype=bool)
    mask[::4] = True
    mask[1:4, -1] = mask[5:8, 0] = mask[9:12, -1] = True
    mask[2, 3] = True
    shards = [[(slice(0, 13), slice(start, stop))] for start, stop in itertools.pairwise([0, 5, 10, 15])]
    intensity = np.ones((np.count_nonzero(mask), 2), dtype=np.float32)
    for order in itertools.permutations(shards):
        sums, peak = split_peaks(mask, intensity, order)
        np.testing.assert_array_equal(sums.size, [mask.sum() - 1, 1])
        assert peak[0] == 0
        assert_as_the_whole(mask, order)


def test_corners_touch_across_shards():
    mask = np.zeros((4, 4, 4), dtype=bool)
    mask[1, 1, 1] = mask[2, 2, 2] = True
    halves = (slice(0, 2), slice(2, 4))
    sums, peak = split_peaks(
        mask, np.ones((2, 3)), [[block] for block in itertools.product(halves, repeat=3)]
    )
    np.testing.assert_array_equal(peak, [0, 0])
    assert len(sums) == 1


def test_shards_without_voxels():
    mask = np.zeros((4, 4), dtype=bool)
    blocks = [(slice(0, 2), slice(0, 4)), (slice(2, 4), slice(0, 4))]
    assert_as_the_whole(mask, [[block] for block in blocks])
    mask[3, 3] = True
    assert_as_the_whole(mask, [[block] for block in blocks])
    assert_as_the_whole(mask, [[], blocks, []])
    assert not rim(np.arange(16), (4, 4), blocks).any()
