"""Finding where a dataset really is, and whether all of its values are there."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from xtec.core.errors import InputError, SeriesNotFoundError
from xtec.core.memory import format_bytes
from xtec.io.hdf5.links import Bounds, reached
from xtec.io.hdf5.opening import MOST_VALUES, DatasetRef, filter_names, read_label

SOURCE_SHAPE = "source_shape"
"""Attribute of a virtual dataset that takes parts of its sources; HDF5 keeps no more than which parts."""

_MOST_NESTED = 8
"""Virtual datasets over virtual datasets; HDF5 follows a circle of them until the stack is full."""

_ABSURD = (2**30, 4096)
"""Declared bytes, and as a multiple of the file: gzip stores a constant in a thousandth of its size."""

_PACKING = {1, 4, 32000, 32001, 32004, 32015, 32026}
"""Filters that make values smaller, none of which gains anything after another: gzip, szip, Blosc, ..."""

_GIVE_FILES = "give the per-temperature files or their folder instead"


def locate(path: Path, name: str, bounds: Bounds | None = None, *, nested: int = 0) -> DatasetRef:
    """Follow soft and external links to a dataset of intensities, checking that every step exists.

    Parameters
    ----------
    path : Path
    name : str
    bounds : Bounds, optional
        Where links may lead; by default the folder of the file and all below it.
    nested : int
        How many virtual datasets lead here.

    Raises
    ------
    SeriesNotFoundError
        If a file or a path on the way is missing, or no value of it was ever written.
    InputError
        If the links go in circles or out of bounds, end at something that is not a dataset of numbers, or
        some values have no place in any file.
    """
    bounds = bounds or Bounds.around([path])
    with reached(path, name, bounds) as (file, real, inner):
        dataset = file[inner]
        if not isinstance(dataset, h5py.Dataset):
            raise InputError("a dataset was expected here", file=real, hdf5_path=inner)
        _check_numbers(dataset, real, inner)
        check_storage(dataset, real, inner, bounds, nested=nested)
        _check_filters(dataset, real, inner)
        if not dataset.is_virtual:
            _check_written(dataset, real, inner)
        filters = filter_names(dataset)
        return DatasetRef(
            real, inner, dataset.shape, dataset.dtype, dataset.chunks, filters, dataset.is_virtual
        )


def read_values(dataset: h5py.Dataset, bounds: Bounds) -> Any:
    """All of a small dataset: an axis, a name, a temperature.

    Raises
    ------
    InputError
        If it is no small one, or some values have no place in a file that may be read.
    """
    path, name = Path(dataset.file.filename), dataset.name
    if (dataset.size or 0) > MOST_VALUES:
        what = f"{dataset.size} values are declared where an axis or a single value was expected"
        raise InputError(what, file=path, hdf5_path=name)
    check_storage(dataset, path, name, bounds)
    return dataset[()]


def check_storage(dataset: h5py.Dataset, path: Path, name: str, bounds: Bounds, *, nested: int = 0) -> None:
    """See that all files that hold the values of a dataset are there, large enough, and within bounds.

    HDF5 itself gives fill values, zero mostly, for what is missing.

    Raises
    ------
    SeriesNotFoundError
        If such a file is missing.
    InputError
        If one is too short or out of bounds, or if a virtual dataset leaves values without a source.
    """
    if dataset.is_virtual:
        if nested >= _MOST_NESTED:
            raise InputError("virtual datasets go in circles", file=path, hdf5_path=name)
        _check_virtual(dataset, path, name, bounds, nested)
    _check_raw_files(dataset, path, name, bounds)


def virtual_source(path: Path, source: Any) -> tuple[Path, str]:
    """File and path of a source of a virtual dataset that stands in the file `path`.

    HDF5 takes ``%`` in these names for a pattern; one that is meant is doubled.
    """
    name = source.file_name.replace("%%", "%")
    target = path if name == "." else path.parent / name
    return target, source.dset_name.replace("%%", "%")


def unwritten(dataset: h5py.Dataset, written: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """Chunks whose values are missing, among a grid of them; None if none are.

    A chunk that was never written has a meaning where the writer has set a fill value, as for "no counts
    here". Otherwise HDF5 would give zeros; we give NaN, so that a voxel that lacks a temperature is dropped.

    Raises
    ------
    InputError
        If values are missing and the numbers are whole, which have no NaN.
    """
    meant = dataset.id.get_create_plist().fill_value_defined() == h5py.h5d.FILL_VALUE_USER_DEFINED
    if meant or written.all():
        return None
    if dataset.dtype.kind != "f":
        raise InputError(
            f"{np.count_nonzero(~written)} of {written.size} chunks were never written: HDF5 gives zeros",
            file=dataset.file.filename,
            hdf5_path=dataset.name,
            hint="copy the file again, or let its writer set a fill value if these are meant to be so",
        )
    return ~written


def _check_numbers(dataset: h5py.Dataset, path: Path, name: str) -> None:
    what = None
    if dataset.shape is None or 0 in dataset.shape:
        what = "the signal has no voxels"
    elif dataset.dtype.kind not in "fiu" or h5py.check_enum_dtype(dataset.dtype) is not None:
        what = f"numbers were expected, not {str(dataset.dtype)[:80]}"
    if what is not None:
        raise InputError(what, file=path, hdf5_path=name)


def _check_filters(dataset: h5py.Dataset, path: Path, name: str) -> None:
    """Refuse what cannot be unpacked, or was packed twice: a few bytes may then unpack to terabytes."""
    properties = dataset.id.get_create_plist()
    codes = []
    for number in range(properties.get_nfilters()):
        code, flags, _, label = properties.get_filter(number)
        if not (h5py.h5z.filter_avail(code) or flags & h5py.h5z.FLAG_OPTIONAL):
            called = read_label(label)
            raise InputError(
                f"it is compressed with a filter that is not installed: {code} {called}".rstrip(),
                file=path,
                hdf5_path=name,
                hint="a plugin for it in HDF5_PLUGIN_PATH; xtec doctor lists the filters there are",
            )
        codes.append(code)
    if sum(code in _PACKING for code in codes) > 1:
        raise InputError("its values are compressed more than once", file=path, hdf5_path=name)


def _check_virtual(dataset: h5py.Dataset, path: Path, name: str, bounds: Bounds, nested: int) -> None:
    """A virtual dataset reads a lost source as fill values without a word: look for each one first."""
    filled = 0
    for source in dataset.virtual_sources():
        target, inner = virtual_source(path, source)
        lost = source.file_name.replace("%%", "%")
        bounds.check(target, path, name)
        if not target.exists():
            raise SeriesNotFoundError(
                f"the virtual dataset takes data from {lost}, which does not exist",
                file=path,
                hdf5_path=name,
                hint=_GIVE_FILES,
            )
        found = locate(target, inner, bounds, nested=nested + 1).shape
        expected = tuple(dataset.attrs.get(SOURCE_SHAPE, source.src_space.shape))
        n_taken = source.vspace.get_select_npoints()
        fits = found == expected if expected else math.prod(found) == n_taken
        if not fits:
            raise InputError(
                f"the virtual dataset expects another shape in {source.file_name} than {found}",
                file=path,
                hdf5_path=name,
                hint=_GIVE_FILES,
            )
        filled += n_taken
    if filled < math.prod(dataset.shape) and dataset.fillvalue == 0:
        raise InputError(
            f"the virtual dataset has no source for {math.prod(dataset.shape) - filled} of its values; "
            "HDF5 would give zeros",
            file=path,
            hdf5_path=name,
            hint=_GIVE_FILES,
        )


def _check_raw_files(dataset: h5py.Dataset, path: Path, name: str, bounds: Bounds) -> None:
    """See to the raw files outside HDF5 in which a dataset may keep its values."""
    properties = dataset.id.get_create_plist()
    rest = math.prod(dataset.shape or ()) * dataset.dtype.itemsize
    for number in range(properties.get_external_count()):
        stored, offset, size = properties.get_external(number)
        file = Path(os.fsdecode(stored))
        bounds.check(file, path, name)
        if not file.is_file():
            what = f"its values are in {file}, which is no file; a relative name is meant from here"
            raise SeriesNotFoundError(what, file=path, hdf5_path=name, hint="go to where it was written")
        size = min(size, rest)
        if file.stat().st_size < offset + size:
            raise InputError(f"{file}, which has its values, is cut short", file=path, hdf5_path=name)
        rest -= size


def _check_written(dataset: h5py.Dataset, path: Path, name: str) -> None:
    """Refuse intensities none of which were stored, and more than the file could ever hold."""
    if not _has_any(dataset):
        raise SeriesNotFoundError("no intensities written yet", file=path, hdf5_path=name)
    declared, held = math.prod(dataset.shape) * dataset.dtype.itemsize, path.stat().st_size
    if declared > max(_ABSURD[0], _ABSURD[1] * held) and not dataset.external:
        raise InputError(
            f"{format_bytes(declared)} of intensities are declared in a file of {format_bytes(held)}: "
            "nearly all of them were never written, or are one and the same number",
            file=path,
            hdf5_path=name,
            hint="copy the file again, or take the part that was measured into a file of its own",
        )


def _has_any(dataset: h5py.Dataset) -> bool:
    """Whether any value of a dataset is stored."""
    if dataset.external:
        return True
    if dataset.chunks is None:
        compact = dataset.id.get_create_plist().get_layout() == h5py.h5d.COMPACT
        return compact or dataset.id.get_offset() is not None
    return dataset.id.chunk_iter(lambda chunk: True) is not None
