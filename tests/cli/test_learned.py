"""Every bundled component through the command line alone, on a part of the bundled series."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import xtec
from xtec.plugins import entries, load
from xtec.plugins.testing import assert_conforms

ROOT = Path(__file__).resolve().parents[2]
SERIES = (ROOT / "sample_data" / "srn_cdw.nxs", "--region", "H=-4.5:4.5,K=-3.5:3.5")

RUNS = {
    "deep-ensemble": ["--clusterer", "deep-ensemble:members=3"],
    "mixmate": ["--clusterer", "mixmate:max_epochs=10"],
    "learned-invariance": ["--features", "learned-invariance:steps=60"],
    "flow-novelty": ["--novelty", "flow-novelty:rate=0.02,max_epochs=3"],
    "dib": ["--selector", "dib", "-k", "1:6", "--region", "L=0:1"],
}
"""The bottleneck tells clusters apart where there are many peaks: it gets the whole series."""
TORCH = ("mixmate", "learned-invariance", "flow-novelty")
METHODS = ("gp-order-parameter", "symbolic-order-parameter")
TC = 131.0
"""Planted in the bundled series."""

RunCli = Callable[..., Any]

EACH = """
import json, sys
from xtec_cli.main import main
for arguments in json.loads(sys.argv[1]):
    try:
        main(arguments)
    except SystemExit as end:
        assert end.code == 0, arguments
"""
UNLOADED = 'assert not {"torch", "zuko"} & set(sys.modules)\n'


def process(*runs: list[object], then: str = "") -> None:
    """`xtec` with each of these arguments, all in one process of their own."""
    given = json.dumps([[str(argument) for argument in run] for run in runs])
    call = [sys.executable, "-c", EACH + then, given]
    done = subprocess.run(call, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stderr


def clustering(name: str, folder: Path) -> list[object]:
    """Arguments that cluster with a component."""
    return ["cluster", *SERIES, "-o", folder, "--no-figures", *RUNS[name]]


def voxels(folder: Path) -> list[np.ndarray]:
    found = xtec.open_run(folder)["voxels"]
    return [found[name].values for name in ("label", "probability", "novelty") if name in found]


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs with every component, made in another process: in folders of their names."""
    folder = tmp_path_factory.mktemp("elsewhere")
    missing = () if importlib.util.find_spec("torch") else TORCH
    process(*(clustering(name, folder / name) for name in RUNS if name not in missing))
    return folder


@pytest.mark.parametrize("name", RUNS)
def test_a_run_that_others_can_use(name: str, elsewhere: Path, tmp_path: Path, run_cli: RunCli) -> None:
    if name in TORCH:
        pytest.importorskip("torch")
    done = run_cli(*clustering(name, tmp_path / "here"))
    assert done.code == 0, done.stderr
    run = elsewhere / name
    here, there = voxels(tmp_path / "here"), voxels(run)
    assert len(here) == len(there) == (3 if name == "flow-novelty" else 2)
    for one, other in zip(here, there, strict=True):
        np.testing.assert_array_equal(one, other)
    done = run_cli("order-parameter", run, "--json", "--no-figures")
    assert done.code == 0, done.stderr
    found = json.loads(done.stdout)
    ordering = [one["tc"]["value"] for one in found["order_parameters"]]
    assert any(abs(tc - TC) < 4 for tc in ordering)
    assert any(vector["fraction"] == ["1/2", "1/2", "0"] for vector in found["wave_vectors"])
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    record = next(iter(summary["plugins"].values()))
    assert record["name"] == name
    assert record["distribution"] == "xtec-pipeline"
    assert (run / "run.toml").read_text(encoding="utf-8").count(f'"{RUNS[name][1]}"') == 1


@pytest.fixture(scope="module")
def clustered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("method") / "run"
    process(["cluster", *SERIES, "-o", folder, "--no-figures"], then=UNLOADED)
    return folder


@pytest.mark.parametrize("name", METHODS)
def test_a_method_reads_the_planted_transition(name: str, clustered: Path, run_cli: RunCli) -> None:
    call = ("order-parameter", clustered, "--method", name, "--no-figures")
    done = run_cli(*call, "--json")
    assert done.code == 0, done.stderr
    found = json.loads(done.stdout)
    tc = found["order_parameters"][0]["tc"]
    assert abs(tc["value"] - TC) < 5
    assert tc["low"] <= tc["value"] <= tc["high"]
    assert found["method"]["name"] == name
    shown = run_cli(*call)
    assert name in shown.stdout
    again = xtec.open_run(clustered)["order_parameter/transitions/tc"].values
    assert again.tolist() == [one["tc"]["value"] for one in found["order_parameters"]]


def test_novelty_state_is_used_again(elsewhere: Path, tmp_path: Path, run_cli: RunCli) -> None:
    pytest.importorskip("torch")
    first, second = elsewhere / "flow-novelty", tmp_path / "second"
    state = tmp_path / "novelty.npz"
    state.write_bytes((first / "plugins" / "novelty.npz").read_bytes())
    again = ("--no-figures", "--novelty", f"flow-novelty:rate=0.02,state={state}")
    done = run_cli("cluster", *SERIES, "-o", second, *again)
    assert done.code == 0, done.stderr
    novel = [xtec.open_run(folder)["voxels/novelty"].values for folder in (first, second)]
    np.testing.assert_allclose(novel[0], novel[1], atol=1e-5)
    state.write_bytes(state.read_bytes()[:200])
    broken = run_cli("cluster", *SERIES, "-o", tmp_path / "third", *again)
    assert broken.code == 3
    assert "no plugin's state" in broken.stderr
    assert "Traceback" not in broken.stderr


BUNDLED = [
    (slot, entry.name, bool(entry.extras))
    for slot in ("clusterers", "features", "novelty", "selectors", "order_parameters")
    for entry in entries(slot)
    if entry.value.startswith("xtec.")
]
QUICK = {
    "mixmate": {"max_epochs": 10},
    "learned-invariance": {"steps": 60},
    "flow-novelty": {"max_epochs": 2, "n_transforms": 3, "hidden": 16},
    "deep-ensemble": {"members": 2},
}


@pytest.mark.parametrize(("slot", "name", "needs_torch"), BUNDLED)
def test_it_fits_its_slot(slot: str, name: str, needs_torch: bool) -> None:
    if needs_torch:
        pytest.importorskip("torch")
    assert_conforms(slot, load(slot, name), **QUICK.get(name, {}))


def test_torch_is_loaded_for_nothing_else(tmp_path: Path) -> None:
    process(clustering("deep-ensemble", tmp_path / "run"), then=UNLOADED)
