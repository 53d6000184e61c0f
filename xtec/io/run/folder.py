"""The folder a run leaves behind, and opening it again."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xtec.core.errors import InputError, OutputError, SeriesNotFoundError
from xtec.core.types import ClusterCurves
from xtec.io.disk.sole_use import contents, refuse_if_used
from xtec.io.hdf5.opening import open_hdf5, read_text

if TYPE_CHECKING:
    import h5py
    import xarray


PROGRESS = ".progress"
"""Folder in the run folder that is there while a run is under way, or after it was interrupted."""

FINDINGS = ("order_parameter", "unit_cell")
"""What later commands add as NeXus files of these names."""

_TABLES = (
    *("order_parameter", "order_parameter_curves", "wave_vectors", "peaks", "peak_onsets"),
    *("reflections", "reflection_classes", "selection_rules", "halos"),
)
_FOLLOWING = (*(f"{name}.nxs" for name in FINDINGS), *(f"{name}.csv" for name in _TABLES))
_DERIVED = ("summary.json", "report.html", *_FOLLOWING, "*.csv", "figures/*.png", "plugins/*.npz")


def is_finished(folder: Path) -> bool:
    """Whether a run has ended here, and no other one was interrupted since."""
    return (folder / "summary.json").exists() and not (folder / PROGRESS).exists()


def check_output(folder: Path, inputs: Sequence[Path], *, force: bool, resume: bool = False) -> None:
    """Refuse an output folder before any work is done; nothing is created.

    Raises
    ------
    OutputError
        If it cannot be written, is the input's own folder, somebody is at work there, or it holds something
        already: without `force`, or with `resume` something else than what an interrupted run left.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError("the output is a file, a folder is wanted", file=folder)
    if any(_is_among(_real(folder), _real(path)) for path in inputs):
        raise OutputError("results are never put among the input", file=folder, hint="another folder with -o")
    refuse_if_used(folder)
    there = contents(folder)
    if resume and is_finished(folder):
        raise OutputError(
            "the run here is finished: nothing to resume", file=folder, hint="--force to repeat it"
        )
    if there and not force and not resume:
        hint = "--resume to go on with the run interrupted here, --force" if PROGRESS in there else "--force"
        raise OutputError("this folder is not empty", file=folder, hint=f"{hint}, or another folder with -o")
    parent = folder
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise OutputError("cannot write here", file=parent, hint="another folder with -o")


def _real(path: Path) -> Path:
    """Where a path leads; one that leads in circles is left as it is."""
    return Path(os.path.realpath(path))


def _is_among(folder: Path, given: Path) -> bool:
    """Whether a folder is the one that holds an input file, or lies in an input folder."""
    return folder == given.parent or folder == given or (given.is_dir() and given in folder.parents)


def create_folder(folder: Path, *, figures: bool, renew: bool = False) -> None:
    """Make the folder (and figures/ in it), and take away what an earlier run derived from its results.

    With `renew`, what a run writes itself stays until it is replaced.

    Raises
    ------
    OutputError
        If that is not possible.
    """
    try:
        (folder / "figures" if figures else folder).mkdir(parents=True, exist_ok=True)
        for pattern in _FOLLOWING if renew else _DERIVED:
            for derived in folder.glob(pattern):
                derived.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make this folder ({error.strerror})", file=folder) from error


def open_run(path: str | Path) -> xarray.DataTree:
    """Open the results of a run.

    Parameters
    ----------
    path : str or Path
        The run folder, or its results.nxs.

    Returns
    -------
    xarray.DataTree
        One node a group of /entry; NXdata axes are coordinates; the cluster map is read when used. What
        `xtec order-parameter` and `xtec unit-cell` have added are the nodes ``order_parameter`` and
        ``unit_cell``; ``run["order_parameter/transitions"].to_dataset().to_dataframe()`` is a table.

    Raises
    ------
    SeriesNotFoundError
        If there are no results.
    InputError
        If the file is not one of ours.
    """
    import xarray

    path = Path(path)
    file_path = path / "results.nxs" if path.is_dir() or not path.suffix else path
    if not file_path.exists():
        raise SeriesNotFoundError("no results here", file=file_path, hint="run xtec cluster first")
    with open_hdf5(file_path) as file:
        if read_text(file.attrs.get("creator", "")) != "xtec-pipeline":
            raise InputError("this is not a results file of xtec", file=file_path)
        entry = file["entry"]
        names = (
            "trajectories",
            "average_intensity",
            "cluster_map",
            "voxels",
            "peaks",
            "peak_shapes",
            "maxima",
            "mixture",
            "selection",
            "threshold",
            "noise",
        )
        tree = {name: _dataset(entry[name], file_path) for name in names if name in entry}
        if "selection/frontier" in entry:
            tree["frontier"] = _dataset(entry["selection/frontier"], file_path)
        texts = {"title": "title", "sample": "sample/name", "mode": "process/outcome/mode"}
        attributes = {name: read_text(entry[at][()]) for name, at in texts.items() if at in entry}
    for name in FINDINGS:
        tree.update(_found(file_path.with_name(f"{name}.nxs"), name))
    root = xarray.Dataset(attrs=attributes)
    root.encoding["source"] = str(file_path)
    return xarray.DataTree.from_dict({"/": root, **tree}, name=path.name)


def _found(path: Path, name: str) -> dict[str, xarray.Dataset]:
    """Plots and tables of a file of findings, if it is there; there may be none in it."""
    if not path.exists():
        return {}
    import xarray

    with open_hdf5(path) as file:
        entry = file["entry"]
        found = {
            f"{name}/{group}": _dataset(entry[group], path)
            for group in entry
            if read_text(entry[group].attrs.get("NX_class", "")) == "NXdata"
        }
    return {name: xarray.Dataset(), **found}


def read_curves(path: str | Path) -> ClusterCurves:
    """Read what the clusters of a run do over the scan.

    Parameters
    ----------
    path : str or Path
        The run folder.

    Raises
    ------
    SeriesNotFoundError
        If there are no results.
    InputError
        If they are not of ours.
    """
    from xtec.io.run.tree import curves

    return curves(open_run(path))


def read_summary(folder: Path) -> dict[str, Any]:
    """The summary of a run.

    Raises
    ------
    InputError
        If there is none, or it cannot be read.
    """
    path = folder / "summary.json"
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise InputError(f"the summary of this run cannot be read ({error})", file=path) from error


def _dataset(group: h5py.Group, path: Path) -> xarray.Dataset:
    """One group as a Dataset: fields along the axes as variables, single values as attributes."""
    import xarray

    names = [read_text(name) for name in group.attrs.get("axes", [])]
    axes = {name: group[name] for name in names}
    sizes = {name: len(axis) for name, axis in axes.items()}
    coordinates = {name: (name, axis[()], _attributes(axis)) for name, axis in axes.items()}
    variables, attributes = {}, {}
    for name, field in group.items():
        if name in axes or not hasattr(field, "ndim"):
            continue
        if field.ndim == 0:
            value = field[()]
            attributes[name] = read_text(value) if isinstance(value, bytes) else value
        else:
            dims = _dims(field, sizes)
            variables[name] = (dims, _lazy(field, path) if field.ndim == len(axes) == 3 else _values(field))
    if "angles" in group.attrs:
        attributes["angles"] = group.attrs["angles"]
    return xarray.Dataset(variables, coordinates, attributes)


def _values(field: h5py.Dataset) -> Any:
    return field.asstr()[()].astype(str) if field.dtype.kind == "O" else field[()]


def _dims(field: h5py.Dataset, sizes: dict[str, int]) -> tuple[str, ...]:
    """Names of a field's dimensions: as it says, or those of the axes in order, or its own."""
    shape, own = field.shape, field.name.rsplit("/", 1)[-1]
    if "dimensions" in field.attrs:
        return tuple(read_text(name) for name in field.attrs["dimensions"])
    if shape == tuple(sizes.values()):
        return tuple(sizes)
    axes = iter(sizes.items())
    names = []
    for position, size in enumerate(shape):
        match = next((name for name, length in axes if length == size), None)
        names.append(match or ("voxel" if not sizes else f"{own}_{position}"))
    return tuple(names)


def _attributes(field: h5py.Dataset) -> dict[str, Any]:
    return {
        key: read_text(value) if isinstance(value, str | bytes) else np.asarray(value)
        for key, value in field.attrs.items()
        if key in ("units", "long_name", "scaling_factor")
    }


def _lazy(field: h5py.Dataset, path: Path) -> Any:
    import dask.array

    nothing = np.empty((0,) * field.ndim, field.dtype)
    return dask.array.from_array(
        _OnDisk(path, field), chunks=field.chunks, name=False, asarray=False, fancy=False, meta=nothing
    )


class _OnDisk:
    """A dataset that is read when sliced, from a file that is not kept open."""

    def __init__(self, path: Path, field: h5py.Dataset) -> None:
        self._path, self._name = path, field.name
        self.shape, self.dtype, self.ndim = field.shape, field.dtype, field.ndim

    def __getitem__(self, selection: Any) -> Any:
        with open_hdf5(self._path) as file:
            return file[self._name][selection]
