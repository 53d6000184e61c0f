"""From the peaks of clusters to order parameters."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from xtec.core.order import OrderParameter, Transition
from xtec.core.quantities import Quantity
from xtec.core.types import Float64Array
from xtec.order_parameter.branches import branches
from xtec.order_parameter.candidates import FIRST_ORDER, SMEARED, SMOOTH, Curve
from xtec.order_parameter.cluster_peaks import ClusterPeaks
from xtec.order_parameter.fit import Fit, fit_curve
from xtec.order_parameter.split import PeakOnsets, PeakTemperatures, peak_onsets, peak_temperatures, split

logger = logging.getLogger(__name__)

_LEAST_PEAKS = 10
"""Peaks that may be of two kinds."""

_KELVIN = ("k", "kelvin")
_MODEL_POINTS = 400
_ALIKE_BETA = 0.1
_CROSSOVER = 0.1
"""Smearing, as a share of Tc, from which an onset is called a crossover."""


@dataclass(frozen=True)
class _Set:
    """Peaks that are taken for one order parameter, and what was fitted to them."""

    clusters: tuple[int, ...]
    peaks: NDArray[np.intp]
    curve: Curve
    fit: Fit


class OrderAnalysis:
    """Order parameters of the clusters of a run, on one branch of its scan.

    Parameters
    ----------
    peaks : ClusterPeaks
    branch : str
    rows : array
        Temperatures of the branch.
    above : bool
        Whether order is looked for at high values of the scan variable, in place of low ones.
    seed : int
        Of the draws of peaks.
    """

    def __init__(
        self, peaks: ClusterPeaks, branch: str, rows: NDArray[np.intp], *, above: bool = False, seed: int = 0
    ) -> None:
        values = peaks.scan.values[rows]
        self._mirror = float(values.min() + values.max()) if above else None
        x = values if self._mirror is None else self._mirror - values
        self._order = rows[np.argsort(x, kind="stable")]
        self._x = np.sort(x)
        self.peaks, self.branch, self._rows, self._seed = peaks, branch, rows, seed

    def of_clusters(self) -> dict[int, _Set]:
        """Each cluster fitted by itself."""
        numbers = np.unique(self.peaks.label[self.peaks.label > 0]).tolist()
        return {
            number: self._fitted((number,), np.flatnonzero(self.peaks.label == number)) for number in numbers
        }

    def found(self, clusters: Sequence[_Set]) -> list[_Set]:
        """One set of peaks for each order parameter among some clusters, and for each without one."""
        return self._joined([part for one in clusters for part in self._split(one)])

    def _curve(self, mine: NDArray[np.intp]) -> Curve:
        return Curve(self._x, *self.peaks.mean(mine, self._order))

    def _fitted(self, clusters: tuple[int, ...], mine: NDArray[np.intp]) -> _Set:
        curve = self._curve(mine)
        draws = self.peaks.draws(mine, self._order, self._seed)
        return _Set(clusters, mine, curve, fit_curve(curve, self.peaks.scan.units, draws))

    def _onsets(self, mine: NDArray[np.intp]) -> PeakOnsets:
        intensity = self.peaks.intensity[mine][:, self._order]
        return peak_onsets(self._curve(mine), intensity, self.peaks.variance(mine, self._order))

    def onsets_of(self, one: OrderParameter) -> PeakTemperatures:
        """Onset of each peak of an order parameter."""
        mine, mirror = one.members, self._mirror
        intensity = self.peaks.intensity[mine][:, self._order]
        tc = np.array([each.tc.value for each in one.transitions])
        near = tc if mirror is None else mirror - tc
        found = peak_temperatures(self._curve(mine), intensity, self.peaks.variance(mine, self._order), near)
        if mirror is None:
            return found
        return PeakTemperatures(mirror - found.tc, mirror - found.high, mirror - found.low)

    def _split(self, one: _Set) -> list[_Set]:
        """Peaks that set in at clearly different temperatures, each group by itself."""
        if not one.fit.orders or one.peaks.size < _LEAST_PEAKS:
            return [one]
        groups = split(self._onsets(one.peaks), self._spacing(one.fit.tc[0].value))
        parts = [self._fitted(one.clusters, one.peaks[group]) for group in groups]
        parts = [part for part in parts if part.fit.orders]
        if len(parts) < 2 or not _all_apart(parts):
            return [one]
        logger.info("peaks of cluster %d set in at %d temperatures", one.clusters[0], len(parts))
        return parts

    def _joined(self, sets: Sequence[_Set]) -> list[_Set]:
        """Sets that differ only in strength made one."""
        joined: list[_Set] = []
        for one in sets:
            same = next((other for other in joined if self._same_order(one, other)), None)
            if same is None:
                joined.append(one)
                continue
            clusters = tuple(sorted({*same.clusters, *one.clusters}))
            together = self._fitted(clusters, np.concatenate([same.peaks, one.peaks]))
            joined[joined.index(same)] = together
        return joined

    def _same_order(self, one: _Set, other: _Set) -> bool:
        """Whether two sets have one Tc and one beta, within their intervals or half a spacing."""
        kind = self.peaks.kind or {}
        if not (one.fit.orders and other.fit.orders) or len(one.fit.tc) != len(other.fit.tc):
            return False
        if kind.get(one.clusters[0]) != kind.get(other.clusters[0]):
            return False
        near = all(
            abs(a.value - b.value) <= max(0.5 * self._spacing(a.value), _reach(a, b))
            for a, b in zip(one.fit.tc, other.fit.tc, strict=True)
        )
        pairs = zip(one.fit.beta, other.fit.beta, strict=True)
        return near and all(
            a is None or b is None or abs(a.value - b.value) <= max(_ALIKE_BETA, _reach(a, b))
            for a, b in pairs
        )

    def _spacing(self, near: float) -> float:
        """Distance of the temperatures around a temperature."""
        distinct = np.unique(self._x)
        place = int(np.clip(np.searchsorted(distinct, near), 1, len(distinct) - 1))
        return float(distinct[place] - distinct[place - 1])

    def result(self, one: _Set) -> OrderParameter:
        """What was found, in the scan's own values and order."""
        intensity, error = self.peaks.mean(one.peaks, self._rows)
        return OrderParameter(
            clusters=one.clusters,
            branch=self.branch,
            scan=self.peaks.scan[self._rows],
            intensity=intensity,
            error=error * np.sqrt(one.fit.scale),
            transitions=tuple(self._transitions(one.fit)),
            reason=one.fit.reason,
            model=self._model(one),
            tail=one.fit.tail if one.fit.orders else None,
            criteria=one.fit.criteria,
            peaks=int(one.peaks.size),
            side="below" if self._mirror is None else "above",
            members=one.peaks,
        )

    def _transitions(self, fit: Fit) -> Iterator[Transition]:
        if not fit.orders or fit.best is None:
            return
        kind = "first-order" if fit.best.kind == FIRST_ORDER else "second-order"
        if fit.best.kind == SMEARED and fit.best.width > _CROSSOVER * fit.best.tc[0]:
            kind = "crossover"
        parts = zip(fit.tc, fit.beta, fit.best.rises, strict=True)
        for tc, beta, rise in sorted(parts, key=lambda part: -part[0].value):
            yield Transition(kind, self._unmirrored(tc), beta, Quantity(float(rise)), fit.width)

    def _unmirrored(self, tc: Quantity) -> Quantity:
        if self._mirror is None:
            return tc
        low, high = (None if end is None else self._mirror - end for end in (tc.high, tc.low))
        return Quantity(self._mirror - tc.value, low, high, tc.units)

    def _model(self, one: _Set) -> Float64Array:
        if one.fit.best is None:
            return np.empty((0, 2))
        even = np.linspace(self._x[0], self._x[-1], _MODEL_POINTS)
        kinks = [tc + side for tc in one.fit.best.tc for side in (-1e-9 * tc, 0.0)]
        x = np.unique(np.concatenate([even, self._x, kinks]))
        curve = one.fit.best.evaluate(x, one.curve)
        return np.stack([x if self._mirror is None else self._mirror - x, curve], axis=1)


def order_parameters(peaks: ClusterPeaks, seed: int = 0) -> list[OrderParameter]:
    """Find which clusters order, at what temperature and how.

    Every branch of the scan is taken by itself. Where the scan is no temperature, order is looked for on
    either side, and the one that describes it better is taken.

    Parameters
    ----------
    peaks : ClusterPeaks
    seed : int
        Of the draws of peaks.

    Returns
    -------
    list of OrderParameter
        Those that order first, by their lowest cluster; then clusters that do not.
    """
    found: list[OrderParameter] = []
    for branch, rows in branches(peaks.scan.values):
        sides = (False,) if peaks.scan.units.lower() in _KELVIN else (False, True)
        every = [OrderAnalysis(peaks, branch, rows, above=above, seed=seed) for above in sides]
        alone = [analysis.of_clusters() for analysis in every]
        best = {number: _clearest([sets[number] for sets in alone]) for number in alone[0]}
        for side, (analysis, sets) in enumerate(zip(every, alone, strict=True)):
            mine = [one for number, one in sets.items() if best[number] == side]
            found += [analysis.result(one) for one in analysis.found(mine)]
    return sorted(found, key=lambda one: (not one.transitions, one.branch, one.clusters))


def _clearest(sets: Sequence[_Set]) -> int:
    """On which side a cluster orders more clearly; the first where on neither."""
    odds = [one.fit.criteria.get(SMOOTH, 0.0) if one.fit.orders else -1.0 for one in sets]
    return odds.index(max(odds))


def onsets_of_peaks(
    peaks: ClusterPeaks, one: OrderParameter
) -> tuple[NDArray[np.intp], Float64Array, Float64Array, Float64Array]:
    """The onset of each peak of an order parameter whose own curve shows one.

    Returns
    -------
    peak : array, shape (m,)
        Which peaks.
    tc, low, high : array, shape (m,)
        Temperature and the ends of its 95 % interval.
    """
    name_of_branch = dict(branches(peaks.scan.values))
    analysis = OrderAnalysis(peaks, one.branch, name_of_branch[one.branch], above=one.side == "above")
    found = analysis.onsets_of(one)
    clear = np.isfinite(found.tc)
    return one.members[clear], found.tc[clear], found.low[clear], found.high[clear]


def _reach(a: Quantity, b: Quantity) -> float:
    """How far apart two values may be within their intervals."""
    reach = 1.5 * float(np.hypot(a.error, b.error))
    return reach if np.isfinite(reach) else float("inf")


def _all_apart(parts: Sequence[_Set]) -> bool:
    """Whether no two intervals of Tc overlap."""
    first = [part.fit.tc[0] for part in parts]
    ends = sorted((one.low, one.high) for one in first if one.low is not None and one.high is not None)
    return len(ends) == len(parts) and all(one[1] < other[0] for one, other in pairwise(ends))
