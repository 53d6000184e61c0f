"""The number of clusters from the bottleneck: planted numbers are found, and its parts are what they say."""

from __future__ import annotations

import numpy as np
import pytest

from xtec.core.errors import ConfigError
from xtec.learned.dib import BottleneckSelector, _Chain
from xtec.plugins.testing import assert_conforms


def planted(k: int, n: int, seed: int) -> np.ndarray:
    """Trajectories of k shapes with Gaussian noise; rescaled."""
    rng = np.random.default_rng(seed)
    x = np.linspace(0.1, 1.6, 15)
    every = [np.ones_like(x), 2 * np.exp(-x), 1 + x, 1 + 3 * np.maximum(1 - x / 0.5, 0) ** 0.5, 1 + (x > 0.8)]
    shapes = np.stack([one / one.mean() - 1 for one in every[:k]])
    rows = shapes[rng.integers(k, size=n)] * rng.lognormal(0, 0.1, (n, 1))
    return (rows + 0.08 * rng.standard_normal(rows.shape)).astype(np.float32)


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
def test_planted_numbers_are_found(k: int) -> None:
    found = BottleneckSelector(1, 8, random_state=k).fit(planted(k, 1500, 40 + k))
    assert found.n_clusters_ == k
    if k > 1:
        assert found.curves_["stability"][k - 1] > 0.9
        assert found.curves_["size"][k - 1] <= np.log(k) + 1e-9
    assert (found.curves_["fidelity"] <= found.curves_["size"] + 1e-9)[
        np.isfinite(found.curves_["size"])
    ].all()


def test_it_stays_within_what_is_allowed() -> None:
    rows = planted(4, 1500, 1)
    assert BottleneckSelector(5, 8).fit(rows).n_clusters_ >= 5
    assert BottleneckSelector(1, 3).fit(rows).n_clusters_ <= 3


def test_outliers_are_no_clusters() -> None:
    rows = planted(2, 1500, 3)
    rows[:6] += np.random.default_rng(0).normal(0, 8, rows[:6].shape).astype(np.float32)
    assert BottleneckSelector(1, 8).fit(rows).n_clusters_ == 2


def test_hard_clusters_have_a_slope_of_one_and_equal_parts_of_none() -> None:
    apart = np.repeat(np.eye(3), [50, 30, 20], axis=0)
    chain = _Chain.of(apart)
    assert chain.slope[3] == pytest.approx(1.0)
    assert chain.size[3] == pytest.approx(-np.sum([p * np.log(p) for p in (0.5, 0.3, 0.2)]))
    assert chain.fidelity[3] == pytest.approx(chain.size[3])
    same = np.concatenate([np.full((60, 2), 0.5), np.zeros((60, 2))])
    halves = np.column_stack([same, 1 - same.sum(axis=1)])
    chain = _Chain.of(halves)
    assert chain.slope[3] == pytest.approx(0.0, abs=1e-9)
    assert chain.slope[2] == pytest.approx(1.0)
    assert len(np.unique(chain.label[2])) == 2


def test_the_frontier_rises() -> None:
    frontier = BottleneckSelector(1, 8).fit(planted(3, 800, 2)).frontier_
    assert (np.diff(frontier[:, 1]) > 0).all()
    assert (np.diff(frontier[:, 2]) > 0).all()


@pytest.mark.parametrize(("n", "options"), [(30, {}), (500, {"resamplings": 1})])
def test_what_cannot_be_done_is_refused(n: int, options: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        BottleneckSelector(1, 8, **options).fit(planted(2, n, 0))


def test_it_fits_its_slot() -> None:
    assert_conforms("selectors", BottleneckSelector)
