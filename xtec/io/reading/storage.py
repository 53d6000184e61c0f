"""What is unfortunate about the way a series is stored, and what it costs."""

from __future__ import annotations

import math
from collections.abc import Iterator

from xtec.core.memory import format_bytes
from xtec.io.hdf5.boxes import cut
from xtec.io.reading.series import PerTemperature, Series

_SMALL_CHUNK = 16 * 2**10
_LARGE_BLOCK = 512 * 2**20
_WASTE = 1.5
"""Bytes read over bytes needed that are worth a word."""


def storage_notes(series: Series) -> list[str]:
    """What makes reading slow or large, one sentence each with its cost; reads headers only.

    Parameters
    ----------
    series : Series
        Cropped as it is going to be read.

    Returns
    -------
    list of str
        Empty if the storage is good.
    """
    notes = _contiguous_notes if series.source.chunks is None else _chunk_notes
    return [*notes(series), *_serial_notes(series)]


def _chunk_notes(series: Series) -> Iterator[str]:
    ref, lengths = series.source.refs[0], series.source.chunks or ()
    parts = zip(series.origin, series.shape, lengths, strict=True)
    touched = [len(cut(slice(start, start + size), length)) for start, size, length in parts]
    deep = _chunk_temperatures(series)
    layers = len({row // deep for row in series.rows})
    chunk = math.prod(lengths) * deep * ref.dtype.itemsize

    rows_read = layers * deep / series.n_temperatures
    if rows_read > _WASTE:
        yield (
            f"chunks hold {deep} temperatures each and {series.n_temperatures} in all are used: "
            f"reads {rows_read:.1f} times the temperatures needed"
        )
    voxels_read = math.prod(touched) * math.prod(lengths) / math.prod(series.shape)
    if voxels_read > _WASTE:
        size = " x ".join(map(str, lengths))
        yield (
            f"the grid takes a small part of its chunks of {size} voxels: "
            f"reads {voxels_read:.1f} times the voxels needed"
        )
    n_chunks = math.prod(touched) * layers
    if chunk < _SMALL_CHUNK and n_chunks > 1000:
        yield f"chunks of {format_bytes(chunk)} are small: {n_chunks} separate reads"
    if chunk * layers > _LARGE_BLOCK:
        least = format_bytes(chunk * layers)
        yield f"chunks are large: a block of all temperatures takes at least {least} in each thread"


def _chunk_temperatures(series: Series) -> int:
    """Temperatures in one chunk."""
    source = series.source
    if isinstance(source, PerTemperature) or source.signal.chunks is None:
        return 1
    return source.signal.chunks[source.order[0]]


def _contiguous_notes(series: Series) -> Iterator[str]:
    source = series.source
    if isinstance(source, PerTemperature) or source.order[0] != len(source.order) - 1:
        return
    stored = source.signal.shape[-1]
    if stored > _WASTE * series.n_temperatures:
        yield (
            f"temperature is the fastest dimension and {series.n_temperatures} of {stored} are used: "
            f"reads {stored / series.n_temperatures:.1f} times the temperatures needed"
        )


def _serial_notes(series: Series) -> Iterator[str]:
    with series.reader() as reader:
        obstacles = reader.obstacles()
    if obstacles:
        file, reason = next(iter(obstacles.items()))
        where = f"{len(obstacles)} files, as {file}" if len(obstacles) > 1 else file
        yield f"read through HDF5, 1 thread at a time whatever the number of workers: {where} ({reason})"
