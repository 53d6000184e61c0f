"""Blocks: every voxel once, within the budget, cut at chunk borders."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from xtec.core.chunking import block_shape, flat_index, plan_blocks

_lengths = st.integers(1, 13)


@st.composite
def grids(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...] | None, tuple[int, ...] | None]:
    rank = draw(st.integers(1, 3))
    triple = st.tuples(*([_lengths] * rank))
    origin = st.tuples(*([st.integers(0, 20)] * rank))
    return draw(triple), draw(st.none() | triple), draw(st.none() | origin)


@given(grids(), st.integers(1, 40), st.integers(1, 4000))
def test_blocks_cover_every_voxel_once(
    grid: tuple[tuple[int, ...], tuple[int, ...] | None, tuple[int, ...] | None],
    voxel_bytes: int,
    budget: int,
) -> None:
    shape, chunks, origin = grid
    seen = np.zeros(shape, dtype=int)
    blocks = plan_blocks(shape, voxel_bytes=voxel_bytes, budget=budget, chunks=chunks, origin=origin)
    for block in blocks:
        assert all(0 <= part.start < part.stop <= size for part, size in zip(block, shape, strict=True))
        seen[block] += 1
    assert (seen == 1).all()
    assert blocks == sorted(blocks, key=lambda block: [part.start for part in block])


@given(grids(), st.integers(1, 40), st.integers(1, 4000))
def test_budget_is_kept_where_a_chunk_fits(
    grid: tuple[tuple[int, ...], tuple[int, ...] | None, tuple[int, ...] | None],
    voxel_bytes: int,
    budget: int,
) -> None:
    shape, chunks, origin = grid
    allowed = max(budget, voxel_bytes * math.prod(chunks or (1,)))
    for block in plan_blocks(shape, voxel_bytes=voxel_bytes, budget=budget, chunks=chunks, origin=origin):
        assert math.prod(block_shape(block)) * voxel_bytes <= allowed


@given(grids(), st.integers(1, 40), st.integers(1, 4000))
def test_cuts_lie_on_chunk_borders_of_the_file(
    grid: tuple[tuple[int, ...], tuple[int, ...] | None, tuple[int, ...] | None],
    voxel_bytes: int,
    budget: int,
) -> None:
    shape, chunks, origin = grid
    blocks = plan_blocks(shape, voxel_bytes=voxel_bytes, budget=budget, chunks=chunks, origin=origin)
    for axis in range(len(shape)):
        start, chunk = (origin or (0,) * len(shape))[axis], (chunks or (1,) * len(shape))[axis]
        for block in blocks:
            assert block[axis].start == 0 or (block[axis].start + start) % chunk == 0


def test_a_grid_within_the_budget_is_one_block() -> None:
    whole = (slice(0, 10), slice(0, 7))
    for chunks in ((1, 1), (4, 3), (50, 50)):
        for origin in ((0, 0), (3, 49)):
            assert plan_blocks((10, 7), voxel_bytes=4, budget=280, chunks=chunks, origin=origin) == [whole]


def test_fast_axis_is_filled_first() -> None:
    first = plan_blocks((8, 8, 8), voxel_bytes=1, budget=2 * 2 * 8, chunks=(2, 2, 2))[0]
    assert block_shape(first) == (2, 2, 8)


@given(st.tuples(_lengths, _lengths, _lengths), st.data())
def test_flat_index_is_numpys(shape: tuple[int, ...], data: st.DataObject) -> None:
    starts = [data.draw(st.integers(0, size - 1)) for size in shape]
    block = tuple(
        slice(start, data.draw(st.integers(start + 1, size)))
        for start, size in zip(starts, shape, strict=True)
    )
    inside = np.meshgrid(*(np.arange(part.start, part.stop) for part in block), indexing="ij")
    np.testing.assert_array_equal(flat_index(block, shape), np.ravel_multi_index(inside, shape).reshape(-1))


def test_flat_index_of_more_than_two_to_the_31_voxels() -> None:
    shape = (2000, 2000, 2000)
    assert flat_index((slice(1999, 2000),) * 3, shape).tolist() == [2000**3 - 1]
