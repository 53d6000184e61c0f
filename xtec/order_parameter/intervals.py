"""Intervals of Tc and beta: the profile of the likelihood, widened by what other draws of the peaks say.

The profile of a parameter is the least sum of squares S over all others. With s the variance about the fit
over that of counting (1 at least), the interval is where ``S - S_min`` is below 3.84 s (95 % of chi-square);
where s is above 1 it has been found from nu degrees of freedom, and that is ``s F(0.95; 1, nu)``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xtec.core.quantities import Quantity
from xtec.core.types import Float64Array
from xtec.order_parameter.candidates import FIRST_ORDER, SECOND_ORDER, Candidate, Curve, jump, start_grid
from xtec.order_parameter.grid import ROUNDINGS, TAIL_SHARE, OnsetGrid, Solved
from xtec.order_parameter.polish import profiled

_MOST_ZOOMS = 12
_FINE = 49
_LEAST_BETA, _MOST_BETA = 0.03, 1.2
_WIDER = 6.0
"""Level, in thresholds above the least, within which a zoomed grid lies."""

_CHI_SQUARE = 3.841
_LEAST_DRAWS = 20
_TAIL_EVIDENCE = 6.6
"""Fall in the sum of squares, over the scale, from which on a tail is reported (1 %, one parameter)."""


@dataclass(frozen=True)
class Intervals:
    """Transitions with their intervals; see `Fit`.

    Attributes
    ----------
    best : Candidate
        Where the values are.
    tc, beta : tuple
    width, tail : Quantity or None
    """

    best: Candidate
    tc: tuple[Quantity, ...]
    beta: tuple[Quantity | None, ...]
    width: Quantity | None = None
    tail: Quantity | None = None

    def holding(self, other: Intervals) -> Intervals:
        """The same with intervals that hold those of another form of the same single transition."""
        if len(self.tc) != 1 or len(other.tc) != 1:
            return self
        tc = _joined(self.tc[0], other.tc[0])
        beta = self.beta[0]
        if beta is not None and other.beta[0] is not None:
            beta = _joined(beta, other.beta[0])
        return replace(self, tc=(tc,), beta=(beta,))


def _joined(one: Quantity, other: Quantity) -> Quantity:
    """The value of one, with ends that hold the value of the other, and its ends where it has any."""
    low, high = one.low, one.high
    if low is not None:
        low = min(low, other.value if other.low is None else other.low)
    if high is not None:
        high = max(high, other.value if other.high is None else other.high)
    return replace(one, low=low, high=high)


def intervals(
    best: Candidate, curve: Curve, scale: float, resampled: Float64Array | None = None
) -> Intervals:
    """Give a fitted transition its intervals.

    Parameters
    ----------
    best : Candidate
    curve : Curve
    scale : float
        Variance about the fit over that of counting.
    resampled : array, shape (B, T), optional
        The curve from other draws of its peaks.
    """
    if best.kind == FIRST_ORDER:
        return _of_jump(best, curve, scale)
    if best.kind == SECOND_ORDER:
        return _of_onset(best, curve, scale, resampled)
    found = profiled(best, curve, scale)
    count = range(len(best.tc))
    width = Quantity(*found["width"]) if best.width else None
    tc = tuple(Quantity(*found[f"tc{i}"]) for i in count)
    return Intervals(best, tc, tuple(Quantity(*found[f"beta{i}"]) for i in count), width)


def threshold(misfit: float, n: int, n_parameters: int, scale: float) -> float:
    """How far a sum of squares may lie above the least."""
    from scipy.special import fdtri

    freedom = max(n - n_parameters, 1)
    found = max(scale, misfit / freedom)
    return float(found * (fdtri(1, freedom, 0.95) if found > 1 else _CHI_SQUARE))


def _of_jump(best: Candidate, curve: Curve, scale: float) -> Intervals:
    """A jump lies anywhere between two temperatures; all gaps that fit are in the interval."""
    limit = best.misfit + threshold(best.misfit, len(curve.x), best.n_parameters, scale)
    middles = [one.tc[0] for one in jump(curve) if one.misfit <= limit]
    distinct = np.unique(curve.x)
    low = float(distinct[distinct < min(middles)].max())
    high = float(distinct[distinct > max(middles)].min())
    return Intervals(best, (Quantity(best.tc[0], low, high),), (None,))


def _of_onset(best: Candidate, curve: Curve, scale: float, resampled: Float64Array | None) -> Intervals:
    prior = TAIL_SHARE * float(best.rises[0]) / np.sqrt(scale)
    grid, solved, limit = _zoomed(best, curve, scale, prior)
    misfit = solved.misfit[0]
    at = np.unravel_index(int(misfit.argmin()), misfit.shape)
    tc = profile_interval(grid.tc, misfit.min(axis=1), limit)
    beta = profile_interval(grid.beta, misfit.min(axis=0), limit)
    if resampled is not None and len(resampled) >= _LEAST_DRAWS:
        tc, beta = _widened(grid, resampled, prior, tc, beta)
    rounding = int(solved.rounding[0][at])
    value = replace(
        best,
        tc=(tc.value,),
        beta=(beta.value,),
        rounding=float(ROUNDINGS[rounding]) if rounding >= 0 else 0.0,
    ).refitted(curve)
    return Intervals(value, (tc,), (beta,), None, _tail(grid, curve, solved, limit, scale))


def _zoomed(best: Candidate, curve: Curve, scale: float, prior: float) -> tuple[OnsetGrid, Solved, float]:
    """A grid that is fine where the sum of squares is low, solved, and its threshold."""
    low, high = curve.span
    grid = start_grid(curve, saturation=best.saturation)
    grid = replace(grid, tc=np.union1d(grid.tc, best.tc), beta=np.union1d(grid.beta, best.beta))
    for _ in range(_MOST_ZOOMS):
        solved = grid.solve(curve.y[None], np.array([prior]))
        misfit = solved.misfit[0]
        least = float(misfit.min())
        limit = threshold(least, len(curve.x), 5, scale)
        near = misfit <= least + _WIDER * limit
        tc = _stretched(grid.tc, near.any(axis=1), low, high)
        beta = _stretched(grid.beta, near.any(axis=0), _LEAST_BETA, _MOST_BETA)
        settled = all(_alike(*ends) for ends in ((tc, grid.tc), (beta, grid.beta)))
        if settled:
            break
        grid = replace(grid, tc=tc, beta=beta)
        solved = grid.solve(curve.y[None], np.array([prior]))
    return grid, solved, limit


def _alike(one: Float64Array, other: Float64Array) -> bool:
    """Whether a range is about the one it came from, reaches no further, and that is as fine as can be."""
    size = np.ptp(one) / np.ptp(other)
    inside = one[0] >= other[0] - 1e-9 and one[-1] <= other[-1] + 1e-9
    return len(other) == _FINE and bool(inside and size >= 1 / 1.5)


def _stretched(values: Float64Array, near: NDArray[np.bool_], low: float, high: float) -> Float64Array:
    """Fine steps over the values that are near; half of their range more at an end that is not reached."""
    first, last = np.flatnonzero(near)[[0, -1]]
    more = 0.5 * (values[last] - values[first]) + values[1] - values[0]
    start = values[first - 1] if first > 0 else values[0] - more
    stop = values[last + 1] if last + 1 < len(values) else values[-1] + more
    return np.linspace(max(start, low), min(stop, high), _FINE)


def profile_interval(values: Float64Array, profile: Float64Array, limit: float) -> Quantity:
    """Where a profile is below its least plus the limit; None at an end that is open.

    Ends are the grid points just outside, since a profile may have cusps between grid points.
    """
    inside = np.flatnonzero(profile <= profile.min() + limit)
    first, last = inside[0], inside[-1]
    low = float(values[first - 1]) if first > 0 else None
    high = float(values[last + 1]) if last + 1 < len(values) else None
    return Quantity(_least(values, profile), low, high)


def _least(values: Float64Array, profile: Float64Array) -> float:
    """Lowest point of the parabola through the least value and its neighbours."""
    i = int(profile.argmin())
    if not 0 < i < len(values) - 1 or not np.isfinite(profile[i - 1 : i + 2]).all():
        return float(values[i])
    step = values[i + 1] - values[i]  # squares of the values themselves may overflow
    x, y = (values[i - 1 : i + 2] - values[i]) / step, profile[i - 1 : i + 2] - profile[i]
    bend, slope = np.linalg.solve([[x[0] ** 2, x[0]], [x[2] ** 2, x[2]]], [y[0], y[2]])
    return float(values[i] + (step * np.clip(-slope / (2 * bend), x[0], x[2]) if bend > 0 else 0.0))


def _widened(
    grid: OnsetGrid, resampled: Float64Array, prior: float, tc: Quantity, beta: Quantity
) -> tuple[Quantity, Quantity]:
    """Intervals at least as wide as the middle 95 % of what other draws of the peaks give."""
    misfit = grid.solve(resampled, np.full(len(resampled), prior)).misfit
    by_tc = [_least(grid.tc, profile) for profile in misfit.min(axis=2)]
    by_beta = [_least(grid.beta, profile) for profile in misfit.min(axis=1)]
    return _wider(tc, by_tc), _wider(beta, by_beta)


def _wider(one: Quantity, drawn: list[float]) -> Quantity:
    """The interval that is wider: the profile's, or that of the draws moved to the same middle value."""
    low, middle, high = np.quantile(drawn, [0.025, 0.5, 0.975])
    if not high - low > 2 * one.error:
        return one
    return replace(one, low=one.value - float(middle - low), high=one.value + float(high - middle))


def _tail(grid: OnsetGrid, curve: Curve, solved: Solved, limit: float, scale: float) -> Quantity | None:
    """Intensity of the fluctuations at Tc over the rise; None where the curve does without."""
    misfit = solved.misfit[0]
    at = np.unravel_index(int(misfit.argmin()), misfit.shape)
    without = grid.solve(curve.y[None], None).misfit[0]
    if without.min() - misfit[at] < _TAIL_EVIDENCE * scale:
        return None
    share = solved.tail[0] / np.maximum(solved.rise[0], 1e-300)
    near = share[misfit <= misfit[at] + limit]
    return Quantity(float(share[at]), float(near.min()), float(near.max()))
