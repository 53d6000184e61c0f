"""NeXus groups and fields as the viewers want them (NXDL 2026; nexusformat, silx, h5web)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import h5py
import numpy as np

from xtec.core.axes import Axis


def start_file(file: h5py.File, creator: str, version: str) -> None:
    """Attributes of the root."""
    file.attrs.update(
        {
            "NX_class": "NXroot",
            "default": "entry",
            "creator": creator,
            "creator_version": version,
            "file_name": file.filename,
            "file_time": now(),
            "HDF5_Version": h5py.version.hdf5_version,
            "h5py_version": h5py.version.version,
        }
    )


def now() -> str:
    """The time, ISO 8601 with its zone."""
    return datetime.now(UTC).astimezone().isoformat(timespec="seconds")


def new_group(parent: h5py.Group, name: str, nx_class: str) -> h5py.Group:
    """A group of a NeXus class."""
    group = parent.create_group(name)
    group.attrs["NX_class"] = nx_class
    return group


def write_axis(group: h5py.Group, axis: Axis) -> None:
    """A coordinate with its units and other attributes."""
    field = group.create_dataset(axis.name, data=axis.values)
    if axis.units:
        field.attrs["units"] = axis.units
    for name, value in axis.attributes.items():
        field.attrs[name] = value


def new_data(
    parent: h5py.Group, name: str, *, title: str, signals: Sequence[str], axes: Sequence[Axis]
) -> h5py.Group:
    """An NXdata group with its axes; the first signal is the main one, the others are auxiliary."""
    group = new_group(parent, name, "NXdata")
    group.attrs["signal"] = signals[0]
    if len(signals) > 1:
        group.attrs["auxiliary_signals"] = np.array(signals[1:], dtype=h5py.string_dtype())
    group.attrs["axes"] = np.array([axis.name for axis in axes], dtype=h5py.string_dtype())
    group["title"] = title
    for axis in axes:
        write_axis(group, axis)
    return group


def write_parameters(parent: h5py.Group, name: str, values: Mapping[str, Any], units: str = "") -> None:
    """Named values as an NXparameters group: numbers as numbers, text as text, the rest as JSON."""
    group = new_group(parent, name, "NXparameters")
    for key, value in values.items():
        if value is None:
            group[key] = "none"
        elif isinstance(value, bool | int | float | str):
            group[key] = value
        else:
            group[key] = json.dumps(value)
        if units:
            group[key].attrs["units"] = units
