"""Shards on disk: what memory cannot hold, and what an interrupted run can go on from."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, fields
from functools import cache
from itertools import count
from pathlib import Path
from typing import IO, Any, TypeVar, cast

import numpy as np

from xtec.core.errors import OutputError
from xtec.core.shards import record_bytes
from xtec.io.atomic import replacing

Kind = TypeVar("Kind")


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
    values = []
    with open(path, "rb") as file:
        for _ in fields(kind):  # type: ignore[arg-type]
            value = np.load(file, allow_pickle=False)
            values.append(value if value.ndim else value.item())
    return kind(*values)


def open_record(path: Path, kind: type[Kind]) -> Kind:
    """What `save_record` wrote, each field read when it is first asked for: most work needs one or two."""
    record: Kind = object.__new__(_read_later(cast(Any, kind)))
    record.__dict__["_path"] = path
    return record


@cache
def _read_later(kind: Any) -> Any:
    return type(f"{kind.__name__}OnDisk", (kind,), {"__getattr__": _read_field})


def _read_field(record: Any, name: str) -> Any:
    names = [field.name for field in fields(record)]
    if name not in names:
        raise AttributeError(name)
    with open(record.__dict__["_path"], "rb") as file:
        for _ in range(names.index(name)):
            _skip_array(file)
        value = np.load(file, allow_pickle=False)
    record.__dict__[name] = value if value.ndim else value.item()
    return record.__dict__[name]


def _skip_array(file: IO[bytes]) -> None:
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0
    if version != (1, 0):
        read_header = np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(file)
    file.seek(math.prod(shape) * dtype.itemsize, 1)


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
