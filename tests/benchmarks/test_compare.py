"""Two runs compared: numbering does not matter, ties may go either way, anything else is a difference."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import h5py
import numpy as np
import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "compare.py"

Make = Callable[..., Path]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmarks_compare", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(__import__("sys").modules, spec.name, module)
        spec.loader.exec_module(module)
    return module


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write a run: 12 of 5 x 4 voxels in three clusters."""

    def write(
        name: str,
        *,
        label: object = (1, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3),
        probability: dict[int, float] | None = None,
        index: object = range(3, 15),
        order: tuple[int, ...] = (0, 1, 2),
        shape: tuple[int, ...] = (5, 4),
        backend: str = "numpy",
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        sure = np.full(len(list(index)), 0.99, np.float32)
        for voxel, value in (probability or {}).items():
            sure[voxel] = value
        with h5py.File(folder / "results.nxs", "w") as file:
            entry = file.create_group("entry")
            entry["cluster_map/cluster_map"] = np.zeros(shape, np.int16)
            entry["voxels/index"] = np.array(index, dtype=np.int64)
            entry["voxels/label"] = np.array(label, dtype=np.int16)
            entry["voxels/probability"] = sure
            entry["mixture/weights"] = np.array([0.5, 0.3, 0.2])[list(order)]
            entry["mixture/means"] = np.arange(12.0).reshape(3, 4)[list(order)]
            entry["threshold/cutoff"] = 2.5
            entry["process/backend/name"] = backend
        return folder

    return write


def test_identical_runs(script: ModuleType, make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main([str(make("a")), str(make("b", backend="cupy")), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["backend"] == [{"name": "numpy"}, {"name": "cupy"}]
    assert (found["kept_in_both"], found["only_in_a"], found["only_in_b"]) == (12, 0, 0)
    assert found["matched"] == [[1, 1], [2, 2], [3, 3]]
    assert found["differing"] == 0
    assert found["largest_probability_among_differing"] is None
    assert found["adjusted_rand_index"] == 1.0
    assert found["largest_difference"] == {"weights": 0.0, "means": 0.0, "cutoff": 0.0}


def test_numbers_of_clusters_do_not_matter(script: ModuleType, make: Make) -> None:
    other = make("b", label=(3, 3, 3, 3, 3, 1, 1, 1, 1, 2, 2, 2), order=(1, 2, 0))
    found = script.compare(script.read(make("a")), script.read(other), 1e-3)
    assert found["matched"] == [[1, 3], [2, 1], [3, 2]]
    assert found["differing"] == 0
    assert found["largest_difference"] == {"weights": 0.0, "means": 0.0, "cutoff": 0.0}
    assert found["same"]


def test_a_real_difference(script: ModuleType, make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    other = make("b", label=(1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3), probability={4: 0.7})
    assert script.main([str(make("a")), str(other)]) == 1
    text = capsys.readouterr().out
    assert "different labels: 1 voxels (0.0833 of those in both)" in text
    assert "1 are not between two clusters" in text
    assert text.endswith("NOT the same\n")


@pytest.mark.parametrize(("tie", "code"), [("1e-3", 0), ("1e-5", 1)])
def test_a_tie(script: ModuleType, make: Make, tie: str, code: int) -> None:
    first = make("a", probability={4: 0.5002})
    other = make("b", label=(1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3), probability={4: 0.49})
    assert script.main([str(first), str(other), "--tie", tie]) == code


def test_different_voxels_differ(script: ModuleType, make: Make) -> None:
    found = script.compare(script.read(make("a")), script.read(make("b", index=range(4, 16))), 1e-3)
    assert (found["kept_in_both"], found["only_in_a"], found["only_in_b"]) == (11, 1, 1)
    assert not found["same"]


def test_fewer_clusters_leave_one_unmatched(script: ModuleType, make: Make) -> None:
    found = script.compare(script.read(make("a")), script.read(make("b", label=[1] * 9 + [2] * 3)), 1e-3)
    assert found["matched"] == [[1, 1], [3, 2]]
    assert found["differing"] == found["differing_not_tied"] == 4


def test_usage(script: ModuleType, make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main([str(make("a")), str(tmp_path / "none")]) == 2
    assert script.main([str(tmp_path / "a"), str(make("b", shape=(4, 5)))]) == 2
    assert "not the same region" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        script.main([str(tmp_path / "a")])
