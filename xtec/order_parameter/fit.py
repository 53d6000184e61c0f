"""One curve against temperature: whether it orders, and Tc and beta with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from xtec.core.quantities import Quantity
from xtec.core.types import Float64Array
from xtec.order_parameter.candidates import (
    FIRST_ORDER,
    SECOND_ORDER,
    SMEARED,
    SMOOTH,
    TWO,
    Candidate,
    Curve,
    jump,
    one_onset,
    smeared,
    smooth,
    two_onsets,
)
from xtec.order_parameter.intervals import intervals
from xtec.order_parameter.polish import polished

EVIDENCE = 10.0
"""BIC by which a transition must beat every smooth curve, and a richer transition a simpler one."""

LEAST_RISE = 0.1
"""Smallest intensity gained below an onset, as a share of the intensity at the lowest temperature."""

LEAST_TEMPERATURES = 8
_LEAST_FALL = 0.5
"""Share of what sets in that must show as a fall of the intensity from the lowest temperature to Tc."""

_COARSE, _UNEXPLAINED = 40.0, 0.2
"""BIC by which a form may lose on its coarse grid and still be polished, also as a share of a line's loss."""

_POLISHED = 3
"""Onsets that are polished, besides those that do not level off."""

_TYPICAL_ROUNDING = 0.08


@dataclass(frozen=True)
class Fit:
    """What was fitted to a curve.

    Attributes
    ----------
    best : Candidate or None
        None if there are too few temperatures.
    orders : bool
    reason : str
    criteria : mapping
        BIC of the best of each kind, relative to the least.
    scale : float
        Variance about the fit over that of counting, at least 1.
    tc, beta : tuple of Quantity
        One for each transition.
    width : Quantity or None
        Standard deviation of Tc over the sample, where the onset is smeared.
    tail : Quantity or None
        Fluctuations at Tc as a share of the rise.
    """

    best: Candidate | None
    orders: bool
    reason: str
    criteria: Mapping[str, float] = field(default_factory=dict)
    scale: float = 1.0
    tc: tuple[Quantity, ...] = ()
    beta: tuple[Quantity | None, ...] = ()
    width: Quantity | None = None
    tail: Quantity | None = None


def fit_curve(curve: Curve, units: str = "K", resampled: Float64Array | None = None) -> Fit:
    """Decide what a curve is, and fit it.

    A curve behaves like an order parameter if an onset (second order, smeared, first order, or two of them)
    has a BIC lower by ten or more than every smooth curve (polynomials of a degree for every four
    temperatures, twelve at most, and Curie-Weiss laws); if a tenth at least of the intensity at the lowest
    temperature is gained below it; and if half of that shows as a fall of the intensity towards Tc. Levelling
    off at low temperatures, smearing and a second transition are accepted if they lower the BIC by ten more;
    where such a form lowers it by less, the intervals hold those that it gives.

    Parameters
    ----------
    curve : Curve
        Temperatures rising.
    units : str
        Of the temperatures.
    resampled : array, shape (B, T), optional
        The curve from other draws of its peaks (bootstrap): intervals include what they scatter.
    """
    if np.unique(curve.x).size < LEAST_TEMPERATURES:
        few = f"fewer than {LEAST_TEMPERATURES} temperatures"
        return Fit(None, False, f"{few}: an onset cannot be told from a smooth curve")
    tried = _candidates(curve)
    n = len(curve.x)
    scale = _scale(tried, n)
    criterion = {one: one.criterion(n, scale) for one in tried}
    kinds = dict.fromkeys(one.kind for one in tried)
    least = {kind: min(value for one, value in criterion.items() if one.kind == kind) for kind in kinds}
    floor = min(least.values())
    criteria = {kind: value - floor for kind, value in least.items()}
    best = _chosen(tried, criterion, curve)
    calm = min((one for one in tried if one.kind == SMOOTH), key=criterion.__getitem__)
    if best is None:
        little = f"no onset below which {100 * LEAST_RISE:.0f} % of its intensity is gained"
        return Fit(calm, False, little, criteria, scale)
    if criterion[calm] - criterion[best] < EVIDENCE:
        return Fit(calm, False, "a smooth curve describes it as well", criteria, scale)
    single = [one for one in tried if len(one.tc) == 1 and criterion[one] < criterion[best]]
    others = [*(one for one in single if _sound(one, curve)), *_with_tail(best, curve)]
    found = Fit(best, True, _reason(best, criteria), criteria, scale)
    return _with_intervals(found, others, curve, units, resampled)


def _with_intervals(
    found: Fit, others: Sequence[Candidate], curve: Curve, units: str, resampled: Float64Array | None
) -> Fit:
    """The same with Tc and beta in intervals, which hold what other forms of the curve give."""
    if found.best is None:
        return found
    known = intervals(found.best, curve, found.scale, resampled)
    for other in others:
        known = known.holding(intervals(other, curve, found.scale))
    return replace(
        found,
        best=known.best,
        tc=tuple(replace(one, units=units) for one in known.tc),
        beta=known.beta,
        width=None if known.width is None else replace(known.width, units=units),
        tail=known.tail,
    )


def _with_tail(best: Candidate, curve: Curve) -> list[Candidate]:
    """A smeared onset with fluctuations besides, where they come out above zero."""
    if best.kind != SMEARED:
        return []
    more = replace(best, rounding=_TYPICAL_ROUNDING, n_parameters=best.n_parameters + 1)
    tailed = polished(more.refitted(curve), curve)
    return [tailed] if tailed.coefficients[1] > 0 else []


def _candidates(curve: Curve) -> list[Candidate]:
    """The best of each kind; what is far from the best on its coarse grid is not polished."""
    n = len(curve.x)
    tried = [*smooth(curve), *jump(curve), *one_onset(curve)]
    scale = _scale(tried, n)

    def criterion(one: Candidate) -> float:
        return one.criterion(n, scale)

    onsets = sorted((one for one in tried if one.kind == SECOND_ORDER), key=criterion)
    plain = [one for one in onsets if one.saturation == 1.0]
    for around in dict.fromkeys([*onsets[:1], *plain[:1]]):
        tried += sorted(smeared(curve, around), key=criterion)[:1]
    pair = two_onsets(curve) if np.unique(curve.x).size >= LEAST_TEMPERATURES + 4 else None
    tried += [pair] if pair else []
    straight = next(one for one in tried if one.n_parameters == 2)
    least = min(map(criterion, tried))
    enough = least + max(_COARSE, _UNEXPLAINED * (criterion(straight) - least))
    chosen = dict.fromkeys([*onsets[:_POLISHED], *plain])
    rich = [one for one in tried if one.kind in (SMEARED, TWO)]
    better = {one: polished(one, curve) for one in [*chosen, *rich] if criterion(one) < enough}
    return [better.get(one, one) for one in tried]


def _scale(tried: Sequence[Candidate], n: int) -> float:
    """Variance that the best of all leaves over that of counting, at least 1."""
    return max(1.0, min(one.misfit / max(n - one.n_parameters, 1) for one in tried))


def _chosen(
    tried: Sequence[Candidate], criterion: Mapping[Candidate, float], curve: Curve
) -> Candidate | None:
    """The best simple transition, or a richer one if that is much better."""
    sound = [one for one in tried if _sound(one, curve)]
    best: Candidate | None = None
    for one in sorted(sound, key=lambda one: (_richness(one), criterion[one])):
        needed = EVIDENCE if best is not None and _richness(one) > _richness(best) else 0.0
        if best is None or criterion[best] - criterion[one] > needed:
            best = one
    return best


def _richness(one: Candidate) -> int:
    """How far from a plain onset or jump."""
    return (one.kind == SMEARED) + (one.saturation != 1.0) + 2 * (one.kind == TWO)


def _sound(one: Candidate, curve: Curve) -> bool:
    """Whether it may be an order parameter: much sets in, seen as a fall; of two onsets, at both."""
    if one.kind == SMOOTH:
        return False
    rises = one.rises
    low, top = one.evaluate(np.array([curve.low, max(one.tc)]), curve)
    enough = rises.sum() >= LEAST_RISE * max(float(low), 1e-300)
    falls = low - top >= _LEAST_FALL * rises.sum()
    return bool(rises.min() > (LEAST_RISE * rises.sum() if one.kind == TWO else 0.0) and enough and falls)


def _reason(best: Candidate, criteria: Mapping[str, float]) -> str:
    odds = criteria[SMOOTH]
    what = {
        SECOND_ORDER: "an onset",
        SMEARED: "a smeared onset",
        FIRST_ORDER: "a jump",
        TWO: "two onsets",
    }[best.kind]
    return f"{what} describes it better than a smooth curve, BIC by {odds:.0f}"
