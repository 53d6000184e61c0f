"""New HDF5 files on disks that may be full.

The HDF5 library cannot close a file that it could not write: it keeps it open, complains again and again, and
takes the interpreter down with it in the end. So it never learns of a write that failed: from then on what it
writes is kept in memory, the file is closed, and then the failure is raised.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import SEEK_CUR, SEEK_END, SEEK_SET
from pathlib import Path
from typing import Any

import h5py

from xtec.core.interrupts import uninterrupted
from xtec.io.disk.atomic import replacing

_PAGE = 4096

_OPEN: dict[int, Callable[[], None]] = {}
"""By HDF5's number of a file: what raises if writing it is to end."""


@contextmanager
def new_hdf5(path: Path) -> Iterator[h5py.File]:
    """A new file that takes its place when the block ends without an error; see `replacing`.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    with replacing(path) as temporary, create_hdf5(temporary, path.name) as file:
        yield file


@contextmanager
def create_hdf5(path: Path, name: str | None = None) -> Iterator[h5py.File]:
    """A new file (told another `name` if need be); Ctrl-C and SIGTERM wait for its end, or `check_room`.

    Raises
    ------
    OSError
        At the end, if it could not be written.
    """
    with uninterrupted() as check_interrupt:  # an exception in what HDF5 calls of ours would end both
        sink = _Sink(path, name or path.name)

        def check() -> None:
            check_interrupt()
            sink.check()

        try:
            with h5py.File(sink, "w") as file:
                number = _number(file)
                _OPEN[number] = check
                try:
                    yield file
                finally:
                    del _OPEN[number]
        finally:
            sink.close()
        sink.check()


def check_room(item: h5py.HLObject) -> None:
    """Between two blocks of a file that is long in the writing: end if the disk is full, or at Ctrl-C.

    Raises
    ------
    OSError
        If what was written so far could not be.
    KeyboardInterrupt
    """
    _OPEN[_number(item)]()


def _number(item: h5py.HLObject) -> int:
    return int(h5py.h5o.get_info(item.id).fileno)


class _Sink:
    """What HDF5 takes for a file. Pages that the disk did not take are in memory.

    Parameters
    ----------
    path : Path
    name : str
    """

    def __init__(self, path: Path, name: str) -> None:
        self._name = name
        self._number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o666)
        self._place = self._size = 0
        self._kept: dict[int, bytearray] = {}
        self._failure: OSError | None = None

    def __repr__(self) -> str:
        return self._name  # HDF5 has it for the name of the file

    def check(self) -> None:
        """Raise what failed."""
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Of the file on disk."""
        os.close(self._number)

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        """As of any file."""
        self._place = offset + {SEEK_SET: 0, SEEK_CUR: self._place, SEEK_END: self._size}[whence]
        return self._place

    def tell(self) -> int:
        """As of any file."""
        return self._place

    def flush(self) -> None:
        """Nothing is held back."""

    def truncate(self, size: int) -> int:
        """Set the size; the disk is asked at once."""
        self._size = size
        self._try(lambda: os.ftruncate(self._number, size))
        return size

    def write(self, data: Any) -> int:
        """Write all, to the disk or to memory."""
        view = memoryview(data).cast("B")
        start, self._place = self._place, self._place + len(view)
        self._size = max(self._size, self._place)
        if not self._try(lambda: self._to_disk(view, start)):
            for page, inside, part in _pages(start, len(view)):
                self._page(page)[inside] = view[part]
        return len(view)

    def readinto(self, buffer: Any) -> int:
        """Read what was written; zeros where nothing was."""
        view = memoryview(buffer).cast("B")
        start, self._place = self._place, self._place + len(view)
        for page, inside, part in _pages(start, len(view)):
            view[part] = self._page(page)[inside] if page in self._kept else self._from_disk(page)[inside]
        return len(view)

    def read(self, size: int = -1) -> bytes:
        """As of any file."""
        buffer = bytearray(self._size - self._place if size < 0 else size)
        self.readinto(buffer)
        return bytes(buffer)

    def _try(self, work: Callable[[], None]) -> bool:
        """Do something with the disk, unless that has failed before; whether it was done."""
        try:
            if self._failure is None:
                work()
        except OSError as failure:
            self._failure = failure
        return self._failure is None

    def _to_disk(self, view: memoryview, start: int) -> None:
        done = 0
        while done < len(view):
            done += os.pwrite(self._number, view[done:], start + done)

    def _from_disk(self, page: int) -> bytes:
        return os.pread(self._number, _PAGE, page * _PAGE).ljust(_PAGE, b"\0")

    def _page(self, page: int) -> bytearray:
        if page not in self._kept:
            self._kept[page] = bytearray(self._from_disk(page))
        return self._kept[page]


def _pages(start: int, size: int) -> Iterator[tuple[int, slice, slice]]:
    """Pages that some bytes lie in: each with where in it, and which of the bytes."""
    done = 0
    while done < size:
        page, first = divmod(start + done, _PAGE)
        length = min(_PAGE - first, size - done)
        yield page, slice(first, first + length), slice(done, done + length)
        done += length
