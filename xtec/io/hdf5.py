"""Opening HDF5 files that others own: read-only, lock-tolerant, with errors that name file and path."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from xtec.core.errors import InputError, SeriesNotFoundError

logger = logging.getLogger(__name__)

SOURCE_SHAPE = "source_shape"
"""Attribute of a virtual dataset that takes parts of its sources; HDF5 keeps no more than which parts."""

_MAX_LINKS = 16
_FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32", 4: "szip", 5: "nbit", 6: "scaleoffset"}
_PLUGIN_FILTERS = {
    32000: "lzf",
    32001: "blosc",
    32004: "lz4",
    32008: "bitshuffle",
    32015: "zstd",
    32026: "blosc2",
}


@contextmanager
def open_hdf5(path: str | Path) -> Iterator[h5py.File]:
    """Open a file read-only, without taking a lock where the file system or another writer refuses one.

    Raises
    ------
    SeriesNotFoundError
        If there is no such file.
    InputError
        If it is not HDF5, is truncated, or may not be read.
    """
    import hdf5plugin  # noqa: F401  registers the LZ4, bitshuffle and Blosc filters

    file = _open(Path(path))
    try:
        yield file
    finally:
        file.close()


def _open(path: Path) -> h5py.File:
    if not path.exists():
        raise SeriesNotFoundError("no such file", file=path)
    try:
        return h5py.File(path, "r", locking="best-effort")
    except BlockingIOError:
        logger.warning("%s is open for writing elsewhere; reading it without a lock", path)
        return h5py.File(path, "r", locking=False)
    except PermissionError as error:
        raise InputError("no permission to read this file", file=path) from error
    except OSError as error:
        if path.is_file() and not h5py.is_hdf5(path):
            raise InputError("this is not an HDF5 file", file=path) from error
        raise InputError(
            f"cannot open this HDF5 file ({_reason(error)})",
            file=path,
            hint="a file still being written, or cut short in a transfer, looks like this; copy it again",
        ) from error


def _reason(error: Exception) -> str:
    """The part of an HDF5 message that says why."""
    text = str(error)
    return text[text.find("(") + 1 : text.rfind(")")] if "(" in text else text


@dataclass(frozen=True)
class DatasetRef:
    """Where a dataset really is, after all links, and how it is stored.

    Attributes
    ----------
    file : Path
        The file that holds the data.
    path : str
        Path of the dataset inside it.
    shape : tuple of int
    dtype : numpy dtype
    chunks : tuple of int or None
        None for contiguous and virtual storage.
    filters : tuple of str
        Compression and other filters, in the order they were applied.
    virtual : bool
        Whether it is a view on datasets of other files.
    reader : str
        The plugin that reads it, where it is no dataset of HDF5.
    """

    file: Path
    path: str
    shape: tuple[int, ...]
    dtype: np.dtype
    chunks: tuple[int, ...] | None
    filters: tuple[str, ...]
    virtual: bool = False
    reader: str = ""


def locate(path: Path, name: str) -> DatasetRef:
    """Follow soft and external links to a dataset, checking that every step exists.

    External links are resolved by hand, relative to the file that holds them, because HDF5 reports a link
    whose target is missing as if the name were there.

    Raises
    ------
    SeriesNotFoundError
        If a file or a path on the way is missing.
    InputError
        If the links go in circles, or end at something that is not a dataset of numbers.
    """
    origin, first = path, name
    for _ in range(_MAX_LINKS):
        with open_hdf5(path) as file:
            step = _next_link(file, name)
            if step is None:
                return _describe(file, path, name)
        target, inner = step
        if not (path.parent / target).exists():
            raise SeriesNotFoundError(
                f"the link points to {target}, which does not exist", file=origin, hdf5_path=first
            )
        path, name = path.parent / target, inner
    raise InputError("links go in circles", file=origin, hdf5_path=first)


def _next_link(file: h5py.File, name: str) -> tuple[str, str] | None:
    """First external link along a path, as (file, remaining path); None if there is none."""
    group: h5py.Group = file["/"]
    parts = [part for part in name.split("/") if part]
    for depth, part in enumerate(parts):
        link = group.get(part, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            return link.filename, "/".join([link.path, *parts[depth + 1 :]])
        child = group.get(part)
        if child is None:
            raise SeriesNotFoundError("there is nothing at this path", file=file.filename, hdf5_path=name)
        if isinstance(child, h5py.Group):
            group = child
    return None


def _describe(file: h5py.File, path: Path, name: str) -> DatasetRef:
    dataset = file[name]
    if not isinstance(dataset, h5py.Dataset):
        raise InputError("a dataset was expected here", file=path, hdf5_path=name)
    if dataset.dtype.kind not in "fiu":
        raise InputError(f"numbers were expected, not {dataset.dtype}", file=path, hdf5_path=name)
    if dataset.is_virtual:
        _check_virtual(dataset, path, name)
    return DatasetRef(
        path, name, dataset.shape, dataset.dtype, dataset.chunks, _filter_names(dataset), dataset.is_virtual
    )


def _check_virtual(dataset: h5py.Dataset, path: Path, name: str) -> None:
    """A virtual dataset reads a lost source as fill values without a word: look for each one first."""
    hint = "give the per-temperature files or their folder instead"
    for source in dataset.virtual_sources():
        target, inner = virtual_source(path, source)
        if not target.exists():
            lost = source.file_name.replace("%%", "%")
            raise SeriesNotFoundError(
                f"the virtual dataset takes data from {lost}, which does not exist",
                file=path,
                hdf5_path=name,
                hint=hint,
            )
        found = locate(target, inner).shape
        expected = tuple(dataset.attrs.get(SOURCE_SHAPE, source.src_space.shape))
        fits = found == expected if expected else math.prod(found) == source.vspace.get_select_npoints()
        if not fits:
            raise InputError(
                f"the virtual dataset expects another shape in {source.file_name} than {found}",
                file=path,
                hdf5_path=name,
                hint=hint,
            )


def virtual_source(path: Path, source: Any) -> tuple[Path, str]:
    """File and path of a source of a virtual dataset that stands in the file `path`.

    HDF5 takes ``%`` in these names for a pattern; one that is meant is doubled.
    """
    name = source.file_name.replace("%%", "%")
    target = path if name == "." else path.parent / name
    return target, source.dset_name.replace("%%", "%")


def _filter_names(dataset: h5py.Dataset) -> tuple[str, ...]:
    names = {**_FILTERS, **_PLUGIN_FILTERS}
    properties = dataset.id.get_create_plist()
    codes = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
    return tuple(names.get(code, f"filter {code}") for code in codes)


def read_text(value: object) -> str:
    """A string attribute or field as str, whatever HDF5 made of it."""
    if isinstance(value, np.ndarray):
        value = value.reshape(-1)[0] if value.size else ""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
