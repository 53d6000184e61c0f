"""Plugins in distributions of their own, found by installing them alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

import xtec

EXAMPLE = Path(__file__).resolve().parents[1] / "plugin_example"
SAMPLE = Path(__file__).resolve().parents[2] / "sample_data" / "srn_cdw.nxs"
QUICK = ("--mode", "d", "--region", "H=-4.5:4.5,K=-3.5:3.5", "--no-figures")
RUN = "from xtec_cli.main import main; main()"

Xtec = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the example was installed by pip."""
    folder = tmp_path_factory.mktemp("site")
    source = tmp_path_factory.mktemp("source") / "example"
    subprocess.run(["cp", "-r", str(EXAMPLE), str(source)], check=True)  # building leaves files
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
    subprocess.run([*install, str(folder), str(source)], check=True, timeout=900)
    return folder


def command(*sites: Path) -> Xtec:
    """`xtec` in a process that also sees what was installed in these folders."""

    def call(*arguments: object) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sites))}
        return subprocess.run(
            [sys.executable, "-c", RUN, *map(str, arguments)],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
            timeout=900,
        )

    return call


def distribution(folder: Path, name: str, entry_points: str) -> Path:
    """A distribution that has nothing but entry points."""
    info = folder / f"{name}-0.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(entry_points, encoding="utf-8")
    return folder


def test_the_example_works_through_pip_alone(site: Path, tmp_path: Path) -> None:
    call = command(site)
    assert call("plugins", "check", "parts-of-scan").returncode == 0
    assert "parts-of-scan" in call("plugins", "list").stdout
    run = tmp_path / "run"
    done = call("cluster", SAMPLE, "-o", run, "--features", "parts-of-scan:parts=4", *QUICK)
    assert done.returncode == 0, done.stderr
    with h5py.File(run / "results.nxs") as file:
        record = file["entry/process/plugin_features"]
        assert record["distribution"][()].decode() == "xtec-example-plugin"
        assert record["version"][()].decode() == "1.2.3"
        assert json.loads(record["options"][()]) == {"parts": 4}
    recipe = tomllib.loads((run / "run.toml").read_text(encoding="utf-8"))
    assert recipe["features"] == "parts-of-scan:parts=4"
    again = call("run", run / "run.toml", "-o", tmp_path / "again")
    assert again.returncode == 0, again.stderr
    first, second = (xtec.open_run(one)["voxels/label"].values for one in (run, tmp_path / "again"))
    np.testing.assert_array_equal(first, second)
    assert call("order-parameter", run, "--no-figures").returncode == 0


def test_a_broken_plugin_warns_unless_it_is_asked_for(tmp_path: Path) -> None:
    call = command(distribution(tmp_path, "brittle", "[xtec.features]\nbrittle = no_such_module:Nothing\n"))
    listed = call("plugins", "list")
    assert listed.returncode == 0
    assert "no_such_module" in listed.stderr
    assert "brittle" in listed.stdout
    fine = call("cluster", SAMPLE, "-o", tmp_path / "run", *QUICK)
    assert fine.returncode == 0
    assert "brittle" not in fine.stderr
    asked = call("cluster", SAMPLE, "-o", tmp_path / "asked", "--features", "brittle")
    assert asked.returncode == 5
    assert "no_such_module" in asked.stderr
    assert not (tmp_path / "asked").exists()


def test_a_broken_reader_does_not_stand_in_the_way_of_others(tmp_path: Path) -> None:
    call = command(distribution(tmp_path, "brittle", "[xtec.readers]\nbrittle = no_such_module:Nothing\n"))
    strange = tmp_path / "strange.dat"
    strange.write_bytes(b"not a series")
    done = call("cluster", strange, "-o", tmp_path / "run")
    assert done.returncode == 3
    assert "no_such_module" in done.stderr


def test_two_plugins_of_one_name_are_not_chosen_between(tmp_path: Path) -> None:
    twice = distribution(tmp_path / "a", "impostor", "[xtec.clusterers]\nk-means = collections:Counter\n")
    done = command(twice)("cluster", SAMPLE, "-o", tmp_path / "run", "--clusterer", "k-means")
    assert done.returncode == 5
    assert "impostor" in done.stderr
    assert "xtec-pipeline" in done.stderr


def test_without_torch_one_line_says_what_installs_it(tmp_path: Path) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'torch'\")\n", encoding="utf-8"
    )
    call = command(tmp_path)
    done = call("cluster", SAMPLE, "-o", tmp_path / "run", "--clusterer", "mixmate")
    assert done.returncode == 5
    assert "pip install 'xtec-pipeline[learned]'" in done.stderr
    assert call("cluster", SAMPLE, "-o", tmp_path / "run", *QUICK).returncode == 0
