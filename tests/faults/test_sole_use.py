"""Two runs into one folder: the second is refused and told of the first; what was killed keeps nobody out."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from xtec.core.errors import OutputError
from xtec.io.disk.sole_use import LOCK, Owner, refuse_if_used, sole_use
from xtec.io.run.folder import check_output

_HOLD = """
import sys, time
from pathlib import Path
from xtec.io.disk.sole_use import sole_use
with sole_use(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""

_CONTEND = """
import os, sys, time
from pathlib import Path
from xtec.core.errors import OutputError
from xtec.io.disk.sole_use import sole_use
folder, inside = Path(sys.argv[1]), Path(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
for _ in range(int(sys.argv[3])):
    try:
        with sole_use(folder):
            os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
            time.sleep(0.001)
            inside.unlink()
    except OutputError:
        time.sleep(0.001)
    except FileExistsError:
        print("two at a time", flush=True)
        sys.exit(9)
"""


@contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", _HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def left_by(folder: Path, **changes: object) -> Path:
    """A lock as some other process has left it."""
    folder.mkdir(exist_ok=True)
    owner = replace(Owner.of_this_process(), **changes)  # type: ignore[arg-type]
    path = folder / LOCK
    path.write_text(json.dumps(asdict(owner)), encoding="utf-8")
    return path


def test_the_second_is_refused_and_told_of_the_first(tmp_path: Path) -> None:
    with holder(tmp_path / "run") as other:
        told = pytest.raises(OutputError, match=f"process {other.pid} of .* on .*, for ")
        with told as refused, sole_use(tmp_path / "run"):
            pass
        assert "wait" in str(refused.value.hint)
        assert Owner(**json.loads((tmp_path / "run" / LOCK).read_text())).pid == other.pid


@pytest.mark.parametrize("reaped", [True, False])
def test_one_that_was_killed_keeps_nobody_out(tmp_path: Path, reaped: bool) -> None:
    with holder(tmp_path) as other:
        other.kill()
        if reaped:
            other.wait()
        else:
            while Path(f"/proc/{other.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                time.sleep(0.01)
        half_written = tmp_path / f".results.nxs.{other.pid}.tmp"
        half_written.touch()
        with sole_use(tmp_path):
            assert not half_written.exists()
    assert list(tmp_path.iterdir()) == []


def test_ended_by_a_signal_nothing_is_left(tmp_path: Path) -> None:
    with holder(tmp_path / "a" / "b") as other:
        other.send_signal(signal.SIGINT)
        other.wait()
    assert list(tmp_path.iterdir()) == []


def test_another_process_with_the_number_of_a_dead_one_is_not_taken_for_it(tmp_path: Path) -> None:
    left_by(tmp_path, started="1")
    with sole_use(tmp_path):
        assert Owner(**json.loads((tmp_path / LOCK).read_text())).is_us


def test_a_lock_of_another_machine_is_never_taken_over(tmp_path: Path) -> None:
    path = left_by(tmp_path / "it's", host="elsewhere", since=time.time() - 3 * 86400)
    with pytest.raises(OutputError, match="on elsewhere, for 3 days") as refused, sole_use(path.parent):
        pass
    hint = str(refused.value.hint)
    subprocess.run(hint[hint.index("rm ") :], shell=True, check=True)  # the hint is a command that does it
    with sole_use(path.parent):
        pass


_STOP = """
import os, signal, sys
from pathlib import Path
from xtec.io.disk.sole_use import sole_use
def stop(event, arguments):
    if event in ("open", "os.link", "os.remove") and ".lock" in str(arguments[0]):
        os.kill(os.getpid(), signal.SIGSTOP)
sys.addaudithook(stop)
with sole_use(Path(sys.argv[1])):
    print("held", flush=True)
"""


def test_stopped_at_any_moment_it_is_alone(tmp_path: Path) -> None:
    """The lock is whole from its first moment: one who stands still between two calls loses nothing."""
    process = subprocess.Popen([sys.executable, "-c", _STOP, str(tmp_path / "run")], stdout=subprocess.PIPE)
    seen = []
    try:
        while os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1]):
            path = tmp_path / "run" / LOCK
            seen.append(path.exists())
            if seen[-1]:
                assert Owner(**json.loads(path.read_text())).pid == process.pid
                with pytest.raises(OutputError, match=f"process {process.pid} "):
                    refuse_if_used(path.parent)
            process.send_signal(signal.SIGCONT)
    finally:
        process.kill()
        said, _ = process.communicate()
    assert said == b"held\n"
    assert True in seen
    assert False in seen


def test_where_files_have_one_name_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on exFAT: the lock cannot appear whole, but still only one can make it."""
    monkeypatch.setattr(os, "link", Mock(side_effect=PermissionError(errno.EPERM, "not permitted")))
    with sole_use(tmp_path / "run"), sole_use(tmp_path / "run"):
        assert [path.name for path in (tmp_path / "run").iterdir()] == [LOCK]
        assert Owner(**json.loads((tmp_path / "run" / LOCK).read_text())).is_us
    with holder(tmp_path / "run"), pytest.raises(OutputError, match="somebody"), sole_use(tmp_path / "run"):
        pass


def test_what_was_to_become_a_lock_is_no_content(tmp_path: Path) -> None:
    (tmp_path / f"{LOCK}.1234567.tmp").touch()
    check_output(tmp_path, [], force=False)
    with sole_use(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_was_never_written_is_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xtec.io.disk.sole_use._PATIENCE", 0.1)
    (tmp_path / LOCK).touch()
    with sole_use(tmp_path):
        assert (tmp_path / LOCK).stat().st_size


def test_a_lock_that_is_just_being_written_is_waited_for(tmp_path: Path) -> None:
    path = left_by(tmp_path, host="elsewhere")
    content = path.read_bytes()
    path.write_bytes(b"")
    late = threading.Timer(0.3, path.write_bytes, [content])
    late.start()
    with pytest.raises(OutputError, match="elsewhere"):
        refuse_if_used(tmp_path)
    late.join()


def test_within_one_process_it_may_be_held_twice(tmp_path: Path) -> None:
    with sole_use(tmp_path / "run"), sole_use(tmp_path / "run"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_written_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write here"), sole_use(tmp_path / "file" / "run"):
        pass


def test_of_many_that_find_a_dead_lock_only_one_goes_in_at_a_time(tmp_path: Path) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    left_by(tmp_path / "run", pid=dead.pid, started="7")
    call = [sys.executable, "-c", _CONTEND, str(tmp_path / "run"), str(tmp_path / "inside"), "30"]
    crowd = [
        subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    for one in crowd:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in crowd:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    assert [one.communicate()[0] for one in crowd] == [""] * len(crowd)
    assert [one.returncode for one in crowd] == [0] * len(crowd)
    assert not (tmp_path / "run" / LOCK).exists()


# Every command that writes into a run folder


@pytest.fixture
def series(write_series: Callable[..., Path], ordering: Callable[..., np.ndarray]) -> Path:
    return write_series(ordering())


COMMANDS = {
    "cluster": ("cluster", "SERIES", "-o", "RUN", "--force"),
    "cluster --auto-refine": ("cluster", "SERIES", "-o", "RUN", "--force", "--auto-refine"),
    "select": ("select", "SERIES", "-o", "RUN", "-k", "2:3", "--force"),
    "demo": ("demo", "-o", "RUN"),
    "order-parameter": ("order-parameter", "RUN"),
    "unit-cell": ("unit-cell", "RUN"),
    "report": ("report", "RUN"),
    "phase-diagram": ("phase-diagram", "SERIES", "-o", "RUN", "--force"),
    "watch": ("watch", "SCANS", "-o", "RUN", "--force", "--idle", "1s"),
    "run": ("run", "RUN/run.toml", "--force"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_refuses_a_folder_in_use(
    name: str, series: Path, run_cli: Callable[..., Any], tmp_path: Path
) -> None:
    run, scans = tmp_path / "run", tmp_path / "scans"
    scans.mkdir()
    assert run_cli("cluster", series, "-o", run, "-k", "2", "--no-figures", "-q").code == 0
    assert not (run / LOCK).exists()
    with holder(run) as other:
        before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
        places = {"SERIES": series, "RUN": run, "SCANS": scans, "RUN/run.toml": run / "run.toml"}
        done = run_cli(*(places.get(word, word) for word in COMMANDS[name]))
        assert done.code == 2, done.stderr
        assert f"process {other.pid} " in done.stderr
        assert "Traceback" not in done.stderr
        assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_a_report_that_goes_elsewhere_needs_no_lock(
    series: Path, run_cli: Callable[..., Any], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    run_cli("cluster", series, "-o", run, "-k", "2", "--no-figures", "-q")
    with holder(run):
        assert run_cli("report", run, "-o", tmp_path / "page.html").code == 0


def test_what_is_no_run_gets_no_lock(run_cli: Callable[..., Any], tmp_path: Path) -> None:
    os.utime(tmp_path, (1, 1))
    for command in ("order-parameter", "unit-cell", "report"):
        assert run_cli(command, tmp_path).code == 3
    assert tmp_path.stat().st_mtime == 1
