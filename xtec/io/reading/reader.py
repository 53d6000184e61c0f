"""A series open for reading: many blocks, from many threads."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from xtec.core.chunking import Block, block_shape
from xtec.core.errors import InputError
from xtec.io.hdf5.boxes import Box, overlaps, runs
from xtec.io.hdf5.chunk_table import SerialOnlyError, chunk_table
from xtec.io.hdf5.locate import unwritten
from xtec.io.hdf5.opening import DatasetRef, open_hdf5
from xtec.io.reading.foreign import ForeignDataset
from xtec.io.reading.raw import RawDataset, open_raw
from xtec.io.reading.series import Series

_MAX_OPEN = 128
"""Files kept open; macOS allows a process 256."""


class SeriesReader:
    """Reads blocks of a series; use it as a context manager, from as many threads as you like.

    Datasets are opened when first needed. Those that can be read past HDF5 are, each thread for itself;
    the others are read through HDF5, one thread at a time.

    Parameters
    ----------
    series : Series
    raw : bool
        Read past HDF5 where that is possible.
    """

    def __init__(self, series: Series, *, raw: bool = True) -> None:
        self.series = series
        self._past_hdf5 = raw
        self._lock = threading.Lock()
        self._datasets: dict[int, RawDataset | _OrdinaryDataset | ForeignDataset] = {}
        self._obstacles: dict[int, str] = {}

    def __enter__(self) -> SeriesReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all files; a later reading opens them again."""
        with self._lock:
            for dataset in self._datasets.values():
                dataset.close()
            self._datasets.clear()

    def read(
        self, block: Block, temperatures: slice = slice(None), out: NDArray[Any] | None = None
    ) -> NDArray[Any]:
        """Intensities of a block at all (or some) temperatures.

        Parameters
        ----------
        block : tuple of slice
            One for each axis of the series, with both ends.
        temperatures : slice
        out : array, shape (T, *block), optional
            Filled and given back; its strides may be any, and its type any that takes the intensities.

        Returns
        -------
        array, shape (T, *block)
            In the type of the series.

        Raises
        ------
        InputError
            If a file has become unreadable since the series was opened.
        """
        series = self.series
        rows = series.rows[temperatures]
        shape = (len(rows), *block_shape(block))
        if out is None:
            out = np.empty(shape, series.dtype)
        elif out.shape != shape:
            raise ValueError(f"an array of shape {out.shape} for a block of shape {shape}")
        if out.size:
            parts = zip(block, series.origin, strict=True)
            stored = tuple(slice(part.start + start, part.stop + start) for part, start in parts)
            series.source.read(self._dataset, rows, stored, out)
        return out

    @property
    def raw(self) -> bool:
        """Whether threads can read all datasets of the series at the same time."""
        return self._past_hdf5 and not self.obstacles()

    def obstacles(self) -> dict[str, str]:
        """Why datasets cannot be read past HDF5, by file; none can be while `raw` was not asked for."""
        refs = self.series.source.refs
        for number in sorted(set(self.series.rows)) if len(refs) > 1 else (0,):
            self._dataset(number)
        return {str(refs[number].file): reason for number, reason in sorted(self._obstacles.items())}

    def _dataset(self, number: int) -> RawDataset | _OrdinaryDataset | ForeignDataset:
        """Dataset of the source, opened by whichever thread comes first."""
        if number not in self._datasets:
            with self._lock:
                if number not in self._datasets:
                    self._datasets[number] = self._open(number)
        return self._datasets[number]

    def _open(self, number: int) -> RawDataset | _OrdinaryDataset | ForeignDataset:
        ref, keep = self.series.source.refs[number], len(self._datasets) < _MAX_OPEN
        if ref.reader:
            self._obstacles[number] = f"it is read by the plugin {ref.reader}"
            return ForeignDataset(ref)
        if self._past_hdf5:
            try:
                with _naming(ref):
                    return open_raw(ref, keep)
            except SerialOnlyError as why:
                self._obstacles[number] = str(why)
        return _OrdinaryDataset(ref, keep)


@contextmanager
def _naming(ref: DatasetRef) -> Iterator[None]:
    """Turn what h5py or the system has to say into an error that names the dataset."""
    try:
        yield
    except (OSError, KeyError, RuntimeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"cannot read the intensities ({error})",
            file=ref.file,
            hdf5_path=ref.path,
            hint="the file may be damaged, or compressed with a filter that hdf5plugin does not have",
        ) from error


class _OrdinaryDataset:
    """A dataset read through HDF5, whose file stays open if `keep`."""

    def __init__(self, ref: DatasetRef, keep: bool) -> None:
        self.ref = ref
        self._asked = False
        self._missing: NDArray[np.bool_] | None = None
        self._held = ExitStack()
        self._file: h5py.File | None = self._held.enter_context(open_hdf5(ref.file)) if keep else None

    def read(self, box: Box, out: NDArray[Any]) -> None:
        """Fill `out`, a run of consecutive indices at a time."""
        if self._file is not None:
            self._read(self._file, box, out)
        else:
            with open_hdf5(self.ref.file) as file:
                self._read(file, box, out)

    def _read(self, file: h5py.File, box: Box, out: NDArray[Any]) -> None:
        with _naming(self.ref):
            dataset = file[self.ref.path]
            for parts in itertools.product(*(runs(wanted) for wanted in box)):
                stored, target = zip(*parts, strict=True)
                out[target] = dataset[stored]
                for gap in overlaps(self._missing_in(dataset), dataset.chunks, stored):
                    out[target][gap] = np.nan

    def _missing_in(self, dataset: h5py.Dataset) -> NDArray[np.bool_] | None:
        """Which chunks were never written and have no meaning; found out once."""
        if not self._asked:
            self._asked = True
            if dataset.chunks is not None:
                self._missing = unwritten(dataset, chunk_table(dataset)[0] >= 0)
        return self._missing

    def close(self) -> None:
        """Close the file."""
        self._file = None
        self._held.close()
