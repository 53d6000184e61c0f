"""Moments of blocks merge into those of the whole."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xtec.core.types import CovarianceType
from xtec.mixture.moments import ComponentMoments, has_full_scatter


def assert_same_moments(one, other, tolerance=1e-9):
    np.testing.assert_allclose(one.weight, other.weight, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(one.mean, other.mean, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(one.scatter, other.scatter, rtol=tolerance, atol=tolerance)


def direct(rows, share, *, full):
    """Weighted sums, component by component, as they are written down."""
    weight = share.sum(axis=0)
    mean = np.array([np.average(rows, axis=0, weights=column) for column in share.T])
    deviations = [rows - one for one in mean]
    outer = np.array([(d * column[:, None]).T @ d for d, column in zip(deviations, share.T, strict=True)])
    return ComponentMoments(weight, mean, outer if full else np.diagonal(outer, axis1=1, axis2=2))


@pytest.mark.parametrize("full", [False, True])
def test_moments_are_weighted_sums(full):
    rng = np.random.default_rng(0)
    rows, share = rng.standard_normal((200, 5)), rng.dirichlet(np.ones(3), 200)
    assert_same_moments(ComponentMoments.of_block(rows, share, full=full), direct(rows, share, full=full))


@settings(deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(0, 40), max_size=6),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_any_partition_in_any_order_gives_the_moments_of_the_whole(seed, cuts, full, random):
    rng = np.random.default_rng(seed)
    rows, share = rng.standard_normal((40, 4)), rng.dirichlet([0.3] * 3, 40)
    edges = [0, *sorted(cuts), 40]
    blocks = [slice(*pair) for pair in itertools.pairwise(edges)]
    random.shuffle(blocks)
    merged = ComponentMoments.empty(3, 4, full=full)
    for block in blocks:
        merged = merged.merge(ComponentMoments.of_block(rows[block], share[block], full=full))
    assert_same_moments(merged, ComponentMoments.of_block(rows, share, full=full))


@pytest.mark.parametrize("full", [False, True])
def test_empty_is_the_identity(full):
    rng = np.random.default_rng(1)
    some = ComponentMoments.of_block(rng.standard_normal((9, 4)), rng.dirichlet(np.ones(2), 9), full=full)
    nothing = ComponentMoments.empty(2, 4, full=full)
    for merged in (some.merge(nothing), nothing.merge(some)):
        np.testing.assert_array_equal(merged.weight, some.weight)
        np.testing.assert_array_equal(merged.mean, some.mean)
        np.testing.assert_array_equal(merged.scatter, some.scatter)
    both = nothing.merge(nothing)
    assert not both.weight.any()
    assert np.isfinite(both.mean).all()


def test_merging_is_exact_far_from_the_origin():
    """Two values, 1e8 + 1 and 1e8 - 1: sums of squares would lose the scatter of 2."""
    one, other = (
        ComponentMoments(np.ones(1), np.array([[1e8 + step]]), np.zeros((1, 1))) for step in (-1.0, 1.0)
    )
    assert one.merge(other).scatter[0, 0] == 2.0


@pytest.mark.parametrize("tiny", [0.0, 5e-324, 1e-310, 1e-300])
@pytest.mark.parametrize("full", [False, True])
def test_vanishing_weights_give_no_infinity(full, tiny):
    rows = np.random.default_rng(2).standard_normal((6, 3))
    share = np.stack([np.full(6, tiny), np.ones(6)], axis=1)
    moments = ComponentMoments.of_block(rows, share, full=full)
    for merged in (moments, moments.merge(moments)):
        assert np.isfinite(merged.mean).all()
        assert np.isfinite(merged.scatter).all()
        np.testing.assert_allclose(merged.mean[1], rows.mean(axis=0))


def test_only_full_and_tied_need_scatter_between_temperatures():
    assert {kind for kind in CovarianceType if has_full_scatter(kind)} == {
        CovarianceType.FULL,
        CovarianceType.TIED,
    }
