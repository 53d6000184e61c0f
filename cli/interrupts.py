"""Ctrl-C and requests to end: that they are heard, and what to type to go on."""

from __future__ import annotations

import atexit
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from xtec_cli.settings import Settings

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_SOON = 0.01
"""Seconds until an interrupt comes again."""


@contextmanager
def heard() -> Iterator[None]:
    """A batch system's request to end is as good as Ctrl-C, and neither is lost.

    Python drops an exception that comes while it tidies up, in the callback of a weak reference say, and only
    tells of it: then the interrupt is sent once more. While Python goes down, when nobody would catch an
    exception, either ends the process as the system does it: all is written by then.
    """
    atexit.register(signal.signal, signal.SIGINT, signal.SIG_DFL)
    tell, dropped = sys.unraisablehook, list[bool]()

    def again(unraisable: UnraisableHookArgs) -> None:
        if unraisable.exc_type is KeyboardInterrupt:
            dropped.append(True)
            signal.setitimer(signal.ITIMER_REAL, _SOON)
        else:
            tell(unraisable)

    before = {number: signal.signal(number, _interrupt) for number in (signal.SIGTERM, signal.SIGALRM)}
    sys.unraisablehook = again
    try:
        yield
    except Exception as error:
        if dropped:  # what was to be called was left half-done: Numba's compiling, say
            raise KeyboardInterrupt from error
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.unraisablehook = tell
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)  # none is known of one that C has set


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@contextmanager
def resumable(settings: Settings, folder: Path) -> Iterator[None]:
    """Where the run in a folder is interrupted and has left something, take down how to go on with it."""
    try:
        yield
    except KeyboardInterrupt:
        from xtec.io.run.folder import PROGRESS

        if any(folder.rglob(PROGRESS)):
            settings.go_on = resuming_command(settings.arguments)
        raise


def resuming_command(arguments: tuple[str, ...]) -> str:
    """The same command once more, to go on where it was."""
    kept = [one for one in arguments if one not in ("--force", "--resume")]
    return shlex.join(["xtec", *kept, "--resume"])
