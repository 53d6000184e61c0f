"""Shards on disk: what memory cannot hold, and what an interrupted run can go on from."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, fields
from itertools import count
from pathlib import Path
from typing import IO, Any, TypeVar, cast

import numpy as np

from xtec.core.errors import OutputError
from xtec.core.shards import deferred, record_bytes
from xtec.io.disk.atomic import replacing

Kind = TypeVar("Kind")
Outcome = TypeVar("Outcome")

_ONE_AT_A_TIME = threading.Lock()


def save_record(path: Path, record: Any) -> None:
    """Write the fields of a dataclass (arrays and numbers), one after the other; whole or not at all.

    Raises
    ------
    OutputError
        If they cannot be written: a full disk, usually.
    """
    with replacing(path) as temporary, open(temporary, "wb") as file:
        for field in fields(record):
            np.save(file, np.asarray(getattr(record, field.name)), allow_pickle=False)


def load_record(path: Path, kind: type[Kind]) -> Kind:
    """Read what `save_record` wrote of a dataclass of this kind."""
    with open(path, "rb") as file:
        return kind(*[_read_array(file) for _ in fields(kind)])  # type: ignore[arg-type]


def open_record(path: Path, kind: type[Kind]) -> Kind:
    """What `save_record` wrote, each field read when it is first asked for."""
    names = [field.name for field in fields(cast(Any, kind))]

    def read_field(name: str) -> Any:
        with open(path, "rb") as file:
            for _ in range(names.index(name)):
                shape, _, dtype = _read_header(file)
                file.seek(math.prod(shape) * dtype.itemsize, 1)
            return _read_array(file)

    return deferred(kind, read_field)


def _read_array(file: IO[bytes]) -> Any:
    """Next array of a file, or its number."""
    shape, fortran, dtype = _read_header(file)
    flat = np.fromfile(file, dtype, math.prod(shape))
    if flat.size != math.prod(shape):
        raise EOFError(f"{file.name} ends within an array")
    return flat.reshape(shape, order="F" if fortran else "C") if shape else flat.item()


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and type of the next array.

    By one thread at a time: NumPy has the header read as Python source, and in Python 3.11 threads that do so
    at once raise SystemError now and then (python/cpython issue 106905).
    """
    with _ONE_AT_A_TIME:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            return np.lib.format.read_array_header_1_0(file)
        return np.lib.format.read_array_header_2_0(file)


@dataclass
class _Held:
    """A record in memory, or the file it is in."""

    record: Any
    kind: type
    path: Path | None
    size: int


class Scratch:
    """A store that keeps records in memory up to a budget, and further ones in files.

    Parameters
    ----------
    folder : Path
        Made when the first record goes there.
    budget : int
        Bytes.

    Attributes
    ----------
    in_memory, written : int
        Bytes that are in memory now, and that have been written to files so far.
    """

    def __init__(self, folder: Path, budget: int) -> None:
        self.folder = folder
        self.budget = budget
        self.in_memory = 0
        self.written = 0
        self._numbers = count()
        self._lock = threading.Lock()

    def put(self, item: Any) -> _Held:
        """Take a record in; to disk if memory is used up.

        Raises
        ------
        OutputError
            If the scratch folder cannot take it.
        """
        size = record_bytes(item)
        with self._lock:
            fits = self.in_memory + size <= self.budget
            if fits:
                self.in_memory += size
            else:
                self.written += size
            number = next(self._numbers)
        if fits:
            return _Held(item, type(item), None, size)
        path = self.folder / f"spilled-{number}.npy"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"cannot make the scratch folder ({error.strerror})", file=self.folder
            ) from error
        save_record(path, item)
        return _Held(None, type(item), path, size)

    def work(self, function: Callable[[Any], Outcome], item: Any) -> Outcome:
        """Apply a function."""
        return function(item)

    def get(self, handle: _Held) -> Any:
        """The record again."""
        return handle.record if handle.path is None else open_record(handle.path, handle.kind)

    def drop(self, handle: _Held) -> None:
        """Forget a record, and delete its file."""
        if handle.path is None:
            with self._lock:
                self.in_memory -= handle.size
        else:
            handle.path.unlink(missing_ok=True)
        handle.record = None
