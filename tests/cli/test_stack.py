"""``xtec stack``: results are those of the folder, and other programs open the file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

RunCli = Callable[..., object]


@pytest.fixture
def folder(write_folder: Callable[..., Path], ordering: Callable[..., np.ndarray]) -> Path:
    volumes = {f"{10 * (t + 1)}K": volume for t, volume in enumerate(ordering())}
    return write_folder(volumes, {scan: float(scan[:-1]) for scan in volumes})


@pytest.mark.parametrize("option", [(), ("--copy",), ("--copy", "--compression", "bitshuffle")])
def test_clusters_are_those_of_the_folder(
    folder: Path, tmp_path: Path, run_cli: RunCli, option: tuple[str, ...]
) -> None:
    path, maps = tmp_path / "s.nxs", []
    assert run_cli("stack", folder, "-o", path, *option).code == 0
    assert run_cli("inspect", path).code == 0
    for name, source in (("a", folder), ("b", path)):
        done = run_cli("cluster", source, "-o", tmp_path / name, "-k", 3, "--no-figures")
        assert done.code == 0, done.stderr
        with h5py.File(tmp_path / name / "results.nxs") as file:
            maps.append(file["entry/cluster_map/cluster_map"][()])
    assert len(np.unique(maps[0])) == 4
    np.testing.assert_array_equal(maps[0], maps[1])


@pytest.mark.parametrize("option", [(), ("--copy",), ("--region", "L=-0.4:0")])
def test_other_programs_open_it(
    folder: Path,
    tmp_path: Path,
    run_cli: RunCli,
    option: tuple[str, ...],
    nexus_problems: Callable[[Path], tuple[int, int]],
    valid_plots: Callable[[Path], set[str]],
) -> None:
    assert run_cli("stack", folder, "-o", tmp_path / "s.nxs", *option).code == 0
    assert nexus_problems(tmp_path / "s.nxs") == (0, 0)
    assert valid_plots(tmp_path / "s.nxs") == {"data"}


def test_what_is_said(folder: Path, tmp_path: Path, run_cli: RunCli) -> None:
    (folder / "30K" / "transform.nxs").unlink()
    done = run_cli("stack", folder, "-o", tmp_path / "s.nxs", "--skip-bad", "--json")
    shown = json.loads(done.stdout)
    assert (shown["virtual"], shown["shape"]) == (True, [7, 6, 12, 13])
    assert len(shown["sources"]) == 7
    assert shown["bytes"] == (tmp_path / "s.nxs").stat().st_size
    assert "30K" in shown["dropped"][0]["file"]
    done = run_cli("stack", folder, "-o", tmp_path / "s.nxs", "--skip-bad")
    assert (done.code, done.stdout) == (2, "")
    assert "exists already" in done.stderr
    assert run_cli("stack", folder, "-o", tmp_path / "s.nxs", "--skip-bad", "--force", "--copy").code == 0
