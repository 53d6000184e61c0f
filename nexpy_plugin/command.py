"""`xtec` as a process of its own: NeXpy goes on, and can end it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from nexpy.gui.pyqt import QtCore

_PROGRAM = "from xtec_cli.main import main; main()"
_WAIT = 5000
"""Milliseconds to end in."""


class Command(QtCore.QObject):  # type: ignore[misc]
    """One run of `xtec` with ``--json``.

    Signals
    -------
    progressed : str
        The last line of what it says.
    finished : dict
        What it found.
    failed : str
        Its message.
    """

    progressed = QtCore.Signal(str)
    finished = QtCore.Signal(dict)
    failed = QtCore.Signal(str)

    def __init__(self, arguments: Sequence[str], parent: QtCore.QObject | None = None) -> None:
        super().__init__(parent)
        self._said = ""
        self._process = QtCore.QProcess(self)
        self._process.readyReadStandardError.connect(self._read)
        self._process.finished.connect(self._end)
        self._process.start(sys.executable, ["-c", _PROGRAM, *arguments, "--json"])

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return bool(self._process.state() != QtCore.QProcess.ProcessState.NotRunning)

    def cancel(self) -> None:
        """End it, and wait until it has: it puts away what it has begun."""
        self.blockSignals(True)
        self._process.terminate()
        if not self._process.waitForFinished(_WAIT):
            self._process.kill()
            self._process.waitForFinished(_WAIT)

    def _read(self) -> None:
        self._said += bytes(self._process.readAllStandardError()).decode("utf-8", "replace")
        lines = self._said.strip().splitlines()
        if lines:
            self.progressed.emit(lines[-1].strip())

    def _end(self, code: int, _status: Any) -> None:
        self._read()
        out = bytes(self._process.readAllStandardOutput()).decode("utf-8", "replace")
        if code == 0 and out.strip():
            self.finished.emit(json.loads(out))
        else:
            self.failed.emit(_message(self._said) or f"xtec ended with code {code}")


def _message(said: str) -> str:
    """The error in what was said, without the progress before it."""
    _, found, message = said.rpartition("error: ")
    return message.strip() if found else said.strip()
