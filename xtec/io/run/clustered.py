"""Reading back from a run what order parameters, wave vectors and reflection classes are made of."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from xtec.core.axes import Axis
from xtec.core.errors import InputError, SeriesNotFoundError
from xtec.core.results import ClusteredRun, PeakMaxima, PeakShapes, PeakTable
from xtec.core.types import ClusterMap, VoxelChanges
from xtec.io.hdf5.opening import open_hdf5, read_text
from xtec.io.nexus.sample import read_sample
from xtec.io.run.folder import read_curves

_SYSTEMATIC = 1e-3
"""Relative error of bright voxels where a run has not found out."""


def read_clustered(folder: str | Path) -> ClusteredRun:
    """Read a run.

    Parameters
    ----------
    folder : path
        The run folder.

    Raises
    ------
    SeriesNotFoundError
        If there are no results.
    InputError
        If they are not of ours, or of a version that kept no peaks.
    """
    folder = Path(folder)
    folder = folder.parent if folder.name == "results.nxs" else folder
    path = folder / "results.nxs"
    if not path.exists():
        raise SeriesNotFoundError("no results here", file=path, hint="run xtec cluster first")
    curves = read_curves(folder)
    with open_hdf5(path) as file:
        entry = file["entry"]
        if "peak_shapes" not in entry:
            raise InputError(
                "these results hold no peaks: an earlier version made them",
                file=path,
                hdf5_path="/entry/peak_shapes",
                hint=f"xtec run {folder}/run.toml --force",
            )
        noise = entry.get("noise")
        scale = entry.get("process/outcome/variance_over_mean", entry.get("noise/scale"))
        mean = float(entry["threshold/background_mean"][()])
        return ClusteredRun(
            name=folder.resolve().name,
            sample=read_sample(entry["sample"], curves.scan.name),
            curves=curves,
            map=_read_map(entry),
            peaks=_read_peaks(entry),
            mode=read_text(entry["process/outcome/mode"][()]),
            count_scale=1.0 if scale is None else float(scale[()]),
            systematic=_SYSTEMATIC if noise is None else float(noise["systematic"][()]),
            background=float(np.exp(mean)) if np.isfinite(mean) else 0.0,
            voxel_changes=_read_changes(entry["voxels"]),
        )


def read_probability(folder: str | Path) -> NDArray[np.float32]:
    """Probability of the label of each voxel of the map of a run, shape (n,)."""
    with open_hdf5(Path(folder) / "results.nxs") as file:
        return np.asarray(file["entry/voxels/probability"][()], np.float32)


def _read_map(entry: h5py.Group) -> ClusterMap:
    group = entry["cluster_map"]
    names = [read_text(name) for name in group.attrs["axes"]]
    axes = tuple(_read_axis(group[name]) for name in names)
    angles = np.asarray(group.attrs["angles"], np.float64) if "angles" in group.attrs else None
    voxels = entry["voxels"]
    return ClusterMap(axes, voxels["index"][()], voxels["label"][()], angles)


def _read_changes(voxels: h5py.Group) -> VoxelChanges | None:
    """None where an earlier version made the run."""
    return VoxelChanges(voxels["intensity"][()], voxels["change"][()]) if "change" in voxels else None


def _read_axis(field: h5py.Dataset) -> Axis:
    attributes = {name: field.attrs[name] for name in field.attrs if name != "units"}
    units = read_text(field.attrs.get("units", ""))
    return Axis(field.name.rsplit("/", 1)[-1], np.asarray(field[()], np.float64), units, attributes)


def _read_peaks(entry: h5py.Group) -> PeakTable:
    peaks, shapes = entry["peaks"], entry["peak_shapes"]
    columns = (shapes[name][()] for name in ("displacement", "width", "asymmetry"))
    return PeakTable(
        label=peaks["label"][()],
        size=peaks["size"][()],
        centroid=peaks["centroid"][()],
        intensity=peaks["intensity"][()],
        maximum=peaks["maximum"][()],
        shapes=PeakShapes(shapes["peak"][()].astype(np.int64) - 1, *columns),
        maxima=_read_maxima(entry),
    )


def _read_maxima(entry: h5py.Group) -> PeakMaxima:
    group = entry.get("maxima")
    if group is None:
        nothing = np.empty((0, len(entry["cluster_map"].attrs["axes"])))
        return PeakMaxima(np.empty(0, np.int64), np.empty(0), nothing, nothing, nothing.astype(bool))
    change, position, error = (group[name][()] for name in ("change", "position", "error"))
    return PeakMaxima(group["peak"][()] - 1, change, position, error, group["whole"][()].astype(bool))
