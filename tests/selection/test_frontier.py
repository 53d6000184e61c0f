"""Fidelity against size: closed forms, and the frontier by brute force."""

from __future__ import annotations

import numpy as np
import pytest

from xtec.selection.frontier import Joint, clusterings, pareto, partitions


def random_joint(seed: int, n: int = 5) -> np.ndarray:
    table = np.random.default_rng(seed).gamma(0.4, size=(n, n))
    return table / table.sum()


def mutual_information(table: np.ndarray) -> float:
    outer = np.outer(table.sum(axis=1), table.sum(axis=0))
    some = table > 0
    return float(np.sum(table[some] * np.log(table[some] / outer[some])))


@pytest.mark.parametrize(("n", "bell"), [(1, 1), (3, 5), (5, 52), (8, 4140)])
def test_every_partition_is_met_once(n, bell):
    assert len({tuple(sorted(one)) for one in partitions(n)}) == bell == len(list(partitions(n)))


@pytest.mark.parametrize("seed", range(3))
def test_size_and_fidelity_are_entropy_and_mutual_information(seed):
    table = random_joint(seed)
    for one in clusterings(Joint(table)):
        merged = np.array([table[list(group)].sum(axis=0) for group in one.partition])
        mass = merged.sum(axis=1)
        assert one.size == pytest.approx(-np.sum(mass * np.log(mass)))
        assert one.fidelity == pytest.approx(mutual_information(merged), abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_nothing_beats_the_frontier(seed):
    met = clusterings(Joint(random_joint(seed)))
    front = pareto(met)
    for one in front:
        assert not any(o.size < one.size - 1e-12 and o.fidelity > one.fidelity + 1e-12 for o in met)
    for one in met:
        assert any(o.size <= one.size + 1e-12 and o.fidelity >= one.fidelity - 1e-9 for o in front)


def test_frontier_keeps_points_inside_the_convex_hull():
    front = [pareto(clusterings(Joint(random_joint(seed, 6)))) for seed in range(5)]
    slopes = [np.diff([o.fidelity for o in one]) / np.diff([o.size for o in one]) for one in front]
    assert any((np.diff(one) > 0).any() for one in slopes)


def test_exchange_rate_is_none_for_the_same_and_one_for_the_never_alike():
    table = np.array([[0.1, 0.2, 0.0], [0.2, 0.4, 0.0], [0.0, 0.0, 0.1]])
    joint = Joint(table)
    assert joint.exchange_rate((0,), (1,)) == pytest.approx(0.0, abs=1e-12)
    assert joint.exchange_rate((0,), (2,)) == pytest.approx(1.0)
