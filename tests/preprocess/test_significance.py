"""Significance: exact arithmetic on all voxels at once, and what chance alone gives."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2, false_discovery_control

from xtec.core.chunking import plan_blocks
from xtec.core.shards import Local
from xtec.preprocess import (
    Cells,
    Judged,
    Tally,
    chi_square,
    find_significance,
    n_waves,
    split_variation,
    waves,
)


def judge(rows, shape, fdr=0.01, n_blocks=1):
    """Significance of voxels (T, n) on a grid, judged in so many pieces; and which are significant."""
    tally, cells, pieces, numbers = Tally(), Cells(shape), [], []
    volume = rows.reshape(-1, *shape)
    whole = np.arange(np.prod(shape)).reshape(shape)
    for block in plan_blocks(shape, voxel_bytes=1, budget=max(int(np.prod(shape)) // n_blocks, 1)):
        part = volume[(slice(None), *block)].reshape(len(rows), -1)
        mean = part.mean(axis=0, dtype=np.float64)
        smooth, rough = split_variation(np.ascontiguousarray(part), mean)
        cell = cells.of_block(block)
        tally.add(np.log(mean), rough, cell)
        pieces.append(Judged(np.log(mean), smooth, cell))
        numbers.append(whole[block].reshape(-1))
    found = find_significance(Local(pieces), tally, cells, len(rows), fdr)
    significant = np.zeros(rows.shape[1], bool)
    for number, piece in zip(numbers, pieces, strict=True):
        significant[number] = chi_square(found, piece.log_mean, piece.smooth, piece.cell) >= found.cutoff
    return found, significant


def exact(rows, fdr):
    """One scale for all, exact medians, exact Benjamini-Hochberg."""
    mean = rows.mean(axis=0)
    slow = ((waves(len(rows)) @ rows) ** 2).sum(axis=0)
    left = len(rows) - 1 - n_waves(len(rows))
    scale = np.median((rows.var(axis=0) * len(rows) - slow) / mean / left) * left / chi2.median(left)
    return false_discovery_control(chi2.sf(slow / mean / scale, n_waves(len(rows)))) <= fdr


def ordering(shape, seed, share=0.05, level=20.0, counts=1.0, n_temperatures=24):
    """A background of counts, on which some voxels have an extra that is gone above half of the scan."""
    rng = np.random.default_rng(seed)
    n = int(np.prod(shape))
    orders = rng.random(n) < share
    curve = np.clip(1 - np.arange(n_temperatures) / n_temperatures * 2, 0, None) ** 0.7
    truth = level * (1 + np.where(orders, rng.exponential(1.5, n), 0.0) * curve[:, None])
    return (rng.poisson(counts * truth) / counts).astype(np.float32), orders


@pytest.mark.parametrize("fdr", [0.01, 0.1])
def test_equals_exact_arithmetic(fdr):
    rows, _ = ordering((20, 30, 30), 0)
    found, significant = judge(rows, (20, 30, 30), fdr)
    assert np.mean(significant != exact(rows.astype(float), fdr)) < 1e-3
    assert found.n_significant == significant.sum() > 200


@pytest.mark.parametrize("n_blocks", [2, 7, 40])
def test_blocks_do_not_matter(n_blocks):
    shape = (12, 30, 34)
    rows, _ = ordering(shape, 1)
    whole, significant = judge(rows, shape)
    found, again = judge(rows, shape, n_blocks=n_blocks)
    np.testing.assert_array_equal(again, significant)
    assert (found.cutoff, found.scale, found.systematic) == (whole.cutoff, whole.scale, whole.systematic)
    np.testing.assert_array_equal(found.cell_scale, whole.cell_scale)


@pytest.mark.parametrize("counts", [0.1, 1.0, 30.0])
@pytest.mark.parametrize("fdr", [0.01, 0.05, 0.1])
def test_false_discoveries_are_as_many_as_asked_for(fdr, counts):
    discovered = false = 0
    for seed in range(12):
        rows, orders = ordering((20, 40, 40), seed, counts=counts)
        _, significant = judge(rows, (20, 40, 40), fdr)
        discovered += significant.sum()
        false += (significant & ~orders).sum()
    assert discovered > 1000
    assert fdr / 1.5 <= false / discovered <= 1.5 * fdr


def test_nothing_is_found_in_noise():
    """The rate is then the chance that anything at all is found."""
    rng = np.random.default_rng(0)
    anything = sum(
        judge(rng.poisson(10, (20, 8000)).astype(np.float32), (20, 20, 20), 0.05)[1].any() for _ in range(100)
    )
    assert anything <= 14


@pytest.mark.parametrize("counts", [0.2, 1.0, 50.0])
def test_count_scale_is_found_whatever_varies(counts):
    rows, _ = ordering((20, 30, 30), 2, share=0.1, counts=counts)
    found, _ = judge(rows, (20, 30, 30))
    assert found.scale == pytest.approx(1 / counts, rel=0.05)


def test_count_scale_may_differ_over_the_detector():
    shape = (4, 200, 200)
    rng = np.random.default_rng(3)
    counts = np.where(np.arange(200) < 100, 1.0, 0.1)
    rows = rng.poisson(10 * counts, (24, *shape)) / counts
    found, significant = judge(rows.reshape(24, -1).astype(np.float32), shape)
    assert found.cell_scale[..., 0].max() == pytest.approx(1, rel=0.06)
    assert found.cell_scale[..., -1].min() == pytest.approx(10, rel=0.06)
    assert significant.sum() <= 3


def test_bright_voxels_have_a_systematic_error():
    """Ten percent from one temperature to the next is not order, where intensities are not better."""
    rng = np.random.default_rng(4)
    mean = np.where(rng.random(40_000) < 0.2, 1e5, 10.0)
    truth = mean * np.where(mean > 10, 1 + 0.1 * rng.standard_normal((24, 40_000)), 1.0)
    found, significant = judge(rng.poisson(np.maximum(truth, 0)).astype(np.float32), (200, 200))
    assert found.systematic == pytest.approx(0.1, rel=0.1)
    assert significant.sum() <= 5


def test_voxels_without_any_noise():
    rows = np.ones((24, 1000), np.float32) * np.linspace(5, 10, 1000, dtype=np.float32)
    rows[:, :50] *= np.linspace(1.5, 0.5, 24, dtype=np.float32)[:, None]
    _, significant = judge(rows, (10, 10, 10))
    np.testing.assert_array_equal(np.flatnonzero(significant), np.arange(50))


@pytest.mark.parametrize(
    "shape", [(1,), (1508,), (401, 601), (21, 401, 601), (1, 1, 5_000_000), (900, 900, 900)]
)
def test_cells_cover_the_grid(shape):
    cells = Cells(shape)
    number = np.prod(cells.number)
    assert 1 <= number <= 200
    if np.prod(shape) < 10**7:
        found = np.bincount(cells.of_block(tuple(slice(0, size) for size in shape)), minlength=number)
        assert (found > 0).all()
        assert found.max() < 8 * found.min()
