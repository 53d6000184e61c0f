"""Starting points: shares of every trajectory, and mixtures made of them."""

from __future__ import annotations

import numpy as np
import pytest

from xtec.core.types import CovarianceType
from xtec.mixture.em import expect
from xtec.mixture.starts import KINDS, draw_start, random_shares, settled_centres, spread_centres
from xtec.mixture.trajectories import Trajectories

HARD = [kind for kind in dict.fromkeys(KINDS) if kind is not random_shares]


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    return rng.standard_normal((300, 4)) + 6 * rng.standard_normal((5, 4))[rng.integers(0, 5, 300)]


@pytest.mark.parametrize("kind", dict.fromkeys(KINDS))
@pytest.mark.parametrize("k", [1, 2, 5, 300])
def test_every_trajectory_is_shared_out(rows, kind, k):
    share = kind(rows, k, np.random.default_rng(1))
    assert share.shape == (300, k)
    assert (share >= 0).all()
    np.testing.assert_allclose(share.sum(axis=1), 1, rtol=1e-12)


@pytest.mark.parametrize("kind", HARD)
def test_centres_give_each_trajectory_to_one_component(rows, kind):
    share = kind(rows, 5, np.random.default_rng(2))
    assert set(np.unique(share)) == {0.0, 1.0}


@pytest.mark.parametrize("kind", dict.fromkeys(KINDS))
def test_a_start_depends_on_the_generator_alone(rows, kind):
    one, again, other = (kind(rows, 5, np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_kinds_are_different_from_each_other(rows):
    kinds = list(dict.fromkeys(KINDS))
    shares = [kind(rows, 5, np.random.default_rng(5)) for kind in kinds]
    assert len(kinds) >= 3
    assert len({share.tobytes() for share in shares}) == len(kinds)


def spread_within(rows, share):
    """Sum of squared distances from the means of a partition."""
    return sum(((rows[one] - rows[one].mean(axis=0)) ** 2).sum() for one in share.T.astype(bool) if one.any())


@pytest.mark.parametrize("seed", range(5))
def test_settling_tightens_the_partition(rows, seed):
    spread, settled = (
        spread_within(rows, kind(rows, 5, np.random.default_rng(seed)))
        for kind in (spread_centres, settled_centres)
    )
    assert settled <= spread * (1 + 1e-12)


def test_spread_centres_find_far_clusters():
    """Ten tight clusters of very different size, far apart: k-means++ takes one centre of each."""
    rng = np.random.default_rng(6)
    which = np.repeat(np.arange(10), [500, 2, 2, 2, 2, 2, 2, 2, 2, 2])
    rows = 1000.0 * np.eye(10)[which] + 1e-3 * rng.standard_normal((len(which), 10))
    share = spread_centres(rows, 10, rng)
    assert sorted(share.sum(axis=0)) == [2.0] * 9 + [500.0]


@pytest.mark.parametrize("covariance_type", list(CovarianceType))
@pytest.mark.parametrize("kind", dict.fromkeys(KINDS))
def test_starts_are_mixtures_with_a_likelihood(rows, kind, covariance_type):
    data = Trajectories([rows])
    for k in (1, 4, 40):
        start = draw_start(data, kind(rows, k, np.random.default_rng(7)), covariance_type)
        assert start.n_components == k
        assert start.covariance_type is covariance_type
        assert start.weights.sum() == pytest.approx(1)
        assert (start.weights > 0).all()
        assert (start.variances() > 0).all()
        assert np.isfinite(expect(data, start).log_likelihood)


@pytest.mark.parametrize("kind", dict.fromkeys(KINDS))
def test_copies_of_one_trajectory_are_no_obstacle(kind):
    rows = np.zeros((50, 3))
    rows[0] = 1.0
    share = kind(rows, 4, np.random.default_rng(8))
    np.testing.assert_allclose(share.sum(axis=1), 1)
    start = draw_start(Trajectories([rows]), share, CovarianceType.DIAG)
    assert np.isfinite(start.means).all()
    assert (start.covariances > 0).all()


@pytest.mark.parametrize("covariance_type", list(CovarianceType))
def test_a_hard_start_has_the_moments_of_its_parts(rows, covariance_type):
    share = HARD[0](rows, 3, np.random.default_rng(9))
    start = draw_start(Trajectories([rows]), share, covariance_type)
    parts = [rows[one] for one in share.T.astype(bool)]
    np.testing.assert_allclose(start.weights, [len(part) / 300 for part in parts])
    np.testing.assert_allclose(start.means, [part.mean(axis=0) for part in parts])
    if covariance_type is CovarianceType.FULL:
        np.testing.assert_allclose(start.covariances, [np.cov(part.T, bias=True) for part in parts])
    if covariance_type is CovarianceType.DIAG:
        np.testing.assert_allclose(start.covariances, [part.var(axis=0) for part in parts])
