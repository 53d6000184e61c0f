"""Where background ends: cutoffs in the logarithm of a voxel's mean intensity.

The Kullback-Leibler threshold follows the preprocessing of X-TEC (Venderley et al., PNAS 119, e2109665119,
2022): voxels below a sliding cutoff are compared with the Gaussian of their own mean and standard deviation,
and the cutoff is moved to where the two agree best. Sums over histogram bins are enough for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import xlogy

from xtec.core.errors import ConfigError, InputError
from xtec.core.types import BackgroundThreshold, Float64Array

_MAX_STEPS = 100
_MAX_BINS = 20_000_000
_PLAIN_BINS = 100
_MODEL_FLOOR = 1e-12
_TIE = 1e-9
"""Changes of ln KL below are rounding: the bin between the two edges is empty, and either cuts alike."""


def parse_threshold(text: str) -> str | float:
    """Read ``kl``, ``simple``, ``none`` or a number (a cutoff in ln intensity).

    Raises
    ------
    ConfigError
        For anything else.
    """
    if text in ("kl", "simple", "none"):
        return text
    try:
        cutoff = float(text)
    except ValueError:
        cutoff = np.nan
    if not np.isfinite(cutoff):
        raise ConfigError(
            f"unknown threshold {text!r}", hint="one of kl, simple, none, or a number in ln intensity"
        )
    return cutoff


def find_threshold(log_mean: Float64Array, method: str | float) -> BackgroundThreshold:
    """Settle the cutoff on ln of the mean intensities.

    Parameters
    ----------
    log_mean : array, shape (N,), float64
        ``ln mean_t I`` of every usable voxel.
    method : str or float
        ``kl``, ``simple`` (mean + 2 standard deviations), ``none``, or the cutoff itself.

    Raises
    ------
    InputError
        If there are no voxels, or if the Kullback-Leibler cutoff cannot be formed: too few of them, or too
        many of one intensity.
    """
    if method == "none":
        nothing = np.empty(0)
        return BackgroundThreshold("none", -np.inf, nothing, nothing, np.nan, np.nan, credible=True)
    if log_mean.size == 0:
        raise InputError("no voxel has an intensity to judge", hint="another region")
    width = _bin_width(log_mean)
    if method == "kl":
        _require_bins(log_mean, width)
    histogram = LogHistogram.of(log_mean, width)
    if method == "kl":
        index, steps = _descend(histogram)
        cutoff = float(histogram.edges[index])
        background = histogram.moments_below(index)
    elif method == "simple":
        steps, cutoff = 0, histogram.mean + 2 * histogram.std
        background = (histogram.mean, histogram.std)
    else:
        steps, cutoff = 0, float(method)
        below = log_mean[log_mean < cutoff]
        background = (float(below.mean()), float(below.std())) if below.size else (np.nan, np.nan)
    credible = histogram.mean - histogram.std <= cutoff <= histogram.mean + 2 * histogram.std
    name = method if isinstance(method, str) else "value"
    return BackgroundThreshold(
        name, cutoff, histogram.edges, histogram.density, *background, credible=credible, n_steps=steps
    )


@dataclass(frozen=True)
class LogHistogram:
    """Histogram of ln mean intensity with the sums that truncated moments need.

    Attributes
    ----------
    edges : array, shape (B+1,)
    density : array, shape (B,)
        ``count / (N * width)``.
    width : float
        Half the Freedman-Diaconis width. The bins, a whole number of them, are slightly narrower.
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
    def of(cls, x: Float64Array, width: float) -> LogHistogram:
        """Bin the values, shape (N,); a hundred bins where the width is of no use."""
        if not _is_useful(x, width):
            width = (float(np.ptp(x)) or 1.0) / _PLAIN_BINS
        n_bins = max(1, int(np.ceil((float(x.max()) - float(x.min())) / width)))
        counts, edges = np.histogram(x, n_bins)
        mean = float(x.mean())
        centred = x - mean
        bins = (counts, *(np.histogram(x, edges, weights=centred**power)[0] for power in (1, 2)))
        cumulative = np.zeros((3, n_bins + 1))
        np.cumsum(bins, axis=1, out=cumulative[:, 1:])
        return cls(edges, counts / (x.size * width), width, mean, float(x.std()), cumulative)

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
        return float(np.sum(xlogy(p, p) - xlogy(p, model + _MODEL_FLOOR)))


def _bin_width(x: Float64Array) -> float:
    """Half the Freedman-Diaconis width, from the two order statistics nearest the quartiles."""
    quartiles = [min(int(np.round(x.size * share)), x.size - 1) for share in (0.25, 0.75)]
    ordered = np.partition(x, quartiles)
    return float(ordered[quartiles[1]] - ordered[quartiles[0]]) * float(np.power(x.size, -1 / 3))


def _is_useful(x: Float64Array, width: float) -> bool:
    return width > 0 and float(np.ptp(x)) / width <= _MAX_BINS


def _require_bins(x: Float64Array, width: float) -> None:
    if not width > 0:
        raise InputError(
            "half of the voxels have the same mean intensity: no background can be told from it",
            hint="--threshold simple, none or a number, or another region",
        )
    if not _is_useful(x, width):
        raise InputError(
            "the intensities are so unevenly spread that their histogram has no useful bin width",
            hint="--threshold simple, or a number",
        )


def _descend(histogram: LogHistogram) -> tuple[int, int]:
    """Newton-like descent of ln KL over the left edges; returns the index of the edge and the steps."""
    left, width = histogram.edges[:-1], histogram.width
    last = len(left) - 1
    peak = int(np.argmax(histogram.density))
    start = int(np.searchsorted(left, histogram.mean + histogram.std))
    index = int(0.5 * peak + 0.5 * start)
    for step in range(1, _MAX_STEPS + 1):
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
    return index, _MAX_STEPS
