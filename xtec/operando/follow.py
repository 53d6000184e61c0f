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
        Numbers of clusters, from 1.
    highest : int
        Highest number that any cluster has had so far.
    """

    index: NDArray[np.int64]
    label: NDArray[np.int16]
    highest: int

    @property
    def numbers(self) -> NDArray[np.intp]:
        """Of the clusters that have members, rising."""
        return np.flatnonzero(np.bincount(self.label))

    def labels_of(self, index: NDArray[np.int64]) -> NDArray[np.int16]:
        """The cluster of each of some voxels; 0 where it is in none."""
        place = np.minimum(np.searchsorted(self.index, index), max(self.index.size - 1, 0))
        if not self.index.size:
            return np.zeros(index.size, self.label.dtype)
        return np.where(self.index[place] == index, self.label[place], self.label.dtype.type(0))


@dataclass(frozen=True)
class Followed:
    """What clusters go on as.

    Attributes
    ----------
    numbers : array, shape (K,)
        The number of each cluster; 0 for an empty one.
    new, gone : tuple of int
        Numbers of clusters that do not go on from an earlier one, and those that no cluster has any more.
    """

    numbers: NDArray[np.intp]
    new: tuple[int, ...]
    gone: tuple[int, ...]


def follow(before: ClusterMembers, now: ClusterMembers, *, reuse: bool = False) -> Followed:
    """The numbers that clusters go on with.

    Voxels that both have decide, for what comes or goes with the threshold says nothing of clusters. Clusters
    are paired so that as many voxels as possible stay, and a pair counts if it shares a third, about, of the
    voxels of either (intersection over union).

    Parameters
    ----------
    before, now : ClusterMembers
        Of `now`, `highest` is the number of clusters; some may be empty.
    reuse : bool
        Whether a new cluster gets the number of one that is gone, if there is one; else it gets a number that
        none has had.
    """
    earlier = before.labels_of(now.index)
    both = earlier > 0
    shared = np.zeros((now.highest + 1, before.highest + 1), np.int64)
    np.add.at(shared, (now.label[both], earlier[both]), 1)
    either = shared.sum(axis=1, keepdims=True) + shared.sum(axis=0, keepdims=True) - shared
    overlap = shared / np.maximum(either, 1)
    numbers = np.zeros(now.highest + 1, np.intp)
    for cluster, number in zip(*linear_sum_assignment(overlap, maximize=True), strict=True):
        if overlap[cluster, number] >= _SAME:
            numbers[cluster] = number
    new = [cluster for cluster in now.numbers if not numbers[cluster]]
    free = np.setdiff1d(np.arange(1, before.highest + 1), numbers) if reuse else np.empty(0, np.intp)
    numbers[new] = [*free, *range(before.highest + 1, before.highest + 1 + len(new))][: len(new)]
    gone = np.setdiff1d(before.numbers, numbers)
    return Followed(numbers[1:], tuple(numbers[new].tolist()), tuple(gone.tolist()))
