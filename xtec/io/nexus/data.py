"""Finding the NXdata of a series in a NeXus file: signal, axes, scan value."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from xtec.core.axes import Axis
from xtec.core.errors import AxisError, InputError, SeriesNotFoundError
from xtec.core.wording import offered
from xtec.io.hdf5.links import Bounds, groups_in, hint_of, member, names_in
from xtec.io.hdf5.locate import read_values
from xtec.io.hdf5.opening import attribute, open_hdf5, read_label, read_text

GROUP_ALIASES = {
    "symm_masked_transform": "masked_symm_transform",
    "masked_symm_transform": "symm_masked_transform",
}


@dataclass(frozen=True)
class NexusData:
    """One NXdata group.

    Attributes
    ----------
    file : Path
    path : str
        The group inside the file.
    signal : str
        Path of the signal inside the file (a link, perhaps).
    axes : tuple of Axis or None
        One an axis of the signal, None where the file names none. Lengths are not yet checked.
    angles : array or None
        ``@angles`` between the reciprocal-space axes, degrees.
    entry : str
        The NXentry around it.
    bounds : Bounds
        Where links of the file may lead.
    """

    file: Path
    path: str
    signal: str
    axes: tuple[Axis | None, ...]
    angles: NDArray[np.float64] | None
    entry: str
    bounds: Bounds


def find_data(
    path: Path, *, entry: str | None = None, group: str | None = None, bounds: Bounds | None = None
) -> NexusData:
    """Find the NXdata to read in a file.

    Order: `group` inside `entry` if asked for; ``transform`` (the layout of NXRefine); the file's default
    plot; the first NXdata with a signal. Links may lead to where `bounds` allows, by default the folder of
    the file and all below it.

    Raises
    ------
    SeriesNotFoundError
        If there is none, or not the one asked for.
    InputError
        If its signal or axes cannot be read.
    """
    bounds = bounds or Bounds.around([path])
    with open_hdf5(path) as file:
        top = _find_entry(file, path, entry, bounds)
        nxdata = _find_group(top, path, group, bounds)
        return _read_group(nxdata, path, top.name, bounds)


def _find_entry(file: h5py.File, path: Path, entry: str | None, bounds: Bounds) -> h5py.Group:
    if entry is not None:
        found = member(file["/"], entry, bounds)
        if not isinstance(found, h5py.Group):
            hint = _there(file["/"], entry, bounds)
            raise SeriesNotFoundError("there is no such group", file=path, hdf5_path=entry, hint=hint)
        return found
    default = member(file["/"], read_text(attribute(file["/"], "default")) or "entry", bounds)
    if isinstance(default, h5py.Group):
        return default
    for child in groups_in(file["/"], bounds):
        if _is(child, "NXentry"):
            return child
    hint = hint_of(file["/"], bounds)
    raise SeriesNotFoundError("no NXdata in this file", file=path, hint=hint)


def _find_group(top: h5py.Group, path: Path, group: str | None, bounds: Bounds) -> h5py.Group:
    if group is not None:
        for name in (group, GROUP_ALIASES.get(group, group)):
            found = member(top, name, bounds)
            if isinstance(found, h5py.Group):
                return found
        hint = _there(top, group, bounds)
        raise SeriesNotFoundError(f"no group named {group}", file=path, hdf5_path=top.name, hint=hint)
    if _is(top, "NXdata"):
        return top
    for name in ("transform", read_text(attribute(top, "default"))):
        child = member(top, name, bounds) if name else None
        if isinstance(child, h5py.Group) and _is(child, "NXdata"):
            return child
    for child in groups_in(top, bounds):
        if _is(child, "NXdata") and _signal_name(child) is not None:
            return child
    hint = hint_of(top, bounds)
    raise SeriesNotFoundError("no NXdata in this file", file=path, hdf5_path=top.name, hint=hint)


def _there(top: h5py.Group, name: str, bounds: Bounds) -> str:
    """What is there of a path that leads to no group, where it ends, and the closest."""
    place, within = top, [part for part in name.split("/") if part]
    while within and isinstance(child := member(place, within[0], bounds), h5py.Group):
        place, within = child, within[1:]
    names = [child.name.rsplit("/", 1)[-1] for child in groups_in(place, bounds)]
    where = "here" if place == top else f"in {place.name}"
    return f"groups {where}: {offered(within[0] if within else name, names)}"


def _is(group: h5py.Group, nx_class: str) -> bool:
    return read_text(attribute(group, "NX_class")) == nx_class


def _signal_name(group: h5py.Group) -> str | None:
    if "signal" in group.attrs:
        return read_text(attribute(group, "signal"))
    for name in names_in(group):
        if isinstance(group.get(name, getlink=True), h5py.HardLink):
            child = group.get(name)
            if isinstance(child, h5py.Dataset) and "signal" in child.attrs:
                return name
    return None


def _read_group(group: h5py.Group, path: Path, entry: str, bounds: Bounds) -> NexusData:
    signal = _signal_name(group)
    if signal is None:
        raise SeriesNotFoundError("this NXdata names no signal", file=path, hdf5_path=group.name)
    if not signal or group.get(signal, getlink=True) is None:
        raise SeriesNotFoundError(f"the signal {signal!r} is missing", file=path, hdf5_path=group.name)
    names = _axis_names(group, signal)
    axes = tuple(None if name == "." else read_axis(group, name, path, bounds) for name in names)
    return NexusData(
        path,
        group.name,
        f"{group.name.rstrip('/')}/{signal}",
        axes,
        _read_angles(group, path),
        entry,
        bounds,
    )


def _read_angles(group: h5py.Group, path: Path) -> NDArray[np.float64] | None:
    angles = attribute(group, "angles")
    if angles is None:
        return None
    numbers = np.asarray(angles)
    if numbers.dtype.kind not in "fiu" or not np.isfinite(numbers).all():
        raise InputError("@angles are not numbers", file=path, hdf5_path=group.name)
    return numbers.astype(np.float64)


def _axis_names(group: h5py.Group, signal: str) -> list[str]:
    names = attribute(group, "axes")
    if names is None and isinstance(group.get(signal, getlink=True), h5py.HardLink):
        names = attribute(group[signal], "axes")  # the older convention
    if names is None:
        return []
    if isinstance(names, np.ndarray) and names.size > 1:
        return [read_text(name) for name in names]
    return [part for part in re.split(r"[:,\s\[\]]+", read_text(names)) if part]


def read_axis(group: h5py.Group, name: str, path: Path, bounds: Bounds) -> Axis:
    """Read one axis of an NXdata group.

    Raises
    ------
    SeriesNotFoundError
        If it is not there.
    AxisError
        If it is not one-dimensional, or has values that are not finite.
    """
    dataset = member(group, name, bounds)
    where = f"{group.name}/{name}"
    if not isinstance(dataset, h5py.Dataset):
        raise SeriesNotFoundError(f"the axis {name!r} is missing", file=path, hdf5_path=group.name)
    if not dataset.shape or dataset.ndim != 1 or dataset.dtype.kind not in "fiu":
        raise AxisError("an axis must be a list of numbers", file=path, hdf5_path=where)
    values = np.asarray(read_values(dataset, bounds), dtype=np.float64)
    bad = int(np.count_nonzero(~np.isfinite(values)))
    if bad:
        raise AxisError(
            f"{bad} of {values.size} values of this axis are not finite", file=path, hdf5_path=where
        )
    found = {key: attribute(dataset, key) for key in ("long_name", "scaling_factor")}
    attributes = {key: _plain(value) for key, value in found.items() if value is not None}
    return Axis(name, values, read_label(attribute(dataset, "units")), attributes)


def _plain(value: object) -> object:
    """An attribute as it goes into results: text without bytes that are none."""
    return read_label(value) if isinstance(value, str | bytes) else value


def find_field(file: h5py.File, group: str, name: str, bounds: Bounds) -> h5py.Dataset | None:
    """The dataset of a name in a group, or else in one of the groups around it."""
    place: h5py.Group = file[group]
    while True:
        field = member(place, name, bounds)
        if isinstance(field, h5py.Dataset):
            return field
        if place.name == "/":
            return None
        place = place.parent


def read_scan_axis(data: NexusData, name: str) -> Axis:
    """A scan axis that is asked for by name: in the NXdata group or around it, ``sample/stress`` say.

    Raises
    ------
    SeriesNotFoundError
        If it is not there.
    AxisError
        If it is not one-dimensional, or has values that are not finite.
    """
    with open_hdf5(data.file) as file:
        field = find_field(file, data.path, name, data.bounds)
        if field is None:
            fields = ", ".join(
                key for key, child in file[data.path].items() if getattr(child, "ndim", 0) == 1
            )
            raise SeriesNotFoundError(
                f"there is no scan variable {name!r}",
                file=data.file,
                hdf5_path=data.path,
                hint=f"lists of numbers here: {fields or 'none'}",
            )
        return read_axis(field.parent, field.name.rsplit("/", 1)[-1], data.file, data.bounds)


def read_scan_value(data: NexusData, scan: str | None) -> Axis:
    """The one temperature (or other scan value) of a per-temperature file, as an axis of length one.

    It is taken from the sample group; only if that has none, from the file name (``SAMPLE_12p5K.nxs``).

    Raises
    ------
    InputError
        If there is none.
    """
    name = scan or "sample/temperature"
    with open_hdf5(data.file) as file:
        field = find_field(file, data.path, name, data.bounds)
        if field is not None and field.size == 1 and field.dtype.kind in "fiu":
            value = np.asarray(read_values(field, data.bounds), dtype=np.float64).reshape(1)
            units = read_label(attribute(field, "units") or ("K" if scan is None else ""))
            if not np.isfinite(value).all():
                raise InputError("the scan value is not finite", file=data.file, hdf5_path=field.name)
            return Axis(name.rsplit("/", 1)[-1], value, units)
    from_name = None if scan is not None else value_in_name(data.file)
    if from_name is None:
        raise InputError(
            "no scan value in this file, nor a temperature in its name",
            file=data.file,
            hdf5_path=f"{data.entry.rstrip('/')}/{name}",
            hint="name the field that holds it with --scan, as sample/magnetic_field",
        )
    return from_name


def value_in_name(path: Path) -> Axis | None:
    """Scan value that a file name ends in, as NXRefine writes it: ``X_12p5K`` is 12.5 K, ``X_m2T`` -2 T."""
    match = re.search(r"(?:^|[_-])(m?)(\d+(?:[p.]\d+)?)\s*([A-Za-z]*)$", path.stem)
    if match is None:
        return None
    minus, digits, units = match.groups()
    value = float(digits.replace("p", ".")) * (-1 if minus else 1)
    name = "temperature" if units in ("", "K") else "scan"
    return Axis(name, np.array([value]), units or "K")
