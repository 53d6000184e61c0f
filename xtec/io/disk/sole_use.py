"""One at a time: a lock file in the folder that a command writes into, with who holds it."""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import shlex
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from xtec.core.durations import format_duration
from xtec.core.errors import OutputError
from xtec.io.disk.atomic import clear_temporaries
from xtec.io.disk.processes import started

LOCK = ".lock"
"""The file."""

_PATIENCE = 2.0
"""Seconds within which whoever has made the file has written into it, where it cannot appear whole."""


def contents(folder: Path) -> set[str]:
    """Names of what lies in a folder that may not be there, but for its lock and what was to become one."""
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    return {name for name in names if name != LOCK and not name.startswith(f"{LOCK}.")}


@dataclass(frozen=True)
class Owner:
    """Who holds a lock.

    Attributes
    ----------
    user, host : str
    pid : int
    started : str
        See `started`: another process may get the number.
    command : str
    since : float
        Unix time.
    """

    user: str
    host: str
    pid: int
    started: str
    command: str
    since: float

    @classmethod
    def of_this_process(cls) -> Owner:
        """Ourselves."""
        pid = os.getpid()
        program, *arguments = sys.argv or [""]
        command = shlex.join([Path(program).name, *arguments])
        return cls(_user(), socket.gethostname(), pid, started(pid) or "", command, time.time())

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine, so that we can tell if it lives."""
        return self.host == socket.gethostname()

    @property
    def is_us(self) -> bool:
        """Whether it is this process."""
        return self.is_here and self.pid == os.getpid() and self.lives

    @property
    def lives(self) -> bool:
        """Whether it may still be at work."""
        return not self.is_here or started(self.pid) == self.started

    def __str__(self) -> str:
        age = format_duration(max(time.time() - self.since, 0.0))
        return f"{self.command} (process {self.pid} of {self.user} on {self.host}, for {age})"


@contextmanager
def sole_use(folder: Path) -> Iterator[None]:
    """Keep others out of a folder while the block runs; the folder is made if need be.

    The lock of a process that was killed on this machine is taken over, and what it has left half-written is
    deleted. A folder made for the lock in which nothing was put is taken away in the end. Within a process
    the lock may be held by one block inside another.

    Raises
    ------
    OutputError
        If somebody else is at work there, or the folder cannot be written.
    """
    path = folder / LOCK
    before = _read(path)
    if before is not None and before.is_us:
        yield
        return
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    owner = Owner.of_this_process()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        while not _make(path, owner):
            refuse_if_used(folder)
            _take_over(path)
    except OutputError:
        raise
    except OSError as error:
        _remove_empty(missing)
        raise OutputError(
            f"cannot write here ({error.strerror})", file=folder, hint="another folder with -o"
        ) from error
    try:
        for place in (folder, folder / "figures", folder / "plugins"):
            clear_temporaries(place)
        yield
    finally:
        with suppress(OSError):  # the folder may have been taken from us
            if _read(path) == owner:
                path.unlink()
        _remove_empty(missing)


def refuse_if_used(folder: Path) -> None:
    """Refuse a folder in which another process is at work; nothing is written.

    Raises
    ------
    OutputError
    """
    path = folder / LOCK
    owner = _read(path)
    if owner is None or owner.is_us or not owner.lives:
        return
    hint = "wait until it has ended, or another folder with -o"
    if not owner.is_here:
        hint = f"wait until it has ended; if it has not ended by itself: rm {shlex.quote(str(path))}"
    raise OutputError(f"somebody is at work in this folder: {owner}", file=folder, hint=hint)


def _make(path: Path, owner: Owner) -> bool:
    """Make the lock, whole at once, which only one process can; whether it is ours."""
    temporary = path.with_name(f"{path.name}.{owner.pid}.tmp")
    text = json.dumps(asdict(owner)) + "\n"
    try:
        temporary.write_text(text, encoding="utf-8")
        _link(temporary, path, text)
    except FileExistsError:
        found = _read(path)
        return found is not None and found.is_us
    finally:
        with suppress(OSError):
            temporary.unlink()
    return True


def _link(temporary: Path, path: Path, text: str) -> None:
    """A second name for a file, if the first is free; on a disk without such names a file of its own."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:
        file = path.open("x", encoding="utf-8")
        try:
            with file:
                file.write(text)
        except OSError:
            path.unlink(missing_ok=True)
            raise


def _take_over(path: Path) -> None:
    """Free the lock of a process that is no more, unless another does: one at a time looks and deletes."""
    with suppress(FileNotFoundError), path.open("rb") as file:
        with suppress(OSError):  # a disk without such locks
            fcntl.flock(file, fcntl.LOCK_EX)
        still = path.stat().st_ino == os.fstat(file.fileno()).st_ino
        before = _read(path)
        if still and (before is None or not before.lives):
            path.unlink()


def _read(path: Path) -> Owner | None:
    """Who holds a lock; None if nobody does, or it was never written."""
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            return Owner(**json.loads(path.read_bytes()))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValueError, TypeError):
            if time.monotonic() > end:
                return None
            time.sleep(0.05)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user that has no name
        return str(os.getuid())


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
