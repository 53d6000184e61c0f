"""Files that are not NeXus, opened by plugins of the slot ``readers``."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from xtec.core.axes import Axis
from xtec.core.errors import BackendUnavailableError, InputError, XtecError
from xtec.io.hdf5.boxes import Box, runs
from xtec.io.hdf5.opening import DatasetRef, check_kind
from xtec.io.nexus.layout import canonical_order
from xtec.io.reading.series import Series, Stacked
from xtec.plugins import create, names, parse_plugin

if TYPE_CHECKING:
    import xarray

logger = logging.getLogger(__name__)

_RANKS = (2, 3, 4)


def foreign_series(inputs: Sequence[Path], reader: str | None) -> Series | None:
    """A series that a plugin opens: the one asked for, or else one that can open what is not HDF5.

    Parameters
    ----------
    inputs : sequence of Path
    reader : str, optional
        ``NAME`` or ``NAME:key=value,...``.

    Returns
    -------
    Series or None
        None if this is for our own readers.

    Raises
    ------
    InputError
        If the plugin cannot open the file, or what it gives is no series.
    BackendUnavailableError
        If there is no such plugin.
    """
    if reader is not None and len(inputs) != 1:
        raise InputError("a reader opens one input", file=inputs[0], hint="leave --reader out")
    path = inputs[0]
    if reader is None and (len(inputs) > 1 or not path.exists()):
        return None
    if not path.is_dir():
        check_kind(path)
    if reader is None and not path.is_dir() and h5py.is_hdf5(path):
        return None
    chosen = reader or _who_can_open(path)
    return None if chosen is None else _series(path, chosen)


def _who_can_open(path: Path) -> str | None:
    for name in names("readers"):
        try:
            if create("readers", parse_plugin(name)).can_open(path):
                return name
        except Exception as error:  # noqa: BLE001  anybody's code, which nobody asked for
            logger.warning("the reader %s cannot be used: %s", name, getattr(error, "what", repr(error)))
    return None


def _opened(path: Path, reader: str) -> xarray.DataArray:
    plugin = create("readers", parse_plugin(reader))
    try:
        array: xarray.DataArray = plugin.open(path)
        return array
    except XtecError:
        raise
    except Exception as error:
        raise InputError(f"the reader {reader} cannot open this file: {error!r}", file=path) from error


def _series(path: Path, reader: str) -> Series:
    array = _opened(path, reader)
    if getattr(array, "ndim", 0) not in _RANKS or array.dtype.kind not in "fiu":
        raise InputError(f"the reader {reader} gives no series of numbers: {array!r:.200}", file=path)
    try:
        scan, *axes = (_axis(array, str(dim)) for dim in array.dims)
    except (KeyError, ValueError, TypeError) as error:
        what = f"the reader {reader} gives a series whose coordinates cannot be used: {error!r}"
        raise InputError(what, file=path) from error
    order = canonical_order(axes)
    ref = DatasetRef(path, reader, array.shape, array.dtype, None, (reader,), reader=reader)
    return Series(
        name=str(array.name or path.stem),
        scan=scan,
        axes=tuple(axes[i] for i in order),
        source=Stacked(ref, (0, *(1 + i for i in order))),
        rows=tuple(range(len(scan))),
        origin=(0,) * len(axes),
        inputs=(path,),
    )


def _axis(array: xarray.DataArray, dim: str) -> Axis:
    coordinate = array.coords[dim]
    return Axis(dim, np.asarray(coordinate.values, np.float64), str(coordinate.attrs.get("units", "")))


class ForeignDataset:
    """Intensities that a plugin reads, a thread at a time.

    Parameters
    ----------
    ref : DatasetRef
        With the `reader`.

    Raises
    ------
    BackendUnavailableError
        If the plugin is not there.
    """

    def __init__(self, ref: DatasetRef) -> None:
        self.ref = ref
        self._lock = threading.Lock()
        self._array = _opened(ref.file, ref.reader)
        if (self._array.shape, self._array.dtype) != (ref.shape, ref.dtype):
            raise InputError("the series has changed since it was opened", file=ref.file)

    def read(self, box: Box, out: NDArray[Any]) -> None:
        """Fill `out`, a run of consecutive indices at a time."""
        with self._lock:
            for parts in itertools.product(*(runs(wanted) for wanted in box)):
                stored, target = zip(*parts, strict=True)
                try:
                    out[target] = self._array[stored].values
                except (BackendUnavailableError, InputError):
                    raise
                except Exception as error:
                    what = f"the reader {self.ref.reader} cannot read the intensities: {error!r}"
                    raise InputError(what, file=self.ref.file) from error

    def close(self) -> None:
        """Let go of the file."""
        self._array.close()
