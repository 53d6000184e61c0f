"""Processes of this machine: which there are."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def started(pid: int) -> str | None:
    """What tells a process from others that had its number before; None if there is none, or it has ended.

    On Linux that is when it was started, in ticks since the machine was: no clock that is set changes it.
    Elsewhere it is empty.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass  # somebody else's
    with suppress(OSError):
        state, *fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return None if state in "ZX" else fields[18]  # one that has ended stays listed until it is asked for
    return ""
