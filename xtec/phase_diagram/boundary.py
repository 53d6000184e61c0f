"""Where a phase ends: ``Tc = T0 (1 - x/xc)^phi`` through the transitions of several samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from xtec.core.diagram import Boundary, DiagramPoint
from xtec.core.errors import ConfigError
from xtec.core.quantities import Quantity
from xtec.core.types import Float64Array
from xtec.phase_diagram.likelihood import BEND, Evidence, Likelihood
from xtec.phase_diagram.maximum import Maximum, maximise

MEAN_FIELD = 0.5
"""Exponent taken where transitions at two x only cannot tell."""

_TWO_SIGMA = 1.959963984540054
_CLEAR = 0.05
"""Chance of a misfit below which the note speaks of scatter."""

_EXACT = 1e-9
"""Error of transitions without any, as a share of the highest."""

_NOTHING = np.empty((0, 4))


def fit_boundary(points: Sequence[DiagramPoint], name: str) -> Boundary:
    """Fit ``Tc = T0 (1 - x/xc)^phi`` for x < xc, 0 beyond, to transitions and upper limits.

    A transition counts with its 95 % interval as a normal error, of two widths where it is lopsided. A
    sample without a transition counts with the probability that a Tc drawn about the boundary, with the
    median error of the transitions, lies below its limit. All intervals and the band are of 95 % and come
    from the profile likelihood: the band at x spans the Tc there of all boundaries inside the region.

    Errors are taken at their word unless they leave a chi-square that has a probability below 30 %. Then the
    transitions get a scatter besides, in quadrature, that makes chi-square its degrees of freedom, and
    intervals widen as Student's t does.

    Parameters
    ----------
    points : sequence of DiagramPoint
        Of one boundary, in any order; several may share an x. A transition whose interval lacks an end takes
        the other end's error for both; one without an interval the largest error of the others. Points with
        neither a transition nor a limit are left out.
    name : str

    Returns
    -------
    Boundary
        Tc has to fall with x, over two x or more, the largest above zero; otherwise T0, xc and phi are None,
        the band is empty and the note says why. With transitions at two x, phi is 1/2 without an interval.
        xc, and the low end of its interval, are never below the largest x with a transition. xc and phi are
        None where the boundary bends so little that it ends at more than a hundred times that x.
        An end of an interval is None where the likelihood does not bound it; all are where transitions
        without errors are no more than the parameters, or errors so large that Tc could be anything.

    Raises
    ------
    ConfigError
        If an x, a Tc or a limit is not finite, or a Tc is not above zero.

    References
    ----------
    Wilks, Ann. Math. Stat. 9, 60 (1938), for the profile likelihood; Paule & Mandel, J. Res. Natl. Bur.
    Stand. 87, 377 (1982), for the scatter.
    """
    seen = sorted((point for point in points if point.tc is not None), key=_place)
    limits = sorted((point for point in points if _is_limit(point)), key=_place)
    _check(seen, limits)
    distinct = len({point.x for point in seen})
    if distinct < 2 or seen[-1].x <= 0:
        return Boundary(name, None, None, None, _NOTHING, note=_too_few(len(seen), distinct))
    evidence, given = _evidence(seen, limits)
    most = maximise(Likelihood(evidence, MEAN_FIELD if distinct == 2 else None))
    if not most.falls:
        return Boundary(
            name, None, None, None, _NOTHING, most.scatter, "Tc does not fall with x: no end to fit"
        )
    units = seen[0].tc.units if seen[0].tc else ""
    describe = _with_intervals if given or most.freedom > 0 else _without_intervals
    boundary = describe(most, name, units)
    return replace(boundary, note="; ".join(_doubts(seen, limits, most, given, boundary)))


def _place(point: DiagramPoint) -> tuple[float, ...]:
    if point.tc is None:
        return (point.x, point.upper_limit or 0.0)
    return (point.x, point.tc.value, _gap(point.tc.high, point.tc.low))


def _is_limit(point: DiagramPoint) -> bool:
    return point.tc is None and point.upper_limit is not None


def _check(seen: Sequence[DiagramPoint], limits: Sequence[DiagramPoint]) -> None:
    given = [(point, point.tc.value) for point in seen if point.tc is not None]
    given += [(point, point.upper_limit) for point in limits if point.upper_limit is not None]
    for point, value in given:
        if not np.isfinite([point.x, value]).all():
            raise ConfigError(f"{point.name}: x = {point.x} and Tc = {value} have to be finite")
        if point.tc is not None and value <= 0:
            raise ConfigError(f"{point.name}: Tc = {value:g} is not above zero", hint="give it in kelvin")


def _too_few(n: int, distinct: int) -> str:
    if n == 0:
        return "no sample has a transition"
    return "transitions at one x only" if distinct == 1 else "the form needs a transition at x > 0"


def _evidence(seen: Sequence[DiagramPoint], limits: Sequence[DiagramPoint]) -> tuple[Evidence, bool]:
    """Points as arrays, and whether any transition has an error."""
    quantities = [point.tc for point in seen if point.tc is not None]
    tc = np.array([quantity.value for quantity in quantities])
    below = np.array([_gap(quantity.value, quantity.low) for quantity in quantities])
    above = np.array([_gap(quantity.high, quantity.value) for quantity in quantities])
    below, above = np.where(below > 0, below, above), np.where(above > 0, above, below)
    given = bool(np.any(below > 0))
    largest = float(np.nanmax(np.append(below, above))) if given else _EXACT * float(tc.max())
    below, above = np.where(below > 0, below, largest), np.where(above > 0, above, largest)
    typical = np.full(len(limits), np.median((below + above) / 2))
    x = np.array([point.x for point in (*seen, *limits)])
    limit = np.array([point.upper_limit for point in limits], dtype=np.float64)
    evidence = Evidence(
        x,
        np.append(tc, limit),
        np.append(below, typical),
        np.append(above, typical),
        np.arange(len(x)) >= len(seen),
    )
    return evidence, given


def _gap(high: float | None, low: float | None) -> float:
    """Standard error that one side of a 95 % interval stands for; NaN where it is missing."""
    return np.nan if high is None or low is None else (high - low) / _TWO_SIGMA


def _with_intervals(most: Maximum, name: str, units: str) -> Boundary:
    likelihood, level = most.likelihood, most.chi2 + most.reach
    bends = likelihood.bends(float(most.u[0]), level)
    u, p, closed = likelihood.surface(bends, level)
    if not closed:
        return replace(_without_intervals(most, name, units), note="errors are too large for intervals")
    u, p = np.append(u, most.u), np.append(p, most.p, axis=0)
    if likelihood.phi is None:
        p[:, 1] = np.maximum(p[:, 1], 0.0)
    t0, xc, phi = likelihood.natural(u, p)
    cliff, endless = bends[0] <= BEND[0], bends[-1] >= BEND[1]
    last, highest = likelihood.evidence.last, None if endless else float(xc.max())
    end = Quantity(float(xc[-1]), last if cliff else float(xc.min()), highest)
    lowest = None if cliff or phi.min() <= 0 else float(phi.min())
    exponent = Quantity(float(phi[-1]), lowest, None if endless else float(phi.max()))
    if likelihood.phi is not None:
        exponent = Quantity(likelihood.phi)
    return Boundary(
        name,
        Quantity(float(t0[-1]), float(t0.min()), float(t0.max()), units),
        None if most.unbent else end,
        None if most.unbent else exponent,
        _band(likelihood, u, p, end),
        most.scatter,
        f"the boundary hardly bends: xc above {end.low:.3g}" if most.unbent else "",
    )


def _without_intervals(most: Maximum, name: str, units: str) -> Boundary:
    t0, xc, phi = (float(value[0]) for value in most.likelihood.natural(most.u, most.p))
    band = _band(most.likelihood, most.u, most.p, Quantity(xc))
    band[:, 2:] = np.nan
    return Boundary(
        name,
        Quantity(t0, units=units),
        None if most.unbent else Quantity(xc),
        None if most.unbent else Quantity(phi),
        band,
        most.scatter,
    )


def _band(likelihood: Likelihood, u: Float64Array, p: Float64Array, xc: Quantity) -> Float64Array:
    """x, Tc and the ends of its band; the last of u and p is the boundary itself."""
    evidence = likelihood.evidence
    start, far = min(0.0, float(evidence.x[0])), float(evidence.x.max())
    farthest = 2 * far
    stop = farthest if xc.high is None else min(max(far, 1.02 * xc.high), farthest)
    near = [end * (1 - np.geomspace(1e-7, 0.1, 40)) for end in (xc.low, xc.value, xc.high) if end is not None]
    x = np.unique(np.concatenate([np.linspace(start, stop, 161), *near]))
    x = x[(x >= start) & (x <= stop)]
    curves = likelihood.curve(u, p, x)
    return np.stack([x, curves[-1], curves.min(axis=0), curves.max(axis=0)], axis=1)


def _doubts(
    seen: Sequence[DiagramPoint],
    limits: Sequence[DiagramPoint],
    most: Maximum,
    given: bool,
    boundary: Boundary,
) -> list[str]:
    """What to doubt, in phrases."""
    notes = [boundary.note] if boundary.note else []
    if most.likelihood.phi is not None:
        notes.append("transitions at two x only: phi is taken as 1/2")
    if most.freedom < 1:
        notes.append("as many parameters as transitions: nothing is left to test the form")
    if not given:
        known = "no intervals" if most.freedom < 1 else "what they scatter is taken for it"
        notes.append(f"transitions have no errors: {known}")
    elif most.chance < _CLEAR:
        notes.append("transitions scatter by more than their errors")
    crossovers = sum(point.kind == "crossover" for point in seen)
    if crossovers:
        notes.append(f"{crossovers} of {len(seen)} are crossovers")
    at = most.likelihood.curve(most.u, most.p, np.array([point.x for point in limits]))[0]
    missing = [point.name for point, tc in zip(limits, at, strict=True) if tc > (point.upper_limit or 0.0)]
    if missing:
        notes.append(f"no transition was seen in {', '.join(missing)}, below the boundary")
    return notes
