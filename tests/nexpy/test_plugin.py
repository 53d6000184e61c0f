"""The menu in NeXpy itself, without a screen: `session.py` says what its user does."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
SERIES = HERE.parents[1] / "sample_data" / "srn_cdw.nxs"
ENTRIES = [
    *("Cluster...", "Select Number of Clusters...", "Order Parameters..."),
    *("Show Trajectories", "Show Cluster Map", "Show Order Parameters"),
]
TC = 131.0

if importlib.util.find_spec("nexpy") is None or importlib.util.find_spec("qtpy") is None:
    pytest.skip("NeXpy is not installed", allow_module_level=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nexpy")


@pytest.fixture(scope="module")
def facts(folder: Path) -> dict[str, Any]:
    """What was seen in the session."""
    home = folder / "home"
    home.mkdir()
    series = shutil.copy(SERIES, folder / "series.nxs")
    environment = {**os.environ, "HOME": str(home), "QT_QPA_PLATFORM": "offscreen"}
    call = [sys.executable, str(HERE / "session.py"), str(folder / "facts.json"), str(series), str(folder)]
    done = subprocess.run(call, env=environment, capture_output=True, text=True, timeout=1800, check=False)
    if "No Qt bindings could be found" in done.stderr or "ImportError: lib" in done.stderr:
        pytest.skip("no Qt binding that works")
    log = home / ".nexpy" / "nexpy.log"
    assert done.returncode == 0, f"{done.stderr}\n{log.read_text() if log.exists() else ''}"
    found: dict[str, Any] = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    return found


def test_the_entry_point_is_ours_alone() -> None:
    (ours,) = [one for one in entry_points(group="nexpy.plugins") if one.module == "xtec_nexpy"]
    assert ours.name == "xtec-pipeline"


def test_nexpy_finds_the_plugin_and_shows_its_menu_once_enabled(facts: dict[str, Any]) -> None:
    assert facts["new plugins"]
    assert facts["menu at first"] == []
    assert facts["menu"] == ENTRIES


def test_the_dialog_takes_what_is_selected(facts: dict[str, Any], folder: Path) -> None:
    assert facts["without data"] == [
        "NeXusError: Clustering Trajectories",
        "Select a series in the tree first",
    ]
    assert facts["data"] == str(folder / "series.nxs")
    assert facts["output"] == str(folder / "series_xtec")


@pytest.mark.parametrize("step", ["cluster", "order", "select"])
def test_commands_run_while_the_window_goes_on(facts: dict[str, Any], step: str) -> None:
    assert facts[step]["busy"]
    assert facts[step]["closed"]
    assert facts[step]["ticks"] > 1
    assert facts[step]["said"]


def test_trajectories_are_plotted_as_they_are_in_the_file(facts: dict[str, Any]) -> None:
    shown = facts["trajectories"]
    assert facts["default"] == "/entry/trajectories"
    assert (shown["x_label"], shown["y_label"]) == ("Temperature (K)", "rescaled intensity")
    assert shown["legend"] == ["cluster_1", "cluster_2", "cluster_3"]
    assert len(shown["lines"]) == 3
    assert len(set(shown["colors"])) == 3
    for x, _ in shown["lines"]:
        np.testing.assert_array_equal(x, np.arange(30.0, 221.0, 10.0))
    first = np.array(shown["lines"][0][1])
    assert first[:5].mean() > 0.5 > -0.3 > first[-8:].max()
    assert facts["trajectories again"]
    assert facts["tree"] == ["series", "results"]


def test_the_map_shows_labels(facts: dict[str, Any]) -> None:
    assert facts["map"] == {
        "labels": [0, 1, 2, 3],
        "shape": [61, 61],
        "axes": ["Qh", "Qk"],
        "cmap": "xtec",
    }


def test_the_order_parameter_and_its_fit_agree(facts: dict[str, Any]) -> None:
    points, model = (np.array(one) for one in facts["order plot"]["lines"])
    fitted = np.interp(points[0], *model)
    assert np.abs(points[1] - fitted).max() < 0.02 * np.ptp(points[1])
    above = model[0] > TC + 5
    assert np.ptp(model[1][above]) < 0.05 * np.ptp(model[1])


def test_what_goes_wrong_is_told_in_a_message_box(facts: dict[str, Any]) -> None:
    assert not facts["bad region"]["closed"]
    title, text = facts["bad region said"]
    assert title == "NeXusError: Clustering Trajectories"
    assert "Qh: nothing between 50 and 60" in text
    assert "Traceback" not in text
    assert "Order Parameters..." in facts["no order yet"][1]
    assert not facts["not empty"]["busy"]
    assert "Replace earlier results" in facts["not empty said"][1]
    assert facts["messages"] == 4


def test_a_run_that_is_replaced_is_replaced_in_the_tree(facts: dict[str, Any], folder: Path) -> None:
    assert facts["tree at last"] == ["series", "results"]
    with h5py.File(folder / "run" / "results.nxs") as file:
        assert "selection" in file["entry"]
        assert facts["selected"] == len(file["entry/mixture/weights"])


def test_cancelling_ends_the_command(facts: dict[str, Any], folder: Path) -> None:
    assert facts["alive"]
    assert facts["cancelled"]
    assert not (folder / "cancelled" / "summary.json").exists()
