"""Joining neighbouring voxels into peaks, without ever forming the volume."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xtec.core.arrays import is_host, namespace
from xtec.core.compiled import compiled
from xtec.core.grouped import minima


def connect(index: Any, shape: Sequence[int], course: Any = None) -> Any:
    """Label connected components of a sparse set of voxels, diagonals included.

    Two voxels are neighbours if no coordinate differs by more than one: 2, 8 or 26 neighbours in one, two or
    three dimensions, as ``scipy.ndimage.label`` with a full structuring element. Voxels that go opposite ways
    with temperature are not of one peak, however near.

    Parameters
    ----------
    index : array, shape (n,), int64, rising
        Flat C-order indices of the voxels, in any array library.
    shape : sequence of int
        Shape of the grid.
    course : array, shape (n,), int8, optional
        1 and -1 for voxels that go opposite ways, 0 where that is not known.

    Returns
    -------
    array, shape (n,), int32
        Number of each voxel's peak, 0..P-1, in the order of the peaks' first voxels.
    """
    if not is_host(index):
        return _connected(padded(index, shape), course, half_of_the_neighbours(shape))
    each_its_own = np.arange(index.size, dtype=np.int32)
    course = np.zeros(index.size, np.int8) if course is None else course
    return _groups(padded(index, shape), each_its_own, course, _row_steps(shape), index.size)


def join(
    index: NDArray[np.int64],
    component: NDArray[np.int32],
    course: NDArray[np.int8],
    shape: Sequence[int],
    n_components: int,
) -> NDArray[np.int32]:
    """Group components that own neighbouring voxels: peaks that shards have cut become one again.

    Parameters
    ----------
    index : array, shape (m,), int64, in any order
        Flat C-order indices of voxels; those that touch other shards (see `rim`) are enough.
    component : array, shape (m,)
        The component that owns each voxel, 0..n_components-1, numbered over all shards.
    course : array, shape (m,), int8
        See `connect`.
    shape : sequence of int
        Shape of the grid.
    n_components : int
        Number of components, with those that own none of the voxels.

    Returns
    -------
    array, shape (n_components,), int32
        Group of each component, 0..G-1, in the order of the groups' first components.
    """
    order = np.argsort(index)
    owner = np.asarray(component, dtype=np.int32)[order]
    return _groups(padded(index[order], shape), owner, course[order], _row_steps(shape), n_components)


def padded(index: Any, shape: Sequence[int]) -> Any:
    """Flat index in a grid with one more, empty voxel after each row, each plane of rows, and so on.

    A step over the edge of the grid ends in an empty voxel there, never at the other side of the grid.
    """
    xp = namespace(index)
    place = xp.astype(index, xp.int64)
    for axis in range(1, len(shape)):
        place += index // math.prod(shape[axis:]) * padded_stride(shape, axis)
    return place


def padded_stride(shape: Sequence[int], axis: int) -> int:
    """Step in the padded grid from a voxel to the next along an axis."""
    return math.prod(size + 1 for size in shape[axis + 1 :])


def half_of_the_neighbours(shape: Sequence[int]) -> list[int]:
    """Steps in the padded grid to the later half of a voxel's neighbours, diagonals included."""
    strides = [padded_stride(shape, axis) for axis in range(len(shape))]
    steps = [sum(step) for step in itertools.product(*((-stride, 0, stride) for stride in strides))]
    return steps[len(steps) // 2 + 1 :]


def _row_steps(shape: Sequence[int]) -> NDArray[np.int64]:
    """Steps in the padded grid from a row (along the last axis) to half of its neighbours, the later ones."""
    strides = [padded_stride(shape, axis) for axis in range(len(shape) - 1)]
    steps = [sum(step) for step in itertools.product(*((-stride, 0, stride) for stride in strides))]
    return np.array(steps[len(steps) // 2 + 1 :], dtype=np.int64)


def _connected(place: Any, course: Any, steps: Sequence[int]) -> Any:
    """Components of voxels at rising places of the padded grid, in any array library."""
    xp = namespace(place)
    root = xp.arange(place.size, dtype=xp.int32, device=place.device)
    for step in steps if place.size else ():
        root = _united(root, *_pairs(place, course, step))
    is_first = root == xp.arange(place.size, dtype=xp.int32, device=place.device)
    number = xp.cumulative_sum(xp.astype(is_first, xp.int32), dtype=xp.int32) - 1
    return xp.take(number, root)


def _pairs(place: Any, course: Any, step: int) -> tuple[Any, Any]:
    """Which voxels have a neighbour of their peak at a step, and which are these."""
    xp, wanted = namespace(place), place + step
    found = xp.minimum(xp.searchsorted(place, wanted), place.size - 1)
    near = xp.take(place, found) == wanted
    if course is not None:
        near = near & (xp.take(course, found) * course >= 0)
    one = xp.nonzero(near)[0]
    return one, xp.take(found, one)


def _united(root: Any, one: Any, other: Any) -> Any:
    """The root of each item, the smallest of its tree, where trees are joined by pairs of items.

    Each round hangs every root that has a smaller one beside it under the smallest of these. A root that has
    none and gets nothing hung under itself has one in the next round, for its neighbours went to smaller
    ones: two rounds at least halve the trees that are not done.
    """
    xp = namespace(root)
    one, other = _apart(root, one, other)
    while one.size:
        least = minima(xp.minimum(one, other), xp.maximum(one, other), root.size, root.size)
        root = _flat(xp.minimum(root, least))
        one, other = _apart(root, one, other)
    return root


def _apart(root: Any, one: Any, other: Any) -> tuple[Any, Any]:
    """The roots of those pairs that are not of one tree."""
    xp = namespace(root)
    one, other = xp.take(root, one), xp.take(root, other)
    apart = xp.nonzero(one != other)[0]
    return xp.take(one, apart), xp.take(other, apart)


def _flat(parent: Any) -> Any:
    """The root of each item, found by jumps that double."""
    xp = namespace(parent)
    while True:
        above = xp.take(parent, parent)
        if xp.all(above == parent):
            return parent
        parent = above


@compiled
def _groups(
    index: NDArray[np.int64],
    component: NDArray[np.int32],
    course: NDArray[np.int8],
    row_steps: NDArray[np.int64],
    n_components: int,
) -> NDArray[np.int32]:
    """Union-find on the padded grid; as `index` rises, so does the place of its neighbour in each row."""
    parent = np.arange(n_components).astype(np.int32)
    n = index.size
    for i in range(1, n):
        if index[i] - index[i - 1] == 1 and course[i] * course[i - 1] >= 0:
            _unite(parent, component[i - 1], component[i])
    for step in row_steps:
        start = 0
        for i in range(n):
            left = index[i] + step - 1
            while start < n and index[start] < left:
                start += 1
            j = start
            while j < n and index[j] <= left + 2:
                if course[i] * course[j] >= 0:
                    _unite(parent, component[i], component[j])
                j += 1
    return _numbered(parent)


@compiled
def _unite(parent: NDArray[np.int32], one: int, other: int) -> None:
    if parent[one] != parent[other]:
        one, other = _root(parent, one), _root(parent, other)
        parent[max(one, other)] = min(one, other)


@compiled
def _root(parent: NDArray[np.int32], item: int) -> int:
    while parent[item] != item:
        parent[item] = parent[parent[item]]
        item = parent[item]
    return item


@compiled
def _numbered(parent: NDArray[np.int32]) -> NDArray[np.int32]:
    """Number the trees; a parent comes before its children, so one pass is enough."""
    number = np.empty_like(parent)
    n_trees = 0
    for item in range(parent.size):
        if parent[item] == item:
            number[item] = n_trees
            n_trees += 1
        else:
            number[item] = number[parent[item]]
    return number
