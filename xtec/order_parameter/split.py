"""The onset of every peak by itself, and peaks of a cluster that set in at different temperatures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xtec.core.types import Float64Array
from xtec.order_parameter.candidates import Curve, start_grid
from xtec.order_parameter.grid import OnsetGrid
from xtec.order_parameter.intervals import profile_interval

_TOGETHER = 128
"""Peaks solved at a time."""

_CLEAR = 25.0
"""Fall in the sum of squares, over a straight line, from which on a peak's onset says something."""

_LEAST_PEAKS = 3
_SPLIT_EVIDENCE = 20.0
"""BIC by which two temperatures must beat one."""

_ROUNDS = 30
_CHI2_95 = 3.841
_NEAR_STEPS = 81
_FINE_BETA = np.linspace(0.05, 1.0, 39)


@dataclass(frozen=True)
class PeakOnsets:
    """Onsets of single peaks.

    Attributes
    ----------
    misfit : array, shape (P, n_tc, n_beta)
        Sum of squares in units of each peak's own variance.
    grid : OnsetGrid
    line : array, shape (P,)
        Sum of squares left by a straight line.
    freedom : int
        Degrees of freedom of a fit.
    """

    misfit: Float64Array
    grid: OnsetGrid
    line: Float64Array
    freedom: int

    @property
    def scale(self) -> Float64Array:
        """Variance about the best onset over that of counting, at least 1, shape (P,)."""
        return np.asarray(np.maximum(1.0, self.misfit.min(axis=(1, 2)) / self.freedom))

    @property
    def clear(self) -> NDArray[np.bool_]:
        """Peaks whose onset explains much more than a straight line does, shape (P,)."""
        return np.asarray(self.line - self.misfit.min(axis=(1, 2)) > _CLEAR * self.scale)


@dataclass(frozen=True)
class PeakTemperatures:
    """Onset of each peak and the ends of its 95 % interval, each (P,); NaN where its curve does not tell."""

    tc: Float64Array
    low: Float64Array
    high: Float64Array


def peak_temperatures(
    curve: Curve, intensity: Float64Array, variance: Float64Array, tc: Float64Array
) -> PeakTemperatures:
    """Fit Tc and beta to every peak.

    Parameters
    ----------
    curve, intensity, variance
        See `peak_onsets`.
    tc : array
        Onsets of the peaks together, around which the grid is fine.
    """
    spacing = float(np.median(np.diff(np.unique(curve.x))))
    coarse = start_grid(curve, _FINE_BETA)
    near = (tc[:, None] + spacing * np.linspace(-1, 1, _NEAR_STEPS)).ravel()
    inside = near[(near > curve.span[0]) & (near < curve.span[1])]
    grid = replace(coarse, tc=np.union1d(coarse.tc, inside))
    factor = variance / np.mean(curve.sigma**2)
    scaled = intensity / np.sqrt(factor)[:, None]
    projected = grid.project(scaled)
    line = np.einsum("pt,pt->p", projected, projected)
    freedom = max(len(curve.x) - 5, 1)
    found = np.full((len(intensity), 3), np.nan)
    for start in range(0, len(scaled), _TOGETHER):
        for i, misfit in enumerate(grid.solve(scaled[start : start + _TOGETHER], None).misfit, start):
            scale = max(1.0, float(misfit.min()) / freedom)
            if line[i] - misfit.min() > _CLEAR * scale:
                one = profile_interval(grid.tc, misfit.min(axis=1), _CHI2_95 * scale)
                if one.low is not None and one.high is not None:
                    found[i] = one.value, one.low, one.high
    return PeakTemperatures(*found.T)


def peak_onsets(curve: Curve, intensity: Float64Array, variance: Float64Array) -> PeakOnsets:
    """Fit an onset to every peak.

    Parameters
    ----------
    curve : Curve
        Of all peaks together: its errors say how those of a peak go with temperature.
    intensity : array, shape (P, T)
    variance : array, shape (P,)
        Mean variance of each peak's intensities.
    """
    grid = start_grid(curve)
    factor = variance / np.mean(curve.sigma**2)
    scaled = intensity / np.sqrt(factor)[:, None]
    parts = [grid.solve(part, None).misfit for part in _parts(scaled)]
    projected = grid.project(scaled)
    line = np.einsum("pt,pt->p", projected, projected)
    misfit = np.minimum(np.concatenate(parts), line[:, None, None])
    return PeakOnsets(misfit, grid, line, max(len(curve.x) - 5, 1))


def split(onsets: PeakOnsets, spacing: float) -> list[NDArray[np.bool_]]:
    """Groups of peaks that set in at different temperatures.

    A mixture of two temperatures and exponents, each shared by its peaks, must have a BIC lower by twenty
    than a single one, and temperatures half a spacing apart; groups are split again.

    Parameters
    ----------
    onsets : PeakOnsets
    spacing : float
        Of temperatures near the onset.

    Returns
    -------
    list of array, shape (P,), bool
        Each peak is in one group.
    """
    clear = np.flatnonzero(onsets.clear)
    everything = np.ones(len(onsets.line), np.bool_)
    if clear.size < 2 * _LEAST_PEAKS:
        return [everything]
    deviance = (onsets.misfit[clear] / onsets.scale[clear, None, None]).reshape(clear.size, -1)
    tc = np.repeat(onsets.grid.tc, len(onsets.grid.beta))
    found = _two_temperatures(deviance, tc, spacing)
    if found is None:
        return [everything]
    whole = (onsets.misfit / onsets.scale[:, None, None]).reshape(len(onsets.line), -1)
    second = whole[:, found[1]] < whole[:, found[0]]
    groups = []
    for mine in (~second, second):
        part = PeakOnsets(onsets.misfit[mine], onsets.grid, onsets.line[mine], onsets.freedom)
        for inner in split(part, spacing):
            group = np.zeros_like(everything)
            group[np.flatnonzero(mine)[inner]] = True
            groups.append(group)
    return groups


def _two_temperatures(deviance: Float64Array, tc: Float64Array, spacing: float) -> tuple[int, int] | None:
    """Points of the grid that two groups of peaks share, if one point does not do for all."""
    n = len(deviance)
    one = float(deviance.sum(axis=0).min())
    best: tuple[float, tuple[int, int]] = (np.inf, (0, 0))
    for share in _starts(tc[deviance.argmin(axis=1)]):
        places = (0, 0)
        for _ in range(_ROUNDS):
            first, second = (int((weight @ deviance).argmin()) for weight in (1 - share, share))
            weight = np.clip(share.mean(), 1 / n, 1 - 1 / n)
            odds = 0.5 * (deviance[:, first] - deviance[:, second]) + np.log(weight / (1 - weight))
            share = 1 / (1 + np.exp(-np.clip(odds, -50, 50)))
            if places == (first, second):
                break
            places = (first, second)
        left = np.logaddexp(
            np.log1p(-weight) - 0.5 * deviance[:, places[0]], np.log(weight) - 0.5 * deviance[:, places[1]]
        )
        if min((share > 0.5).sum(), (share <= 0.5).sum()) >= _LEAST_PEAKS:
            best = min(best, (-2 * float(left.sum()), places))
    apart = abs(tc[best[1][0]] - tc[best[1][1]]) >= 0.5 * spacing
    return best[1] if apart and one - best[0] - 3 * np.log(n) >= _SPLIT_EVIDENCE else None


def _starts(tc: Float64Array) -> Iterator[Float64Array]:
    """Shares of a second group: the peaks above each of a few temperatures."""
    for quantile in (0.2, 0.35, 0.5, 0.65, 0.8):
        yield (tc > np.quantile(tc, quantile)).astype(np.float64) * 0.9 + 0.05


def _parts(rows: Float64Array) -> Iterator[Float64Array]:
    for start in range(0, len(rows), _TOGETHER):
        yield rows[start : start + _TOGETHER]
