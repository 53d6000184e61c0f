"""Seeing through virtual datasets that stack one dataset, or the same part of one, for each temperature."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from xtec.io.hdf5.links import Bounds
from xtec.io.hdf5.locate import locate, virtual_source
from xtec.io.hdf5.opening import DatasetRef, open_hdf5
from xtec.io.reading.series import PerTemperature, Stacked


class _Filled(NamedTuple):
    """What fills one index of the scan.

    Attributes
    ----------
    volume : DatasetRef
    start : tuple of int
        Where the part that is taken begins.
    """

    volume: DatasetRef
    start: tuple[int, ...]


def stacked_source(
    signal: DatasetRef, dimension: int, order: Sequence[int], bounds: Bounds
) -> tuple[Stacked | PerTemperature, tuple[int, ...]]:
    """The source of a stacked series: the datasets behind it where it is virtual and each is a temperature.

    Parameters
    ----------
    signal : DatasetRef
    dimension : int
        Of the scan.
    order : sequence of int
        Order of the other dimensions that puts them into L, K, H.
    bounds : Bounds
        Where the datasets may be.

    Returns
    -------
    source : Stacked or PerTemperature
    origin : tuple of int
        Where the series starts in it along L, K, H.
    """
    filled = _filled(signal, dimension, bounds) if signal.virtual else None
    if filled is not None:
        volumes = tuple(one.volume for one in filled)
        return PerTemperature(volumes, tuple(order)), tuple(filled[0].start[i] for i in order)
    positions = [position for position in range(len(signal.shape)) if position != dimension]
    return Stacked(signal, (dimension, *(positions[i] for i in order))), (0,) * len(order)


def _filled(signal: DatasetRef, dimension: int, bounds: Bounds) -> list[_Filled] | None:
    """What fills each index of the scan; None unless all are there once, alike, and of the same type."""
    shape = signal.shape[:dimension] + signal.shape[dimension + 1 :]
    filled: dict[int, _Filled] = {}
    with open_hdf5(signal.file) as file:
        sources = file[signal.path].virtual_sources()
    for source in sources:
        row = _row(source.vspace, dimension, signal.shape)
        volume = locate(*virtual_source(signal.file, source), bounds)
        start = _start(source.src_space, volume.shape, shape)
        if row is None or row in filled or start is None or volume.dtype != signal.dtype:
            return None
        filled[row] = _Filled(volume, start)
    alike = len({(one.volume.shape, one.start) for one in filled.values()}) == 1
    complete = len(filled) == signal.shape[dimension]
    return [filled[row] for row in sorted(filled)] if complete and alike else None


def _row(space: Any, dimension: int, shape: Sequence[int]) -> int | None:
    """Index of the scan that a source fills; None if it fills another part of the virtual dataset."""
    low, high = space.get_select_bounds()
    row = low[dimension]
    expected = [(0, size - 1) for size in shape]
    expected[dimension] = (row, row)
    filled = space.get_select_npoints() == math.prod(shape) // shape[dimension]
    return int(row) if filled and list(zip(low, high, strict=True)) == expected else None


def _start(space: Any, whole: Sequence[int], shape: Sequence[int]) -> tuple[int, ...] | None:
    """Where the box of a source begins that is taken; None if what is taken is no box of this shape."""
    if len(whole) != len(shape):
        return None
    if not space.shape:  # all of it, whatever its shape
        return (0,) * len(shape) if tuple(whole) == tuple(shape) else None
    low, high = space.get_select_bounds()
    box = tuple(last - first + 1 for first, last in zip(low, high, strict=True))
    solid = space.get_select_npoints() == math.prod(shape)
    return tuple(map(int, low)) if solid and box == tuple(shape) else None
