"""What is found of order: transitions, order parameters, wave vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xtec.core.axes import Axis
from xtec.core.quantities import Quantity, SampleInfo
from xtec.core.types import Float64Array
from xtec.core.wording import plain


@dataclass(frozen=True)
class Transition:
    """Where an order parameter sets in.

    Attributes
    ----------
    kind : str
        ``second-order``, ``first-order`` or ``crossover``.
    tc : Quantity
        Temperature of the onset (of the jump; of the middle of a crossover).
    beta : Quantity or None
        Exponent: intensity follows (1 - T/Tc)^(2 beta). None where there is a jump.
    amplitude : Quantity
        Intensity gained below it, at the lowest temperature.
    width : Quantity or None
        Standard deviation of Tc over the sample, where the curve is smeared.
    """

    kind: str
    tc: Quantity
    beta: Quantity | None
    amplitude: Quantity
    width: Quantity | None = None


@dataclass(frozen=True)
class CurveReading:
    """What a plugin of the slot ``order_parameters`` makes of one curve.

    Attributes
    ----------
    kind : str
        ``second-order``, ``first-order``, ``crossover`` or ``none``.
    tc, beta : Quantity or None
        None where there is none, or the plugin says nothing of it.
    reason : str
        Why so, in a phrase.
    model : array, shape (M, 2)
        Temperatures and the curve; empty where there is none.
    facts : mapping
        What else was found, as JSON has it.
    """

    kind: str
    tc: Quantity | None = None
    beta: Quantity | None = None
    reason: str = ""
    model: Float64Array = field(default_factory=lambda: np.empty((0, 2)))
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class OrderParameter:
    """Intensity of one cluster, or of several that differ only in strength, and what was fitted to it.

    Attributes
    ----------
    clusters : tuple of int
    branch : str
        ``cooling`` or ``warming`` where a series has both, else empty.
    scan : Axis
        T temperatures, in the order of measurement.
    intensity, error : array, shape (T,)
        Mean over the voxels, and its standard error from counting and from what the fit leaves.
    transitions : tuple of Transition
        By falling temperature; empty if none was found.
    reason : str
        Why so, in a phrase.
    model : array, shape (M, 2)
        Temperatures and the fitted curve; empty where nothing was fitted.
    tail : Quantity or None
        Fluctuations: intensity at Tc that the transition leaves, as a share of the amplitude.
    criteria : mapping
        BIC of each kind of curve, relative to the best.
    peaks : int
        Peaks that take part.
    side : str
        ``below`` where it orders at low values of the scan variable, ``above`` at high ones.
    members : array
        Which peaks those are, 0..P-1.
    facts : mapping
        What a plugin found besides, as JSON has it.
    """

    clusters: tuple[int, ...]
    branch: str
    scan: Axis
    intensity: Float64Array
    error: Float64Array
    transitions: tuple[Transition, ...]
    reason: str
    model: Float64Array
    tail: Quantity | None = None
    criteria: Mapping[str, float] = field(default_factory=dict)
    peaks: int = 0
    side: str = "below"
    members: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, np.intp))
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fitted(self) -> Float64Array:
        """The fitted curve at the measured temperatures, shape (T,); NaN where nothing was fitted."""
        if not self.model.size:
            return np.full(len(self.scan), np.nan)
        order = np.argsort(self.model[:, 0])
        return np.interp(self.scan.values, *self.model[order].T)

    def title(self, wave_vectors: Sequence[str]) -> str:
        """What it is called in a figure: clusters, branch and the first two of its wave vectors."""
        word = "clusters" if len(self.clusters) > 1 else "cluster"
        parts = [f"{word} {', '.join(map(str, self.clusters))}", self.branch]
        return ", ".join(part for part in [*parts, *(f"q = {text}" for text in wave_vectors[:2])] if part)


@dataclass(frozen=True)
class Arm:
    """One member of the star of a wave vector.

    Attributes
    ----------
    q, uncertainty : array, shape (3,)
        (H, K, L) in r.l.u., each in (-1/2, 1/2]; NaN along an axis that was not measured. The
        uncertainty is a standard error.
    peaks : int
        Peaks found there.
    zones : int
        Different zones among them.
    """

    q: Float64Array
    uncertainty: Float64Array
    peaks: int
    zones: int


@dataclass(frozen=True)
class WaveVector:
    """An ordering wave vector.

    Attributes
    ----------
    clusters : tuple of int
    order_parameter : int
        Number of the order parameter it belongs to, from 1; 0 where that is not known.
    q, uncertainty : array, shape (3,)
        (H, K, L) in r.l.u. of the member of the star with the fewest negative components, then the most
        zeros, then the largest H, K, L; mean over the arms. NaN along an axis that was not measured.
    fraction : tuple of str or None
        The simple fraction that each component agrees with, ``"1/2"``; None where it agrees with none.
    peaks : int
        Peaks used.
    arms : sequence of Arm
        Members of the star that were found.
    multiplicity : int
        Members of the star.
    zones, zones_measured : int
        Zones that show it, and zones of which the data hold one of its positions.
    """

    clusters: tuple[int, ...]
    q: Float64Array
    uncertainty: Float64Array
    fraction: tuple[str | None, ...]
    peaks: int
    arms: Sequence[Arm]
    multiplicity: int
    zones: int
    zones_measured: int
    order_parameter: int = 0

    @property
    def text(self) -> str:
        """``(1/2, 1/2, 0)``; components that are no simple fraction as decimals, unmeasured ones as ``?``."""
        parts = zip(self.q, self.fraction, strict=True)
        return f"({', '.join(_component(value, fraction) for value, fraction in parts)})"

    @property
    def is_bragg(self) -> bool:
        """Whether it is a reciprocal lattice vector: order inside the unit cell."""
        return all(part in ("0", None) for part in self.fraction) and not np.nanmax(np.abs(self.q)) > 0.05


def _component(value: float, fraction: str | None) -> str:
    if fraction is not None:
        return fraction
    return f"{value:.3f}" if np.isfinite(value) else "?"


@dataclass(frozen=True)
class PeakOnsets:
    """Onsets of single peaks whose own curve shows one.

    Attributes
    ----------
    peak : array, shape (m,)
        Which peaks, 0..P-1.
    order_parameter : array, shape (m,)
        Number of the order parameter that each belongs to, from 1.
    tc, low, high : array, shape (m,)
        Temperature and 95 % interval.
    """

    peak: NDArray[np.intp]
    order_parameter: NDArray[np.intp]
    tc: Float64Array
    low: Float64Array
    high: Float64Array


@dataclass(frozen=True)
class MovingPeaks:
    """A cluster of voxels on one flank of peaks that move.

    Attributes
    ----------
    cluster : int
    partners : tuple of int
        Clusters on the other flank, which go the opposite way.
    opposite : float
        Share of its voxels that lie opposite those, on the same maximum.
    explained : float
        Share of what changes in it, as a sum of squares, that displacements of the maxima explain.
    maxima : int
        Maxima where both flanks are.
    quantity : str
        What shifts: ``q``, or the name of the axis.
    shift : Quantity or None
        Relative shift for a unit of the scan that is common to all, d ln q / dT.
    scan : str
        Name of the scan variable.
    thermal : bool
        Whether that is a temperature.
    """

    cluster: int
    partners: tuple[int, ...]
    opposite: float
    explained: float
    maxima: int
    quantity: str
    shift: Quantity | None
    scan: str
    thermal: bool

    @property
    def name(self) -> str:
        """What it is called: thermal expansion only where q clearly falls on heating, or a distance grows."""
        grows = -1 if self.quantity == "q" else 1
        end = None if self.shift is None else self.shift.low if grows > 0 else self.shift.high
        expands = self.thermal and end is not None and grows * end > 0
        return "peaks move (thermal expansion)" if expands else "peaks move"

    @property
    def text(self) -> str:
        """The name, the partners and the shift, in a phrase."""
        word = "clusters" if len(self.partners) > 1 else "cluster"
        partners = f"{word} {', '.join(map(str, self.partners))}"
        share = f"{100 * self.opposite:.0f} % of its voxels"
        text = f"{self.name}: {share} lie opposite {partners} on {self.maxima:,} maxima"
        if self.shift is None:
            return text
        along = "T" if self.thermal else self.scan
        shift = f"({plain(self.shift.times(1e6))}) 10^-6 {self.shift.units}".rstrip()
        return f"{text}, d ln {self.quantity}/d{along} = {shift}"


@dataclass(frozen=True)
class OrderFindings:
    """What `xtec order-parameter` finds out.

    Attributes
    ----------
    run : str
        Name of the run.
    sample : SampleInfo
    order_parameters : sequence of OrderParameter
        Those that order, numbered from 1 in this order.
    others : sequence of OrderParameter
        Clusters that do not.
    wave_vectors : sequence of WaveVector
        By falling number of peaks, for each order parameter in turn.
    symmetry : str
        Laue group that stars are made with, and where it comes from.
    onsets : PeakOnsets or None
        Where they were asked for.
    warnings : sequence of str
    method : mapping
        The plugin that read the curves; empty for power laws.
    moving : sequence of MovingPeaks
        Clusters, among `others`, that change because peaks move.
    """

    run: str
    sample: SampleInfo
    order_parameters: Sequence[OrderParameter]
    others: Sequence[OrderParameter]
    wave_vectors: Sequence[WaveVector]
    symmetry: str
    onsets: PeakOnsets | None = None
    warnings: Sequence[str] = ()
    method: Mapping[str, Any] = field(default_factory=dict)
    moving: Sequence[MovingPeaks] = ()

    def wave_vectors_of(self, one: OrderParameter) -> list[WaveVector]:
        """Wave vectors of an order parameter."""
        number = next(i for i, other in enumerate(self.order_parameters, start=1) if other is one)
        return [vector for vector in self.wave_vectors if vector.order_parameter == number]
