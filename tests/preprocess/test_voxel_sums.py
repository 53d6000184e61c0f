"""Running sums over temperature, and which voxels they let pass."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xtec.preprocess import MaskRules, VoxelSums, usable_voxels

ALL_RULES = [
    MaskRules(positive_mean=mean, positive_everywhere=everywhere, nowhere_negative=negative)
    for mean in (True, False)
    for everywhere in (True, False)
    for negative in (True, False)
]


def volumes(*, special: bool) -> st.SearchStrategy[np.ndarray]:
    """(T, n) float32 intensities, many of them zero."""
    elements = st.floats(-1000, 1000, width=32) | st.just(0.0)
    if special:
        elements = elements | st.sampled_from([np.nan, np.inf, -np.inf])
    shape = st.tuples(st.integers(1, 7), st.integers(0, 12))
    return arrays(np.float32, shape, elements=elements)


def assert_same_sums(one: VoxelSums, other: VoxelSums) -> None:
    assert one.n_temperatures == other.n_temperatures
    # float64 sums of at most seven numbers of up to 1000: rounding is below 1e-11.
    np.testing.assert_allclose(one.total[one.finite], other.total[other.finite], rtol=0, atol=1e-11)
    np.testing.assert_array_equal(one.finite, other.finite)
    np.testing.assert_array_equal(one.minimum, other.minimum)


@given(volumes(special=True), st.randoms(use_true_random=False), st.integers(0, 7))
def test_any_way_of_summing_gives_the_same_sums(volume, random, cut):
    whole = VoxelSums.of_volume(volume)
    order = list(range(len(volume)))
    random.shuffle(order)
    grown = VoxelSums.empty(volume.shape[1])
    for t in order:
        grown.add_temperature(volume[t])
    assert_same_sums(grown, whole)
    some, others = VoxelSums.empty(volume.shape[1]), VoxelSums.empty(volume.shape[1])
    for t in order[:cut]:
        some.add_temperature(volume[t])
    for t in order[cut:]:
        others.add_temperature(volume[t])
    assert_same_sums(some.merge(others), whole)
    assert_same_sums(others.merge(some), whole)


@given(volumes(special=False))
def test_sums_are_those_of_numpy(volume):
    sums = VoxelSums.of_volume(volume)
    np.testing.assert_allclose(sums.mean, volume.astype(np.float64).mean(axis=0), rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(sums.minimum, volume.min(axis=0))
    assert sums.finite.all()


def test_blocks_are_flattened_in_c_order():
    volume = np.arange(2 * 3 * 4 * 5, dtype=np.int32).reshape(2, 3, 4, 5)
    np.testing.assert_array_equal(VoxelSums.of_volume(volume).total, volume.sum(axis=0).reshape(-1))


def test_float32_intensities_are_summed_in_float64():
    volume = np.array([[2.0**25], [1.0], [1.0], [1.0]], dtype=np.float32)
    assert VoxelSums.of_volume(volume).total[0] == 2.0**25 + 3
    grown = VoxelSums.empty(1)
    for intensities in volume:
        grown.add_temperature(intensities)
    assert grown.total[0] == 2.0**25 + 3


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_bad_intensity_makes_a_voxel_unusable(bad, dtype):
    volume = np.ones((5, 3), dtype=dtype)
    volume[2, 1] = bad
    usable, counts = usable_voxels(VoxelSums.of_volume(volume), MaskRules())
    np.testing.assert_array_equal(usable, [True, False, True])
    assert (counts.n_total, counts.n_nan, counts.n_empty) == (3, 1, 0)


def test_opposite_infinities_do_not_cancel():
    volume = np.array([[np.inf], [-np.inf], [1.0]])
    assert not VoxelSums.of_volume(volume).finite[0]


@settings(max_examples=50)
@given(volumes(special=True))
def test_counts_add_up_and_follow_the_rules(volume):
    finite = np.isfinite(volume).all(axis=0)
    with np.errstate(invalid="ignore"):
        mean = volume.mean(axis=0, dtype=np.float64)
        lowest = volume.min(axis=0)
    for rules in ALL_RULES:
        usable, counts = usable_voxels(VoxelSums.of_volume(volume), rules)
        empty = mean <= 0 if rules.positive_mean else (volume == 0).all(axis=0)
        bad = np.zeros(finite.shape, dtype=bool)
        if rules.positive_everywhere:
            bad |= lowest <= 0
        if rules.nowhere_negative:
            bad |= lowest < 0
        np.testing.assert_array_equal(usable, finite & ~empty & ~bad)
        assert counts.n_total == volume.shape[1]
        assert counts.n_nan == np.count_nonzero(~finite)
        assert counts.n_empty == np.count_nonzero(finite & empty)
        assert counts.n_nonpositive == np.count_nonzero(finite & ~empty & bad)
        judged = counts.n_total - counts.n_nan - counts.n_empty - counts.n_nonpositive
        assert np.count_nonzero(usable) == judged
        assert counts.n_kept == 0


def test_a_voxel_that_cancels_to_zero_is_not_empty_where_negatives_are_allowed():
    volume = np.array([[-1.0, 0.0], [1.0, 0.0]])
    usable, counts = usable_voxels(VoxelSums.of_volume(volume), MaskRules(positive_mean=False))
    np.testing.assert_array_equal(usable, [True, False])
    assert counts.n_empty == 1
