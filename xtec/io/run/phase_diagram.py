"""A phase diagram as NeXus, CSV and NetCDF, and as an xarray Dataset."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from xtec.core.axes import Axis
from xtec.core.diagram import Boundary, PhaseDiagram
from xtec.core.errors import SeriesNotFoundError
from xtec.core.types import ClusterCurves
from xtec.io.disk.atomic import replacing
from xtec.io.hdf5.output import new_hdf5
from xtec.io.nexus.writer import new_data
from xtec.io.run import tables
from xtec.io.run.findings import start_entry

if TYPE_CHECKING:
    import pandas as pd
    import xarray


def write_phase_diagram(
    folder: Path,
    diagram: PhaseDiagram,
    parameters: Mapping[str, Any],
    joint: tuple[ClusterCurves, NDArray[np.int64], Sequence[str]] | None = None,
) -> None:
    """Write ``phase_diagram.nxs``, ``.csv`` and ``.nc``, and the boundaries as CSV.

    Parameters
    ----------
    folder : Path
    diagram : PhaseDiagram
    parameters : mapping
        What decided the result.
    joint : (curves, counts, samples), optional
        Clusters that all samples share, the peaks (samples, K) of each in them, and the samples' names.

    Raises
    ------
    OutputError
        If one cannot be written.
    """
    points, boundaries = point_table(diagram), boundary_table(diagram)
    path = folder / "phase_diagram.nxs"
    with new_hdf5(path) as file:
        entry = start_entry(file, path, f"phase diagram against {diagram.variable}", parameters)
        kelvin = diagram.temperature_units
        units = {"tc": kelvin, "upper_limit": kelvin, "t0": kelvin, "scatter": kelvin}
        units |= {diagram.variable: diagram.units, "xc": diagram.units}
        tables.write_table(entry, "points", points, "tc", "transitions and upper limits", units)
        tables.write_table(entry, "boundaries", boundaries, "t0", "T0 (1 - x/xc)^phi", units)
        for number, boundary in enumerate(diagram.boundaries, start=1):
            _write_seen(entry, f"boundary_{number}", diagram, boundary)
        if "boundary_1" in entry:
            entry.attrs["default"] = "boundary_1"
        if joint is not None:
            _write_joint(entry, *joint)
    tables.write_csv(folder / "phase_diagram.csv", points)
    tables.write_csv(folder / "boundaries.csv", boundaries)
    with replacing(folder / "phase_diagram.nc") as temporary:
        to_dataset(diagram).to_netcdf(temporary, engine="scipy", format="NETCDF3_64BIT")


def point_table(diagram: PhaseDiagram) -> pd.DataFrame:
    """One row a transition or upper limit."""
    import pandas as pd

    rows = [
        {
            "sample": point.name,
            diagram.variable: point.x,
            "boundary": point.boundary,
            **tables.spread_out("tc", point.tc),
            "upper_limit": np.nan if point.upper_limit is None else point.upper_limit,
            **tables.spread_out("beta", point.beta),
            "kind": point.kind or ("not known" if point.upper_limit is None else "none"),
        }
        for point in diagram.points
    ]
    return pd.DataFrame(rows)


def boundary_table(diagram: PhaseDiagram) -> pd.DataFrame:
    """One row a boundary."""
    import pandas as pd

    rows = [
        {
            "boundary": one.name,
            **tables.spread_out("t0", one.t0),
            **tables.spread_out("xc", one.xc),
            **tables.spread_out("phi", one.phi),
            "scatter": one.scatter,
            "note": one.note,
        }
        for one in diagram.boundaries
    ]
    return pd.DataFrame(rows)


def to_dataset(diagram: PhaseDiagram) -> xarray.Dataset:
    """The phase diagram as a Dataset.

    Returns
    -------
    xarray.Dataset
        Over ``point``: x (named after the variable), tc and its interval, upper_limit, sample, boundary;
        over ``boundary_number``: t0, xc, phi and their intervals; over ``curve``: the fitted curves.
    """
    import xarray

    points, boundaries = point_table(diagram), boundary_table(diagram)
    variables: dict[str, Any] = {name: ("point", _column(points[name])) for name in points}
    for name in boundaries:
        key = "boundary_name" if name == "boundary" else name
        variables[key] = ("boundary_number", _column(boundaries[name]))
    bands = [
        np.column_stack([np.full(len(one.band), number), one.band])
        for number, one in enumerate(diagram.boundaries)
        if one.band.size
    ]
    band = np.concatenate(bands) if bands else np.empty((0, 5))
    names = ("curve_boundary", "curve_x", "curve_tc", "curve_tc_low", "curve_tc_high")
    for i, name in enumerate(names):
        variables[name] = ("curve", band[:, i])
    made = xarray.Dataset(variables, attrs={"variable": diagram.variable, "units": diagram.units})
    for name in (diagram.variable, "xc", "xc_low", "xc_high", "curve_x"):
        made[name].attrs["units"] = diagram.units
    kelvin = [
        name for name in made if re.fullmatch("(curve_)?(tc|t0|upper_limit|scatter)(_low|_high)?", str(name))
    ]
    for name in kelvin:
        made[name].attrs["units"] = diagram.temperature_units
    return made.set_coords([diagram.variable, "sample", "boundary", "boundary_name"])


def _column(column: pd.Series[Any]) -> NDArray[Any]:
    values = column.to_numpy()
    return np.asarray(values if values.dtype.kind in "biuf" else values.astype(str))


def open_phase_diagram(path: str | Path) -> xarray.Dataset:
    """Open what `xtec phase-diagram` has written.

    Parameters
    ----------
    path : path
        Its folder, or the ``phase_diagram.nc`` there.

    Raises
    ------
    SeriesNotFoundError
        If there is none.
    """
    import xarray

    path = Path(path)
    file = path / "phase_diagram.nc" if path.is_dir() else path
    if not file.exists():
        raise SeriesNotFoundError("no phase diagram here", file=file, hint="run xtec phase-diagram first")
    with xarray.open_dataset(file, engine="scipy") as opened:
        return opened.load()


def _write_seen(entry: h5py.Group, name: str, diagram: PhaseDiagram, boundary: Boundary) -> None:
    """The transitions of a boundary, and its curve."""
    seen = [point for point in diagram.points if point.boundary == boundary.name and point.tc is not None]
    if seen:
        x = Axis(diagram.variable, np.array([point.x for point in seen]), diagram.units)
        title = boundary.name or "transitions"
        group = new_data(entry, name, title=title, signals=["tc"], axes=[x])
        group["tc"] = [point.tc.value for point in seen if point.tc is not None]
        group["tc_errors"] = [_deviation(point.tc.error) for point in seen if point.tc is not None]
        group["tc"].attrs["units"] = diagram.temperature_units
    if boundary.band.size:
        x = Axis(diagram.variable, boundary.band[:, 0], diagram.units)
        title = f"{boundary.name}: T0 (1 - x/xc)^phi"
        curve = new_data(entry, f"{name}_curve", title=title, signals=["tc"], axes=[x])
        curve["tc"] = boundary.band[:, 1]
        curve["tc_errors"] = (boundary.band[:, 3] - boundary.band[:, 2]) / (2 * 1.96)


def _deviation(half_interval: float) -> float:
    """Standard deviation of a 95 % interval, as NeXus wants errors."""
    return half_interval / 1.96


def _write_joint(
    entry: h5py.Group, curves: ClusterCurves, counts: NDArray[np.int64], samples: Sequence[str]
) -> None:
    names = [f"cluster_{k + 1}" for k in range(curves.n_clusters)]
    title = "rescaled trajectories of clusters that all samples share"
    group = new_data(entry, "joint_clusters", title=title, signals=names, axes=[curves.scan])
    for k, name in enumerate(names):
        group[name] = curves.rescaled_mean[k]
        group[f"{name}_errors"] = curves.rescaled_std[k]
    number = Axis("cluster", np.arange(1, curves.n_clusters + 1, dtype=np.float64))
    sample = Axis("sample_number", np.arange(1, len(samples) + 1, dtype=np.float64))
    table = new_data(
        entry, "joint_peaks", title="peaks of each sample", signals=["peaks"], axes=[sample, number]
    )
    table["peaks"] = counts
    table["sample"] = np.array(samples, dtype=h5py.string_dtype())
