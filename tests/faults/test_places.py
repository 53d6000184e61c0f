"""Places and means that fail: folders taken away, no home, no memory, clocks that jump, disks that lag."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import CLUSTER, Count
from .nursery import Nursery
from .whole import check_clear, check_same_clusters, check_whole, hashes, labels

NO_PRIVILEGE = """
import ctypes
class Data(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable")]
libc, header, data = ctypes.CDLL(None), (ctypes.c_uint32 * 2)(0x20080522, 0), (Data * 2)()
libc.capget(header, data)
for name in ("effective", "permitted"):
    setattr(data[0], name, getattr(data[0], name) & ~0b1110)
libc.capset(header, data)
"""
"""Modes of files hold for us from then on, whoever we are."""


@pytest.mark.parametrize("tries", [1, pytest.param(15, marks=pytest.mark.campaign)])
def test_permission_that_is_lost(
    nursery: Nursery, sample: Path, finished: Path, tmp_path: Path, tries: int, count: Count
) -> None:
    rng, refused = random.Random(tries), 0
    before = hashes([sample])
    for number in range(tries):
        run = tmp_path / f"run{number}"
        call = ("cluster", sample, "-o", run, *CLUSTER[:-1], "--save-after", "0")
        child = nursery.start(*call, before=NO_PRIVILEGE)
        end = time.monotonic() + 60
        while not (run / ".progress").exists() and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 2))
        child.signal(signal.SIGSTOP)
        run.chmod(0o555)
        child.signal(signal.SIGCONT)
        ended = child.end()
        check_clear(ended, 2)
        refused += ended.code != 0
        run.chmod(0o777)
        check_whole(run, killed=True)  # what cannot be written cannot be tidied up
        assert hashes([sample]) == before
        how = ("--resume",) if not (run / "summary.json").exists() else ("--force",)
        ended = nursery.run(*call, *how, before=NO_PRIVILEGE)
        assert ended.code == 0, ended
        check_whole(run)
        assert labels(run) == labels(finished)
    count({"tried": tries, "refused": refused})


def test_a_folder_that_cannot_be_written(
    nursery: Nursery, sample: Path, finished: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    run.chmod(0o555)
    before = hashes(path for path in run.rglob("*") if path.is_file())
    for call in (
        ("cluster", sample, "-o", run / "inside", *CLUSTER),
        ("cluster", sample, "-o", run, *CLUSTER, "--force"),
        ("order-parameter", run),
        ("unit-cell", run),
        ("report", run),
        ("stack", sample, "-o", run / "stacked.nxs", "--copy"),
        ("simulate", "tiny", "-o", run / "simulated.nxs"),
    ):
        ended = nursery.run(*call, before=NO_PRIVILEGE)
        check_clear(ended, 2)
        assert ended.code == 2, (call, ended)
    assert hashes(path for path in run.rglob("*") if path.is_file()) == before


@pytest.mark.parametrize("home", ["/nonexistent", "read-only"])
def test_no_home_and_no_cache(sample: Path, finished: Path, tmp_path: Path, home: str) -> None:
    if home == "read-only":
        home = str(tmp_path / "home")
        Path(home).mkdir(mode=0o555)
    unset = ("MPLCONFIGDIR", "NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    code = NO_PRIVILEGE + "import sys; from xtec_cli.main import main; main(sys.argv[1:])"
    call = [
        sys.executable,
        "-c",
        code,
        "cluster",
        str(sample),
        "-o",
        str(tmp_path / "run"),
        *CLUSTER[:-1],
        "--report",
    ]
    done = subprocess.run(
        call,
        env={**environment, "HOME": home},
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    check_whole(tmp_path / "run")
    assert labels(tmp_path / "run") == labels(finished)


LITTLE_MEMORY = """
import resource
pages = int(open("/proc/self/statm").read().split()[0])
size = pages * resource.getpagesize() + {more}
resource.setrlimit(resource.RLIMIT_AS, (size, size))
"""

LAST_WORDS = ("OpenBLAS error: Memory", "cannot allocate memory")
"""Of OpenBLAS and the system's C library, which let nobody else speak."""

ENDS_OF_LIBRARIES = {-signal.SIGABRT: "aborted", -signal.SIGSEGV: "crashed", -signal.SIGKILL: "hung"}
"""What C++ and LLVM come to without memory, with a word or without, and Python where a thread has none."""


@pytest.mark.parametrize(
    "more", [[10], pytest.param([*range(1, 100, 3), *range(100, 1000, 60)], marks=pytest.mark.campaign)]
)
def test_little_memory(
    nursery: Nursery, sample: Path, finished: Path, tmp_path: Path, more: list[int], count: Count
) -> None:
    before, ends = hashes([sample]), Counter[str]()
    for megabytes in more:
        run = tmp_path / str(megabytes)
        limit = LITTLE_MEMORY.format(more=megabytes * 2**20)
        call = ("cluster", sample, "-o", run, *CLUSTER, "--save-after", "0")
        ended = nursery.run_until(120.0, signal.SIGKILL, *call, before=limit)
        if any(line.startswith("error: ") for line in ended.stderr.splitlines()):
            check_clear(ended, 5)
            assert "memory" in ended.stderr, ended
            assert "  try: " in ended.stderr
            ends["refused"] += 1
        elif ended.code:
            assert len(more) > 1, ended  # what happens by luck is not for the ordinary run
            assert ended.code in ENDS_OF_LIBRARIES or any(word in ended.stderr for word in LAST_WORDS), ended
            assert "Traceback" not in ended.stderr
            ends[ENDS_OF_LIBRARIES.get(ended.code, "ended with a word")] += 1
        check_whole(run, killed=ended.code != 0)
        if ended.code:
            ended = nursery.run(*call, "--resume")
            assert ended.code == 0, ended
        assert labels(run) == labels(finished)
        assert hashes([sample]) == before
    assert ends["refused"] > 0
    count({"tried": len(more), **ends})


JUMPING = """
import random, time
_time, _jump = time.time, random.Random(3)
time.time = lambda: _time() + _jump.choice([0, 0, 86400.0, -86400.0, 3e8, -3e8])
"""

LAGGING = """
import os, time
from pathlib import Path
_stat, _scandir, _seen, _first = Path.stat, os.scandir, {}, {}
def stat(path, **how):
    # What was true up to a second ago, as with cached attributes.
    key, now = str(path), time.monotonic()
    if SCANS in key:
        when, known = _seen.get(key, (-9.0, None))
        if now - when > 1.0:
            try:
                known = _stat(path, **how)
            except OSError as error:
                known = error
            _seen[key] = now, known
        if isinstance(known, OSError):
            raise known
        return known
    return _stat(path, **how)
class Late:
    def __init__(self, entries, now):
        self.entries, self.now = entries, now
    def __enter__(self):
        return self
    def __exit__(self, *_):
        self.entries.close()
    def __iter__(self):
        # Files are listed a second after they were made.
        return (one for one in self.entries if self.now - _first.setdefault(one.path, self.now) >= 1.0)
def scandir(path="."):
    entries = _scandir(path)
    return Late(entries, time.monotonic()) if str(path).endswith(SCANS) else entries
Path.stat, os.scandir = stat, scandir
"""


@pytest.mark.parametrize("trouble", ["jumping", "lagging"])
@pytest.mark.parametrize("tries", [1, pytest.param(8, marks=pytest.mark.campaign)])
def test_a_watch_on_clocks_that_jump_and_disks_that_lag(
    nursery: Nursery, scans: Path, tmp_path: Path, trouble: str, tries: int, count: Count
) -> None:
    """Scans come while it watches, with times of yesterday and of next year."""
    rng = random.Random(tries)
    before = {"jumping": JUMPING, "lagging": LAGGING.replace("SCANS", repr("arriving"))}[trouble]
    assert nursery.run("cluster", scans, "-o", tmp_path / "batch", *CLUSTER).code == 0
    for number in range(tries):
        place, run = tmp_path / str(number) / "arriving", tmp_path / f"run{number}"
        place.mkdir(parents=True)
        child = nursery.start(
            *("watch", place, "-o", run, "--every", "0.1s", "--rest", "1.5s", *CLUSTER),
            *("--until", "12"),
            before=before,
        )
        for wrapper in sorted(scans.glob("*.nxs")):
            scan = wrapper.stem.rpartition("_")[2]
            whole = (scans / scan / "transform.nxs").read_bytes()
            data = place / scan / "transform.nxs"
            data.parent.mkdir()
            data.write_bytes(whole[: len(whole) // 2])
            shutil.copyfile(wrapper, place / wrapper.name)
            time.sleep(rng.uniform(0, 0.3))
            with data.open("ab") as file:
                file.write(whole[len(whole) // 2 :])
            jump = rng.choice([0.0, -86400.0, 3e7])
            os.utime(data, (time.time() + jump, time.time() + jump))
        ended = child.end()
        assert ended.code == 0, ended
        check_whole(run)
        check_same_clusters(run, tmp_path / "batch")
        assert json.loads((run / "summary.json").read_text(encoding="utf-8"))["status"]["seen"] == 12
    count({"tried": tries})


def test_a_run_on_a_clock_that_jumps_can_be_gone_on_with(
    nursery: Nursery, sample: Path, finished: Path, tmp_path: Path, interrupted: Callable[[str], str]
) -> None:
    call = ("cluster", sample, "-o", tmp_path / "run", *CLUSTER, "--save-after", "0", "--resume")
    ended = nursery.run(*call, before=JUMPING + interrupted("SIGTERM"))
    check_clear(ended, 130)
    assert "go on with" in ended.stderr, ended
    ended = nursery.run(*call, "-v", before=JUMPING)
    assert ended.code == 0, ended
    assert "going on with the run that was interrupted here" in ended.stderr
    assert labels(tmp_path / "run") == labels(finished)
