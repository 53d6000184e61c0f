"""Ctrl-C in a run that can be gone on with: what to type."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from xtec_cli.settings import Settings


@contextmanager
def resumable(settings: Settings, folder: Path) -> Iterator[None]:
    """Where the run in a folder is interrupted and has left something, take down how to go on with it."""
    try:
        yield
    except KeyboardInterrupt:
        from xtec.io.run_folder import PROGRESS

        if any(folder.rglob(PROGRESS)):
            settings.go_on = resuming_command(settings.arguments)
        raise


def resuming_command(arguments: tuple[str, ...]) -> str:
    """The same command once more, to go on where it was."""
    kept = [one for one in arguments if one not in ("--force", "--resume")]
    return shlex.join(["xtec", *kept, "--resume"])
