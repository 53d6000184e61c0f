"""A phase diagram: transitions of samples and the boundaries through them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xtec.core.quantities import Quantity
from xtec.core.types import Float64Array


@dataclass(frozen=True)
class DiagramPoint:
    """One transition of one sample, or the absence of one.

    Attributes
    ----------
    name : str
        Sample.
    x : float
    tc : Quantity or None
        None where no transition was found.
    upper_limit : float or None
        Without a transition: the temperature that Tc is below.
    boundary : str
        Which transition it is, where samples have several: its wave vector, or its cluster.
    beta : Quantity or None
    kind : str
    """

    name: str
    x: float
    tc: Quantity | None
    upper_limit: float | None
    boundary: str = ""
    beta: Quantity | None = None
    kind: str = ""


@dataclass(frozen=True)
class Boundary:
    """``Tc = T0 (1 - x/xc)^phi`` through the transitions of several samples.

    Attributes
    ----------
    name : str
        As in `DiagramPoint.boundary`.
    t0, xc, phi : Quantity or None
        None where the samples are too few.
    band : array, shape (M, 4)
        x, Tc, and the ends of its 95 % band.
    scatter : float
        Standard deviation of the transitions about the boundary beyond their own errors, in K.
    note : str
        What to doubt.
    """

    name: str
    t0: Quantity | None
    xc: Quantity | None
    phi: Quantity | None
    band: Float64Array
    scatter: float = 0.0
    note: str = ""


@dataclass(frozen=True)
class PhaseDiagram:
    """Transition temperatures against a variable of the samples.

    Attributes
    ----------
    variable, units : str
        ``composition``, ``magnetic_field``, ...
    temperature_units : str
    points : sequence of DiagramPoint
    boundaries : sequence of Boundary
    """

    variable: str
    units: str
    temperature_units: str
    points: Sequence[DiagramPoint]
    boundaries: Sequence[Boundary]
