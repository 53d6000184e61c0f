"""Reciprocal-space and scan axes, and selection on them by coordinate value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xtec.core.errors import AxisError, ConfigError

Q_NAMES = ("Ql", "Qk", "Qh")
"""Canonical order of the reciprocal-space axes: L slowest, H fastest."""

_SHORT_NAMES = {"H": "Qh", "K": "Qk", "L": "Ql"}


@dataclass(frozen=True)
class Axis:
    """One coordinate axis.

    Parameters
    ----------
    name : str
        ``Qh``, ``Qk``, ``Ql``, ``two_theta``, ``temperature``, ...
    values : array, shape (n,), float64
        Coordinates, in `units`.
    units : str
        ``r.l.u.``, ``K``, ``T``, ``deg``, ...; may be empty.
    attributes : mapping
        Other attributes of the field in the file (``long_name``, ``scaling_factor``), copied to results.
    """

    name: str
    values: NDArray[np.float64]
    units: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def step(self) -> float:
        """Median spacing of neighbouring values (0 for a single value)."""
        return float(np.median(np.diff(self.values))) if len(self) > 1 else 0.0

    @property
    def label(self) -> str:
        """Text for a figure's axis: ``H (r.l.u.)``, ``temperature (K)``."""
        letters = {full: letter for letter, full in _SHORT_NAMES.items()}
        short = letters.get(self.name, self.name.replace("_", " "))
        return f"{short} ({self.units})" if self.units else short

    def __getitem__(self, which: slice | NDArray[np.bool_] | NDArray[np.intp]) -> Axis:
        return Axis(self.name, self.values[which], self.units, self.attributes)


Region = Mapping[str, tuple[float, float]]
"""Closed intervals by axis name, ``{"Qh": (-15.0, 15.0)}``."""


def parse_region(text: str) -> dict[str, tuple[float, float]]:
    """Read ``"H=-15:15,K=-10:10,L=0:1"``; either end may be left out.

    Returns
    -------
    dict
        Closed interval for each axis; ``H``, ``K``, ``L`` stand for ``Qh``, ``Qk``, ``Ql``.

    Raises
    ------
    ConfigError
        If a part is not ``NAME=LOW:HIGH``, an interval is empty, or an axis is named twice.
    """
    region: dict[str, tuple[float, float]] = {}
    for part in text.split(","):
        name, equals, interval = (piece.strip() for piece in part.partition("="))
        if not name or not equals:
            raise ConfigError(
                f"region: cannot read {part.strip()!r}", hint='write it as "H=-15:15,K=-10:10,L=0:1"'
            )
        axis = _SHORT_NAMES.get(name.upper(), name)
        if axis in region:
            raise ConfigError(f"region: {axis} is named twice")
        region[axis] = parse_interval(interval, what=f"region {name}")
    return region


def parse_interval(text: str, *, what: str) -> tuple[float, float]:
    """Read ``LOW:HIGH`` (either end may be left out) as a closed interval."""
    low_text, colon, high_text = text.partition(":")
    try:
        low = float(low_text) if low_text.strip() else -np.inf
        high = float(high_text) if high_text.strip() else np.inf
    except ValueError:
        raise ConfigError(f"{what}: {text!r} is not an interval", hint="write it as LOW:HIGH") from None
    if not colon or not low <= high:
        raise ConfigError(f"{what}: {text!r} is not an interval", hint="write it as LOW:HIGH, LOW <= HIGH")
    return low, high


def inside_interval(axis: Axis, interval: tuple[float, float]) -> NDArray[np.bool_]:
    """Which values lie inside a closed interval.

    The ends are widened by a thousandth of a step, so that ``0.3`` finds ``0.30000000000000004``.
    """
    slack = 1e-3 * abs(axis.step)
    return np.asarray((axis.values >= interval[0] - slack) & (axis.values <= interval[1] + slack))


def select_interval(axis: Axis, interval: tuple[float, float], *, file: str | None = None) -> slice:
    """Indices of the values inside a closed interval of a monotonic axis; see `inside_interval`.

    Raises
    ------
    AxisError
        If no value lies inside.
    """
    inside = np.flatnonzero(inside_interval(axis, interval))
    if inside.size == 0:
        low, high = interval
        whole = f"{axis.name} runs from {axis.values.min():g} to {axis.values.max():g} {axis.units}"
        raise AxisError(f"{axis.name}: nothing between {low:g} and {high:g}", file=file, hint=whole.rstrip())
    return slice(int(inside[0]), int(inside[-1]) + 1)


def select_region(axes: Sequence[Axis], region: Region, *, file: str | None = None) -> tuple[slice, ...]:
    """Slices of each axis that a region asks for; axes it does not name are taken whole.

    Raises
    ------
    ConfigError
        If the region names an axis that is not there.
    AxisError
        If an interval holds no value of its axis.
    """
    names = [axis.name for axis in axes]
    unknown = sorted(set(region) - set(names))
    if unknown:
        raise ConfigError(
            f"region: no axis named {', '.join(unknown)}", file=file, hint=f"the axes are {', '.join(names)}"
        )
    return tuple(
        select_interval(axis, region[axis.name], file=file) if axis.name in region else slice(0, len(axis))
        for axis in axes
    )
