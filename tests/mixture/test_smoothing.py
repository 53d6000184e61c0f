"""Averaging over neighbours, against the explicit matrix of its definition."""

from __future__ import annotations

import numpy as np
import pytest

from xtec.core.chunking import plan_blocks
from xtec.core.errors import ConfigError
from xtec.mixture.smoothing import LocalKernel, PeriodicKernel, average, neighbourhood


def explicit_matrix(index, shape, kernel):
    """Row-normalised M from its definition, n x n."""
    position = np.stack(np.unravel_index(index, shape), axis=1).astype(float)
    distance = position[:, None] - position[None]
    if isinstance(kernel, PeriodicKernel):
        squares = (np.sin(np.pi * distance / np.array(kernel.unit_cell)) ** 2).sum(axis=2)
    else:
        squares = (distance**2).sum(axis=2)
    values = np.exp(-squares / kernel.length**2)
    matrix = np.where(values > 0.01, values if kernel.weighted else 1.0, 0.0)
    return matrix / matrix.sum(axis=1, keepdims=True)


def random_voxels(shape, share, seed):
    rng = np.random.default_rng(seed)
    index = np.flatnonzero(rng.random(np.prod(shape)) < share)
    shares = rng.dirichlet(np.ones(4), index.size)
    return index, shares


KERNELS = [
    ((40, 37), LocalKernel(0.5)),
    ((40, 37), LocalKernel(1.3, weighted=True)),
    ((9, 14, 17), LocalKernel(1.0)),
    ((9, 14, 17), LocalKernel(2.4, weighted=True)),
    ((1, 30, 31), LocalKernel(1.7)),
    ((700,), LocalKernel(2.0)),
    ((41, 43), PeriodicKernel(0.15, (10, 10))),
    ((41, 43), PeriodicKernel(0.6, (12.5, 8), weighted=True)),
    ((9, 22, 25), PeriodicKernel(0.2, (4, 10, 10))),
    ((9, 22, 25), PeriodicKernel(0.4, (6, 7, 8), weighted=True)),
    ((5, 20, 20), PeriodicKernel(0.05, (20, 10, 10))),
]


@pytest.mark.parametrize(("shape", "kernel"), KERNELS)
@pytest.mark.parametrize("share", [0.1, 0.6])
@pytest.mark.parametrize("repeats", [1, 3])
def test_equals_the_explicit_matrix(shape, kernel, share, repeats):
    index, shares = random_voxels(shape, share, 3)
    matrix = np.linalg.matrix_power(explicit_matrix(index, shape, kernel), repeats)
    found = average(neighbourhood(kernel, shape, repeats=repeats), index, shares)
    np.testing.assert_allclose(found, matrix @ shares, atol=1e-10)


@pytest.mark.parametrize(("shape", "kernel"), KERNELS)
@pytest.mark.parametrize("repeats", [1, 2])
def test_shards_average_as_one_would(shape, kernel, repeats):
    """Voxels are averaged with those of other shards, and of all shards alike."""
    index, shares = random_voxels(shape, 0.5, 5)
    blocks = plan_blocks(shape, voxel_bytes=1, budget=int(np.prod(shape)) // 6, chunks=(4,) * len(shape))
    boxes = [blocks[number::3] for number in range(3)]
    owner = np.zeros(shape, dtype=int)
    for number, own in enumerate(boxes):
        for block in own:
            owner[block] = number
    mine = [np.flatnonzero(owner.reshape(-1)[index] == number) for number in range(3)]
    hood = neighbourhood(kernel, shape, boxes, repeats)
    known = hood.gather([hood.tell(n, index[one], shares[one]) for n, one in enumerate(mine)])
    whole = average(neighbourhood(kernel, shape, repeats=repeats), index, shares)
    for number, one in enumerate(mine):
        found = hood.average(known, number, index[one], shares[one])
        np.testing.assert_allclose(found, whole[one], atol=1e-10)


def test_a_length_that_links_nothing_is_refused_with_the_smallest_that_would():
    with pytest.raises(ConfigError, match=r"links no voxels") as refused:
        LocalKernel(0.4)
    assert "0.466" in refused.value.hint
    LocalKernel(0.467)
    with pytest.raises(ConfigError, match=r"links no voxels") as refused:
        neighbourhood(PeriodicKernel(0.05, (20.0, 20.0)), (20, 20))
    assert "0.073" in refused.value.hint
    neighbourhood(PeriodicKernel(0.074, (20.0, 20.0)), (20, 20))
    neighbourhood(PeriodicKernel(0.05, (20.0, 20.0)), (20, 41))  # other zones have the same place


@pytest.mark.parametrize("unit_cell", [(np.pi,), (0.5,), (5000.0, 5000.0, 5000.0)])
def test_a_unit_cell_that_cannot_be_folded_is_refused(unit_cell):
    with pytest.raises(ConfigError, match="cell"):
        PeriodicKernel(0.5, unit_cell)
