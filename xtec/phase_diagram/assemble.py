"""Transitions of many samples, sorted into the boundaries that they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from xtec.core.diagram import Boundary, DiagramPoint, PhaseDiagram
from xtec.core.errors import ConfigError
from xtec.core.order import OrderParameter, Transition, WaveVector
from xtec.core.quantities import Quantity
from xtec.phase_diagram.boundary import fit_boundary

INSIDE_CELL = "q = 0"
"""Name of boundaries of order inside the unit cell."""

UNKNOWN = "q unknown"
"""Name of boundaries of order parameters that no wave vector was found for."""

_DRIFT = 0.05
"""Distance in r.l.u. within which an incommensurate wave vector is the same in another sample."""


@dataclass(frozen=True)
class SampleTransitions:
    """What was found for one sample.

    Attributes
    ----------
    name : str
    x : float
        Composition, field, pressure, ...
    order_parameters : sequence of OrderParameter
        Of one sample, and with its transitions; those without count as no order.
    wave_vectors : sequence of WaveVector
    lowest : float
        Lowest temperature at which an onset could have been seen: above the lowest measured. NaN where the
        scan is too short to show one.
    present : sequence of WaveVector
        Where there are peaks at all, whether or not they change. A sample with peaks at a boundary's wave
        vector and no transition may be ordered all over the scan: it is no upper limit.
    """

    name: str
    x: float
    order_parameters: Sequence[OrderParameter]
    wave_vectors: Sequence[WaveVector]
    lowest: float
    present: Sequence[WaveVector] = ()


@dataclass
class _Track:
    """Transitions that follow each other from sample to sample; at most one of each."""

    samples: list[SampleTransitions] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)

    def expected(self, x: float) -> float:
        """Tc on the straight line through the last two, at x; the last one where there is no such line."""
        last = self.samples[-1].x
        before = [i for i, sample in enumerate(self.samples) if sample.x < last]
        tc = [transition.tc.value for transition in self.transitions]
        if not before:
            return tc[-1]
        slope = (tc[-1] - tc[before[-1]]) / (last - self.samples[before[-1]].x)
        return max(tc[-1] + slope * (x - last), 0.0)


def assemble(
    samples: Sequence[SampleTransitions], variable: str, units: str, temperature_units: str
) -> PhaseDiagram:
    """Sort the transitions of samples into boundaries, and fit each.

    Transitions belong together if their clusters have the same wave vector: the same fractions, or, where it
    is incommensurate in either sample, components that differ by less than 0.05 r.l.u. Order inside the unit
    cell is ``q = 0``. Within one sample, transitions of several clusters at one wave vector whose intervals
    overlap are one transition, and the most precise speaks for it. Several that remain, and those of
    neighbouring samples, are joined at the least total change from what the last two samples lead to
    expect; the boundaries at one wave vector are numbered by falling Tc: ``q = (1/2, 1/2, 0)``,
    ``q = (1/2, 1/2, 0), transition 2``. Branches are apart: ``q = (1/2, 1/2, 0) (cooling)``.

    A sample that shows no transition at a wave vector, on any branch, is an upper limit for the first
    boundary of every branch there, unless it has peaks there: then its Tc is not known.

    Parameters
    ----------
    samples : sequence of SampleTransitions
        In any order.
    variable, units : str
        What x is: ``composition``, ``magnetic_field``, ...
    temperature_units : str

    Returns
    -------
    PhaseDiagram
        Points by rising x; boundaries by falling Tc. If no sample orders, one boundary ``""`` of upper
        limits.

    Raises
    ------
    ConfigError
        If there are no samples, two share a name, or an x or a Tc is not finite.
    """
    _check(samples)
    samples = sorted(samples, key=lambda sample: (sample.x, sample.name))
    boundaries: dict[str, list[DiagramPoint]] = {}
    by_name, known = _by_wave_vector(samples)
    for name, found in by_name.items():
        ordered = {sample.name for sample, *_ in found}
        without = [sample for sample in samples if sample.name not in ordered]
        for branch in sorted({branch for _, branch, _ in found}):
            these = [(sample, transitions) for sample, at, transitions in found if at == branch]
            for rank, track in enumerate(_tracks(these), start=1):
                title = _title(name, rank, branch)
                boundaries[title] = [
                    _point(sample, title, transition)
                    for sample, transition in zip(track.samples, track.transitions, strict=True)
                ]
                if rank == 1:
                    shown = [_shows(sample, known.get(name, ())) for sample in without]
                    pairs = zip(without, shown, strict=True)
                    boundaries[title] += [_point(sample, title, None, shown=there) for sample, there in pairs]
    if not boundaries:
        boundaries[""] = [_point(sample, "", None) for sample in samples]
    titles = sorted(boundaries, key=lambda title: -_highest(boundaries[title]))
    points = [point for title in titles for point in boundaries[title]]
    return PhaseDiagram(
        variable,
        units,
        temperature_units,
        sorted(points, key=lambda point: point.x),
        [_fit(boundaries[title], title, units) for title in titles],
    )


def _check(samples: Sequence[SampleTransitions]) -> None:
    if not samples:
        raise ConfigError("a phase diagram needs samples")
    names = [sample.name for sample in samples]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"{len(names)} samples, but {', '.join(twice)} twice", hint="rename one of them")
    for sample in samples:
        if not np.isfinite(sample.x):
            raise ConfigError(f"{sample.name}: x = {sample.x} is not finite")


_Found = tuple[SampleTransitions, str, list[Transition]]


def _by_wave_vector(
    samples: Sequence[SampleTransitions],
) -> tuple[dict[str, list[_Found]], dict[str, list[WaveVector]]]:
    """Sample, branch and transitions, by the name of the wave vector; and the wave vectors of each name."""
    known: dict[str, list[WaveVector]] = {}
    found: dict[str, list[_Found]] = {}
    for sample in samples:
        here: dict[tuple[str, str], list[OrderParameter]] = {}
        for number, order in enumerate(sample.order_parameters, start=1):
            if order.transitions:
                own = [vector for vector in sample.wave_vectors if _belongs(vector, order, number)]
                name = _wave_vector_name(own, known)
                here.setdefault((name, order.branch), []).append(order)
        for (name, branch), orders in here.items():
            found.setdefault(name, []).append((sample, branch, _distinct(orders)))
    return found, known


def _belongs(vector: WaveVector, order: OrderParameter, number: int) -> bool:
    """Whether a wave vector is one of an order parameter: by its number, or by clusters where it has none."""
    if vector.order_parameter:
        return vector.order_parameter == number
    return bool(set(vector.clusters) & set(order.clusters))


def _shows(sample: SampleTransitions, wave_vectors: Sequence[WaveVector]) -> bool:
    """Whether a sample has peaks at one of some wave vectors."""
    return any(_agree(one, other) for one in sample.present for other in wave_vectors)


def _wave_vector_name(own: Sequence[WaveVector], known: dict[str, list[WaveVector]]) -> str:
    """Name that an order parameter's wave vector had in earlier samples; a new one is added to `known`."""
    if not own:
        return UNKNOWN
    vector = max(own, key=lambda vector: vector.peaks)
    if vector.is_bragg:
        return INSIDE_CELL
    name = f"q = {vector.text}"
    if name not in known:
        drifted = (old for old, seen in known.items() if _agree(seen[-1], vector))
        name = next(drifted, name)
    known.setdefault(name, []).append(vector)
    return name


def _agree(one: WaveVector, other: WaveVector) -> bool:
    if None not in one.fraction and None not in other.fraction:
        return one.fraction == other.fraction
    apart = np.abs(one.q - other.q)
    unmeasured = np.isnan(one.q) & np.isnan(other.q)
    return bool(np.all(unmeasured | (apart < _DRIFT)))


def _distinct(orders: Sequence[OrderParameter]) -> list[Transition]:
    """Transitions without those that another cluster shows better, by falling Tc."""
    kept: list[tuple[int, Transition]] = []
    candidates = [(i, transition) for i, order in enumerate(orders) for transition in order.transitions]
    for i, transition in sorted(candidates, key=lambda pair: _length(pair[1].tc)):
        if not any(i != j and _overlap(transition.tc, other.tc) for j, other in kept):
            kept.append((i, transition))
    return sorted((transition for _, transition in kept), key=lambda transition: -transition.tc.value)


def _length(tc: Quantity) -> float:
    return float(np.nan_to_num(tc.error, nan=np.inf))


def _overlap(one: Quantity, other: Quantity) -> bool:
    lows = [tc.value if tc.low is None else tc.low for tc in (one, other)]
    highs = [tc.value if tc.high is None else tc.high for tc in (one, other)]
    return max(lows) <= min(highs)


def _tracks(found: Sequence[tuple[SampleTransitions, list[Transition]]]) -> list[_Track]:
    """Transitions joined from sample to sample, by falling Tc; samples by rising x."""
    from scipy.optimize import linear_sum_assignment

    tracks: list[_Track] = []
    for sample, transitions in found:
        tc = np.array([transition.tc.value for transition in transitions])
        expected = np.array([track.expected(sample.x) for track in tracks])
        rows, columns = linear_sum_assignment(np.abs(expected[:, None] - tc))
        taken = dict(zip(columns.tolist(), rows.tolist(), strict=True))
        for i, transition in enumerate(transitions):
            if i not in taken:
                tracks.append(_Track())
            track = tracks[taken[i]] if i in taken else tracks[-1]
            track.samples.append(sample)
            track.transitions.append(transition)
    return sorted(tracks, key=lambda track: -max(transition.tc.value for transition in track.transitions))


def _title(wave_vector: str, rank: int, branch: str) -> str:
    number = f", transition {rank}" if rank > 1 else ""
    return f"{wave_vector}{number} ({branch})" if branch else f"{wave_vector}{number}"


def _point(
    sample: SampleTransitions, boundary: str, transition: Transition | None, *, shown: bool = False
) -> DiagramPoint:
    if transition is None:
        limit = float(sample.lowest) if np.isfinite(sample.lowest) and not shown else None
        return DiagramPoint(sample.name, sample.x, None, limit, boundary)
    return DiagramPoint(
        sample.name, sample.x, transition.tc, None, boundary, transition.beta, transition.kind
    )


def _fit(points: Sequence[DiagramPoint], title: str, units: str) -> Boundary:
    boundary = fit_boundary(points, title)
    return replace(boundary, xc=boundary.xc and replace(boundary.xc, units=units))


def _highest(points: Sequence[DiagramPoint]) -> float:
    return max((point.tc.value for point in points if point.tc is not None), default=0.0)
