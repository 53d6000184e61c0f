"""What the dimensions of a signal are: which is the scan, and the axes of the others in canonical order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import h5py
import numpy as np

from xtec.core.axes import Q_NAMES, Axis
from xtec.core.errors import AxisError, InputError
from xtec.core.quantities import SampleInfo
from xtec.io.hdf5.links import member
from xtec.io.hdf5.locate import read_values
from xtec.io.hdf5.opening import DatasetRef, open_hdf5, read_label
from xtec.io.nexus.data import NexusData, find_field, value_in_name
from xtec.io.nexus.sample import read_sample

_TEMPERATURE_NAMES = {"temperature", "temp", "te", "t"}
_Q_ALIASES = {"h": "Qh", "k": "Qk", "l": "Ql", "qh": "Qh", "qk": "Qk", "ql": "Ql"}
_Q_LIKE = {*_Q_ALIASES, "qx", "qy", "qz", "q", "two_theta", "twotheta", "2theta", "tth", "d", "r"}


def scan_dimension(data: NexusData, signal: DatasetRef, scan: str | None) -> int | None:
    """Which dimension of a signal is the scan; None if the signal is the volume of one temperature."""
    named = {axis.name: dimension for dimension, axis in enumerate(data.axes) if axis is not None}
    if scan in named:
        return named[scan]
    for dimension, axis in enumerate(data.axes):
        if axis is not None and (axis.name.lower() in _TEMPERATURE_NAMES or axis.units == "K"):
            return dimension
    others = [dimension for name, dimension in named.items() if name.lower() not in _Q_LIKE]
    rank = len(signal.shape)
    if rank in (2, 3, 4) and (len(others) == 1 or 0 in others):
        return others[0]
    if rank == 4 or (rank in (2, 3) and not data.axes and value_in_name(data.file) is None):
        return 0
    return None


def complete_axes(data: NexusData, signal: DatasetRef, scan: int | None = None) -> tuple[Axis, ...]:
    """The axes of a signal: pixel numbers where the file names none, bin edges turned into centres.

    `scan` is the dimension of the scan, if there is one. Reciprocal-space axes get their canonical names.
    """
    rank = len(signal.shape)
    if data.axes and len(data.axes) != rank:
        raise AxisError(
            f"{len(data.axes)} axes for a signal of {rank} dimensions", file=data.file, hdf5_path=data.path
        )
    named = [replace(axis, name=_canonical(axis.name)) if axis else None for axis in data.axes]
    taken = {axis.name for axis in named if axis}
    free = [name for name in Q_NAMES[-(rank if scan is None else rank - 1) :] if name not in taken]
    axes: list[Axis] = []
    for position, size in enumerate(signal.shape):
        axis = named[position] if named else None
        if axis is None:
            name, units = ("scan", "") if position == scan else (free.pop(0), "pixel")
            axis = Axis(name, np.arange(size, dtype=np.float64), units)
        elif len(axis) == size + 1:
            axis = replace(axis, values=(axis.values[1:] + axis.values[:-1]) / 2)
        if position == scan and axis.name.lower() in _TEMPERATURE_NAMES:
            axis = replace(axis, name="temperature", units=axis.units or "K")
        check_length(axis, size, data)
        axes.append(axis)
    return tuple(axes)


def _canonical(name: str) -> str:
    return _Q_ALIASES.get(name.lower(), name)


def canonical_order(axes: Sequence[Axis]) -> tuple[int, ...]:
    """Order that puts Ql, Qk, Qh slowest to fastest; other axes stay as they are."""
    names = [axis.name for axis in axes]
    if all(name in Q_NAMES for name in names):
        return tuple(sorted(range(len(axes)), key=lambda i: Q_NAMES.index(names[i])))
    return tuple(range(len(axes)))


def check_rank(signal: DatasetRef, data: NexusData, allowed: tuple[int, ...]) -> None:
    """Refuse a signal with too few or too many dimensions.

    Raises
    ------
    InputError
    """
    if len(signal.shape) not in allowed:
        raise InputError(
            f"the signal has {len(signal.shape)} dimensions",
            file=data.file,
            hdf5_path=data.signal,
            hint="a series has a scan axis and one to three axes in reciprocal space",
        )


def check_length(axis: Axis, size: int, data: NexusData) -> None:
    """Refuse an axis that does not fit its dimension.

    Raises
    ------
    AxisError
    """
    if len(axis) != size:
        raise AxisError(
            f"the axis has {len(axis)} values where the signal has {size}",
            file=data.file,
            hdf5_path=f"{data.path}/{axis.name}",
        )


def sample_name(data: NexusData) -> str:
    """Name of the sample, else the title, else the file's name."""
    with open_hdf5(data.file) as file:
        for name in ("sample/name", "title"):
            field = find_field(file, data.entry, name, data.bounds)
            if field is not None and field.shape in ((), (1,)):
                return read_label(read_values(field, data.bounds))
    return data.file.stem


def sample_of(data: NexusData, scan: str) -> SampleInfo:
    """What the file says of the sample; the scan variable is left out."""
    with open_hdf5(data.file) as file:
        group = member(file[data.entry], "sample", data.bounds)
        return read_sample(group if isinstance(group, h5py.Group) else None, scan, data.bounds)
