"""Many samples of one recipe, each in a process of its own; some fail, are killed or interrupted."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xtec.core.errors import OutputError
from xtec.core.parallel import n_cores
from xtec.core.progress import Progress
from xtec_pipelines.recipes.file import load_recipe_file
from xtec_pipelines.recipes.recipe import Recipe
from xtec_pipelines.recipes.samples import run_samples, shares
from xtec_pipelines.recipes.samples_table import Outcome, State, cells, write_table


def recipe(folder: Path, text: str, **changes: object) -> Recipe:
    """A recipe whose runs are in ``folder/runs``."""
    path = folder / "recipe.toml"
    path.write_text(f'output = "{folder}/runs/{{sample}}"\n{text}', encoding="utf-8")
    return load_recipe_file(path, **changes)


def table(folder: Path) -> dict[str, dict[str, Any]]:
    """samples.json by sample; samples.csv says the same."""
    samples = json.loads((folder / "runs" / "samples.json").read_text())["samples"]
    with (folder / "runs" / "samples.csv").open() as file:
        rows = {row["sample"]: row for row in csv.DictReader(file)}
    assert list(rows) == [one["sample"] for one in samples]
    for one in samples:
        assert (rows[one["sample"]]["state"], rows[one["sample"]]["exit_code"]) == (
            one["state"],
            str(one["exit_code"]),
        )
    return {one["sample"]: one for one in samples}


def test_one_that_fails_stops_no_other(
    tmp_path: Path, write_series: Callable[..., Path], ordering: Callable[..., np.ndarray]
) -> None:
    """Then the failed one is repaired: only it is done again."""
    for name in ("a", "b", "c"):
        write_series(ordering(), name=f"{name}.nxs")
    whole = (tmp_path / "a.nxs").read_bytes()
    (tmp_path / "a.nxs").write_bytes(whole[: len(whole) // 2])
    text = (
        f'inputs = ["{tmp_path}/{{sample}}.nxs"]\nclusters = 3\nfigures = false\nn_init = 2\nparallel = 2\n'
        'then = ["order-parameter"]\n[order-parameter]\nfigures = false\n'
        '[samples.a]\n[samples.b]\n[samples.c]\nthreshold = "90"\n'
    )
    outcomes = run_samples(recipe(tmp_path, text), Progress())
    assert [(one.name, one.state, one.code) for one in outcomes] == [
        ("a", State.FAILED, 3),
        ("b", State.DONE, 0),
        ("c", State.FAILED, 4),
    ]
    found = table(tmp_path)
    assert str(tmp_path / "a.nxs") in found["a"]["error"]
    summary = json.loads((tmp_path / "runs" / "b" / "summary.json").read_text())
    assert found["b"]["n_kept"] == summary["n_kept"] > 0
    assert len(found["b"]["order_parameters"]) == len(summary["order_parameters"])
    assert "error: " in (tmp_path / "runs" / "logs" / "c.log").read_text()

    with pytest.raises(OutputError, match="begun before: b"):
        run_samples(recipe(tmp_path, text), Progress())
    (tmp_path / "a.nxs").write_bytes(whole)
    before = (tmp_path / "runs" / "b" / "results.nxs").stat()
    again = run_samples(recipe(tmp_path, text, resume=True), Progress(), resume=True)
    assert [one.state for one in again] == [State.DONE, State.BEFORE, State.FAILED]
    assert (tmp_path / "runs" / "b" / "results.nxs").stat() == before
    assert table(tmp_path)["b"]["n_kept"] == summary["n_kept"]


WAITING = """
command = "watch"
inputs = ["{folder}/none"]
every = "0.1s"
parallel = 2
[samples.a]
[samples.b]
[samples.c]
"""
"""Samples that go on until they are told to end."""


def begun(folder: Path, names: str) -> bool:
    """Whether these samples watch."""
    return all((folder / "runs" / name / "run.log").exists() for name in names)


def later(condition: Callable[[], bool], action: Callable[[], object]) -> threading.Thread:
    """Do something once a condition holds."""

    def wait() -> None:
        end = time.monotonic() + 300
        while not condition() and time.monotonic() < end:
            time.sleep(0.1)
        action()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """Those that are started, in order."""
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def start(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        started.append(popen(*arguments, **options))
        return started[-1]

    monkeypatch.setattr("xtec_pipelines.recipes.samples.subprocess.Popen", start)
    return started


def test_interrupted(tmp_path: Path, processes: list[subprocess.Popen[bytes]]) -> None:
    """All end, none is begun any more, and the table says so."""
    asked = later(lambda: begun(tmp_path, "ab"), lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        run_samples(recipe(tmp_path, WAITING.replace("{folder}", str(tmp_path))), Progress())
    asked.join()
    assert [one.returncode for one in processes] == [130, 130]
    assert {name: one["state"] for name, one in table(tmp_path).items()} == {
        "a": "interrupted",
        "b": "interrupted",
        "c": "not run",
    }


def test_killed(tmp_path: Path, processes: list[subprocess.Popen[bytes]]) -> None:
    """As where memory is short: it is told apart, and the next one has its place."""
    text = WAITING.replace("{folder}", str(tmp_path)).replace("[samples.b]", '[samples.b]\nidle = "0.1s"')
    text = text.replace("[samples.c]", '[samples.c]\nidle = "0.1s"')
    killer = later(lambda: begun(tmp_path, "a"), lambda: processes[0].kill())
    outcomes = run_samples(recipe(tmp_path, text), Progress())
    killer.join()
    assert [(one.state, one.code) for one in outcomes] == [
        (State.FAILED, 128 + 9),
        (State.FAILED, 4),
        (State.FAILED, 4),
    ]
    assert "memory" in outcomes[0].error


def test_what_is_given_is_not_divided(tmp_path: Path) -> None:
    text = 'inputs = ["a"]\nparallel = 2\n[samples.a]\n[samples.b]\nworkers = 7\nmemory_limit = "3GB"\n'
    read = recipe(tmp_path, text)
    a, b = (shares(read, job.steps[0]) for job in read.jobs)
    assert a["workers"] == max(1, n_cores() // 2)
    assert 2 * int(a["memory_limit"]) <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert b == {}


def test_a_row_for_each_transition(tmp_path: Path) -> None:
    """Two transitions of a sample: two rows in CSV and lines on the terminal, each with its wave vectors."""
    quantity = {"value": 113.2, "low": 112.2, "high": 114.2, "units": "K"}
    parameters = [
        {"cluster": 1, "kind": "second-order", "tc": {**quantity, "value": 200.1}, "beta": None},
        {"cluster": 3, "kind": "first-order", "tc": quantity, "beta": None},
    ]
    vectors = [{"cluster": 3, "fraction": ["1/2", "0", "0"]}, {"cluster": 1, "fraction": ["0", "0", "0"]}]
    summary = {"n_clusters": 4, "n_kept": 7, "order_parameters": parameters, "wave_vectors": vectors}
    outcome = Outcome("a", tmp_path, State.DONE, seconds=3.2, summary=summary)
    none = Outcome("b", tmp_path, State.DONE, summary={**summary, "order_parameters": []})
    write_table(tmp_path / "runs", [outcome, none])
    with (tmp_path / "runs" / "samples.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["sample"], row["cluster"], row["tc"], row["wave_vectors"]) for row in rows] == [
        ("a", "1", "200.1", "0 0 0"),
        ("a", "3", "113.2", "1/2 0 0"),
        ("b", "", "", ""),
    ]
    lines = [*cells(outcome), *cells(none)]
    assert [line[0] for line in lines] == ["a", "", "b"]
    assert "113.2" in " ".join(lines[1])
    assert lines[2][3] == "none"
