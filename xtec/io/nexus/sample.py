"""What files say of the sample: NXsample, as NXRefine and the NeXus standard write it."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from xtec.core.quantities import Quantity, SampleInfo
from xtec.io.hdf5.links import Bounds, member, names_in
from xtec.io.hdf5.locate import read_values
from xtec.io.hdf5.opening import attribute, read_label
from xtec.io.nexus.writer import new_group

_CELL = ("a", "b", "c", "alpha", "beta", "gamma")
_STANDARD = ("unit_cell_abc", "unit_cell_alphabetagamma")
_CONDITIONS = "conditions"
"""Group of ours for what NXsample has no field for."""

_NO_CONDITION = ("mass", "density", "volume_fraction", "unit_cell_volume", "relative_molecular_mass")
"""Numbers of a sample that are no condition of the measurement."""


def read_sample(
    group: h5py.Group | None, scan: str = "temperature", bounds: Bounds | None = None
) -> SampleInfo:
    """Read an NXsample group.

    Parameters
    ----------
    group : h5py.Group or None
        None gives a sample of which nothing is known.
    scan : str
        Name of the scan variable, which is no condition that was held.
    bounds : Bounds, optional
        Where links may lead; by default the folder of the file and all below it.
    """
    if group is None:
        return SampleInfo()
    bounds = bounds or Bounds.around([Path(group.file.filename)])
    conditions = _numbers(group, bounds)
    held = member(group, _CONDITIONS, bounds)
    if isinstance(held, h5py.Group):
        conditions |= _numbers(held, bounds)
    conditions.pop(scan, None)
    return SampleInfo(
        name=_text(group, "name", bounds),
        formula=_text(group, "chemical_formula", bounds),
        cell=_cell(group, bounds),
        space_group=_text(group, "space_group", bounds),
        laue_group=_text(group, "laue_group", bounds) or _text(group, "point_group", bounds),
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


def _numbers(group: h5py.Group, bounds: Bounds) -> dict[str, Quantity]:
    """Single numbers of a group that may be conditions of a measurement."""
    found = {}
    for name in names_in(group):
        field = member(group, name, bounds)
        if not isinstance(field, h5py.Dataset) or name.startswith("unit") or name in _NO_CONDITION:
            continue
        if field.size == 1 and field.dtype.kind in "iuf":
            value = float(np.ravel(read_values(field, bounds))[0])
            if np.isfinite(value):
                found[name] = Quantity(value, units=read_label(attribute(field, "units")))
    return found


def _text(group: h5py.Group, name: str, bounds: Bounds) -> str:
    field = member(group, name, bounds)
    if not isinstance(field, h5py.Dataset) or field.size != 1 or not h5py.check_string_dtype(field.dtype):
        return ""
    return read_label(read_values(field, bounds))


def _cell(group: h5py.Group, bounds: Bounds) -> tuple[float, float, float, float, float, float] | None:
    """``unitcell_a`` ... as NXRefine writes them, or ``unit_cell_abc`` or ``unit_cell`` of the standard."""
    names = [f"unitcell_{letter}" for letter in _CELL]
    for there in (names, _STANDARD, ("unit_cell",)):
        fields = [member(group, name, bounds) for name in there]
        if all(isinstance(field, h5py.Dataset) and field.dtype.kind in "fiu" for field in fields):
            parts = [np.ravel(read_values(field, bounds)) for field in fields]
            values = np.concatenate(parts).astype(np.float64)
            if values.size >= len(_CELL) and np.isfinite(values[:6]).all() and values[:6].min() > 0:
                a, b, c, alpha, beta, gamma = map(float, values[:6])
                return a, b, c, alpha, beta, gamma
    return None
