"""An environment of its own for the reference package, xtec 0.1.1, whose import name is the same as ours.

    python benchmarks/reference_env.py FOLDER

makes one and prints its Python; XTEC_REFERENCE_PYTHON (or ``--reference`` of run.py) tells the benchmarks.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

from timing import ContenderFailedError, Timed

PACKAGES = ("xtec==0.1.1", "numpy", "scipy", "matplotlib", "h5py", "hdf5plugin", "tqdm", "scikit-learn")
VARIABLE = "XTEC_REFERENCE_PYTHON"
WORKER = Path(__file__).with_name("reference_worker.py")
SPAWN = Path(__file__).with_name("spawn.py")


def make(folder: Path) -> Path:
    """Create the environment, if it is not there, and return its Python."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    return python


def find(given: str | None) -> Path | None:
    """Python of the reference environment: as given (or its folder), else from the variable, else None."""
    named = given or os.environ.get(VARIABLE)
    if not named:
        return None
    path = Path(named)
    if path.is_dir():
        path = path / "bin" / "python"
    if not path.exists():
        raise SystemExit(f"no Python at {path}; make one with: python benchmarks/reference_env.py FOLDER")
    return path


class Reference:
    """The reference package at work in a process of its own, asked one thing at a time.

    Parameters
    ----------
    python : Path
        Python of its environment.
    """

    def __init__(self, python: Path) -> None:
        self.python = python
        self._process = subprocess.Popen(
            [str(python), "-I", str(WORKER), "serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, task: str, **values: Any) -> dict[str, Any]:
        """Have a task done.

        Raises
        ------
        ContenderFailedError
            If it fails, or the process is gone.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"task": task, **values}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except OSError as error:
            raise ContenderFailedError(f"the reference process is gone ({error})") from error
        if not line:
            raise ContenderFailedError("the reference process has ended")
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise ContenderFailedError(f"the reference failed: {reply['error']}")
        return reply

    def timed(self, task: str, **values: Any) -> Timed:
        """Have a task done; the seconds are those its own process took."""
        reply = self.ask(task, **values)
        return Timed(reply["seconds"], reply)

    def close(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(timeout=60)


def run_process(command: list[str], log: Path) -> dict[str, float]:
    """Run a whole process; wall seconds and peak memory in MB.

    Raises
    ------
    ContenderFailedError
        If it does not exit with 0.
    """
    report = log.with_suffix(".json")
    subprocess.run([sys.executable, "-I", "-S", str(SPAWN), str(log), str(report), *command], check=True)
    usage = json.loads(report.read_text())
    if usage["code"] != 0:
        tail = log.read_text(errors="replace").strip().splitlines()[-4:]
        raise ContenderFailedError(f"exit code {usage['code']}: {' / '.join(tail)}")
    return {"seconds": usage["seconds"], "peak memory (MB)": round(usage["peak_bytes"] / 1e6)}


def main() -> None:
    """Make the environment named on the command line."""
    parser = argparse.ArgumentParser(description="Make an environment with the reference package.")
    parser.add_argument("folder", type=Path, help="where to put it")
    print(make(parser.parse_args().folder.resolve()))


if __name__ == "__main__":
    main()
