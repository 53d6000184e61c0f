"""Seeing through virtual datasets that stack one whole dataset for each temperature."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from xtec.io.hdf5 import DatasetRef, locate, open_hdf5
from xtec.io.series import PerTemperature, Stacked


def stacked_source(signal: DatasetRef, dimension: int, order: Sequence[int]) -> Stacked | PerTemperature:
    """The source of a stacked series: the datasets behind it where it is virtual and each is a temperature.

    Parameters
    ----------
    signal : DatasetRef
    dimension : int
        Of the scan.
    order : sequence of int
        Order of the other dimensions that puts them into L, K, H.
    """
    volumes = _volumes(signal, dimension) if signal.virtual else None
    if volumes is not None:
        return PerTemperature(volumes, tuple(order))
    positions = [position for position in range(len(signal.shape)) if position != dimension]
    return Stacked(signal, (dimension, *(positions[i] for i in order)))


def _volumes(signal: DatasetRef, dimension: int) -> tuple[DatasetRef, ...] | None:
    """The dataset of each index of the scan; None unless each is there once, whole and of the same type."""
    shape = signal.shape[:dimension] + signal.shape[dimension + 1 :]
    volumes: dict[int, DatasetRef] = {}
    with open_hdf5(signal.file) as file:
        sources = file[signal.path].virtual_sources()
    for source in sources:
        row = _row(source.vspace, dimension, signal.shape)
        folder, own = signal.file.parent, source.file_name == "."
        volume = locate(signal.file if own else folder / source.file_name, source.dset_name)
        if row is None or row in volumes or (volume.shape, volume.dtype) != (shape, signal.dtype):
            return None
        volumes[row] = volume
    complete = len(volumes) == signal.shape[dimension]
    return tuple(volumes[row] for row in sorted(volumes)) if complete else None


def _row(space: Any, dimension: int, shape: Sequence[int]) -> int | None:
    """Index of the scan that a source fills; None if it fills another part of the virtual dataset."""
    low, high = space.get_select_bounds()
    row = low[dimension]
    expected = [(0, size - 1) for size in shape]
    expected[dimension] = (row, row)
    filled = space.get_select_npoints() == math.prod(shape) // shape[dimension]
    return int(row) if filled and list(zip(low, high, strict=True)) == expected else None
