"""Where background ends: cutoffs in the logarithm of a voxel's mean intensity.

The Kullback-Leibler threshold follows the preprocessing of X-TEC (Venderley et al., PNAS 119, e2109665119,
2022): voxels below a sliding cutoff are compared with the Gaussian of their own mean and standard deviation,
and the cutoff is moved to where the two agree best. Sums over histogram bins are enough for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xtec.core.errors import ConfigError, InputError
from xtec.core.shards import PartOf, Shards
from xtec.core.types import BackgroundThreshold, Float64Array
from xtec.preprocess.spread import Spread, as_pieces, histogram_sums, order_statistic, spread_of

METHODS = ("kl", "significance", "kl+significance", "simple", "none")
"""Names of thresholds; a number is one as well."""

_MAX_STEPS = 100
_MAX_BINS = 2_000_000
_PLAIN_BINS = 100
_MODEL_FLOOR = 1e-12
_TIE = 1e-9
"""Changes of ln KL below are rounding: the bin between the two edges is empty, and either cuts alike."""


def parse_threshold(text: str) -> str | float:
    """Read the name of a threshold or a number (a cutoff in ln intensity).

    Raises
    ------
    ConfigError
        For anything else.
    """
    if text in METHODS:
        return text
    try:
        cutoff = float(text)
    except ValueError:
        cutoff = np.nan
    if not np.isfinite(cutoff):
        raise ConfigError(
            f"unknown threshold {text!r}", hint=f"one of {', '.join(METHODS)}, or a number in ln intensity"
        )
    return cutoff


def find_threshold(
    log_mean: Float64Array | Shards[Float64Array],
    method: str | float,
    *,
    bin_width: float | None = None,
    max_steps: int = _MAX_STEPS,
) -> BackgroundThreshold:
    """Settle the cutoff on ln of the mean intensities.

    Parameters
    ----------
    log_mean : array, shape (N,), float64, or Shards of such arrays
        ``ln mean_t I`` of every usable voxel, in any order.
    method : str or float
        ``kl``, ``simple`` (mean + 2 standard deviations), ``none``, or the cutoff itself. What varies
        significantly is not judged here: ``kl+significance`` is as ``kl``, ``significance`` has no cutoff.
    bin_width : float, optional
        Of the histogram, in ln intensity; by default half the Freedman-Diaconis width.
    max_steps : int
        Of the search for the Kullback-Leibler cutoff, at most.

    Raises
    ------
    InputError
        If there are no voxels, or if the Kullback-Leibler cutoff cannot be formed: too few of them, or too
        many of one intensity.
    """
    name = method if isinstance(method, str) else "value"
    method = "kl" if method == "kl+significance" else method
    if method == "none":
        nothing = np.empty(0)
        return BackgroundThreshold("none", -np.inf, nothing, nothing, np.nan, np.nan, credible=True)
    pieces = as_pieces(log_mean)
    spread = spread_of(pieces)
    if spread.n == 0:
        raise InputError("no voxel has an intensity to judge", hint="another region")
    width = _bin_width(pieces, spread) if bin_width is None else bin_width
    if method == "kl":
        _require_bins(spread, width)
    histogram = LogHistogram.of(pieces, spread, width)
    if method == "kl":
        index, steps = _descend(histogram, max_steps)
        cutoff = float(histogram.edges[index])
        background = histogram.moments_below(index)
    elif method == "significance":
        steps, cutoff, background = 0, np.inf, (np.nan, np.nan)
    elif method == "simple":
        steps, cutoff = 0, histogram.mean + 2 * histogram.std
        background = (histogram.mean, histogram.std)
    else:
        steps, cutoff = 0, float(method)
        below = spread_of(PartOf(pieces, _Below(cutoff)))
        background = (below.mean, below.std) if below.n else (np.nan, np.nan)
    credible = (
        method == "significance"
        or histogram.mean - histogram.std <= cutoff <= histogram.mean + 2 * histogram.std
    )
    return BackgroundThreshold(
        name, cutoff, histogram.edges, histogram.density, *background, credible=credible, n_steps=steps
    )


@dataclass(frozen=True)
class _Below:
    """Values below a cutoff."""

    cutoff: float

    def __call__(self, values: Float64Array) -> Float64Array:
        return values[values < self.cutoff]


@dataclass(frozen=True)
class LogHistogram:
    """Histogram of ln mean intensity with the sums that truncated moments need.

    Attributes
    ----------
    edges : array, shape (B+1,)
    density : array, shape (B,)
        ``count / (N * width)``.
    width : float
        Half the Freedman-Diaconis width, or as given. The bins, a whole number, are slightly narrower.
    mean, std : float
        Over all voxels.
    cumulative : array, shape (3, B+1)
        Number, sum and sum of squares (about `mean`) of the voxels below each edge.
    """

    edges: Float64Array
    density: Float64Array
    width: float
    mean: float
    std: float
    cumulative: Float64Array

    @classmethod
    def of(cls, pieces: Shards[Float64Array], spread: Spread, width: float) -> LogHistogram:
        """Bin the values; a hundred bins where the width is of no use."""
        if not _is_useful(spread, width):
            width = (spread.high - spread.low or 1.0) / _PLAIN_BINS
        n_bins = max(1, int(np.ceil((spread.high - spread.low) / width)))
        edges = np.histogram_bin_edges([spread.low, spread.high], n_bins)
        sums = histogram_sums(pieces, edges, spread.mean)
        cumulative = np.zeros((3, n_bins + 1))
        np.cumsum(sums, axis=1, out=cumulative[:, 1:])
        return cls(edges, sums[0] / (spread.n * width), width, spread.mean, spread.std, cumulative)

    def moments_below(self, index: int) -> tuple[float, float]:
        """Mean and standard deviation of all voxels below an edge (NaN where there are none)."""
        count, total, squares = self.cumulative[:, index]
        if count == 0:
            return np.nan, np.nan
        offset = total / count
        return self.mean + offset, float(np.sqrt(max(squares / count - offset**2, 0.0)))

    def divergence(self, index: int) -> float:
        """Kullback-Leibler divergence of the bins below an edge from the Gaussian of their moments.

        Zero at the first edge, as a sum over nothing; NaN if all voxels below are alike.
        """
        if index == 0:
            return 0.0
        mean, std = self.moments_below(index)
        if not std > 0:
            return np.nan
        at, y = self.edges[:index], self.density[:index]
        model = np.exp(-((at - mean) ** 2) / (2 * std**2)) / np.sqrt(2 * np.pi * std**2)
        p = y / (y.sum() * (self.edges[1] - self.edges[0]))
        filled = p > 0
        return float(np.sum(p[filled] * np.log(p[filled] / (model[filled] + _MODEL_FLOOR))))


def _bin_width(pieces: Shards[Float64Array], spread: Spread) -> float:
    """Half the Freedman-Diaconis width, from the two order statistics nearest the quartiles."""
    ranks = (min(int(np.round(spread.n * share)), spread.n - 1) for share in (0.25, 0.75))
    lower, upper = (order_statistic(pieces, rank, spread) for rank in ranks)
    return (upper - lower) * float(np.power(spread.n, -1 / 3))


def _is_useful(spread: Spread, width: float) -> bool:
    return width > 0 and (spread.high - spread.low) / width <= _MAX_BINS


def _require_bins(spread: Spread, width: float) -> None:
    if not width > 0:
        raise InputError(
            "half of the voxels have the same mean intensity: no background can be told from it",
            hint="--threshold simple, none or a number, or another region",
        )
    if not _is_useful(spread, width):
        raise InputError(
            "the intensities are so unevenly spread that their histogram has no useful bin width",
            hint="--threshold simple, or a number",
        )


def _descend(histogram: LogHistogram, max_steps: int) -> tuple[int, int]:
    """Newton-like descent of ln KL over the left edges; returns the index of the edge and the steps."""
    left, width = histogram.edges[:-1], histogram.width
    last = len(left) - 1
    peak = int(np.argmax(histogram.density))
    start = int(np.searchsorted(left, histogram.mean + histogram.std))
    index = int(0.5 * peak + 0.5 * start)
    for step in range(1, max_steps + 1):
        index = min(max(index, 0), last - 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            change = np.log(histogram.divergence(index + 1)) - np.log(histogram.divergence(index))
        if abs(change) < _TIE:
            return index, step
        index = int(np.searchsorted(left, left[index] - change))
        if index > last:
            index = last - 1
        if not abs(change) > width:
            return index, step
    return index, max_steps
