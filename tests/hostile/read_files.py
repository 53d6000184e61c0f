"""Reads files as ``xtec inspect`` and a run do, one after the other; a program, for a process of its own.

Its arguments are the files. For each it writes ``START file``, then a line of JSON: file, outcome (``read``,
``refused`` or what went wrong) and detail. A crash or a hang is seen by the lack of the second line.
"""

from __future__ import annotations

import io
import json
import resource
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout

from xtec.core.errors import InputError
from xtec.io import open_series
from xtec.io.hdf5 import guard
from xtec_cli.main import main

_ADDRESS_SPACE = 6 * 2**30
_MOST_BYTES = 64 * 2**20

_OK, _UNUSABLE = 0, 3


def _inspect(path: str) -> tuple[int, str]:
    said = io.StringIO()
    with redirect_stdout(io.StringIO()), redirect_stderr(said):
        try:
            main(["inspect", path])
        except SystemExit as end:
            return int(end.code or 0), said.getvalue()
    raise AssertionError("the command line ends with an exit code")


def _read(path: str) -> None:
    series = open_series(path)
    if series.nbytes > _MOST_BYTES:
        return
    everything = tuple(slice(0, size) for size in series.shape)
    for raw in (True, False):
        with series.reader(raw=raw) as reader:
            reader.read(everything)


def _attempt(path: str) -> tuple[str, str]:
    code, said = _inspect(path)
    if code == _UNUSABLE:
        well = said.startswith("error: ") and "\n  in:  " in said and "Traceback" not in said
        return ("refused" if well else "unclear"), said
    if code != _OK:
        return f"exit code {code}", said
    try:
        _read(path)
    except InputError as error:
        return "refused", str(error)
    except Exception:  # noqa: BLE001  that there is none is what is tested
        return "traceback", traceback.format_exc()
    return "read", ""


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    guard.CPU_SECONDS = (1.0, 0.0)
    for name in sys.argv[1:]:
        sys.stdout.write(f"START {name}\n")
        sys.stdout.flush()
        outcome, detail = _attempt(name)
        sys.stdout.write(json.dumps([name, outcome, detail]) + "\n")
        sys.stdout.flush()
