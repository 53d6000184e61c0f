"""What ``xtec watch`` runs after an update: it is waited for so long and no longer."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from xtec.io.disk.processes import started
from xtec_pipelines.watching.hook import call_hook

HANGS = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import signal, time; print(1, flush=True); time.sleep(600)"],
                         stdout=subprocess.PIPE)
child.stdout.readline()
open(sys.argv[1] + "/child", "w").write(str(child.pid))
time.sleep(600)
"""


def test_one_that_hangs_is_ended_with_what_it_has_started(tmp_path: Path) -> None:
    command = shlex.join([sys.executable, "-c", HANGS])
    failure = call_hook(command, tmp_path, limit=3.0)
    while not (tmp_path / "child").exists():  # the machine was busy: more time, then
        failure = call_hook(command, tmp_path, limit=20.0)
    assert failure == f"ended: it took longer than {failure.split()[-2]} s"
    child, end = int((tmp_path / "child").read_text()), time.monotonic() + 60
    while started(child) is not None and time.monotonic() < end:
        time.sleep(0.05)
    assert started(child) is None


def test_one_that_ends_by_itself_is_told_of_by_its_exit_code(tmp_path: Path) -> None:
    assert call_hook("true", tmp_path, 60.0) == ""
    assert call_hook("sh -c 'exit 7'", tmp_path, 60.0) == "exit code 7"
    assert "nowhere" in call_hook("/nowhere/to/be/found", tmp_path, 60.0)


def test_watching_goes_on_after_a_hook_that_hangs(
    write_folder: Callable[..., Path],
    ordering: Callable[..., np.ndarray],
    run_cli: Callable[..., Any],
    tmp_path: Path,
) -> None:
    temperatures = {f"{10 * i}K": 10.0 * i for i in range(1, 9)}
    folder = write_folder(dict(zip(temperatures, ordering(), strict=True)), temperatures)
    done = run_cli(
        *("watch", folder, "-o", tmp_path / "run", "-k", "2", "--no-figures", "--until", "8"),
        *("--every", "0.1s", "--rest", "0s", "--on-update", "sh -c 'sleep 600'", "--on-update-limit", "0.2s"),
    )
    assert done.code == 0
    assert "hook failed ended: it took longer than 0.2 s" in done.stdout
    assert done.stdout.index("hook failed") < done.stdout.index(" end ")
