"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from xtec.core.errors import OutputError, XtecError
from xtec.core.json_text import json_text
from xtec.io.disk.processes import started


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; rename it to `path` when the block ends without an error.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    except XtecError:
        raise
    except OSError as error:
        reason = error.strerror or f"no room left: {error}"  # NumPy tells only how much was written
        raise OutputError(f"cannot write ({reason})", file=path) from error
    finally:
        with suppress(OSError):  # the folder may have been taken from us
            temporary.unlink()


def make_folder(path: Path) -> None:
    """Make a folder, and those around it, if it is not there.

    Raises
    ------
    OutputError
        If that is not possible.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make this folder ({error.strerror})", file=path) from error


def write_text(path: Path, text: str) -> None:
    """Write a text file whole."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, values: Any) -> None:
    """Write a JSON file whole; see `json_text`."""
    write_text(path, json_text(values) + "\n")


def clear_temporaries(folder: Path) -> None:
    """Delete what processes that are no more have left half-written in a folder."""
    for path in folder.glob(".*.tmp"):
        owner = path.suffixes[-2][1:] if len(path.suffixes) > 1 else ""
        if owner.isdigit() and started(int(owner)) is None:
            path.unlink(missing_ok=True)
