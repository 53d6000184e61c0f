"""Cooling and warming: a scan that turns round is several curves."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from xtec.core.types import Float64Array

_TURN = 0.25
"""Share of the whole range that a scan must go back to have turned; less is a sensor that wanders."""

_LEAST = 8
"""Temperatures that a branch must have to be a curve of its own."""


def branches(values: Float64Array) -> list[tuple[str, NDArray[np.intp]]]:
    """Split a scan where it turns round.

    Parameters
    ----------
    values : array, shape (T,)
        Scan variable in the order of measurement.

    Returns
    -------
    list of (name, indices)
        One nameless branch with every index where the scan does not turn, or its parts are too short; else
        ``cooling`` and ``warming``, several of a kind numbered. The turning point belongs to both.
    """
    everything = [("", np.arange(len(values)))]
    turns = _turning_points(values)
    edges = [0, *turns, len(values) - 1]
    parts = [np.arange(start, stop + 1) for start, stop in pairwise(edges)]
    if len(parts) < 2 or min(map(len, parts)) < _LEAST:
        return everything
    names = ["warming" if values[part[-1]] > values[part[0]] else "cooling" for part in parts]
    return [
        (name if names.count(name) == 1 else f"{name} {names[: i + 1].count(name)}", part)
        for i, (name, part) in enumerate(zip(names, parts, strict=True))
    ]


def _turning_points(values: Float64Array) -> list[int]:
    """Places of the extremes between which the scan goes by more than a share of its range."""
    far = _TURN * float(np.ptp(values))
    turns: list[int] = []
    high = low = direction = 0
    for i, value in enumerate(values):
        high = i if direction >= 0 and value >= values[high] else high
        low = i if direction <= 0 and value <= values[low] else low
        if direction >= 0 and values[high] - value > far:
            turns += [high] if direction else []
            direction, low = -1, i
        elif direction <= 0 and value - values[low] > far:
            turns += [low] if direction else []
            direction, high = 1, i
    return turns
