"""What files say of the sample: NXsample, as NXRefine and the NeXus standard write it."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np

from xtec.core.quantities import Quantity, SampleInfo
from xtec.io.hdf5 import read_text
from xtec.io.nexus_writer import new_group

_CELL = ("a", "b", "c", "alpha", "beta", "gamma")
_STANDARD = ("unit_cell_abc", "unit_cell_alphabetagamma")
_CONDITIONS = "conditions"
"""Group of ours for what NXsample has no field for."""

_NO_CONDITION = ("mass", "density", "volume_fraction", "unit_cell_volume", "relative_molecular_mass")
"""Numbers of a sample that are no condition of the measurement."""


def read_sample(group: h5py.Group | None, scan: str = "temperature") -> SampleInfo:
    """Read an NXsample group.

    Parameters
    ----------
    group : h5py.Group or None
        None gives a sample of which nothing is known.
    scan : str
        Name of the scan variable, which is no condition that was held.
    """
    if group is None:
        return SampleInfo()
    conditions = _numbers(group)
    if isinstance(group.get(_CONDITIONS), h5py.Group):
        conditions |= _numbers(group[_CONDITIONS])
    conditions.pop(scan, None)
    return SampleInfo(
        name=_text(group, "name"),
        formula=_text(group, "chemical_formula"),
        cell=_cell(group),
        space_group=_text(group, "space_group"),
        laue_group=_text(group, "laue_group") or _text(group, "point_group"),
        conditions=conditions,
    )


def write_sample_info(entry: h5py.Group, sample: SampleInfo) -> h5py.Group:
    """Write an NXsample group that `read_sample` reads back."""
    group = new_group(entry, "sample", "NXsample")
    texts = {
        "name": sample.name,
        "chemical_formula": sample.formula,
        "space_group": sample.space_group,
        "point_group": sample.laue_group,
    }
    for name, text in texts.items():
        if text:
            group[name] = text
    if sample.cell is not None:
        for name, part, units in zip(_STANDARD, (slice(3), slice(3, 6)), ("angstrom", "degree"), strict=True):
            group[name] = sample.cell[part]
            group[name].attrs["units"] = units
    if sample.conditions:
        conditions = new_group(group, _CONDITIONS, "NXparameters")
        for name, quantity in sample.conditions.items():
            conditions[name] = quantity.value
            if quantity.units:
                conditions[name].attrs["units"] = quantity.units
    return group


def _numbers(group: h5py.Group) -> dict[str, Quantity]:
    """Single numbers of a group that may be conditions of a measurement."""
    found = {}
    for name in group:
        field = group.get(name)
        if not isinstance(field, h5py.Dataset) or name.startswith("unit") or name in _NO_CONDITION:
            continue
        if field.size == 1 and field.dtype.kind in "iuf":
            value = float(np.ravel(field[()])[0])
            if np.isfinite(value):
                found[name] = Quantity(value, units=read_text(field.attrs.get("units", "")))
    return found


def _text(group: h5py.Group, name: str) -> str:
    field = group.get(name)
    if not isinstance(field, h5py.Dataset) or field.dtype.kind not in "OSU" or field.size != 1:
        return ""
    value: Any = field[()] if field.shape == () else field[()].reshape(-1)[0]
    return read_text(value)


def _cell(group: h5py.Group) -> tuple[float, float, float, float, float, float] | None:
    """``unitcell_a`` ... as NXRefine writes them, or ``unit_cell_abc`` or ``unit_cell`` of the standard."""
    names = [f"unitcell_{letter}" for letter in _CELL]
    for there in (names, _STANDARD, ("unit_cell",)):
        if all(isinstance(group.get(name), h5py.Dataset) for name in there):
            values = np.concatenate([np.ravel(group[name][()]) for name in there]).astype(np.float64)
            if values.size >= len(_CELL) and np.isfinite(values[:6]).all() and values[:6].min() > 0:
                a, b, c, alpha, beta, gamma = map(float, values[:6])
                return a, b, c, alpha, beta, gamma
    return None
