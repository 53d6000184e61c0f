"""A number with its interval, and what is known of a sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Quantity:
    """A number with its 95 % interval.

    Attributes
    ----------
    value : float
    low, high : float or None
        Ends of the interval; None where that end cannot be given.
    units : str
    """

    value: float
    low: float | None = None
    high: float | None = None
    units: str = ""

    @property
    def error(self) -> float:
        """Half the length of the interval; NaN where an end is missing."""
        return float("nan") if self.low is None or self.high is None else (self.high - self.low) / 2

    def holds(self, value: float) -> bool:
        """Whether a value lies in the interval; an end that is missing holds everything on its side."""
        return (self.low is None or self.low <= value) and (self.high is None or value <= self.high)

    def times(self, factor: float) -> Quantity:
        """Value and ends times a positive factor, without units."""
        low, high = (None if end is None else factor * end for end in (self.low, self.high))
        return Quantity(factor * self.value, low, high)

    def as_json(self) -> dict[str, Any] | None:
        """Plain values; None where the number is not finite."""
        if not np.isfinite(self.value):
            return None
        return {"value": self.value, "low": self.low, "high": self.high, "units": self.units}


@dataclass(frozen=True)
class SampleInfo:
    """What a file says of its sample.

    Attributes
    ----------
    name, formula : str
    cell : tuple (a, b, c, alpha, beta, gamma) or None
        In angstrom and degrees.
    space_group, laue_group : str
        Hermann-Mauguin symbols; empty where the file has none.
    conditions : mapping
        Quantities that were held while the scan ran: ``composition``, ``magnetic_field``, ``pressure``, ...
    """

    name: str = ""
    formula: str = ""
    cell: tuple[float, float, float, float, float, float] | None = None
    space_group: str = ""
    laue_group: str = ""
    conditions: Mapping[str, Quantity] = field(default_factory=dict)
