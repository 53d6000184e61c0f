"""How much memory there is, and sizes as people write them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from xtec.core.errors import ConfigError

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY_UNITS = {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


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
    """Memory that can be had now without swapping."""
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        for line in meminfo.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
