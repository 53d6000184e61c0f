"""Which voxels vary with temperature by more than their noise, at a false discovery rate.

Each voxel is tested for the first few cosines over the scan: the sum of their J squared coefficients, over
the variance of an intensity, is chi-square with J degrees of freedom if there is nothing but noise. The
variance is the count scale times the mean; the scale is the median, over the voxels of a cell of the grid, of
what their trajectories do from one temperature to the next. So physics does not count as noise, and noise may
differ from one part of the detector to another. To the variance of bright voxels a systematic error is added.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, gammaincinv

from xtec.core import grouped
from xtec.core.arrays import home, is_host, like, namespace
from xtec.core.chunking import Block
from xtec.core.compiled import compiled
from xtec.core.shards import Shards
from xtec.core.types import Float64Array, Significance
from xtec.preprocess.variation import n_waves

_CELL = 20_000
"""Voxels of a cell, at least; there are no more cells than a byte can tell apart."""

_MOST_CELLS = 200
_FEWEST = 300
"""Voxels that a scale is taken from, at least."""

_FEW = 30
"""Voxels of one intensity that are shown."""

_STEP = 0.05
_LIMIT = 1600
"""Bins of ln variance over mean: so wide, and so many on either side of zero."""

_MEAN_STEP = 0.25
_MEAN_LIMIT = 320
"""The same for ln mean intensity; both reach as far as intensities may."""

_BRIGHT = 10.0
"""Times the median intensity, from where on a systematic error may be seen."""

_LEAST_SYSTEMATIC = 1e-3
"""No intensity is trusted to better than this share of it."""

_FINE = 0.005
_HIGHEST = 14_000
"""Bins of ln chi-square, from -10 on."""


@dataclass(frozen=True)
class Cells:
    """Parts of the grid with a count scale of their own.

    Attributes
    ----------
    shape : tuple of int
        Of the grid.
    """

    shape: tuple[int, ...]

    @property
    def number(self) -> tuple[int, ...]:
        """How many along each axis."""
        wanted = min(max(math.prod(self.shape) // _CELL, 1), _MOST_CELLS)
        edge = (math.prod(self.shape) / wanted) ** (1 / len(self.shape))
        while math.prod(max(int(size / edge), 1) for size in self.shape) > _MOST_CELLS:
            edge *= 1.1
        return tuple(max(int(size / edge), 1) for size in self.shape)

    def of_block(self, block: Block) -> NDArray[np.uint8]:
        """Cell of each voxel of a block, flat in C order."""
        flat = np.zeros((1,) * len(block), np.uint8)
        for axis, (part, size, cells) in enumerate(zip(block, self.shape, self.number, strict=True)):
            along = (np.arange(part.start, part.stop) * cells // size).astype(np.uint8)
            flat = flat * np.uint8(cells) + along.reshape([-1 if axis == a else 1 for a in range(len(block))])
        return flat.reshape(-1)


class Tally:
    """How many voxels have which variance over mean, in each cell and at each intensity.

    Attributes
    ----------
    table : array, shape (256 + M, R)
        Counts by bin of ln variance over mean: of each cell, then of each bin of ln mean intensity.
    """

    def __init__(self) -> None:
        self.table = np.zeros((256 + 2 * _MEAN_LIMIT, 2 * _LIMIT), np.int64)

    def add(self, log_mean: Float64Array, rough: NDArray[np.float32], cell: NDArray[np.uint8]) -> None:
        """Count voxels by ln mean, variance over mean from one temperature to the next, and cell."""
        xp = namespace(rough)
        with np.errstate(divide="ignore"):
            log_rough = xp.log(rough)
        if is_host(rough):
            _count(log_mean, log_rough, cell, self.table)
        else:
            self.table += home(plain_table(log_mean, log_rough, cell))

    def filled(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Bins that have any, and how many: what is sent or stored."""
        bins = np.flatnonzero(self.table)
        return bins, self.table.reshape(-1)[bins]

    def take(self, bins: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
        """Add what another had filled."""
        self.table.reshape(-1)[bins] += counts


def plain_table(log_mean: Any, log_rough: Any, cell: Any) -> Any:
    """What `_count` adds, in any array library."""
    xp = namespace(log_rough)

    def bins(values: Any, step: float, limit: int) -> Any:
        scaled = xp.astype(values, xp.float64) / step + limit
        return xp.astype(xp.maximum(xp.minimum(scaled, 2 * limit - 1.0), 0.0), xp.int64)

    value, bright = bins(log_rough, _STEP, _LIMIT), bins(log_mean, _MEAN_STEP, _MEAN_LIMIT)
    rows = (xp.astype(cell, xp.int64), 256 + bright)
    n_rows, n_columns = 256 + 2 * _MEAN_LIMIT, 2 * _LIMIT
    counts = grouped.counts(xp.concat([row * n_columns + value for row in rows]), n_rows * n_columns)
    return xp.reshape(counts, (n_rows, n_columns))


@compiled
def _count(
    log_mean: Float64Array, log_rough: NDArray[np.float32], cell: NDArray[np.uint8], counts: NDArray[np.int64]
) -> None:
    for voxel in range(log_mean.size):
        value = max(min(log_rough[voxel] / _STEP + _LIMIT, 2 * _LIMIT - 1.0), 0.0)
        bright = max(min(log_mean[voxel] / _MEAN_STEP + _MEAN_LIMIT, 2 * _MEAN_LIMIT - 1.0), 0.0)
        counts[cell[voxel], int(value)] += 1
        counts[256 + int(bright), int(value)] += 1


@dataclass(frozen=True)
class Judged:
    """What the test needs of the voxels of a shard.

    Attributes
    ----------
    log_mean : array, shape (n,), float64
    smooth : array, shape (n,), float32
        See `split_variation`.
    cell : array, shape (n,), uint8
    """

    log_mean: Float64Array
    smooth: NDArray[np.float32]
    cell: NDArray[np.uint8]


def find_significance(
    judged: Shards[Judged], tally: Tally, cells: Cells, n_temperatures: int, fdr: float
) -> Significance:
    """Settle the count scale and how large chi-square must be.

    Parameters
    ----------
    judged : Shards of Judged
        All usable voxels.
    tally : Tally
        Of the same voxels.
    cells : Cells
    n_temperatures : int
        Enough for `n_waves` to be above zero.
    fdr : float
        Share of false discoveries among all that is accepted.

    References
    ----------
    Benjamini & Hochberg, J. R. Stat. Soc. B 57, 289 (1995).
    """
    freedom = n_temperatures - 1 - n_waves(n_temperatures)
    by_cell, by_intensity = tally.table[: math.prod(cells.number)], tally.table[256:]
    scale = _scale(by_cell.sum(axis=0), freedom)
    local = [_scale(row, freedom) if row.sum() >= _FEWEST else scale for row in by_cell]
    intensity, quartiles = _against_intensity(by_intensity, freedom)
    found = Significance(
        fdr=fdr,
        cutoff=np.inf,
        n_waves=n_waves(n_temperatures),
        n_significant=0,
        scale=scale,
        systematic=_systematic(by_intensity, freedom, scale),
        cell_scale=np.array(local).reshape(cells.number),
        intensity=intensity,
        variance_over_mean=quartiles,
    )
    counts = sum(judged.map(partial(_chi_squares, found)), start=np.zeros(_HIGHEST, np.int64))
    above = np.cumsum(counts[::-1])[::-1]
    edges = np.exp(np.arange(_HIGHEST) * _FINE - 10)
    accepted = chdtrc(found.n_waves, edges) * above[0] <= fdr * above
    first = int(np.argmax(accepted & (above > 0))) if (accepted & (above > 0)).any() else None
    if first is None:
        return found
    return Significance(**{**vars(found), "cutoff": float(edges[first]), "n_significant": int(above[first])})


def chi_square(
    found: Significance, log_mean: Float64Array, smooth: NDArray[np.float32], cell: NDArray[np.uint8]
) -> Float64Array:
    """Chi-square of the cosines of some voxels, shape (n,)."""
    xp = namespace(log_mean)
    scale = xp.take(like(found.cell_scale.reshape(-1), cell), xp.astype(cell, xp.int64))
    variance = scale + found.systematic**2 * xp.exp(log_mean)
    return cast(Float64Array, xp.astype(smooth, xp.float64) / variance)


def _chi_squares(found: Significance, judged: Judged) -> NDArray[np.int64]:
    """Histogram of ln chi-square."""
    xp = namespace(judged.log_mean)
    with np.errstate(divide="ignore"):
        logs = xp.log(chi_square(found, judged.log_mean, judged.smooth, judged.cell))
    place = xp.astype(xp.maximum(xp.minimum((logs + 10) / _FINE, _HIGHEST - 1.0), 0.0), xp.int64)
    return cast(NDArray[np.int64], grouped.counts(place, _HIGHEST))


def _quantile(counts: NDArray[np.int64], share: float) -> float:
    """Quantile of variance over mean from its histogram, linear within a bin."""
    upto = np.cumsum(counts)
    rank = share * upto[-1]
    place = int(np.searchsorted(upto, rank, side="left"))
    inside = (rank - (upto[place] - counts[place])) / max(counts[place], 1)
    return 0.0 if place == 0 else math.exp((place + inside - _LIMIT) * _STEP)


def _of_noise(share: float, freedom: int) -> float:
    """Quantile of chi-square."""
    return 2 * float(gammaincinv(freedom / 2, share))


def _scale(counts: NDArray[np.int64], freedom: int) -> float:
    """Count scale of voxels: the median of their variance over mean, made that of its mean."""
    return _quantile(counts, 0.5) * freedom / _of_noise(0.5, freedom) if counts.any() else 0.0


def _against_intensity(table: NDArray[np.int64], freedom: int) -> tuple[Float64Array, Float64Array]:
    """Intensities with enough voxels, (m,), and the quartiles of variance over mean there, (3, m).

    Each quartile is divided by its own for noise alone, so that all three agree where there is nothing else.
    """
    number = table.sum(axis=1)
    enough = np.flatnonzero(number >= min(_FEW, number.max()))
    intensity = np.exp((enough + 0.5 - _MEAN_LIMIT) * _MEAN_STEP)
    shares = (0.25, 0.5, 0.75)
    quartiles = [
        [_quantile(table[row], share) * freedom / _of_noise(share, freedom) for row in enough]
        for share in shares
    ]
    return intensity, np.array(quartiles)


def _systematic(table: NDArray[np.int64], freedom: int, scale: float) -> float:
    """Relative error of bright voxels, from how much more than counting the quietest of them vary.

    Order with a sharp onset is rough, too; but a systematic error is in all voxels.
    """
    intensity, quartiles = _against_intensity(table, freedom)
    number = table.sum(axis=1)
    middle = np.exp((np.searchsorted(np.cumsum(number), number.sum() / 2) + 0.5 - _MEAN_LIMIT) * _MEAN_STEP)
    often = number[number >= min(_FEW, number.max())] >= _FEWEST
    bright = (intensity > _BRIGHT * middle) & often
    if not bright.any():
        return _LEAST_SYSTEMATIC
    excess = float(np.min((quartiles[0][bright] - scale) / intensity[bright]))
    return max(math.sqrt(max(excess, 0.0)), _LEAST_SYSTEMATIC)
