"""Clusters of an earlier run, clustered again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import xtec
from xtec.core.axes import Axis
from xtec.core.types import ClusterCurves
from xtec.io.writing.truth import read_truth
from xtec.order_parameter import reasons_to_drop
from xtec_pipelines.cluster import run_cluster
from xtec_pipelines.config import make_config

SERIES = Path(__file__).resolve().parents[2] / "sample_data" / "srn_cdw.nxs"
RunCli = Callable[..., object]


@pytest.fixture(scope="module", params=["d", "s"])
def parent(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("first") / request.param
    values = {"inputs": [str(SERIES)], "output": str(folder), "mode": request.param, "figures": False}
    run_cluster(make_config(values))
    return folder


def voxels(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    tree = xtec.open_run(folder)
    return tree["voxels/index"].values, tree["voxels/label"].values


@pytest.mark.parametrize(("choice", "kept"), [({"keep": "1,3"}, [1, 3]), ({"drop": [2, 4]}, [1, 3])])
def test_just_the_chosen_voxels_are_clustered_again(
    parent: Path, tmp_path: Path, choice: dict[str, object], kept: list[int]
) -> None:
    values = {"output": str(tmp_path / "run"), "clusters": 2, "mode": "d", "figures": False}
    run = run_cluster(make_config({"from_run": str(parent), **values, **choice}))
    index, label = voxels(parent)
    np.testing.assert_array_equal(run.map.index, index[np.isin(label, kept)])
    assert set(run.map.label) == {1, 2}
    before, after = (json.loads((one / "summary.json").read_text()) for one in (parent, tmp_path / "run"))
    assert after["n_kept"] == run.map.index.size
    assert [after[name] for name in ("n_total", "n_empty", "n_nan")] == [
        before[name] for name in ("n_total", "n_empty", "n_nan")
    ]
    (lineage,) = after["lineage"]
    assert (lineage["run"], lineage["kept"], lineage["n_clusters"]) == (str(parent), kept, 4)
    assert lineage["voxels"] == after["n_kept"]
    assert [one["cluster"] for one in lineage["left_out"]] == [2, 4]


def test_trajectories_are_those_of_the_file(parent: Path, tmp_path: Path) -> None:
    values = {"from_run": str(parent), "keep": "1", "output": str(tmp_path / "run"), "clusters": 1}
    run_cluster(make_config({**values, "mode": "d", "figures": False}))
    index, label = voxels(parent)
    mine = index[label == 1]
    intensity = xtec.open_series(SERIES).values.reshape(20, -1)[:, mine].astype(float)
    found = xtec.open_run(tmp_path / "run")["average_intensity/cluster_1"].values
    np.testing.assert_allclose(found, intensity.mean(axis=1), rtol=1e-6)


def test_a_third_pass_knows_all_before(parent: Path, tmp_path: Path) -> None:
    for number, before in ((2, parent), (3, tmp_path / "2")):
        values = {"from_run": str(before), "keep": "1", "output": str(tmp_path / str(number))}
        run = run_cluster(make_config({**values, "clusters": 2, "mode": "d", "figures": False}))
    assert [one["run"] for one in run.process["lineage"]] == [str(parent), str(tmp_path / "2")]


def test_auto_refine_leaves_out_what_tells_nothing_of_order(tmp_path: Path) -> None:
    values = {"inputs": [str(SERIES)], "output": str(tmp_path / "run"), "mode": "d", "figures": False}
    run = run_cluster(make_config({**values, "auto_refine": True, "clusters": 4}))
    truth = read_truth(SERIES)
    label = truth.labels.reshape(-1)
    first, _ = voxels(tmp_path / "run" / "pass1")
    superlattice = truth.names.index("superlattice")
    kept = np.isin(first, run.map.index)
    assert kept[label[first] == superlattice].mean() > 0.97
    assert kept[label[first] == truth.names.index("thermal diffuse")].mean() < 0.3
    orders = np.isin(run.map.label, [one.number for one in run.clusters if one.order_parameter])
    assert np.mean(label[run.map.index[orders]] == superlattice) > 0.95
    assert {one["cluster"] for one in run.process["lineage"][0]["left_out"]}


def curves_of(*intensities: np.ndarray, scatter: float = 0.0) -> ClusterCurves:
    mean = np.stack(intensities)
    rescaled = mean / mean.mean(axis=1, keepdims=True) - 1
    scan = Axis("temperature", np.linspace(10, 300, mean.shape[1]), "K")
    return ClusterCurves(scan, rescaled, np.full(mean.shape, scatter), mean, 0 * mean)


def test_reasons_to_drop() -> None:
    t = np.linspace(0, 1, 30)
    order, falls, grows, steady = (
        np.sqrt(np.clip(1 - 2 * t, 0, None)) + 0.1,
        1 - 0.3 * t,
        1 + 0.3 * t,
        1 + 0.01 * t,
    )
    quiet = reasons_to_drop(curves_of(order, falls, grows, steady))
    assert list(quiet) == [3]
    assert quiet[3].startswith("thermal diffuse")
    loud = reasons_to_drop(curves_of(order, falls, grows, steady, scatter=0.3))
    assert list(loud) == [3, 4]
    assert loud[4].startswith("noise")


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--keep", "7"), 2, "clusters 1 to 4, no 7"),
        (("--drop", "1,2,3,4"), 2, "no cluster is left"),
        ((), 2, "which clusters"),
        (("--keep", "1", "--drop", "2"), 2, "which clusters"),
        (("--keep", "one"), 2, "keep"),
        (("--keep", "1", "--region", "H=-2:2"), 2, "another grid"),
        (("--keep", "1", "--auto-refine"), 2, "chooses the clusters itself"),
    ],
)
def test_refused(
    parent: Path, tmp_path: Path, run_cli: RunCli, options: tuple[str, ...], code: int, message: str
) -> None:
    done = run_cli("cluster", "--from", parent, "-o", tmp_path / "run", *options)
    assert (done.code, done.stdout) == (code, "")
    assert message in done.stderr
    assert not (tmp_path / "run").exists()


def test_no_run_there(tmp_path: Path, run_cli: RunCli) -> None:
    done = run_cli("cluster", "--from", tmp_path, "--keep", 1, "-o", tmp_path / "run")
    assert done.code == 3
    assert "run.toml" in done.stderr
    done = run_cli("cluster", SERIES, "--keep", 1, "-o", tmp_path / "run")
    assert done.code == 2
    assert "--from RUN" in done.stderr
