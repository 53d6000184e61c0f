"""What the file system says of files without opening them."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from xtec.core.errors import InputError


class Stamp(NamedTuple):
    """The status of a file."""

    size: int
    mtime_ns: int
    inode: int
    ctime_ns: int
    regular: bool

    @property
    def content(self) -> tuple[int, int, int]:
        """Without what renaming a file or changing its permissions also changes."""
        return self.size, self.mtime_ns, self.inode


class Stamps(NamedTuple):
    """The status of all that a temperature depends on; None for a file that is not there."""

    wrapper: Stamp | None
    targets: tuple[Stamp | None, ...]
    locks: tuple[Path, ...]

    @property
    def data(self) -> Stamp | None:
        """Of the file with the intensities."""
        return self.targets[-1] if self.targets else self.wrapper


def take_stamps(wrapper: Path, targets: tuple[Path, ...]) -> Stamps:
    """The status of a wrapper and the files its link leads to, and the locks beside any of them.

    Raises
    ------
    OSError
        If the file system gives no answer.
    """
    locks = (file.with_name(f"{file.name}.lock") for file in (wrapper, *targets))
    return Stamps(
        _stamp(wrapper),
        tuple(_stamp(target) for target in targets),
        tuple(lock for lock in locks if _stamp(lock) is not None),
    )


class Unchanged:
    """Tells whether files have changed since.

    Parameters
    ----------
    files : iterable of Path
    """

    def __init__(self, files: Iterable[Path]) -> None:
        self._before = {file: _content(file) for file in dict.fromkeys(files)}

    def check(self) -> None:
        """Refuse what was read of files that have changed.

        Raises
        ------
        InputError
            If one has, or has gone.
        """
        for file, before in self._before.items():
            if _content(file) != before:
                raise InputError(
                    "this input has changed while it was read",
                    file=file,
                    hint="again when nothing writes there any more; xtec watch follows files that change",
                )


def _content(file: Path) -> tuple[int, int, int] | None:
    found = _stamp(file)
    return None if found is None else found.content


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    regular = stat.S_ISREG(found.st_mode)
    return Stamp(found.st_size, found.st_mtime_ns, found.st_ino, found.st_ctime_ns, regular)
