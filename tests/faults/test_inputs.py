"""Inputs that are truncated, replaced, touched or gone in mid-run: no result, or that of one version."""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import CLUSTER, Count
from .nursery import Nursery
from .whole import check_clear, check_whole, labels


def truncate(path: Path, _: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def replace(path: Path, other: Path) -> None:
    beside = Path(shutil.copyfile(other, path.with_name("beside")))
    beside.replace(path)


def rewrite(path: Path, other: Path) -> None:
    """As cctw does: deleted first, then written."""
    path.unlink()
    shutil.copyfile(other, path)


def overwrite(path: Path, other: Path) -> None:
    """Into the same file, under a reader's eyes."""
    path.write_bytes(other.read_bytes())


def touch(path: Path, _: Path) -> None:
    path.touch()


def vanish(path: Path, _: Path) -> None:
    path.unlink()


FAULTS: dict[str, Callable[[Path, Path], None]] = {
    one.__name__: one for one in (truncate, replace, rewrite, overwrite, touch, vanish)
}


@pytest.fixture(scope="session")
def other(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same series with other noise."""
    path = tmp_path_factory.mktemp("other") / "series.nxs"
    assert nursery.run("simulate", "tiny", "-o", path, "--n-temperatures", 24, "--seed", 5).code == 0
    return path


@pytest.fixture(scope="session")
def other_truth(nursery: Nursery, other: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("other-run") / "run"
    assert nursery.run("cluster", other, "-o", run, *CLUSTER).code == 0
    return run


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("tries", [1, pytest.param(15, marks=pytest.mark.campaign)])
def test_while_it_is_read(
    nursery: Nursery,
    sample: Path,
    finished: Path,
    other: Path,
    other_truth: Path,
    tmp_path: Path,
    fault: str,
    tries: int,
    count: Count,
) -> None:
    rng, refused = random.Random(fault), 0
    truths = {labels(finished)} | (
        {labels(other_truth)} if fault in ("replace", "rewrite", "overwrite") else set()
    )
    for number in range(tries):
        path = Path(shutil.copyfile(sample, tmp_path / f"{number}.nxs"))
        run = tmp_path / f"run{number}"
        child = nursery.start("cluster", path, "-o", run, *CLUSTER)
        time.sleep(rng.uniform(0, 2))
        child.signal(signal.SIGSTOP)
        FAULTS[fault](path, other)
        child.signal(signal.SIGCONT)
        ended = child.end()
        check_clear(ended, 3)
        check_whole(run)
        if ended.code == 0:
            assert labels(run) in truths
        else:
            refused += 1
            assert not (run / "results.nxs").exists()
            assert str(path) in ended.stderr
            shutil.copyfile(sample, path)
            ended = nursery.run("cluster", path, "-o", run, *CLUSTER, "--force")
            assert ended.code == 0, ended
            assert labels(run) == labels(finished)
    count({"tried": tries, "refused": refused})


CHANGED_BY_ITSELF = """
from pathlib import Path
from xtec_pipelines import cluster
whole = cluster._compute
def compute(series, *rest):
    run = whole(series, *rest)
    Path(series.inputs[0]).touch()
    return run
cluster._compute = compute
"""


def test_one_that_changed_unseen_gives_no_result(nursery: Nursery, sample: Path, tmp_path: Path) -> None:
    path = Path(shutil.copyfile(sample, tmp_path / "series.nxs"))
    ended = nursery.run("cluster", path, "-o", tmp_path / "run", *CLUSTER, before=CHANGED_BY_ITSELF)
    assert ended.code == 3
    assert "this input has changed while it was read" in ended.stderr
    assert not (tmp_path / "run").exists()
