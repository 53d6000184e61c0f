"""How much memory there is, and sizes as people write them."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

from xtec.core.errors import ConfigError, XtecError

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY_UNITS = {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}

_MEMBERSHIP = "/proc/self/cgroup"
_GROUPS = {
    "": ("/sys/fs/cgroup", "memory.max"),
    "memory": ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
}
"""Where Linux tells limits, by the controllers that a line of the above names; none in version 2."""

_NO_LIMIT = 2**60

_NO_MEMORY = ("can't start new thread", "memory allocation failed", "NULL without setting an exception")
"""What is said without memory for a thread's stack, for a chunk of HDF5, or for the exception itself."""


def parse_bytes(text: str) -> int:
    """Read ``8GiB``, ``500 MB``, ``2g`` or a plain number of bytes.

    Raises
    ------
    ConfigError
        For anything else.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?i?)b?\s*", text.lower())
    units = {**_UNITS, **_BINARY_UNITS}
    amount = 0 if match is None else int(float(match[1]) * units.get(match[2], 0))
    if amount < 1:
        raise ConfigError(f"{text!r} is not an amount of memory", hint="write it as 8GiB or 500MB")
    return amount


def format_bytes(amount: float) -> str:
    """Bytes in the unit that keeps the number short: ``486 MB``, ``1.2 GB``."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 999.5:
            return f"{amount:.3g} {unit}"
        amount /= 1000
    return f"{amount:.3g} PB"


def available_bytes() -> int:
    """Memory that can be had now without swapping, within what a container or a batch job may have."""
    free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        lines = (line.split() for line in meminfo.read_text(encoding="ascii").splitlines())
        free = next((1024 * int(line[1]) for line in lines if line[0] == "MemAvailable:"), free)
    limit = limit_bytes()
    return free if limit is None else min(free, limit)


def is_short_of_memory(error: BaseException) -> bool:
    """Whether an error says that the system has refused memory."""
    if isinstance(error, XtecError):
        return False
    said = isinstance(error, RuntimeError | OSError | SystemError) and any(
        text in str(error) for text in _NO_MEMORY
    )
    return isinstance(error, MemoryError) or said or getattr(error, "errno", None) == errno.ENOMEM


def limit_bytes() -> int | None:
    """The least that any control group of this process may have; None where Linux sets no limit."""
    limits = [_number(folder / name) for folder, name in _control_groups()]
    return min((limit for limit in limits if limit is not None), default=None)


def _control_groups() -> Iterator[tuple[Path, str]]:
    """Folders of the control groups, and what the limit is called there: of this process, and above it."""
    try:
        lines = Path(_MEMBERSHIP).read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers not in _GROUPS:
            continue
        root, name = _GROUPS[controllers]
        own = Path(root) / path.strip("/")
        for folder in (own, *own.parents):
            if folder.is_relative_to(root):
                yield folder, name


def _number(path: Path) -> int | None:
    """A limit; None if it is none, which is written ``max`` or as more than there can be."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() and int(text) < _NO_LIMIT else None
