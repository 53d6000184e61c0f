"""Starting points: what each kind draws from a sample, and the mixtures made of it."""

from __future__ import annotations

import numpy as np
import pytest

from xtec.core.types import CovarianceType
from xtec.mixture.em import expect
from xtec.mixture.starts import KINDS, Sample, draw_start, random_shares, settled_centres, spread_centres
from xtec.mixture.trajectories import Trajectories

ONCE = list(dict.fromkeys(KINDS))
HARD = [kind for kind in ONCE if kind is not random_shares]


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    return 50 + rng.standard_normal((300, 4)) + 6 * rng.standard_normal((5, 4))[rng.integers(0, 5, 300)]


def drawn(rows, kind, k, seed, full=False):
    return kind(Sample(Trajectories([rows])), k, np.random.default_rng(seed), full)


@pytest.mark.parametrize("kind", ONCE)
@pytest.mark.parametrize("k", [1, 2, 5, 300])
def test_every_trajectory_is_shared_out(rows, kind, k):
    """Weights, means and scatter of the components add up to those of all."""
    moments = drawn(rows, kind, k, 1)
    assert moments.weight.shape == (k,)
    assert (moments.weight >= 0).all()
    assert moments.weight.sum() == pytest.approx(300)
    np.testing.assert_allclose(moments.weight @ moments.mean, 0, atol=1e-8)
    squares = (moments.scatter + moments.weight[:, None] * moments.mean**2).sum(axis=0)
    np.testing.assert_allclose(squares, 300 * rows.var(axis=0), rtol=1e-9)


@pytest.mark.parametrize("kind", HARD)
def test_centres_give_each_trajectory_to_one_component(rows, kind):
    weight = drawn(rows, kind, 5, 2).weight
    np.testing.assert_allclose(weight, np.round(weight), atol=1e-6)


@pytest.mark.parametrize("k", [1, 3, 12])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_parts_are_what_is_nearest_to_each_centre(rows, k, full, dtype):
    rows = rows.astype(dtype)
    sample = Sample(Trajectories([rows]))
    centres = sample.rows[:k]
    nearest = ((sample.rows[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
    moments = sample.parts(centres, full=full)
    parts = [sample.rows[nearest == number] for number in range(k)]
    tolerance = {"rtol": 1e-4, "atol": 1e-3} if dtype == np.float32 else {"rtol": 1e-9, "atol": 1e-9}
    np.testing.assert_allclose(moments.weight, [len(part) for part in parts], **tolerance)
    np.testing.assert_allclose(moments.mean, [part.mean(axis=0) for part in parts], **tolerance)
    scatter = [len(part) * np.cov(part.T, bias=True) for part in parts]
    expected = scatter if full else [np.diag(one) for one in scatter]
    np.testing.assert_allclose(moments.scatter, expected, **tolerance)


@pytest.mark.parametrize("kind", ONCE)
def test_a_start_depends_on_the_generator_alone(rows, kind):
    one, again, other = (drawn(rows, kind, 5, seed).mean for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_kinds_are_different_from_each_other(rows):
    assert len(ONCE) >= 3
    assert len({drawn(rows, kind, 5, 5).mean.tobytes() for kind in ONCE}) == len(ONCE)


@pytest.mark.parametrize("seed", range(5))
def test_settling_tightens_the_partition(rows, seed):
    spread, settled = (drawn(rows, kind, 5, seed).scatter.sum() for kind in (spread_centres, settled_centres))
    assert settled <= spread * (1 + 1e-12)


def test_spread_centres_find_far_clusters():
    """Ten tight clusters of very different size, far apart: k-means++ takes one centre of each."""
    rng = np.random.default_rng(6)
    which = np.repeat(np.arange(10), [500, 2, 2, 2, 2, 2, 2, 2, 2, 2])
    rows = 1000.0 * np.eye(10)[which] + 1e-3 * rng.standard_normal((len(which), 10))
    weight = drawn(rows, spread_centres, 10, 6).weight
    np.testing.assert_allclose(sorted(weight), [2.0] * 9 + [500.0])


@pytest.mark.parametrize("covariance_type", list(CovarianceType))
@pytest.mark.parametrize("kind", ONCE)
def test_starts_are_mixtures_with_a_likelihood(rows, kind, covariance_type):
    data = Trajectories([rows])
    for k in (1, 4, 40):
        start = draw_start(Sample(data), kind, k, covariance_type, np.random.default_rng(7))
        assert start.n_components == k
        assert start.covariance_type is covariance_type
        assert start.weights.sum() == pytest.approx(1)
        assert (start.weights > 0).all()
        assert (start.variances() > 0).all()
        assert np.isfinite(expect(data, start).log_likelihood)


@pytest.mark.parametrize("kind", ONCE)
def test_copies_of_one_trajectory_are_no_obstacle(kind):
    rows = np.zeros((50, 3))
    rows[0] = 1.0
    assert drawn(rows, kind, 4, 8).weight.sum() == pytest.approx(50)
    sample = Sample(Trajectories([rows]))
    start = draw_start(sample, kind, 4, CovarianceType.DIAG, np.random.default_rng(8))
    assert np.isfinite(start.means).all()
    assert (start.covariances > 0).all()


@pytest.mark.parametrize("covariance_type", list(CovarianceType))
def test_a_start_has_the_moments_that_were_drawn(rows, covariance_type):
    sample, full = Sample(Trajectories([rows])), covariance_type is CovarianceType.FULL
    moments = drawn(rows, HARD[0], 3, 9, full)
    start = draw_start(sample, HARD[0], 3, covariance_type, np.random.default_rng(9))
    np.testing.assert_allclose(start.weights, moments.weight / 300)
    np.testing.assert_allclose(start.means, moments.mean + rows.mean(axis=0))
    if covariance_type in (CovarianceType.FULL, CovarianceType.DIAG):
        weight = moments.weight.reshape(-1, *(1,) * (moments.scatter.ndim - 1))
        np.testing.assert_allclose(start.covariances, moments.scatter / weight, rtol=1e-9)


def test_equal_centres_are_not_shared_equally():
    """Components that begin the same stay the same."""
    rows = np.repeat(np.arange(6.0)[:, None], 50, axis=0) * np.ones(4)
    sample = Sample(Trajectories([rows]))
    weight = sample.parts(sample.rows[[0, 60, 61, 200]], full=False).weight
    np.testing.assert_allclose(weight, [50, 100, 0, 150])
