"""Fidelity against size: the primal Pareto frontier of the deterministic information bottleneck.

Components X are joined into clusters Z. The size of a clustering is the entropy H(Z) of its cluster sizes,
its fidelity the mutual information I(Z; Y) between cluster and Y: what a trajectory of each component looks
like.
A clustering is on the frontier if no other is as faithful and smaller. The frontier holds more than the
optima of ``I - b H``, which are only its convex hull.

References
----------
Tan, Tegmark & Chuang, Pareto-optimal clustering with the primal deterministic information bottleneck,
Entropy 24, 771 (2022).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from xtec.core.types import Float64Array

Partition = tuple[tuple[int, ...], ...]
"""Components of each cluster, both in rising order."""

EXACT = 8
"""Up to so many components every partition is looked at: 4140 of them."""


@dataclass(frozen=True)
class Clustering:
    """One way to join components.

    Attributes
    ----------
    partition : Partition
    size : float
        H(Z) in nats.
    fidelity : float
        I(Z; Y) in nats.
    """

    partition: Partition
    size: float
    fidelity: float

    @property
    def n_clusters(self) -> int:
        """Number of clusters."""
        return len(self.partition)


def entropy(probability: Float64Array) -> float:
    """``-sum p ln p`` in nats."""
    positive = probability[probability > 0]
    return max(0.0, -float(np.sum(positive * np.log(positive))))


class Joint:
    """p(x, y), and what is needed again and again of sums of its rows.

    Parameters
    ----------
    table : array, shape (X, Y)
        Adds up to one.
    """

    def __init__(self, table: Float64Array) -> None:
        self.table = table
        self._known: dict[tuple[int, ...], tuple[float, float]] = {}

    def _of(self, group: tuple[int, ...]) -> tuple[float, float]:
        """p(z), and p(z) H(Y | z)."""
        if group not in self._known:
            row = self.table[list(group)].sum(axis=0)
            mass = float(row.sum())
            self._known[group] = mass, mass * entropy(row / mass) if mass > 0 else 0.0
        return self._known[group]

    def exchange_rate(self, some: tuple[int, ...], other: tuple[int, ...]) -> float:
        """Fidelity lost for size saved when two clusters are joined: 0 for the same, 1 for never alike.

        The slope between two clusterings in the plane of size and fidelity. How large the two are does not
        matter to first order.
        """
        (mass, spread), (mass_2, spread_2) = self._of(some), self._of(other)
        both, spread_both = self._of(tuple(sorted(some + other)))
        saved = both * entropy(np.array([mass, mass_2]) / both) if both > 0 else 0.0
        return max(0.0, spread_both - spread - spread_2) / saved if saved > 0 else 0.0

    def evaluate(self, partition: Partition) -> Clustering:
        """Size and fidelity of a partition of the rows."""
        mass, spread = np.array([self._of(group) for group in partition]).T
        faithful = entropy(self.table.sum(axis=0)) - float(spread.sum())
        return Clustering(partition, entropy(mass), max(0.0, faithful))


def join(partition: Partition, some: tuple[int, ...], other: tuple[int, ...]) -> Partition:
    """The partition with two of its clusters joined."""
    rest = [group for group in partition if group not in (some, other)]
    return tuple(sorted([*rest, tuple(sorted(some + other))]))


def most_alike(joint: Joint, partition: Partition) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The two clusters of lowest exchange rate; of equal ones the first."""
    pairs = itertools.combinations(partition, 2)
    return min(pairs, key=lambda pair: (joint.exchange_rate(*pair), pair))


def clusterings(joint: Joint) -> list[Clustering]:
    """Ways to join components that are worth a look, all of them where components are few.

    More components are first joined two by two, always the most alike, until few are left.
    """
    groups: Partition = tuple((k,) for k in range(len(joint.table)))
    met = []
    while len(groups) > EXACT:
        met.append(joint.evaluate(groups))
        groups = join(groups, *most_alike(joint, groups))
    for coarse in partitions(len(groups)):
        joined = (tuple(sorted(k for number in part for k in groups[number])) for part in coarse)
        met.append(joint.evaluate(tuple(sorted(joined))))
    return met


def pareto(met: list[Clustering]) -> list[Clustering]:
    """Those that no other beats in both size and fidelity, by rising size."""
    best: list[Clustering] = []
    for one in sorted(met, key=lambda each: (each.size, -each.fidelity)):
        if not best or one.fidelity > best[-1].fidelity + 1e-12:
            best.append(one)
    return best


def partitions(n: int) -> Iterator[Partition]:
    """All partitions of 0..n-1."""
    if n == 0:
        yield ()
        return
    for smaller in partitions(n - 1):
        for place in range(len(smaller)):
            yield (*smaller[:place], (*smaller[place], n - 1), *smaller[place + 1 :])
        yield (*smaller, (n - 1,))
