"""Commands as children of a process that has imported everything: they start in a moment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

_SERVER = """
import json, os, resource, signal, sys
import xtec_cli.main, xtec_pipelines.cluster, xtec_pipelines.watch, xtec_pipelines.order_parameter
import xtec_pipelines.report, xtec_pipelines.stack, xtec_pipelines.streaming.dask_workers, xtec.plotting
import numpy.random, scipy.optimize, scipy.stats, scipy.ndimage, lmfit, h5py, hdf5plugin, xarray, rich.table

answers = os.fdopen(os.dup(1), "w")
print("ready", file=answers, flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    pid = os.fork()
    if pid:
        print(pid, file=answers, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)
        continue
    os.setsid()
    for number, name in enumerate((os.devnull, asked["out"], asked["err"])):
        opened = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC if number else os.O_RDONLY, 0o666)
        os.dup2(opened, number)
        os.close(opened)
    for name, value in asked["environment"].items():
        os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)
    for name, value in asked["limits"].items():
        resource.setrlimit(getattr(resource, name), (value, value))
    exec(asked["before"])
    sys.argv = ["xtec", *asked["arguments"]]
    xtec_cli.main.main()
"""


@dataclass(frozen=True)
class Ended:
    """What a command left behind; the code is negative for a signal."""

    code: int
    stdout: str
    stderr: str


@dataclass
class Child:
    """A command under way."""

    pid: int
    nursery: Nursery
    out: Path
    err: Path
    code: int | None = None

    def signal(self, number: signal.Signals) -> bool:
        """Send a signal, to the process alone; whether it was still there."""
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True

    @property
    def stopped(self) -> bool:
        """Whether it stands still after SIGSTOP, and can go on."""
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    def wait(self, seconds: float) -> None:
        """Until it has ended, but no longer."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and psutil.pid_exists(self.pid):
            time.sleep(0.01)

    def end(self) -> Ended:
        """Wait for it."""
        if self.code is None:
            self.code = int(self.nursery.answer())
        texts = (path.read_text(encoding="utf-8", errors="replace") for path in (self.out, self.err))
        return Ended(self.code, *texts)


class Nursery:
    """Starts one command at a time.

    Parameters
    ----------
    folder : Path
        For what they say.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.last: Child | None = None
        with (folder / "server.err").open("w") as complaints:
            self.server = subprocess.Popen(
                [sys.executable, "-c", _SERVER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                text=True,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
        assert self.answer() == "ready"

    def answer(self) -> str:
        """The next line of the server."""
        assert self.server.stdout is not None
        line = self.server.stdout.readline().strip()
        assert line, (self.folder / "server.err").read_text()
        return line

    def start(
        self,
        *arguments: object,
        limits: Mapping[str, int] | None = None,
        environment: Mapping[str, str | None] | None = None,
        before: str = "",
    ) -> Child:
        """Begin a command: under limits (of `resource`), after a piece of Python."""
        if self.last is not None and self.last.code is None:  # of a test that has failed
            self.last.signal(signal.SIGKILL)
            self.last.end()
        out, err = self.folder / "out", self.folder / "err"
        asked: dict[str, Any] = {
            "arguments": [*map(str, arguments)],
            "limits": dict(limits or {}),
            "environment": dict(environment or {}),
            "before": before,
            "out": str(out),
            "err": str(err),
        }
        assert self.server.stdin is not None
        self.server.stdin.write(json.dumps(asked) + "\n")
        self.server.stdin.flush()
        self.last = Child(int(self.answer()), self, out, err)
        return self.last

    def run(self, *arguments: object, **how: Any) -> Ended:
        """A command from beginning to end."""
        return self.start(*arguments, **how).end()

    def run_until(self, seconds: float, number: signal.Signals, *arguments: object, **how: Any) -> Ended:
        """A command that gets a signal after so many seconds, if it has not ended by then."""
        child = self.start(*arguments, **how)
        child.wait(seconds)
        child.signal(number)
        return child.end()

    def close(self) -> None:
        """End it."""
        self.server.kill()
        self.server.communicate()
