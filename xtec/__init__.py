"""X-TEC: cluster the temperature trajectories of reciprocal-space volumes, and read off order.

Names are loaded when used, so that importing the package is quick.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray

    from xtec.notebook import Run

__all__ = ["__version__", "open_phase_diagram", "open_run", "open_series"]


def open_series(
    path: str | Path | Sequence[str | Path],
    *,
    region: str | None = None,
    temperatures: str | None = None,
    **options: Any,
) -> xarray.DataArray:
    """Open a temperature series as a lazy DataArray.

    Parameters
    ----------
    path : path or sequence of paths
        A stacked NeXus file, an NXRefine sample folder, or a list of per-temperature files.
    region, temperatures : str, optional
        Intervals as on the command line: ``"H=-15:15,K=-10:10,L=0:1"``, ``"30:220"``.
    **options
        ``entry``, ``group``, ``scan``, ``skip_bad``, ``allow_external``; see `xtec.io.OpenOptions`.

    Returns
    -------
    xarray.DataArray
        Dims (temperature, Ql, Qk, Qh), backed by Dask; nothing is read until computed.

    Raises
    ------
    InputError
        If the input is unusable; the message names file and HDF5 path.
    """
    from xtec.core.axes import parse_interval, parse_region
    from xtec.io import OpenOptions
    from xtec.io import open_series as open_

    series = open_(
        path,
        region=parse_region(region) if region else None,
        temperatures=parse_interval(temperatures, what="temperatures") if temperatures else None,
        options=OpenOptions(**options),
    )
    return series.to_xarray()


def open_run(path: str | Path) -> Run:
    """Open the results of a run as an xarray DataTree that draws its figures; see `xtec.io.open_run`."""
    from xtec.notebook import Run

    return Run.open(path)


def open_phase_diagram(path: str | Path) -> xarray.Dataset:
    """Open a phase diagram as an xarray Dataset; see `xtec.io.run.phase_diagram.open_phase_diagram`."""
    from xtec.io.run.phase_diagram import open_phase_diagram as open_

    return open_(path)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("xtec-pipeline")
    raise AttributeError(f"module 'xtec' has no attribute {name!r}")
