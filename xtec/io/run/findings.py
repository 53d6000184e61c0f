"""Writing what was read off a run: NeXus and CSV beside its results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from xtec.core.axes import Axis
from xtec.core.order import OrderFindings, OrderParameter
from xtec.core.reflections import UnitCellFindings
from xtec.io.hdf5.output import new_hdf5
from xtec.io.nexus.sample import write_sample_info
from xtec.io.nexus.writer import new_data, new_group, now, start_file, write_parameters
from xtec.io.reading.provenance import program_version
from xtec.io.run import tables
from xtec.io.run.broken_symmetry import operations


def write_order_parameter(folder: Path, findings: OrderFindings, parameters: Mapping[str, Any]) -> None:
    """Write ``order_parameter.nxs`` and its tables as CSV.

    Raises
    ------
    OutputError
        If one cannot be written.
    """
    found = findings.order_parameters
    frames = {
        "transitions": tables.transitions(found),
        "wave_vectors": tables.wave_vectors(findings),
        "arms": tables.arms(findings),
        "peak_onsets": tables.onsets(findings),
    }
    path = folder / "order_parameter.nxs"
    with new_hdf5(path) as file:
        entry = start_entry(file, path, f"order parameters of {findings.run}", parameters)
        write_sample_info(entry, findings.sample)
        for number, one in enumerate(found, start=1):
            _write_curve(entry, f"order_parameter_{number}", one)
        if found:
            entry.attrs["default"] = "order_parameter_1"
        titles = {"transitions": "tc", "wave_vectors": "peaks", "arms": "peaks", "peak_onsets": "tc"}
        kelvin = found[0].scan.units if found else ""
        units = {"tc": kelvin, "width": kelvin, **dict.fromkeys("HKL", "r.l.u.")}
        for name, signal in titles.items():
            tables.write_table(entry, name, frames[name], signal, name.replace("_", " "), units)
    tables.write_csv(folder / "order_parameter.csv", frames["transitions"])
    tables.write_csv(folder / "order_parameter_curves.csv", tables.curves(found))
    tables.write_csv(folder / "wave_vectors.csv", frames["wave_vectors"])
    if findings.onsets is not None:
        tables.write_csv(folder / "peak_onsets.csv", frames["peak_onsets"])


def write_unit_cell(folder: Path, findings: UnitCellFindings, parameters: Mapping[str, Any]) -> None:
    """Write ``unit_cell.nxs`` and its tables as CSV.

    Raises
    ------
    OutputError
        If one cannot be written.
    """
    frames = {
        "rules": tables.rules(findings),
        "classes": tables.contingencies(findings),
        "reflections": tables.reflections(findings),
        "halos": tables.halo_shells(findings),
        "broken_symmetry": operations(findings),
    }
    path = folder / "unit_cell.nxs"
    with new_hdf5(path) as file:
        entry = start_entry(file, path, f"order inside the unit cell, {findings.run}", parameters)
        entry.attrs["default"] = "curves"
        write_sample_info(entry, findings.sample)
        names = [f"group_{group.number}" for group in findings.groups]
        title = "mean intensity of each group of reflections"
        curves = new_data(entry, "curves", title=title, signals=names, axes=[findings.scan])
        for name, group in zip(names, findings.groups, strict=True):
            curves[name] = group.intensity
            curves[f"{name}_errors"] = group.error
            curves[name].attrs["long_name"] = group.text
        signals = {
            "rules": "purity",
            "classes": "reflections",
            "reflections": "intensity_low",
            "halos": "share",
            "broken_symmetry": "weight",
        }
        for name, signal in signals.items():
            units = {
                "tc": findings.scan.units,
                findings.scan.name: findings.scan.units,
                "distance": "r.l.u.",
            }
            tables.write_table(entry, name, frames[name], signal, name, units)
    tables.write_csv(folder / "selection_rules.csv", frames["rules"])
    tables.write_csv(folder / "reflection_classes.csv", frames["classes"])
    tables.write_csv(folder / "reflections.csv", frames["reflections"])
    if findings.halos:
        tables.write_csv(folder / "halos.csv", frames["halos"])
    if findings.broken_symmetry is not None:
        tables.write_csv(folder / "broken_symmetry.csv", frames["broken_symmetry"])


def start_entry(file: h5py.File, path: Path, title: str, parameters: Mapping[str, Any]) -> h5py.Group:
    """The root, the entry, and who made them."""
    start_file(file, "xtec-pipeline", program_version())
    file.attrs["file_name"] = path.name
    entry = new_group(file, "entry", "NXentry")
    entry["title"] = title
    entry["start_time"] = now()
    process = new_group(entry, "process", "NXprocess")
    process["program"] = "xtec"
    process["version"] = program_version()
    process["date"] = now()
    process["sequence_index"] = 2
    write_parameters(process, "parameters", parameters)
    return entry


def _write_curve(entry: h5py.Group, name: str, one: OrderParameter) -> None:
    clusters = ", ".join(map(str, one.clusters))
    title = f"mean intensity of cluster {clusters}" + (f", {one.branch}" if one.branch else "")
    group = new_data(entry, name, title=title, signals=["intensity", "fit"], axes=[one.scan])
    group["intensity"] = one.intensity
    group["intensity_errors"] = one.error
    group["fit"] = one.fitted
    if one.model.size:
        fine = Axis(one.scan.name, one.model[:, 0], one.scan.units)
        curve = new_data(entry, f"{name}_model", title=f"fit to {title}", signals=["model"], axes=[fine])
        curve["model"] = np.ascontiguousarray(one.model[:, 1])
