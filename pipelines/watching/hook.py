"""A command that somebody wants run after every update."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

_GRACE = 5.0
"""Seconds that a command has to end when it is asked to."""


def call_hook(command: str, folder: Path, limit: float) -> str:
    """Run a command with the run folder as its last argument.

    Parameters
    ----------
    command : str
        As in a shell; none is used.
    folder : Path
    limit : float
        Seconds after which it is ended, with all that it has started.

    Returns
    -------
    str
        Why it failed; empty if it did not.
    """
    call = [*shlex.split(command), str(folder)]
    try:
        # Our own output may be a stream of JSON.
        hook = subprocess.Popen(call, stdin=subprocess.DEVNULL, stdout=2, start_new_session=True)
    except OSError as error:
        return str(error)
    try:
        code = hook.wait(limit)
    except subprocess.TimeoutExpired:
        return f"ended: it took longer than {limit:g} s"
    finally:
        _end(hook)
    return f"exit code {code}" if code else ""


def _end(hook: subprocess.Popen[bytes]) -> None:
    """End a command that is still at work, and what it has started in its session."""
    if hook.poll() is not None:
        return
    os.killpg(hook.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        hook.wait(_GRACE)
    with suppress(ProcessLookupError):
        os.killpg(hook.pid, signal.SIGKILL)
    hook.wait()
