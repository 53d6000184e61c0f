"""Trying in a copy of this process what may end or hang it: HDF5 does both on some damaged files.

A length of zero in a file's heap of texts makes HDF5 2.0 go round for ever, holding Python's lock, so that
neither a signal nor another thread can stop it; a wrong type makes it read wild addresses. A copy made by
``fork`` costs some milliseconds, and a waiting disk costs it no processor time, which is what is limited.
"""

from __future__ import annotations

import faulthandler
import logging
import math
import os
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

from xtec.core.errors import InputError
from xtec.core.memory import is_short_of_memory

CPU_SECONDS = (10.0, 0.25)
"""Time on the processor that looking at the headers may take: for any input, and for each file given."""

_MORE_MEMORY = 4 * 2**30
"""Address space that headers may take besides what the process has."""

_OUT_OF_MEMORY = 9


def fatality(action: Callable[[], object], n_files: int = 1) -> str | None:
    """Do something in a copy of this process, and say why that did not come to an end.

    Parameters
    ----------
    action : callable
        Must change nothing outside the process. What it gives or raises is not seen.
    n_files : int
        How many files it looks at.

    Returns
    -------
    str or None
        None if the action came back, or raised; also where processes cannot be copied safely (not Linux).

    Raises
    ------
    MemoryError
        If it crashed where this process has little address space, which need not be the files' fault.
    """
    if sys.platform != "linux":
        return None
    import hdf5plugin  # noqa: F401  once, rather than in each copy

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads: h5py makes itself ready for forks
        child = os.fork()
    if child == 0:
        _in_child(action, math.ceil(CPU_SECONDS[0] + n_files * CPU_SECONDS[1]))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == _OUT_OF_MEMORY:
        return "HDF5 asks for too much memory"
    if status in (-signal.SIGXCPU, -signal.SIGKILL):
        return "HDF5 does not come to an end with it"
    if status < 0 and _is_tight():
        raise MemoryError("HDF5 crashes within the address space that ulimit -v leaves it")
    return None if status >= 0 else f"HDF5 crashes on it ({signal.Signals(-status).name})"


def check_harmless(path: Path, action: Callable[[], object]) -> None:
    """Refuse a file on which an action does not come back.

    Raises
    ------
    InputError
    """
    reason = fatality(action)
    if reason is not None:
        raise harmful(path, reason)


def harmful(path: Path, reason: str) -> InputError:
    """What to say of a file that `fatality` has found a reason against."""
    return InputError(
        f"this file, or one it links to, is damaged: {reason}", file=path, hint="copy or make it again"
    )


def _in_child(action: Callable[[], object], seconds: int) -> None:
    """Do it without a word, within limits, and end without anything that Python does at its end."""
    import resource

    status = too_much = 0
    try:
        faulthandler.disable()
        logging.disable()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        if not _is_tight():
            _, most = resource.getrlimit(resource.RLIMIT_AS)
            resource.setrlimit(resource.RLIMIT_AS, (_wanted(), most))
            too_much = _OUT_OF_MEMORY
        action()
    except BaseException as error:  # noqa: BLE001  the parent finds the same
        status = too_much if is_short_of_memory(error) else 0
    finally:
        os._exit(status)


def _is_tight() -> bool:
    """Whether this process may not have the address space that a copy is given."""
    import resource

    allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
    return 0 <= allowed < _wanted()


def _wanted() -> int:
    """Bytes of this process's address space, and what headers may take besides."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
    return int(pages) * os.sysconf("SC_PAGE_SIZE") + _MORE_MEMORY
