"""Write an open series as one stacked NeXus file: a view on the datasets there are, or a copy of them."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from xtec.core.axes import Axis
from xtec.core.chunking import block_shape, plan_blocks
from xtec.core.errors import ConfigError, InputError, OutputError
from xtec.core.progress import Advance
from xtec.io.disk.atomic import make_folder, replacing
from xtec.io.hdf5.links import Bounds
from xtec.io.hdf5.locate import SOURCE_SHAPE, locate
from xtec.io.hdf5.opening import DatasetRef, open_hdf5
from xtec.io.hdf5.output import check_room, create_hdf5
from xtec.io.nexus.sample import write_sample_info
from xtec.io.nexus.writer import new_data, new_group, now, start_file, write_parameters
from xtec.io.reading.provenance import describe_inputs, program_version
from xtec.io.reading.series import PerTemperature, Series, Stacked
from xtec.io.reading.volume import STACKED_BY
from xtec.io.writing.series import Storage

_SIGNAL = "/entry/data/data"
_CHUNKS = {1: (32768,), 2: (128, 256), 3: (8, 64, 64)}
"""Chunks of one temperature, by the number of reciprocal-space axes."""

_GOOD_CHUNK = range(16 * 2**10, 4 * 2**20)
"""Bytes of a chunk that is neither too many reads nor too much memory; such chunks are kept."""

_PROBED = (1 / 2, 1 / 4, 3 / 4, 0)
"""Where in a volume, as a share of its slower axes, a line is read to see that its values come through."""


def write_virtual(path: Path, series: Series, parameters: Mapping[str, Any]) -> None:
    """Write a virtual dataset over the datasets of a series; it is there only if their values come through.

    Names of sources are relative to the file where both lie below one folder, so that they move together.
    Where a source is lost later, a virtual dataset of floating-point numbers reads as NaN, not as zero.

    Parameters
    ----------
    path : Path
        Replaced if it exists.
    series : Series
        One dataset for each temperature; a region is taken as it is.
    parameters : mapping
        What is written of how the file was made.

    Raises
    ------
    ConfigError
        If the series has no dataset of its own for each temperature.
    InputError
        If the datasets differ in shape or type, or one cannot be read.
    OutputError
        If the file cannot be written, or does not give the values of its sources.
    """
    source = series.source
    if isinstance(source, Stacked):
        what = "a plugin reads this series" if source.signal.reader else "this is one dataset already"
        raise ConfigError(f"{what}: there is nothing to stack", file=source.signal.file, hint="--copy")
    refs = [source.signals[row] for row in series.rows]
    _check_alike(refs)
    stored = np.argsort(source.order)
    box = tuple(slice(series.origin[i], series.origin[i] + series.shape[i]) for i in stored)
    layout = h5py.VirtualLayout((len(refs), *(part.stop - part.start for part in box)), refs[0].dtype)
    for row, ref in enumerate(refs):
        name = _seen_from(path.parent, ref.file)
        whole = h5py.VirtualSource(_plain(name), _plain(ref.path), ref.shape, ref.dtype)
        layout[row] = whole[box]
    axes = [series.scan, *(series.axes[i] for i in stored)]
    check = partial(_check_values, path=path, refs=refs, box=box)
    with _new_file(path, series, axes, parameters, check) as data:
        signal = data.create_virtual_dataset("data", layout, fillvalue=_fill(refs[0].dtype))
        signal.attrs["long_name"] = "Intensity"
        signal.attrs[SOURCE_SHAPE] = refs[0].shape


def write_copy(
    path: Path,
    series: Series,
    storage: Storage,
    parameters: Mapping[str, Any],
    *,
    budget: int,
    advance: Advance,
) -> None:
    """Write all intensities of a series into one dataset (temperature, Ql, Qk, Qh), block by block.

    Parameters
    ----------
    path : Path
        Replaced if it exists.
    series : Series
    storage : Storage
        Chunks are those of the input where these are of a good size, else 32768 voxels of one temperature.
    parameters : mapping
        What is written of how the file was made.
    budget : int
        Bytes of a block; one chunk at least.
    advance : callable
        Told the bytes of each block.

    Raises
    ------
    ConfigError
        If `storage` has chunks of another number of dimensions.
    InputError
        If a dataset cannot be read.
    OutputError
        If the file cannot be written.
    """
    dtype = np.result_type(*(ref.dtype.newbyteorder("=") for ref in series.source.refs))
    shape = (series.n_temperatures, *series.shape)
    chunks = storage.chunk_shape(shape, _chunks(series))
    at_once = chunks[0] if isinstance(series.source, PerTemperature) else series.n_temperatures
    blocks = plan_blocks(series.shape, voxel_bytes=at_once * dtype.itemsize, budget=budget, chunks=chunks[1:])
    with (
        _new_file(path, series, [series.scan, *series.axes], parameters) as data,
        series.reader() as reader,
    ):
        signal = data.create_dataset("data", shape, dtype, chunks=chunks, **storage.filters())
        signal.attrs["long_name"] = "Intensity"
        for start in range(0, series.n_temperatures, at_once):
            temperatures = slice(start, min(start + at_once, series.n_temperatures))
            for block in blocks:
                values = np.empty((temperatures.stop - start, *block_shape(block)), dtype)
                reader.read(block, temperatures, out=values)
                signal[(temperatures, *block)] = values
                check_room(signal)
                advance(values.nbytes)


def check_output_file(path: Path, series: Series, *, force: bool) -> None:
    """Refuse an output before any work is done; nothing is created.

    Raises
    ------
    OutputError
        If it is part of the series, a folder, exists (without `force`), or cannot be written.
    """
    given = (*series.inputs, *(ref.file for ref in series.source.refs))
    if os.path.realpath(path) in map(os.path.realpath, given):
        raise OutputError("the output is part of the input", file=path, hint="another file with -o")
    if path.is_dir():
        raise OutputError("the output is a folder, a file is wanted", file=path, hint="-o FILE.nxs")
    if path.exists() and not force:
        raise OutputError("the output exists already", file=path, hint="another file with -o, or --force")
    parent = path.parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise OutputError("cannot write here", file=parent, hint="another file with -o")


@contextmanager
def _new_file(
    path: Path,
    series: Series,
    axes: list[Axis],
    parameters: Mapping[str, Any],
    check: Callable[[Path], None] = lambda _: None,
) -> Iterator[h5py.Group]:
    """The NXdata, without its signal, of a file that takes its place at the end, if it passes a check."""
    make_folder(path.parent)
    with replacing(path) as temporary:
        with create_hdf5(temporary) as file:
            start_file(file, STACKED_BY, program_version())
            file.attrs["file_name"] = path.name
            entry = new_group(file, "entry", "NXentry")
            entry.attrs["default"] = "data"
            entry["title"] = series.name
            write_sample_info(entry, replace(series.sample, name=series.name))
            data = new_data(entry, "data", title=series.name, signals=["data"], axes=axes)
            if series.angles is not None:
                data.attrs["angles"] = series.angles
            _write_process(entry, series, parameters)
            yield data
        check(temporary)


def _write_process(entry: h5py.Group, series: Series, parameters: Mapping[str, Any]) -> None:
    group = new_group(entry, "process", "NXprocess")
    group["program"] = STACKED_BY
    group["version"] = program_version()
    group["date"] = now()
    group["sequence_index"] = 1
    write_parameters(group, "parameters", parameters)
    inputs = new_group(group, "inputs", "NXcollection")
    described = describe_inputs(series)
    for name in described[0]:
        inputs[name] = [source[name] for source in described]
    if series.dropped:
        reasons = {
            f"temperature_{i:03d}": f"{bad.file}: {bad.reason}" for i, bad in enumerate(series.dropped, 1)
        }
        write_parameters(group, "dropped", reasons)


def _check_alike(refs: list[DatasetRef]) -> None:
    """A virtual dataset whose sources differ reads wrongly, or never ends."""
    first = refs[0]
    for ref in refs:
        if (ref.shape, ref.dtype) != (first.shape, first.dtype):
            raise InputError(
                f"{ref.shape} of {ref.dtype} where {first.file} has {first.shape} of {first.dtype}",
                file=ref.file,
                hdf5_path=ref.path,
                hint="--copy brings them to one type",
            )


def _check_values(temporary: Path, path: Path, refs: list[DatasetRef], box: tuple[slice, ...]) -> None:
    """Read a line of each source, through the virtual dataset and past it."""
    try:
        virtual = locate(temporary, _SIGNAL, Bounds(None))
    except InputError as error:
        raise OutputError(
            f"no virtual dataset can be made here: {error.what}", file=path, hint="--copy"
        ) from error
    for row, ref in enumerate(refs):
        for share in _PROBED:
            inside = tuple(int(share * (part.stop - part.start)) for part in box[:-1])
            there = tuple(part.start + i for part, i in zip(box[:-1], inside, strict=True))
            expected = _line(ref, (*there, box[-1]))
            found = _line(virtual, (row, *inside, slice(None)))
            if not np.array_equal(found, expected, equal_nan=expected.dtype.kind == "f"):
                raise OutputError(
                    f"the virtual dataset does not give the values of {ref.file}:{ref.path}",
                    file=path,
                    hint="--copy, or an output in the folder of the input",
                )
            if np.any((expected != 0) & (expected == expected)):
                break


def _line(ref: DatasetRef, where: tuple[int | slice, ...]) -> NDArray[Any]:
    try:
        with open_hdf5(ref.file) as file:
            return np.asarray(file[ref.path][where])
    except (OSError, KeyError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"cannot read the intensities ({error})", file=ref.file, hdf5_path=ref.path
        ) from error


def _chunks(series: Series) -> tuple[int, ...]:
    own = series.source.chunks
    if own is not None and math.prod(own) * series.dtype.itemsize in _GOOD_CHUNK:
        return (1, *own)
    return (1, *_CHUNKS[len(series.shape)])


def _seen_from(folder: Path, file: Path) -> str:
    """Name of a file for one in `folder`: relative unless they have no more than the root in common."""
    target, start = os.path.realpath(file), os.path.realpath(folder)
    apart = os.path.commonpath([target, start]) == os.path.sep
    return target if apart else os.path.relpath(target, start)


def _plain(name: str) -> str:
    """A name in which HDF5 sees no pattern."""
    return name.replace("%", "%%")


def _fill(dtype: np.dtype[Any]) -> float:
    return math.nan if dtype.kind == "f" else 0
