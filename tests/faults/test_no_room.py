"""Disks that are full, at every write: a limit on the size of files, or a small file system of its own."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import CLUSTER, Count
from .nursery import Ended, Nursery
from .whole import check_clear, check_same_clusters, check_whole, hashes, labels

SMALLEST = 16 * 1024
"""Bytes: what a command says goes into a file, too."""

COMMANDS = {
    "cluster": ("cluster", "SERIES", "-o", "PLACE/run", *CLUSTER, "--save-after", "0", "--force"),
    "figures": ("cluster", "SERIES", "-o", "PLACE/run", *CLUSTER[:-1], "--force"),
    "order-parameter": ("order-parameter", "PLACE/run"),
    "unit-cell": ("unit-cell", "PLACE/run"),
    "report": ("report", "PLACE/run"),
    "stack": ("stack", "SCANS", "-o", "PLACE/stacked.nxs", "--copy", "--force"),
    "stack --virtual": ("stack", "SCANS", "-o", "PLACE/stacked.nxs", "--force"),
    "simulate": ("simulate", "tiny", "-o", "PLACE/series.nxs", "--force"),
    "simulate folder": ("simulate", "tiny", "-o", "PLACE/folder", "--layout", "nxrefine", "--force"),
}
ADDING = ("order-parameter", "unit-cell", "report")
"""Commands that go on with a run that is there."""


def call(command: str, place: Path, sample: Path, scans: Path) -> list[str]:
    """Its arguments."""
    named = {"SERIES": str(sample), "SCANS": str(scans)}
    return [named.get(word, word.replace("PLACE", str(place))) for word in COMMANDS[command]]


def prepare(command: str, place: Path, finished: Path) -> None:
    """What is there before."""
    place.mkdir(exist_ok=True)
    if command in ADDING:
        shutil.copytree(finished, place / "run", dirs_exist_ok=True)


def check_refused(ended: Ended, place: Path, inputs: dict[Path, str], before: dict[Path, str]) -> None:
    """What must hold after a write that failed."""
    check_clear(ended, 2)
    check_whole(place)
    assert hashes(inputs) == inputs
    if ended.code:  # what cannot be replaced is still there
        kept = {path: known for path, known in before.items() if path.name in ("results.nxs", "run.toml")}
        assert hashes(kept) == kept


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("tries", [1, pytest.param(20, marks=pytest.mark.campaign)])
def test_files_that_may_not_grow(
    nursery: Nursery,
    sample: Path,
    scans: Path,
    finished: Path,
    tmp_path: Path,
    command: str,
    tries: int,
    count: Count,
) -> None:
    inputs = hashes([sample, *scans.rglob("*.nxs")])
    largest = 120_000 if tries < 3 else 1_000_000
    rng, refused = random.Random(tries), 0
    for number in range(tries):
        place = tmp_path / str(number)
        prepare(command, place, finished)
        before = hashes(path for path in place.rglob("*") if path.is_file())
        size = round(SMALLEST * (largest / SMALLEST) ** ((number + rng.uniform(0, 0.5)) / tries))
        ended = nursery.run(*call(command, place, sample, scans), limits={"RLIMIT_FSIZE": size})
        check_refused(ended, place, inputs, before)
        refused += ended.code != 0
        ended = nursery.run(*call(command, place, sample, scans))
        assert ended.code == 0, ended
        check_whole(place)
        if (place / "run").exists():
            assert labels(place / "run") == labels(finished)
        shutil.rmtree(place)
    count({"tried": tries, "refused": refused})


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, to be given a size."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(place)], check=False)
    if mounted.returncode:
        pytest.skip("nothing can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def resize(disk: Path, free: int) -> None:
    """Leave so many bytes free."""
    used = shutil.disk_usage(disk).used
    size = max(used + free, 4096)
    subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True)


@pytest.mark.campaign
@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk(
    nursery: Nursery, sample: Path, scans: Path, finished: Path, disk: Path, command: str, count: Count
) -> None:
    inputs = hashes([sample, *scans.rglob("*.nxs")])
    refused, tries, free = 0, 0, 0
    while True:
        resize(disk, 64 * 2**20)
        shutil.rmtree(disk / "place", ignore_errors=True)
        prepare(command, disk / "place", finished)
        before = hashes(path for path in disk.rglob("*") if path.is_file())
        resize(disk, free)
        ended = nursery.run(*call(command, disk / "place", sample, scans))
        check_refused(ended, disk / "place", inputs, before)
        resize(disk, 64 * 2**20)
        tries += 1
        again = nursery.run(*call(command, disk / "place", sample, scans))
        assert again.code == 0, again
        check_whole(disk / "place")
        if ended.code == 0:
            break
        refused += 1
        free = max(4096, int(free * 1.35)) // 4096 * 4096 + 4096 * (free < 40_000)
    count({"tried": tries, "refused": refused})


@pytest.mark.campaign
def test_a_watch_on_a_full_disk_goes_on_when_there_is_room(
    nursery: Nursery, scans: Path, disk: Path, tmp_path: Path, count: Count
) -> None:
    run, options = disk / "run", ("--every", "0.1s", "--rest", "0s", *CLUSTER)
    inputs = hashes(scans.rglob("*.nxs"))
    frees = [0, 4096, 12288, 65536, 200_000, 400_000, 700_000, 1_000_000]
    for free in frees:
        resize(disk, free)
        ended = nursery.run_until(6.0, signal.SIGTERM, "watch", scans, "-o", run, *options)
        check_clear(ended, 2, 130)
        check_whole(run)
    resize(disk, 64 * 2**20)
    ended = nursery.run("watch", scans, "-o", run, *options, "--until", 12)
    assert ended.code == 0, ended
    assert nursery.run("cluster", scans, "-o", tmp_path / "batch", *CLUSTER).code == 0
    check_same_clusters(run, tmp_path / "batch")
    assert hashes(inputs) == inputs
    count({"tried": len(frees)})


@pytest.mark.parametrize("place", ["a file", "/proc/nowhere"])
def test_a_scratch_folder_that_cannot_be(nursery: Nursery, sample: Path, tmp_path: Path, place: str) -> None:
    scratch = Path(place) if place.startswith("/") else tmp_path / place
    if not place.startswith("/"):
        scratch.touch()
    ended = nursery.run("cluster", sample, "-o", tmp_path / "run", *CLUSTER, "--scratch", scratch)
    check_clear(ended, 2)
    assert ended.code == 2
    assert str(scratch) in ended.stderr
    assert not (tmp_path / "run").exists()


SPILLING = """
from xtec_pipelines.streaming.plan import RunPlan
RunPlan.store_bytes = property(lambda self: 0)
"""
"""All that is held of a series goes to the scratch folder."""


@pytest.mark.parametrize("before", ["", SPILLING], ids=["progress", "trajectories"])
def test_a_scratch_folder_without_room(
    nursery: Nursery, sample: Path, finished: Path, disk: Path, tmp_path: Path, before: str
) -> None:
    """What could be gone on with is no need of a run; trajectories are."""
    resize(disk, 0)
    call = ("cluster", sample, "-o", tmp_path / "run", *CLUSTER, "--scratch", disk, "--save-after", "0")
    ended = nursery.run(*call, before=before)
    check_clear(ended, 2)
    check_whole(tmp_path / "run")
    if before:
        assert ended.code == 2
        assert "no room left" in ended.stderr or "No space left" in ended.stderr
        assert not (tmp_path / "run").exists()
        resize(disk, 64 * 2**20)
        assert nursery.run(*call, before=before).code == 0
    else:
        assert ended.code == 0
        assert "progress cannot be saved" in ended.stderr
    assert labels(tmp_path / "run") == labels(finished)
