"""Fixtures: reading many files in a process that may crash or hang, and say which of them did it."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

_PROGRAM = Path(__file__).with_name("read_files.py")
_PATIENCE = 300.0
"""Seconds without a word after which a file counts as never ending; one takes well under a second."""

_BATCH = 250


class Verdict(NamedTuple):
    """What became of reading a file: ``read``, ``refused`` (exit code 3, file named), or a fault."""

    outcome: str
    detail: str


def _batch(paths: Sequence[Path]) -> dict[Path, Verdict]:
    """Verdicts of the files up to the first, if any, that ends the process or never ends."""
    call = [sys.executable, str(_PROGRAM), *map(str, paths)]
    found: dict[Path, Verdict] = {}
    with subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines: queue.Queue[str] = queue.Queue()
        said: list[str] = []
        reading = threading.Thread(
            target=lambda out: [*map(lines.put, out), lines.put("")], args=[process.stdout]
        )
        listening = threading.Thread(target=lambda out: said.extend(out), args=[process.stderr])
        reading.start()
        listening.start()
        while len(found) < len(paths):
            try:
                line = lines.get(timeout=_PATIENCE)
            except queue.Empty:
                process.kill()
                found[paths[len(found)]] = Verdict("hang", "")
                break
            if not line:
                found[paths[len(found)]] = Verdict("crash", f"{process.wait()} {''.join(said)[-3000:]}")
                break
            if not line.startswith("START "):
                name, outcome, detail = json.loads(line)
                found[Path(name)] = Verdict(outcome, detail)
        reading.join()
        listening.join()
    return found


@pytest.fixture(scope="session")
def read_files() -> Callable[[Sequence[Path]], dict[Path, Verdict]]:
    """Read files one after the other in another process; it is started anew after one that ends it."""

    def read(paths: Sequence[Path]) -> dict[Path, Verdict]:
        found: dict[Path, Verdict] = {}
        while len(found) < len(paths):
            found |= _batch(paths[len(found) : len(found) + _BATCH])
        return found

    return read
