"""Every bundled component through the command line alone, on the bundled series."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import xtec
from xtec.plugins import entries, load
from xtec.plugins.testing import assert_conforms

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "sample_data" / "srn_cdw.nxs"

RUNS = {
    "deep-ensemble": ["--clusterer", "deep-ensemble:members=3"],
    "mixmate": ["--clusterer", "mixmate:max_epochs=10"],
    "learned-invariance": ["--features", "learned-invariance:steps=60"],
    "flow-novelty": ["--novelty", "flow-novelty:rate=0.02,max_epochs=5"],
    "dib": ["--selector", "dib", "-k", "1:6"],
}
TORCH = ("mixmate", "learned-invariance", "flow-novelty")
METHODS = ("gp-order-parameter", "symbolic-order-parameter")
TC = 131.0
"""Planted in the bundled series."""


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    """`xtec` in a process of its own."""
    call = [sys.executable, "-c", "from xtec_cli.main import main; main()", *map(str, arguments)]
    return subprocess.run(call, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.parametrize("name", RUNS)
def test_a_run_that_others_can_use(name: str, tmp_path: Path) -> None:
    if name in TORCH:
        pytest.importorskip("torch")
    labels = []
    for folder in (tmp_path / "once", tmp_path / "again"):
        done = command("cluster", SAMPLE, "-o", folder, "--no-figures", *RUNS[name])
        assert done.returncode == 0, done.stderr
        run = xtec.open_run(folder)
        novelty = run["voxels/novelty"].values if "novelty" in run["voxels"] else np.empty(0)
        labels.append((run["voxels/label"].values, run["voxels/probability"].values, novelty))
    for first, second in zip(*labels, strict=True):
        np.testing.assert_array_equal(first, second)
    done = command("order-parameter", tmp_path / "once", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    ordering = [one["tc"]["value"] for one in found["order_parameters"]]
    assert any(abs(tc - TC) < 4 for tc in ordering)
    assert any(vector["fraction"] == ["1/2", "1/2", "0"] for vector in found["wave_vectors"])
    summary = json.loads((tmp_path / "once/summary.json").read_text(encoding="utf-8"))
    record = next(iter(summary["plugins"].values()))
    assert record["name"] == name
    assert record["distribution"] == "xtec-pipeline"
    assert (tmp_path / "once/run.toml").read_text(encoding="utf-8").count(name) == 1


@pytest.fixture(scope="module")
def clustered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("method") / "run"
    assert command("cluster", SAMPLE, "-o", folder, "--no-figures").returncode == 0
    return folder


@pytest.mark.parametrize("name", METHODS)
def test_a_method_reads_the_planted_transition(name: str, clustered: Path) -> None:
    found = []
    for _ in range(2):
        done = command("order-parameter", clustered, "--method", name, "--json", "--no-figures")
        assert done.returncode == 0, done.stderr
        found.append(json.loads(done.stdout))
    assert found[0] == found[1]
    tc = found[0]["order_parameters"][0]["tc"]
    assert abs(tc["value"] - TC) < 5
    assert tc["low"] <= tc["value"] <= tc["high"]
    assert found[0]["method"]["name"] == name
    shown = command("order-parameter", clustered, "--method", name, "--no-figures")
    assert name in shown.stdout
    tree = xtec.open_run(clustered)
    assert len(tree["order_parameter/transitions/tc"]) == len(found[0]["order_parameters"])


def test_novelty_state_is_used_again(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    first, second = tmp_path / "first", tmp_path / "second"
    novelty = "flow-novelty:rate=0.02,max_epochs=5"
    assert command("cluster", SAMPLE, "-o", first, "--no-figures", "--novelty", novelty).returncode == 0
    state = first / "plugins" / "novelty.npz"
    again = f"flow-novelty:rate=0.02,state={state}"
    done = command("cluster", SAMPLE, "-o", second, "--no-figures", "--novelty", again)
    assert done.returncode == 0, done.stderr
    novel = [xtec.open_run(folder)["voxels/novelty"].values for folder in (first, second)]
    np.testing.assert_allclose(novel[0], novel[1], atol=1e-5)
    state.write_bytes(state.read_bytes()[:200])
    broken = command("cluster", SAMPLE, "-o", tmp_path / "third", "--novelty", again)
    assert broken.returncode == 3
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
    "flow-novelty": {"max_epochs": 10},
    "deep-ensemble": {"members": 2},
}


@pytest.mark.parametrize(("slot", "name", "needs_torch"), BUNDLED)
def test_it_fits_its_slot(slot: str, name: str, needs_torch: bool) -> None:
    if needs_torch:
        pytest.importorskip("torch")
    assert_conforms(slot, load(slot, name), **QUICK.get(name, {}))


def test_torch_is_loaded_for_nothing_else() -> None:
    code = """
import sys
from xtec_cli.main import main
try:
    main(["cluster", *sys.argv[1:], "--no-figures", "--clusterer", "deep-ensemble:members=2"])
except SystemExit as end:
    assert end.code == 0
assert "torch" not in sys.modules and "zuko" not in sys.modules
"""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        call = [sys.executable, "-c", code, str(SAMPLE), "-o", f"{folder}/run"]
        done = subprocess.run(call, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
