"""Clusters that keep their numbers while a series grows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

_SAME = 0.3
"""A cluster goes on as an earlier one with which it shares so much of the voxels of either."""


@dataclass(frozen=True)
class ClusterMembers:
    """Which voxels are in which cluster.

    Attributes
    ----------
    index : array, shape (n,), rising
        Flat indices of voxels.
    label : array, shape (n,)
        1..K.
    """

    index: NDArray[np.int64]
    label: NDArray[np.int16]


def follow(before: ClusterMembers, now: ClusterMembers, n_now: int) -> list[int | None]:
    """Which earlier cluster each cluster goes on from.

    Voxels that both have decide: clusters are paired so that as many as possible stay, and a pair counts if
    it shares a third, about, of the voxels of either (intersection over union).

    Parameters
    ----------
    before, now : ClusterMembers
    n_now : int
        Number of clusters now; some may be empty.

    Returns
    -------
    list of int or None
        For each cluster 1..n_now, the number of the earlier one; None for a new cluster.
    """
    _, mine, theirs = np.intersect1d(now.index, before.index, assume_unique=True, return_indices=True)
    n_before = int(before.label.max(initial=0))
    shared = np.zeros((n_now, n_before), np.int64)
    np.add.at(shared, (now.label[mine] - 1, before.label[theirs] - 1), 1)
    sizes = np.bincount(now.label, minlength=n_now + 1)[1:, None]
    others = np.bincount(before.label, minlength=n_before + 1)[None, 1:]
    overlap = shared / np.maximum(sizes + others - shared, 1)
    found: list[int | None] = [None] * n_now
    for cluster, earlier in zip(*linear_sum_assignment(overlap, maximize=True), strict=True):
        if overlap[cluster, earlier] >= _SAME:
            found[int(cluster)] = int(earlier) + 1
    return found


def keep_numbers(found: list[int | None]) -> NDArray[np.intp]:
    """An order of clusters in which those that go on keep their places, and new ones fill the others.

    Parameters
    ----------
    found : list of int or None
        See `follow`.

    Returns
    -------
    array, shape (K,)
        Position, counted from 0, of the cluster that each number goes to.
    """
    k = len(found)
    order = np.full(k, -1, np.intp)
    for cluster, earlier in enumerate(found):
        if earlier is not None and earlier <= k:
            order[earlier - 1] = cluster
    left = iter([cluster for cluster in range(k) if cluster not in order])
    for place in range(k):
        if order[place] < 0:
            order[place] = next(left)
    return order
