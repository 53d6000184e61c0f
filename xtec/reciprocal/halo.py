"""Diffuse halos: labels of voxels against their distance from Bragg positions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from xtec.core.axes import Q_NAMES
from xtec.core.errors import ConfigError
from xtec.core.reflections import Halo
from xtec.core.types import ClusterMap, Float64Array

_TOGETHER = 2**18
"""Voxels looked at together, but for one plane at least."""

_SLACK = 1e-6
"""Of a shell: for axis values such as 0.30000000000000004."""


def halos(
    cluster_map: ClusterMap,
    hkl: NDArray[np.integer],
    number: NDArray[np.integer],
    names: Sequence[str],
    n_clusters: int,
    reach: float = 0.5,
    step: float | None = None,
) -> list[Halo]:
    """Labels in shells around the Bragg positions of each class.

    A voxel belongs to the nearest integer (H, K, L) along every axis; its distance from there is Euclidean in
    r.l.u. along the axes of the map. Voxels that were masked or fell below a threshold have label 0.

    Parameters
    ----------
    cluster_map : ClusterMap
        Of voxels, its axes among H, K and L in r.l.u.
    hkl : array, shape (N, 3), int
        Bragg positions; others have no halo. Indices along axes that the map does not have are of no account:
        of positions that differ in those alone the last counts.
    number : array, shape (N,), int
        Place in `names` of each one's class.
    names : sequence of str
    n_clusters : int
    reach : float
        Radius of the largest shell, in r.l.u., up to half the distance of the next position.
    step : float, optional
        Thickness of the shells in r.l.u.; the largest pixel of the axes.

    Returns
    -------
    list of Halo
        One for each class; shares of a shell without voxels are NaN.

    Raises
    ------
    ConfigError
        If an axis is not H, K or L in r.l.u., or the reach is not above 0 and at most 1/2.
    """
    axes = cluster_map.axes
    if not all(axis.name in Q_NAMES and axis.units != "pixel" for axis in axes):
        raise ConfigError(
            "halos need axes H, K, L in r.l.u.", hint=f"here: {', '.join(a.name for a in axes)}"
        )
    if not 0 < reach <= 0.5:
        raise ConfigError(f"halos reach from 0 to 1/2 r.l.u., not to {reach:g}")
    thickness = step or max(abs(axis.step) for axis in axes) or reach
    n_shells = max(1, round(reach / thickness))
    columns = [2 - Q_NAMES.index(axis.name) for axis in axes]
    classes = _Classes(np.asarray(hkl)[:, columns], number)
    shape = (len(names), n_shells, n_clusters + 1)
    counts = np.zeros(int(np.prod(shape)), dtype=np.int64)
    for place, distance, label in _slabs(cluster_map, classes):
        shell = np.floor(distance / thickness + _SLACK).astype(np.int64)
        inside = shell < n_shells
        cell = (place[inside] * n_shells + shell[inside]) * (n_clusters + 1) + label[inside]
        counts += np.bincount(cell, minlength=counts.size)
    voxels = counts.reshape(shape)
    total = voxels.sum(axis=2, keepdims=True)
    share = np.asarray(np.where(total > 0, voxels / np.maximum(total, 1), np.nan), dtype=np.float64)
    members = np.bincount(number, minlength=len(names))
    middle = np.asarray((np.arange(n_shells) + 0.5) * thickness, dtype=np.float64)
    return [Halo(name, int(members[i]), middle, share[i]) for i, name in enumerate(names)]


class _Classes:
    """Class of each Bragg position, looked up by its indices along the axes of a map."""

    def __init__(self, indices: NDArray[np.integer], number: NDArray[np.integer]) -> None:
        none = np.zeros((1, indices.shape[1]), dtype=np.int64)
        self.low = np.vstack([indices, none]).min(axis=0)
        # One row more than needed on either side: what lies outside is clipped there.
        self.table = np.full(np.vstack([indices, none]).max(axis=0) - self.low + 3, -1, dtype=np.int64)
        self.table[tuple((indices - self.low + 1).T)] = number

    def along(self, axis: int, node: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows of the table for integers along one axis."""
        return np.asarray(np.clip(node - self.low[axis] + 1, 0, self.table.shape[axis] - 1))


def _slabs(
    cluster_map: ClusterMap, classes: _Classes
) -> Iterator[tuple[NDArray[np.int64], Float64Array, NDArray[np.int16]]]:
    """Class, distance and label of the voxels that have a position, a few planes at a time; (n,) each."""
    nodes = [np.round(axis.values).astype(np.int64) for axis in cluster_map.axes]
    rows = [classes.along(i, node) for i, node in enumerate(nodes)]
    squares = [(axis.values - node) ** 2 for axis, node in zip(cluster_map.axes, nodes, strict=True)]
    shape = cluster_map.shape
    planes = max(1, _TOGETHER // int(np.prod(shape[1:], dtype=np.int64)))
    for start in range(0, shape[0], planes):
        stop = min(start + planes, shape[0])
        place = classes.table[np.ix_(rows[0][start:stop], *rows[1:])]
        has = np.nonzero(place >= 0)
        if has[0].size:
            parts = [squares[0][start:stop], *squares[1:]]
            squared = np.sum([square[i] for square, i in zip(parts, has, strict=True)], axis=0)
            yield place[has], np.sqrt(squared), cluster_map.slab(start, stop)[has]
