"""The volume of one temperature: opening it without its intensities, and whether two lie on one grid."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xtec.core.axes import Axis
from xtec.core.errors import InputError, SeriesNotFoundError
from xtec.io.hdf5.links import Bounds, member
from xtec.io.hdf5.locate import locate
from xtec.io.hdf5.opening import DatasetRef, attribute, open_hdf5, read_text
from xtec.io.nexus.data import NexusData, find_data, read_scan_value, value_in_name
from xtec.io.nexus.layout import check_rank, complete_axes

SUFFIXES = (".nxs", ".nx5", ".h5", ".hdf5", ".hdf")

STACKED_BY = "xtec stack"
"""Creator of a file that stacks others, which may stand beside them."""


@dataclass(frozen=True)
class OpenOptions:
    """How to look for the series, and where links may lead; see `open_series`."""

    entry: str | None = None
    group: str | None = None
    scan: str | None = None
    reader: str | None = None
    skip_bad: bool = False
    allow_external: bool = False

    def bounds(self, inputs: Iterable[Path]) -> Bounds:
        """Where the links of inputs may lead."""
        return Bounds.around(inputs, anywhere=self.allow_external)


@dataclass(frozen=True, eq=False)
class Volume:
    """One temperature.

    Attributes
    ----------
    data : NexusData
        The NXdata group, in the wrapper or the plain file.
    signal : DatasetRef
        Where the intensities are.
    axes : tuple of Axis
        In the order of the signal's dimensions.
    scan : Axis
        The temperature (or field, ...), of length one.
    """

    data: NexusData
    signal: DatasetRef
    axes: tuple[Axis, ...]
    scan: Axis

    @property
    def value(self) -> float:
        """The temperature."""
        return float(self.scan.values[0])


def open_volume(path: Path, options: OpenOptions, bounds: Bounds | None = None) -> Volume:
    """Find the volume in a per-temperature file.

    Parameters
    ----------
    path : Path
    options : OpenOptions
    bounds : Bounds, optional
        Where links may lead; by default as `options` has it for this file alone.

    Raises
    ------
    SeriesNotFoundError
        If the file, a group or the target of a link is missing.
    InputError
        If the file is unusable.
    """
    bounds = bounds or options.bounds([path])
    data = find_data(path, entry=options.entry, group=options.group, bounds=bounds)
    signal = locate(data.file, data.signal, bounds)
    if len(signal.shape) == 4:
        raise InputError(
            "this file is a whole series (4 dimensions), not one temperature",
            file=data.file,
            hdf5_path=data.signal,
            hint="give it alone",
        )
    check_rank(signal, data, (1, 2, 3))
    return Volume(data, signal, complete_axes(data, signal), read_scan_value(data, options.scan))


def misfit(volume: Volume, model: Volume) -> str | None:
    """Why a volume is not of the series that `model` is of; None if it is."""
    if volume.signal.shape != model.signal.shape:
        return f"shape {volume.signal.shape} where the others have {model.signal.shape}"
    if not _same_axes(volume.axes, model.axes):
        return f"the axes differ from those of {model.data.file.name}"
    if (volume.scan.name, volume.scan.units) != (model.scan.name, model.scan.units):
        return f"{_quantity(volume.scan)} where {model.data.file.name} has {_quantity(model.scan)}"
    return None


def _same_axes(some: Sequence[Axis], others: Sequence[Axis]) -> bool:
    return all(
        a.name == b.name and np.allclose(a.values, b.values, rtol=0, atol=1e-3 * abs(a.step) + 1e-12)
        for a, b in zip(some, others, strict=True)
    )


def _quantity(scan: Axis) -> str:
    return f"{scan.name} ({scan.units})"


def is_stranger(path: Path, options: OpenOptions) -> bool:
    """A file with neither a volume nor a scan value, or a stack of others: not part of any series."""
    bounds = options.bounds([path])
    with suppress(InputError), open_hdf5(path) as file:
        if read_text(attribute(file["/"], "creator")) == STACKED_BY:
            return True
    try:
        find_data(path, entry=options.entry, group=options.group, bounds=bounds)
    except SeriesNotFoundError:
        with suppress(InputError), open_hdf5(path) as file:
            value = member(file["/"], f"{options.entry or 'entry'}/sample/temperature", bounds)
            return value is None and value_in_name(path) is None
    except InputError:
        pass
    return False


def is_parent(path: Path) -> bool:
    """Whether this is the parent that NXRefine keeps beside its wrappers (a list, not data)."""
    return path.is_file() and path.stem.endswith("_scans")
