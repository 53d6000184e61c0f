"""What a curve does with temperature, in a phrase and in numbers.

The question asked of a curve is whether it sets in at a temperature, as ``A (1 - T/Tc)^(2 beta)`` on a
straight background does, or changes smoothly over the whole range, as Bragg peaks (Debye-Waller) and thermal
diffuse scattering do. Both are fitted with five parameters: an onset and a polynomial of fourth degree. A
curve orders if the onset leaves sums of squares that much smaller that its likelihood is e^5 times higher
(``n/2 ln(S_polynomial / S_onset) >= 5`` for n temperatures and noise of unknown size), at least a fifth
smaller, if at least a tenth of the intensity at the lowest temperature sets in there, and if a peak or dip
that has come and gone within the range, again with five parameters, does not fit better. Of the others, those
that turn in between, as critical scattering does, are told from those that only rise or fall.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xtec.core.axes import Axis
from xtec.core.types import Float64Array

_TWO_BETA = (0.2, 0.25, 0.35, 0.5, 0.65, 0.8, 1.0)
_SMOOTH_DEGREE = 4
_MIN_POINTS = 2
"""Points needed on either side of an onset."""

_MOST_PLACES = 1000
"""Onsets, or peaks, of a grid for first estimates; each takes a time that goes with the temperatures."""

_PASSING_WIDTHS = (1 / 64, 1 / 32, 1 / 16, 1 / 8)
"""Standard deviations of a peak or dip within the range, as shares of the range."""

_PASSED = 2.0
"""Standard deviations from the ends within which it has come and gone."""

_LOG_ODDS = 5.0
"""Logarithm of how much more likely the onset must be than the smooth curve."""

_EXPLAINED = 0.2
"""Share of what a smooth curve leaves unexplained that the onset must explain."""

_LEAST_RISE = 0.1
"""Smallest intensity gained below the onset, as a share of the intensity at the lowest temperature."""

_GONE = 0.5
"""From this share on, the intensity is called gone above the onset."""

_STEADY = 0.05

_LEAST_TURN = 0.2
"""Least height over both ends, or depth below them, of a curve that turns, as a share of the nearer end."""

_TURN_ERRORS = 5.0
"""The same in standard deviations of a point."""

_QUARTER = 0.3186
"""Standard deviations of a normal distribution within which a quarter of it lies."""


@dataclass(frozen=True)
class Trend:
    """How a curve goes with temperature.

    Attributes
    ----------
    text : str
        A phrase for a table.
    orders : bool or None
        Whether it behaves like an order parameter; None if there are too few temperatures to say.
    score : float
        Between 0 and 1: share of the intensity that sets in, times share of the smooth curve's misfit that
        the onset explains; 0 for curves without an onset.
    onset : float or None
        Temperature of the onset, from a grid search: a first estimate without an uncertainty.
    change : float
        Relative change from the lowest to the highest temperature.
    turns : bool
        Whether a smooth curve is clearly higher, or lower, somewhere in between than at either end.
    """

    text: str
    orders: bool | None
    score: float
    onset: float | None
    change: float
    turns: bool = False


NO_MEMBERS = Trend("no members", None, 0.0, None, 0.0)


def describe(scan: Axis, intensity: Float64Array) -> Trend:
    """Describe one cluster's mean intensity.

    Parameters
    ----------
    scan : Axis
        T temperatures, in any order.
    intensity : array, shape (T,)
    """
    if not np.isfinite(intensity).all():
        return NO_MEMBERS
    order = np.argsort(scan.values)
    x, y = scan.values[order], intensity[order]
    ends = max(1, len(x) // 10)
    low, high = float(y[:ends].mean()), float(y[-ends:].mean())
    scale = max(abs(low), abs(high), float(np.abs(y).max()) * 1e-9)
    change = (high - low) / (abs(low) or scale or 1.0)
    if len(np.unique(x)) < _SMOOTH_DEGREE + 3:
        return Trend(f"{100 * change:+.0f} %, too few points for an onset", None, 0.0, None, change)
    onset, rise, misfit = _best_onset(x, y)
    smooth = _smooth_misfit(x, y)
    explained = 1 - misfit / smooth if smooth > 0 else 0.0
    share = rise / low if low > 0 else 0.0
    sets_in = explained >= _least_explained(len(x)) and share >= _LEAST_RISE
    if not sets_in or _passing_misfit(x, y) < misfit:
        turn = _turn(x, y, low, high)
        text = _turn_phrase(scan, *turn) if turn else _smooth_phrase(scan, x, change)
        return Trend(text, False, 0.0, None, change, turn is not None)
    if share >= _GONE:
        text = f"gone above about {onset:.3g} {scan.units}".rstrip()
    else:
        text = f"sets in below about {onset:.3g} {scan.units}, {100 * share:.0f} %"
    return Trend(text, True, explained * min(share, 1.0), onset, change)


def _least_explained(n: int) -> float:
    """What the onset has to explain of the smooth curve's misfit, given n temperatures."""
    return max(_EXPLAINED, 1 - float(np.exp(-2 * _LOG_ODDS / n)))


def _smooth_misfit(x: Float64Array, y: Float64Array) -> float:
    """Sum of squares that a polynomial leaves; it has as many parameters as the onset model."""
    u = (x - x.mean()) / np.ptp(x)
    residual = y - np.polynomial.Polynomial.fit(u, y, _SMOOTH_DEGREE)(u)
    return float(residual @ residual)


def _best_onset(x: Float64Array, y: Float64Array) -> tuple[float, float, float]:
    """Onset, intensity gained below it at the lowest temperature, and sum of squares left."""
    distinct = np.unique(x)
    onsets = np.linspace(distinct[_MIN_POINTS], distinct[-_MIN_POINTS - 1], min(4 * len(x), _MOST_PLACES))
    depth = np.clip((onsets[:, None] - x) / (onsets - x[0])[:, None], 0.0, None)
    best = (float(x[0]), 0.0, np.inf)
    for power in _TWO_BETA:
        rise, misfit = _on_a_line(x, y, depth**power)
        misfit[rise <= 0] = np.inf
        i = int(misfit.argmin())
        if misfit[i] < best[2]:
            best = (float(onsets[i]), float(rise[i]), float(misfit[i]))
    return best


def _passing_misfit(x: Float64Array, y: Float64Array) -> float:
    """Sum of squares that a Gaussian leaves that has come and gone within the range."""
    places, least = np.unique(x)[:: len(x) // _MOST_PLACES + 1], np.inf
    for width in np.ptp(x) * np.array(_PASSING_WIDTHS):
        inside = places[(places - x[0] >= _PASSED * width) & (x[-1] - places >= _PASSED * width)]
        _, misfit = _on_a_line(x, y, np.exp(-0.5 * ((x - inside[:, None]) / width) ** 2))
        least = min(least, float(misfit.min(initial=np.inf)))
    return least


def _on_a_line(x: Float64Array, y: Float64Array, shapes: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Height of each shape on a straight background of its own, and the sum of squares that both leave.

    The background is projected out first, so that one coefficient is left to fit for each shape.
    """
    line, _ = np.linalg.qr(np.stack([np.ones_like(x), (x - x[0]) / np.ptp(x)], axis=1))
    y = y - line @ (line.T @ y)
    shapes = shapes - (shapes @ line) @ line.T
    height = (shapes @ y) / np.sum(shapes**2, axis=1)
    return height, np.sum((y - height[:, None] * shapes) ** 2, axis=1)


def _turn(x: Float64Array, y: Float64Array, low: float, high: float) -> tuple[float, float] | None:
    """Where a curve is furthest above both its ends, or below them, and by how much of the nearer one.

    A single point that stands out is no turn: medians of three decide. The noise is read off the smaller
    second differences, for the larger ones are those of the turn.
    """
    windows = np.lib.stride_tricks.sliding_window_view(y, 3)
    noise = float(np.quantile(np.abs(np.diff(y, 2)), 0.25)) / (_QUARTER * np.sqrt(6))
    middle = np.median(windows, axis=1)
    above, below = float(middle.max()) - max(low, high), min(low, high) - float(middle.min())
    sign, end = (1, max(low, high)) if above >= below else (-1, min(low, high))
    if max(above, below) <= max(_TURN_ERRORS * noise, _LEAST_TURN * abs(end)):
        return None
    start = int((sign * middle).argmax())
    i = start + int((sign * windows[start]).argmax())
    return float(x[i]), float(y[i] - end) / (abs(end) or abs(float(y[i])))


def _turn_phrase(scan: Axis, place: float, change: float) -> str:
    kind = "highest" if change > 0 else "lowest"
    return f"{kind} at about {place:.3g} {scan.units}".rstrip() + f" ({100 * change:+.0f} %)"


def _smooth_phrase(scan: Axis, x: Float64Array, change: float) -> str:
    percent = 100 * change
    if abs(change) < _STEADY:
        return f"steady ({percent:+.0f} %)"
    if change < 0:
        rate = f", {-percent / np.ptp(x) * 100:.0f} %/100 K" if scan.units == "K" else f" by {-percent:.0f} %"
        return f"falls slowly{rate}"
    return f"grows with {scan.name} (+{percent:.0f} %)"
