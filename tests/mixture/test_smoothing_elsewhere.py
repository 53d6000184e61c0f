"""Averaging over neighbours where arrays are of another library, against the compiled loops."""

from __future__ import annotations

import numpy as np
import pytest

from xtec.core.arrays import home, is_host
from xtec.core.chunking import plan_blocks
from xtec.mixture.smoothing import (
    LocalKernel,
    PeriodicKernel,
    _add_neighbours,
    _add_to_places,
    _summed_neighbours,
    _summed_places,
    neighbourhood,
)

LOCAL = [
    ((40, 37), LocalKernel(0.5)),
    ((40, 37), LocalKernel(1.3, weighted=True)),
    ((7, 10, 11), LocalKernel(1.0)),
    ((7, 10, 11), LocalKernel(2.4, weighted=True)),
    ((1, 30, 31), LocalKernel(1.7)),
    ((5, 2, 3), LocalKernel(1.7, weighted=True)),
    ((700,), LocalKernel(2.0)),
]
PERIODIC = [
    ((41, 43), PeriodicKernel(0.15, (10, 10))),
    ((41, 43), PeriodicKernel(0.6, (12.5, 8), weighted=True)),
    ((9, 22, 25), PeriodicKernel(0.2, (4, 10, 10))),
    ((9, 22, 25), PeriodicKernel(0.4, (6, 7, 8), weighted=True)),
]


def some_voxels(shape, density=0.5, seed=0):
    rng = np.random.default_rng(seed)
    index = np.flatnonzero(rng.random(shape) < density)
    return index, rng.dirichlet(np.ones(4), index.size)


@pytest.mark.parametrize(("shape", "kernel"), LOCAL)
@pytest.mark.parametrize("density", [0.05, 0.5, 1.0])
def test_the_plain_sums_over_neighbours_are_the_compiled_ones(shape, kernel, density):
    index, shares = some_voxels(shape, density)
    solid = (1,) * (3 - len(shape)) + shape
    offsets, weights = kernel.rows(solid)
    expected = np.zeros((index.size, 5))
    _add_neighbours(index, np.array(solid), offsets, weights, shares, expected)
    found = _summed_neighbours(index, solid, offsets, weights, shares)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_the_plain_sums_over_places_are_the_compiled_ones():
    place, shares = np.random.default_rng(1).integers(0, 9, 60), some_voxels((60,), 1.0)[1]
    expected = np.zeros((12, 5))
    _add_to_places(place, shares, expected)
    np.testing.assert_allclose(_summed_places(place, shares, 12), expected, rtol=1e-12)


def in_shards(shape, index, n_shards=3):
    """Boxes of voxels that each shard covers, and which of the voxels are its."""
    blocks = plan_blocks(shape, voxel_bytes=1, budget=int(np.prod(shape)) // 6, chunks=(4,) * len(shape))
    boxes = [blocks[number::n_shards] for number in range(n_shards)]
    owner = np.zeros(shape, dtype=int)
    for number, own in enumerate(boxes):
        for block in own:
            owner[block] = number
    return boxes, [np.flatnonzero(owner.reshape(-1)[index] == number) for number in range(n_shards)]


@pytest.mark.parametrize(("shape", "kernel"), [*LOCAL, *PERIODIC])
@pytest.mark.parametrize("repeats", [1, 2])
@pytest.mark.parametrize("density", [0.05, 0.5])
def test_shards_elsewhere_average_as_those_here(device, shape, kernel, repeats, density):
    index, shares = some_voxels(shape, density, seed=2)
    boxes, mine = in_shards(shape, index)
    hood = neighbourhood(kernel, shape, boxes, repeats)
    shards = [(number, index[one], shares[one]) for number, one in enumerate(mine)]
    expected_known = hood.gather([hood.tell(*shard) for shard in shards])
    there = [(number, device.upload(where), device.upload(what)) for number, where, what in shards]
    known = hood.gather(home([hood.tell(*shard) for shard in there]))
    for here, elsewhere in zip(shards, there, strict=True):
        found = hood.average(known, *(elsewhere if hood.needs_own else (*elsewhere[:2], None)))
        assert not is_host(found)
        np.testing.assert_allclose(home(found), hood.average(expected_known, *here), atol=1e-12)


@pytest.mark.parametrize(("shape", "kernel"), [LOCAL[1], PERIODIC[1]])
def test_a_shard_without_voxels_elsewhere(device, shape, kernel):
    boxes, _ = in_shards(shape, np.empty(0, int), 2)
    hood = neighbourhood(kernel, shape, boxes)
    index, shares = some_voxels(shape)
    nothing = device.upload(np.empty(0, np.int64)), device.upload(np.empty((0, 4)))
    told = [hood.tell(0, device.upload(index), device.upload(shares)), hood.tell(1, *nothing)]
    known = hood.gather(home(told))
    assert hood.average(known, 1, *nothing).shape == (0, 4)
