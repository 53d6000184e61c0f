"""Temperatures chosen one after the other by what their values would tell, and why each was chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xtec.core.types import Float64Array
from xtec.operando.bounds import Bounds, Direction
from xtec.operando.information import Distinction, Spread
from xtec.operando.posterior import Posterior

_CANDIDATES = 48
"""Temperatures that are considered over the range, and as many again where Tc may be."""

_SPREAD = 0.02
"""What information on a smooth curve is worth, in units of information on an onset."""

_WORTH = 0.05
"""Nats of information on an onset from which on a temperature is chosen for its sake."""

_IN_SIGHT = 0.5
"""Probability from which on an onset is in sight."""


@dataclass(frozen=True)
class Suggestion:
    """A temperature to measure.

    Attributes
    ----------
    temperature : float
        In K.
    reason : str
    information : float
        On the onsets of all curves, in nats, given the temperatures suggested before it.
    curve : int or None
        The curve that the reason speaks of, counted from 0.
    """

    temperature: float
    reason: str
    information: float
    curve: int | None = None


def plan(
    allowed: Float64Array,
    measured: Float64Array,
    known: Sequence[Posterior | None],
    weights: Float64Array,
    bounds: Bounds,
    n: int,
) -> list[Suggestion]:
    """Choose temperatures one after the other, each given those before but not what they will show.

    Parameters
    ----------
    allowed : array, shape (A,)
        Rising, not empty.
    measured : array, shape (m,)
    known : sequence of Posterior or None
        Of each curve; None where nothing is known.
    weights : array, shape (n_curves,)
    bounds : Bounds
    n : int
        How many; fewer come where fewer are allowed.
    """
    x = candidates(allowed, [one for one in known if one is not None], bounds.step, n)
    curves = {k: Distinction(one, x) for k, one in enumerate(known) if one is not None and weights[k] > 0}
    everywhere = np.append(measured, [bounds.low, bounds.high])
    spread = Spread(measured, x, float(everywhere.min()), float(everywhere.max()))
    left = np.ones(len(x), dtype=bool)
    suggestions: list[Suggestion] = []
    for _ in range(min(n, len(x))):
        gains = {k: weights[k] * curve.gains() for k, curve in curves.items()}
        told = np.sum([np.zeros_like(x), *gains.values()], axis=0)
        best = int(np.where(left, told + _SPREAD * spread.gains(), -np.inf).argmax())
        left[best] = False
        most = max(gains, key=lambda k: float(gains[k][best]), default=None)
        taken = np.append(measured, [one.temperature for one in suggestions])
        about = None
        if most is not None and gains[most][best] > _WORTH:
            about = _about(float(x[best]), known[most])
        reason = about or _gap(float(x[best]), taken, bounds)
        which = None if about is None else most
        suggestions.append(Suggestion(float(x[best]), reason, float(told[best]), which))
        spread.choose(best)
        for curve in curves.values():
            curve.choose(best)
    return suggestions


def in_sight(known: Sequence[Posterior | None]) -> bool:
    """Whether any curve shows an onset."""
    return any(one is not None and one.seen > _IN_SIGHT for one in known)


def paced(allowed: Float64Array, measured: Float64Array, bounds: Bounds, left: int) -> list[Suggestion]:
    """Evenly spaced temperatures from the last measured to the end of the range.

    Parameters
    ----------
    allowed : array, shape (A,)
        Rising, not empty.
    measured : array, shape (m,)
    bounds : Bounds
        With a direction.
    left : int
        How many are still to be measured.
    """
    ends = bounds.low, bounds.high
    start, end = ends if bounds.direction is Direction.WARMING else ends[::-1]
    if measured.size:
        places = np.linspace(measured[-1], end, left + 1)[1:]
    else:
        places = np.linspace(start, end, left)
    nearest = allowed[np.abs(allowed - places[:, None]).argmin(axis=1)]
    reason = "keeps the pace: no transition in sight"
    return [Suggestion(float(x), reason, 0.0) for x in dict.fromkeys(nearest)]


def candidates(allowed: Float64Array, known: Sequence[Posterior], step: float, n: int) -> Float64Array:
    """Allowed temperatures (C,), rising: over the range, at quantiles of each Tc, and a step below those."""
    wanted = [np.linspace(allowed[0], allowed[-1], max(n, _CANDIDATES))]
    for one in known:
        tc = one.onset.sums.onsets.tc[one.representatives(_CANDIDATES)]
        wanted += [tc, tc - step]
    places = np.concatenate(wanted)
    after = np.clip(np.searchsorted(allowed, places), 0, len(allowed) - 1)
    before = np.maximum(after - 1, 0)
    nearer = np.where(places - allowed[before] < allowed[after] - places, before, after)
    return np.asarray(allowed[np.unique(nearer)])


def _gap(x: float, taken: Float64Array, bounds: Bounds) -> str:
    low = max((float(t) for t in taken if t < x), default=None)
    high = min((float(t) for t in taken if t > x), default=None)
    if low is None and high is None:
        return "nothing measured yet"
    if low is None or high is None:
        side = "below" if low is None else "above"
        return f"spreads out: nothing measured {side} {high if low is None else low:g} K"
    return f"spreads out: nothing measured between {low:g} and {high:g} K"


def _about(x: float, known: Posterior | None) -> str | None:
    """Why a temperature tells of an onset; None where none is in sight."""
    if known is None or not in_sight([known]):
        return None
    tc = known.tc
    between = f"Tc between {tc.low:.4g} and {tc.high:.4g} K"
    if tc.low is not None and x < tc.low:
        return f"below {between}: how intensity grows, for beta"
    if tc.high is not None and x > tc.high:
        return f"above {between}: what is there without order"
    return f"brackets {between}"
