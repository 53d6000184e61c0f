"""Commands that get SIGTERM or SIGKILL at random moments, and are started again."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from .conftest import CLUSTER, Count
from .nursery import Child, Nursery
from .whole import check_clear, check_same_clusters, check_whole, hashes, labels

LONGEST = 3.0
"""Seconds within which a signal comes; a command that has ended before was not hit."""


def signals(kills: int) -> tuple[signal.Signals, ...]:
    """What is sent: only what cannot be heard in the ordinary run, whose moments nobody chooses."""
    return (signal.SIGKILL,) if kills < _MANY else (signal.SIGKILL, signal.SIGTERM)


_MANY = 10


def times(few: int, many: int) -> pytest.MarkDecorator:
    """How many kills: a few in the ordinary run, many in the campaign."""
    return pytest.mark.parametrize("kills", [few, pytest.param(many, marks=pytest.mark.campaign)])


def kill(child: Child, moment: float, number: signal.Signals) -> tuple[bool, str]:
    """Send a signal after a while; whether it hit, and what the command said."""
    child.wait(moment)
    child.signal(number)
    ended = child.end()
    if ended.code == 0:
        return False, ended.stdout
    # A process that has not yet begun to listen is ended by the system.
    assert ended.code == -number or (number == signal.SIGTERM and ended.code == 130), ended
    assert "Traceback" not in ended.stderr, ended.stderr
    assert ended.code < 0 or "interrupted" in ended.stderr
    return True, ended.stderr


def wait_for_orphans(session: int) -> None:
    """Workers end by themselves when what has started them is no more."""
    end = time.monotonic() + 120
    while left := [one for one in psutil.pids() if _session(one) == session]:
        assert time.monotonic() < end, left
        time.sleep(0.2)


def _session(pid: int) -> int | None:
    try:
        return None if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE else os.getsid(pid)
    except (psutil.NoSuchProcess, ProcessLookupError, PermissionError):
        return None


def cluster_killed(
    nursery: Nursery, series: Path, truth: Path, run: Path, kills: int, longest: float, *more: object
) -> dict[str, int]:
    """Kill runs and go on with them; one that comes to its end has the results of one never killed."""
    rng, done = random.Random(kills), dict.fromkeys(["SIGTERM", "SIGKILL", "finished"], 0)
    before = hashes([series])
    options = (*CLUSTER, "--save-after", "0", *more)
    while done["SIGTERM"] + done["SIGKILL"] < kills:
        number = rng.choice(signals(kills))
        child = nursery.start("cluster", series, "-o", run, *options, "--resume")
        hit, said = kill(child, rng.uniform(0, longest), number)
        done[number.name if hit else "finished"] += 1
        check_whole(run, killed=hit)
        if hit and number == signal.SIGTERM and "go on with" in said:
            assert (run / ".progress").is_dir()
        wait_for_orphans(child.pid)
        if (run / "summary.json").exists():
            assert labels(run) == labels(truth)
            shutil.rmtree(run)
    ended = nursery.run("cluster", series, "-o", run, *options, "--resume")
    assert ended.code == 0, ended
    check_whole(run)
    assert not (run / ".progress").exists()
    assert labels(run) == labels(truth)
    assert hashes([series]) == before
    return done


@times(4, 70)
def test_cluster(
    nursery: Nursery, sample: Path, finished: Path, tmp_path: Path, kills: int, count: Count
) -> None:
    count(cluster_killed(nursery, sample, finished, tmp_path / "run", kills, LONGEST))


@pytest.mark.campaign
def test_cluster_in_processes(
    nursery: Nursery, sample: Path, finished: Path, tmp_path: Path, count: Count
) -> None:
    more = ("--scheduler", "processes", "--workers", "2")
    count(cluster_killed(nursery, sample, finished, tmp_path / "run", 30, 20.0, *more))


@pytest.mark.campaign
def test_workers_that_are_killed_cost_time_and_not_the_result(
    nursery: Nursery, sample: Path, finished: Path, tmp_path: Path, count: Count
) -> None:
    rng, killed, refused = random.Random(2), 0, 0
    for number in range(12):
        run = tmp_path / f"run{number}"
        child = nursery.start(
            *("cluster", sample, "-o", run, *CLUSTER, "--scheduler", "processes", "--workers", "2")
        )
        time.sleep(rng.uniform(1, 20))
        try:
            below = psutil.Process(child.pid).children(recursive=True)
            workers = [one for one in below if "spawn_main" in " ".join(one.cmdline())]
            if workers:
                rng.choice(workers).kill()
                killed += 1
        except psutil.NoSuchProcess:
            pass
        ended = child.end()
        check_clear(ended, 5)
        check_whole(run)
        if ended.code:
            assert "the worker processes could not be started" in ended.stderr
        else:
            assert labels(run) == labels(finished)
        refused += ended.code != 0
        wait_for_orphans(child.pid)
    assert killed > refused
    count({"workers killed": killed, "refused": refused})


@times(3, 40)
def test_order_parameter(nursery: Nursery, run: Path, kills: int, count: Count) -> None:
    rng, hits, truth = random.Random(kills), 0, labels(run)
    assert nursery.run("order-parameter", run, "--no-figures").code == 0
    findings = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    while hits < kills:
        child = nursery.start("order-parameter", run, "--no-figures")
        hits += kill(child, rng.uniform(0, LONGEST), rng.choice(signals(kills)))[0]
        check_whole(run, killed=True)
        assert labels(run) == truth
    assert nursery.run("order-parameter", run, "--no-figures").code == 0
    check_whole(run)
    assert json.loads((run / "summary.json").read_text(encoding="utf-8")) == findings
    count({"kills": hits})


@times(3, 40)
def test_stack(nursery: Nursery, scans: Path, tmp_path: Path, kills: int, count: Count) -> None:
    rng, hits, path = random.Random(kills), 0, tmp_path / "out" / "series.nxs"
    before = hashes(scans.rglob("*.nxs"))
    call = ("stack", scans, "-o", path, "--force")
    while hits < kills:
        copied = ["--copy"] * rng.randint(0, 1)
        child = nursery.start(*call, *copied)
        hits += kill(child, rng.uniform(0, LONGEST / 2), rng.choice(signals(kills)))[0]
        check_whole(path.parent, killed=True)
    assert nursery.run(*call).code == 0
    assert nursery.run("inspect", path, "--allow-external").code == 0
    assert hashes(scans.rglob("*.nxs")) == before
    count({"kills": hits})


@times(3, 40)
def test_watch(nursery: Nursery, scans: Path, tmp_path: Path, kills: int, count: Count) -> None:
    rng, hits, run = random.Random(kills), 0, tmp_path / "run"
    before = hashes(scans.rglob("*.nxs"))
    options = ("--every", "0.1s", "--rest", "0s", *CLUSTER)
    while hits < kills:
        child = nursery.start("watch", scans, "-o", run, *options)
        hits += kill(child, rng.uniform(0, LONGEST), rng.choice(signals(kills)))[0]
        check_whole(run, killed=True)
    ended = nursery.run("watch", scans, "-o", run, *options, "--until", "12")
    assert ended.code == 0, ended
    check_whole(run)
    assert nursery.run("cluster", scans, "-o", tmp_path / "batch", *CLUSTER).code == 0
    check_same_clusters(run, tmp_path / "batch")
    assert hashes(scans.rglob("*.nxs")) == before
    count({"kills": hits})


DROPPED = """
import signal, weakref
from xtec_pipelines import watch
class Thing: pass
look = watch._look
def looking(watching):
    thing = Thing()
    reference = weakref.ref(thing, lambda _: signal.raise_signal(signal.NUMBER))
    del thing  # Python calls what we gave, and drops what that raises
    if FAILS:
        raise RuntimeError("something was left half-done")
    return look(watching)
watch._look = looking
"""


@pytest.mark.parametrize(("number", "fails"), [("SIGTERM", False), ("SIGINT", False), ("SIGTERM", True)])
def test_a_request_to_end_is_heard_even_if_python_drops_it(
    nursery: Nursery, scans: Path, tmp_path: Path, number: str, fails: bool
) -> None:
    call = ("watch", scans, "-o", tmp_path / "run", "--every", "0.1s", "--rest", "0s", *CLUSTER)
    ended = nursery.run(*call, before=DROPPED.replace("NUMBER", number).replace("FAILS", str(fails)))
    assert ended.code == 130
    assert "Traceback" not in ended.stderr


LOADING = """
import enum, signal, sys
assert "gemmi" not in sys.modules
call = enum.EnumType.__call__
def calling(cls, *values, **more):
    if str(more.get("module")).startswith("gemmi"):  # C++ has called us
        enum.EnumType.__call__ = call
        signal.raise_signal(signal.SIGTERM)
    return call(cls, *values, **more)
enum.EnumType.__call__ = calling
"""


def test_a_request_to_end_while_a_library_of_cxx_is_loaded(nursery: Nursery, run: Path) -> None:
    ended = nursery.run("order-parameter", run, "--no-figures", before=LOADING)
    assert ended.code == 130, ended
    assert "Traceback" not in ended.stderr
    check_whole(run)


LATE = """
import atexit, signal
atexit.register(signal.raise_signal, signal.NUMBER)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_to_end_when_all_is_done(
    nursery: Nursery, sample: Path, finished: Path, tmp_path: Path, number: signal.Signals
) -> None:
    run = tmp_path / "run"
    ended = nursery.run("cluster", sample, "-o", run, *CLUSTER, before=LATE.replace("NUMBER", number.name))
    assert ended.code == -number
    assert ended.stderr == ""
    check_whole(run)
    assert labels(run) == labels(finished)


STOPS_ITSELF = """
import os, signal, sys
stopped = []
def stop(event, arguments):
    if event == "os.rename" and not stopped:  # its first file is there: it is under way
        stopped.append(True)
        os.kill(os.getpid(), signal.SIGSTOP)
sys.addaudithook(stop)
"""


def test_two_runs_at_once_into_one_folder(
    nursery: Nursery, sample: Path, finished: Path, tmp_path: Path, run_cli: Callable[..., Any]
) -> None:
    run = tmp_path / "run"
    child = nursery.start("cluster", sample, "-o", run, *CLUSTER, before=STOPS_ITSELF)
    end = time.monotonic() + 300
    while not child.stopped and time.monotonic() < end:
        time.sleep(0.01)
    try:
        second = run_cli("cluster", sample, "-o", run, *CLUSTER, "--force")
    finally:
        child.signal(signal.SIGCONT)
    assert second.code == 2
    assert f"process {child.pid} " in second.stderr
    assert child.end().code == 0
    assert labels(run) == labels(finished)
