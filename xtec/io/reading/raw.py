"""Reading datasets past HDF5: bytes straight from the file, decoded in the thread that wants them.

HDF5 is asked once, where the bytes are; then any number of threads read and decode at the same time.
"""

from __future__ import annotations

import itertools
import math
import os
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from xtec.core.errors import InputError
from xtec.io.hdf5.boxes import Box, Piece, buffer, cover, cut
from xtec.io.hdf5.chunk_table import SerialOnlyError, chunk_table, decoders_of
from xtec.io.hdf5.decoding import Decoder, stored
from xtec.io.hdf5.locate import unwritten
from xtec.io.hdf5.opening import DatasetRef, open_hdf5

_GAP_BYTES = 64 * 2**10
"""A gap up to this is read along, since another call costs more."""
_SPAN_BYTES = 4 * 2**20
"""What is read in one call of a contiguous dataset, where gaps are small."""


class RawDataset(ABC):
    """A dataset whose stored bytes any number of threads can read at once; `open_raw` makes one.

    Parameters
    ----------
    ref : DatasetRef
    fill : scalar
        Value of what was never written.
    keep : bool
        Keep the file open, rather than open it for each reading.
    """

    def __init__(self, ref: DatasetRef, fill: Any, keep: bool) -> None:
        self.ref = ref
        self._fill = fill
        self._descriptor: int | None = None
        if keep:
            self._descriptor = os.open(ref.file, os.O_RDONLY)
            self._closer = weakref.finalize(self, os.close, self._descriptor)

    def read(self, box: Box, out: NDArray[Any]) -> None:
        """Fill `out`, whose dimensions are the dataset's and whose strides may be any.

        Raises
        ------
        InputError
            If the file is cut short, or a chunk is damaged.
        """
        try:
            with self._opened() as descriptor:
                self._read(descriptor, box, out)
        except (InputError, OSError) as error:
            reason = error.what if isinstance(error, InputError) else error.strerror or error
            raise InputError(
                f"cannot read the intensities ({reason})",
                file=self.ref.file,
                hdf5_path=self.ref.path,
                hint="the file has been damaged or cut short; copy it again",
            ) from error

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            self._closer()
            self._descriptor = None

    @contextmanager
    def _opened(self) -> Iterator[int]:
        if self._descriptor is not None:
            yield self._descriptor
            return
        descriptor = os.open(self.ref.file, os.O_RDONLY)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    @abstractmethod
    def _read(self, descriptor: int, box: Box, out: NDArray[Any]) -> None: ...


class _Chunked(RawDataset):
    """Chunks, each with a place, a size and filters of its own; offset -1 where none was written."""

    def __init__(
        self,
        ref: DatasetRef,
        fill: Any,
        keep: bool,
        table: NDArray[np.int64],
        decoders: Mapping[int, Decoder],
    ) -> None:
        super().__init__(ref, fill, keep)
        self._offsets, self._sizes, self._masks = table
        self._decoders = decoders

    def _read(self, descriptor: int, box: Box, out: NDArray[Any]) -> None:
        shape, dtype = self.ref.chunks or (), self.ref.dtype
        n_bytes = math.prod(shape) * dtype.itemsize
        along = [cut(wanted, length) for wanted, length in zip(box, shape, strict=True)]
        for pieces in itertools.product(*along):
            where, insides, targets, whole = zip(*pieces, strict=True)
            if all(whole) and out.dtype == dtype:
                place = out[targets]
                if place.flags.c_contiguous:
                    self._load(descriptor, where, place)
                    continue
            chunk = buffer("chunk", n_bytes).view(dtype).reshape(shape)
            self._load(descriptor, where, chunk)
            out[targets] = chunk[insides]

    def _load(self, descriptor: int, where: tuple[int, ...], place: NDArray[Any]) -> None:
        """Read and decode one chunk into memory of its shape and type, in C order."""
        offset = int(self._offsets[where])
        if offset < 0:
            place[...] = self._fill
            return
        flat, size = place.reshape(-1).view(np.uint8), int(self._sizes[where])
        decode = self._decoders[int(self._masks[where])]
        try:
            if decode is stored and size == flat.size:
                _read_bytes(descriptor, flat, offset)
            else:
                packed = buffer("stored", size)
                _read_bytes(descriptor, packed, offset)
                decode(packed, flat)
        except InputError as error:
            start = tuple(i * length for i, length in zip(where, place.shape, strict=True))
            raise InputError(f"the chunk at {start}: {error.what}") from error


class _Contiguous(RawDataset):
    """One stretch of the file; `offset` is None where nothing was written."""

    def __init__(self, ref: DatasetRef, fill: Any, keep: bool, offset: int | None) -> None:
        super().__init__(ref, fill, keep)
        self._offset = offset
        self._strides = tuple(
            math.prod(ref.shape[d + 1 :]) * ref.dtype.itemsize for d in range(len(ref.shape))
        )

    def _read(self, descriptor: int, box: Box, out: NDArray[Any]) -> None:
        if self._offset is None:
            out[...] = self._fill
            return
        lengths = self._lengths(box)
        along = [cut(wanted, length) for wanted, length in zip(box, lengths, strict=True)]
        for pieces in itertools.product(*along):
            self._load(descriptor, pieces, lengths, out)

    def _lengths(self, box: Box) -> list[int]:
        """Indices to read in one call along each dimension: all of the inner ones, some of one, one each."""
        counts = [cover(wanted)[1] for wanted in box]
        lengths = list(self.ref.shape)
        span = self.ref.dtype.itemsize
        for d in reversed(range(len(counts))):
            gap = self._strides[d] - span
            if gap > _GAP_BYTES or counts[d] * self._strides[d] > _SPAN_BYTES:
                lengths[d] = 1 if gap > _GAP_BYTES else max(1, _SPAN_BYTES // self._strides[d])
                lengths[:d] = [1] * d
                break
            span += (counts[d] - 1) * self._strides[d]
        return lengths

    def _load(
        self, descriptor: int, pieces: Sequence[Piece], lengths: Sequence[int], out: NDArray[Any]
    ) -> None:
        """Read from the first to the last voxel wanted of a piece, and keep what is wanted."""
        dtype, strides = self.ref.dtype, self._strides
        targets = tuple(piece.target for piece in pieces)
        lows, counts = zip(*(cover(piece.inside) for piece in pieces), strict=True)
        corners = (piece.number * length for piece, length in zip(pieces, lengths, strict=True))
        starts = map(int.__add__, corners, lows)
        offset = (self._offset or 0) + sum(map(int.__mul__, starts, strides))
        size = sum((count - 1) * stride for count, stride in zip(counts, strides, strict=True))
        size += dtype.itemsize
        gapless = size == math.prod(counts) * dtype.itemsize
        plain = all(isinstance(wanted, slice) for piece in pieces for wanted in piece[1:3])
        if gapless and plain and out.dtype == dtype:
            place = out[targets]
            if place.flags.c_contiguous:
                _read_bytes(descriptor, place.reshape(-1).view(np.uint8), offset)
                return
        span = buffer("chunk", size)
        _read_bytes(descriptor, span, offset)
        values = np.ndarray(counts, dtype, span, strides=strides)
        insides = (_shift(piece.inside, low) for piece, low in zip(pieces, lows, strict=True))
        out[targets] = values[tuple(insides)]


def _shift(wanted: slice | NDArray[np.intp], low: int) -> slice | NDArray[np.intp]:
    return slice(0, wanted.stop - low) if isinstance(wanted, slice) else wanted - low


def _read_bytes(descriptor: int, out: NDArray[np.uint8], offset: int) -> None:
    done = 0
    while done < out.size:
        got = os.preadv(descriptor, [out[done:].data], offset + done)
        if got == 0:
            raise InputError(f"the file is cut short: it ends before byte {offset + out.size}")
        done += got


def open_raw(ref: DatasetRef, keep: bool = True) -> RawDataset:
    """Open a dataset for reading past HDF5.

    Raises
    ------
    SerialOnlyError
        If it can be read through HDF5 only; says why.
    InputError
        If it cannot be read at all, or is no longer what it was.
    """
    with open_hdf5(ref.file) as file:
        dataset = file.get(ref.path)
        if not isinstance(dataset, h5py.Dataset) or (dataset.shape, dataset.dtype) != (ref.shape, ref.dtype):
            raise InputError("the dataset has changed since it was opened", file=ref.file, hdf5_path=ref.path)
        _refuse(file, dataset)
        if dataset.chunks is None:
            return _Contiguous(ref, dataset.fillvalue, keep, dataset.id.get_offset())
        table = chunk_table(dataset)
        fill = dataset.fillvalue if unwritten(dataset, table[0] >= 0) is None else math.nan
        return _Chunked(ref, fill, keep, table, decoders_of(dataset, table))


def _refuse(file: h5py.File, dataset: h5py.Dataset) -> None:
    """Raise if bytes of the dataset are not where HDF5 says, or not in a form that NumPy knows."""
    properties = dataset.id.get_create_plist()
    if dataset.is_virtual:
        raise SerialOnlyError("it is a virtual dataset, not one whole source for each temperature")
    if properties.get_external_count():
        raise SerialOnlyError("its data are in an external raw file")
    if properties.get_layout() == h5py.h5d.COMPACT:
        raise SerialOnlyError("it is stored in its own header (compact)")
    if file.userblock_size:
        raise SerialOnlyError("the file starts with a user block")
    if file.driver != "sec2" or not hasattr(os, "preadv"):
        raise SerialOnlyError("the file is not one plain POSIX file")
    if not h5py.h5t.py_create(dataset.dtype).equal(dataset.id.get_type()):
        raise SerialOnlyError("its numbers must be converted")
