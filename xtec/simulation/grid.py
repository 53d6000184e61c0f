"""Where a series is measured: the grid in reciprocal space and the temperatures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from xtec.core.axes import Q_NAMES, Axis
from xtec.core.errors import ConfigError
from xtec.core.types import Float64Array


def axis_values(low: float, high: float, pixels: int) -> Float64Array:
    """Coordinates from `low` to `high` in r.l.u. with `pixels` steps per r.l.u., both ends included.

    Raises
    ------
    ConfigError
        If the interval is empty or infinite, or `pixels` is below one.
    """
    if pixels < 1:
        raise ConfigError(f"pixels per r.l.u. must be at least 1, got {pixels}")
    if not (np.isfinite(low) and np.isfinite(high) and low <= high):
        raise ConfigError(
            f"the grid needs finite ends, got {low:g}:{high:g}", hint="write LOW:HIGH, LOW <= HIGH"
        )
    steps = np.arange(round(low * pixels), round(high * pixels) + 1, dtype=np.float64)
    return np.asarray(steps / pixels)


def temperature_steps(low: float, high: float, number: int) -> tuple[float, ...]:
    """Evenly spaced temperatures in whole kelvins, or in hundredths where whole ones would coincide.

    Raises
    ------
    ConfigError
        If the interval or the number makes no sense.
    """
    if number < 1 or not 0 < low <= high < np.inf or (number > 1 and low == high):
        raise ConfigError(f"cannot place {number} temperatures in {low:g}:{high:g} K")
    even = np.linspace(low, high, number)
    whole = np.rint(even)
    fine = len(np.unique(whole)) < number or whole[0] <= 0
    return tuple(float(value) for value in (np.round(even, 2) if fine else whole))


class ScanPoint(NamedTuple):
    """One measurement of a scan: its temperature in K, and whether it is on the way back of a cycle."""

    temperature: float
    warming: bool = False


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Regular grid in r.l.u., and the temperatures.

    Parameters
    ----------
    ql, qk, qh : tuple (low, high)
        Closed intervals in r.l.u.
    pixels : int
        Grid steps per r.l.u., the same along every axis.
    temperatures : tuple of float
        In K, rising, all positive.
    planar : bool
        One plane at the lower end of `ql`; files then have no Ql axis.
    cycle : bool
        Measure from the highest temperature down to the lowest and up again; the lowest is measured once.

    Raises
    ------
    ConfigError
        If an interval, the step or a temperature makes no sense.
    """

    ql: tuple[float, float]
    qk: tuple[float, float]
    qh: tuple[float, float]
    pixels: int
    temperatures: tuple[float, ...]
    planar: bool = False
    cycle: bool = False

    def __post_init__(self) -> None:
        for low, high in (self.ql, self.qk, self.qh):
            axis_values(low, high, self.pixels)
        rising = all(b > a for a, b in zip(self.temperatures, self.temperatures[1:], strict=False))
        if not self.temperatures or min(self.temperatures) <= 0 or not rising:
            raise ConfigError("temperatures must be positive and rising, one at least")

    @property
    def q(self) -> tuple[Float64Array, Float64Array, Float64Array]:
        """Coordinates along L, K and H in r.l.u."""
        plane_or_slab = (self.ql[0], self.ql[0]) if self.planar else self.ql
        ql, qk, qh = (axis_values(low, high, self.pixels) for low, high in (plane_or_slab, self.qk, self.qh))
        return ql, qk, qh

    @property
    def scan(self) -> tuple[ScanPoint, ...]:
        """The measurements in their order."""
        if not self.cycle:
            return tuple(ScanPoint(temperature) for temperature in self.temperatures)
        cooling = [ScanPoint(temperature) for temperature in reversed(self.temperatures)]
        return (*cooling, *(ScanPoint(temperature, warming=True) for temperature in self.temperatures[1:]))

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """``(T, L, K, H)``."""
        ql, qk, qh = self.q
        return len(self.scan), len(ql), len(qk), len(qh)

    def axes(self, reciprocal_lengths: tuple[float, float, float]) -> tuple[Axis, Axis, Axis]:
        """Axes Ql, Qk, Qh with the attributes NXRefine gives them, for a*, b*, c* in 1/angstrom."""
        ql, qk, qh = (
            Axis(name, values, "r.l.u.", _q_attributes(name, length))
            for name, values, length in zip(Q_NAMES, self.q, reversed(reciprocal_lengths), strict=True)
        )
        return ql, qk, qh


def _q_attributes(name: str, reciprocal_length: float) -> dict[str, str | float]:
    return {"long_name": f"{name[1].upper()} (r.l.u.)", "scaling_factor": reciprocal_length}
