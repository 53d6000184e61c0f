"""Where HDF5 keeps the chunks of a dataset, and how each is encoded."""

from __future__ import annotations

import math
import os
from array import array
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from xtec.core.errors import InputError
from xtec.io.hdf5.decoding import Decoder, Filter, decoder_of

_MOST_OVERHEAD, _HEADERS = 2, 2**16
"""No compression makes a chunk larger than so many times its size, and so many bytes."""


class SerialOnlyError(Exception):
    """Why a dataset can be read through HDF5 only, which takes one thread at a time."""


def chunk_table(dataset: h5py.Dataset) -> NDArray[np.int64]:
    """Offset, stored size and filter mask of each chunk, shape (3, *grid of chunks).

    The offset is -1 where no chunk was written.

    Raises
    ------
    InputError
        If a chunk lies outside the dataset or the file.
    """
    corners, places = array("Q"), array("Q")

    def note(chunk: Any) -> None:
        corners.extend(chunk.chunk_offset)
        places.extend((chunk.byte_offset, chunk.size, chunk.filter_mask))

    dataset.id.chunk_iter(note)
    chunks = np.array(dataset.chunks, dtype=np.int64)
    grid = tuple(-(-size // length) for size, length in zip(dataset.shape, dataset.chunks, strict=True))
    table = np.zeros((3, *grid), np.int64)
    table[0] = -1
    where = np.array(corners, dtype=np.uint64).astype(np.int64).reshape(-1, len(grid)) // chunks
    entries = np.array(places, dtype=np.uint64).astype(np.int64).reshape(-1, 3)
    offset, size, _ = entries.T
    room = os.stat(dataset.file.filename).st_size
    inside = (where >= 0) & (where < grid)
    most = _MOST_OVERHEAD * math.prod(dataset.chunks) * dataset.dtype.itemsize + _HEADERS
    if not inside.all() or np.any((offset < 0) | (size < 0) | (size > np.minimum(room - offset, most))):
        raise InputError(
            "its index names chunks that are not in the file",
            file=dataset.file.filename,
            hdf5_path=dataset.name,
            hint="the file has been damaged or cut short; copy it again",
        )
    table[(slice(None), *where.T)] = entries.T
    return table


def _refuse_bare_edges(dataset: h5py.Dataset, table: NDArray[np.int64]) -> None:
    """Raise if chunks over the edge may be unfiltered: HDF5 can be told so, but does not tell (no mask)."""
    if not dataset.id.get_create_plist().get_nfilters():
        return
    full = math.prod(dataset.chunks) * dataset.dtype.itemsize
    for axis, (size, length) in enumerate(zip(dataset.shape, dataset.chunks, strict=True), start=1):
        edge = table.take([-1], axis)
        if size % length and np.any((edge[1] == full) & (edge[2] == 0)):
            raise SerialOnlyError("its chunks over the edge may be stored without filters")


def decoders_of(dataset: h5py.Dataset, table: NDArray[np.int64]) -> dict[int, Decoder]:
    """What undoes the filters, by filter mask: chunks may be written without some of them.

    Raises
    ------
    SerialOnlyError
        If only HDF5 can undo them.
    """
    _refuse_bare_edges(dataset, table)
    properties = dataset.id.get_create_plist()
    steps = [properties.get_filter(i) for i in range(properties.get_nfilters())]
    decoders = {}
    for mask in np.unique(table[2]).tolist():
        kept = [step for i, step in enumerate(steps) if not mask >> i & 1]
        decode = decoder_of([Filter(code, tuple(values)) for code, _, values, _ in kept])
        if decode is None:
            names = ", ".join(step[3].decode("ascii", "replace").split(";")[0] for step in steps)
            raise SerialOnlyError(f"its compression is undone by HDF5 only ({names})")
        decoders[mask] = decode
    return decoders
