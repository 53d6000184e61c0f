"""Which temperatures may be measured next."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from xtec.core.errors import ConfigError
from xtec.core.types import Float64Array


class Direction(StrEnum):
    """Which way the temperature may go from where it is."""

    EITHER = "either"
    COOLING = "cooling"
    WARMING = "warming"


@dataclass(frozen=True)
class Bounds:
    """A range, a step, a direction.

    Attributes
    ----------
    low, high : float
        In K; temperatures are `low`, `low` + `step`, ... up to `high`.
    step : float
        In K.
    direction : Direction
    """

    low: float
    high: float
    step: float = 1.0
    direction: Direction = Direction.EITHER

    def __post_init__(self) -> None:
        if not (np.isfinite(self.low) and np.isfinite(self.high) and self.low < self.high):
            raise ConfigError(f"temperatures from {self.low:g} to {self.high:g} K are no range")
        if not 0 < self.step <= self.high - self.low:
            raise ConfigError(
                f"a step of {self.step:g} K does not fit into {self.low:g} to {self.high:g} K",
                hint="give a step above 0 and not above the range",
            )

    @property
    def temperatures(self) -> Float64Array:
        """All of them, rising."""
        n = int(np.floor((self.high - self.low) / self.step + 1e-9))
        return np.asarray(np.minimum(self.low + self.step * np.arange(n + 1), self.high))

    def allowed(self, measured: Float64Array) -> Float64Array:
        """Those that may come next, rising; empty where there is none.

        One counts as measured if a measured temperature lies within half a step. Those come again only when
        there are no others, and only where the way back is open.

        Parameters
        ----------
        measured : array, shape (n,)
            In the order of measuring: the direction starts from the last.
        """
        grid = self.temperatures
        if not measured.size:
            return grid
        new = np.abs(grid[:, None] - measured).min(axis=1) >= self.step / 2
        if self.direction is Direction.COOLING:
            new &= grid < measured[-1]
        elif self.direction is Direction.WARMING:
            new &= grid > measured[-1]
        elif not new.any():
            return grid
        return np.asarray(grid[new])
