"""A series with truth, its run, and a nursery for commands that fail."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from .nursery import Nursery


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    nursery = Nursery(tmp_path_factory.mktemp("nursery"))
    yield nursery
    nursery.close()


@pytest.fixture(scope="session")
def sample(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small series in one file: 8 MB, so that a block is not all."""
    path = tmp_path_factory.mktemp("sample") / "series.nxs"
    done = nursery.run(
        *("simulate", "tiny", "-o", path, "--n-temperatures", 24, "--seed", 3, "--compression", "gzip")
    )
    assert done.code == 0, done.stderr
    return path


@pytest.fixture(scope="session")
def scans(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as NXRefine has it."""
    path = tmp_path_factory.mktemp("scans") / "cubic"
    done = nursery.run("simulate", "tiny", "--layout", "nxrefine", "-o", path, "--n-temperatures", 12)
    assert done.code == 0, done.stderr
    return path


Count = Callable[[Mapping[str, int]], None]
"""Takes down how often what was done."""


@pytest.fixture
def count(record_property: Callable[[str, object], None]) -> Count:
    """For the table of a campaign: ``pytest --junitxml FILE`` has it."""

    def take_down(numbers: Mapping[str, int]) -> None:
        for name, number in numbers.items():
            record_property(name, number)

    return take_down


CLUSTER = ("-k", "3", "--mode", "d", "--n-init", "4", "--no-figures")
"""Options of a run that takes half a second."""


@pytest.fixture(scope="session")
def finished(nursery: Nursery, sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the sample that nothing befell."""
    run = tmp_path_factory.mktemp("finished") / "run"
    done = nursery.run("cluster", sample, "-o", run, *CLUSTER)
    assert done.code == 0, done.stderr
    return run


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of that, to be changed."""
    return Path(shutil.copytree(finished, tmp_path / "run"))
