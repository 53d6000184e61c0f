"""The reader ``npz``: a series from NumPy's own format."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from xtec.core.errors import InputError

if TYPE_CHECKING:
    import xarray

_AXES = ("Ql", "Qk", "Qh")


class NpzReader:
    """Opens ``.npz`` with ``intensity`` (T, ..., L, K, H), ``temperature``, and ``Ql``, ``Qk``, ``Qh``.

    All intensities are loaded: a way in for series that fit into memory, and an example of a reader.

    Parameters
    ----------
    units : str
        Of the temperatures.
    """

    def __init__(self, units: str = "K") -> None:
        self.units = units

    def can_open(self, path: Path) -> bool:
        """Whether it is such a file."""
        if path.suffix != ".npz" or not zipfile.is_zipfile(path):
            return False
        with zipfile.ZipFile(path) as archive:
            return {"intensity.npy", "temperature.npy"} <= set(archive.namelist())

    def open(self, path: Path) -> xarray.DataArray:
        """The series.

        Raises
        ------
        InputError
            If an array is missing, or is no array of numbers.
        """
        import xarray

        try:
            with np.load(path, allow_pickle=False) as stored:
                intensity, temperature = stored["intensity"], stored["temperature"]
                axes = [name for name in _AXES if name in stored]
                coordinates = {name: (name, stored[name], {"units": "rlu"}) for name in axes}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(f"no series in this file ({error})", file=path) from error
        coordinates["temperature"] = ("temperature", temperature, {"units": self.units})
        return xarray.DataArray(intensity, coordinates, ["temperature", *axes], name=path.stem)
