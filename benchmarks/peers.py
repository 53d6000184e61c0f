"""Other programs, each in an environment of its own: the reference package, whose name is ours, and oneDAL.

    python benchmarks/peers.py reference FOLDER
    python benchmarks/peers.py onedal FOLDER

make one and print its Python; XTEC_REFERENCE_PYTHON and XTEC_ONEDAL_PYTHON (or ``--reference`` and
``--onedal`` of run.py) tell the benchmarks.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from timing import ContenderFailedError, Timed

HERE = Path(__file__).parent
SPAWN = HERE / "spawn.py"


@dataclass(frozen=True)
class Environment:
    """What a peer needs, and the script that works there.

    Attributes
    ----------
    packages : tuple of str
    variable : str
        Environment variable with its Python.
    worker : Path
    """

    packages: tuple[str, ...]
    variable: str
    worker: Path


ENVIRONMENTS = {
    "reference": Environment(
        ("xtec==0.1.1", "numpy", "scipy", "matplotlib", "h5py", "hdf5plugin", "tqdm", "scikit-learn"),
        "XTEC_REFERENCE_PYTHON",
        HERE / "worker_reference.py",
    ),
    "onedal": Environment(
        ("daal4py==2024.7.0", "scikit-learn<1.6", "packaging", "numpy"),
        "XTEC_ONEDAL_PYTHON",
        HERE / "worker_onedal.py",
    ),
}


def make(name: str, folder: Path) -> Path:
    """Create an environment, if it is not there, and return its Python."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        packages = ENVIRONMENTS[name].packages
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


def find(name: str, given: str | None) -> Path | None:
    """Python of an environment: as given (or its folder), else from the variable, else None."""
    named = given or os.environ.get(ENVIRONMENTS[name].variable)
    if not named:
        return None
    path = Path(named)
    if path.is_dir():
        path = path / "bin" / "python"
    if not path.exists():
        raise SystemExit(f"no Python at {path}; make one with: python benchmarks/peers.py {name} FOLDER")
    return path


class Peer:
    """A peer at work in a process of its own, asked one thing at a time.

    Parameters
    ----------
    name : str
        One of `ENVIRONMENTS`.
    python : Path
        Python of its environment.
    """

    def __init__(self, name: str, python: Path) -> None:
        self.name, self.python = name, python
        self._process = subprocess.Popen(
            [str(python), "-I", str(ENVIRONMENTS[name].worker), "serve"],
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
            raise ContenderFailedError(f"the process of {self.name} is gone ({error})") from error
        if not line:
            raise ContenderFailedError(f"the process of {self.name} has ended")
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise ContenderFailedError(f"{self.name} failed: {reply['error']}")
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
    parser = argparse.ArgumentParser(description="Make an environment for a peer.")
    parser.add_argument("name", choices=ENVIRONMENTS)
    parser.add_argument("folder", type=Path, help="where to put it")
    options = parser.parse_args()
    print(make(options.name, options.folder.resolve()))


if __name__ == "__main__":
    main()
