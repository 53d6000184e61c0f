"""Opening HDF5 files that others own: read-only, lock-tolerant, with errors that name file and path."""

from __future__ import annotations

import logging
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from xtec.core.errors import InputError, SeriesNotFoundError, XtecError
from xtec.core.memory import is_short_of_memory

logger = logging.getLogger(__name__)

MOST_VALUES = 2**24
"""Values of an axis, a text or an attribute; a file that declares more is damaged, or meant to do harm."""

_LONGEST_LABEL = 200
"""Characters."""

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

    What h5py finds wrong with the file while it is open becomes an error that names the file.

    Raises
    ------
    SeriesNotFoundError
        If there is no such file.
    InputError
        If it is not HDF5, is truncated or damaged, or may not be read.
    """
    import hdf5plugin  # noqa: F401  registers the LZ4, bitshuffle and Blosc filters

    path = Path(path)
    file = _open(path)
    try:
        yield file
    except (OSError, LookupError, RuntimeError, ValueError, TypeError) as error:
        if isinstance(error, XtecError) or is_short_of_memory(error) or not _is_of_h5py(error):
            raise
        raise InputError(
            f"this file is damaged ({reason_of(error)})", file=path, hint="copy or make it again"
        ) from error
    finally:
        file.close()


def _open(path: Path) -> h5py.File:
    check_kind(path)
    try:
        return h5py.File(path, "r", locking="best-effort")
    except BlockingIOError:
        logger.warning("%s is open for writing elsewhere; reading it without a lock", path)
        return h5py.File(path, "r", locking=False)
    except PermissionError as error:
        raise InputError("no permission to read this file", file=path) from error
    except (OSError, RuntimeError, ValueError) as error:
        if is_short_of_memory(error):
            raise
        if not h5py.is_hdf5(path):
            raise InputError("this is not an HDF5 file", file=path) from error
        raise InputError(
            f"cannot open this HDF5 file ({reason_of(error)})",
            file=path,
            hint="a file still being written, or cut short in a transfer, looks like this; copy it again",
        ) from error


def check_kind(path: Path) -> None:
    """Refuse what is no file: reading a device or a pipe may never end.

    Raises
    ------
    SeriesNotFoundError
        If there is nothing.
    InputError
        If it is something else.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise SeriesNotFoundError("no such file", file=path) from None
    except ValueError as error:  # a zero byte in the name, which a link may have
        raise SeriesNotFoundError(f"no such file ({error})", file=path) from None
    except OSError as error:
        raise InputError(f"cannot look at this file ({error.strerror})", file=path) from error
    if not stat.S_ISREG(mode):
        what = "this is a folder" if stat.S_ISDIR(mode) else "this is a device or a pipe"
        raise InputError(f"{what}, a file is wanted", file=path)


def _is_of_h5py(error: BaseException) -> bool:
    """Whether h5py raised it, rather than somebody who uses h5py."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    name = "" if trace is None else trace.tb_frame.f_globals.get("__name__", "")
    return str(name).partition(".")[0] == "h5py"


def reason_of(error: BaseException) -> str:
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


def filter_names(dataset: h5py.Dataset) -> tuple[str, ...]:
    """Filters of a dataset, in the order they were applied."""
    names = {**_FILTERS, **_PLUGIN_FILTERS}
    properties = dataset.id.get_create_plist()
    codes = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
    return tuple(names.get(code, f"filter {code}") for code in codes)


def attribute(thing: h5py.Group | h5py.Dataset, name: str) -> Any:
    """An attribute; None if there is none, or it is empty.

    Raises
    ------
    InputError
        If it is absurdly large.
    """
    if name not in thing.attrs:
        return None
    if thing.attrs.get_id(name).get_space().get_simple_extent_npoints() > MOST_VALUES:
        raise InputError(
            f"the attribute {name} is absurdly large", file=thing.file.filename, hdf5_path=thing.name
        )
    value = thing.attrs[name]
    return None if isinstance(value, h5py.Empty) else value


def read_text(value: object) -> str:
    """A string attribute or field as str, whatever HDF5 made of it; "" for None."""
    if isinstance(value, np.ndarray):
        value = value.reshape(-1)[0] if value.size else ""
    if value is None or isinstance(value, h5py.Empty):
        return ""
    content = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")
    return content.decode("utf-8", "replace")


def read_label(value: object) -> str:
    """Text that people are going to see: in one line, not too long, and without control characters."""
    text = "".join(letter if letter.isprintable() else " " for letter in read_text(value)[:_LONGEST_LABEL])
    return text.strip()
