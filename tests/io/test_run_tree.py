"""What a run found, read back from its tree, is what was written."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xtec.core.order import OrderFindings
from xtec.core.results import ClusterRun
from xtec.core.types import ClusterMap
from xtec.io.run import tree
from xtec.io.run.folder import open_run, read_curves
from xtec_pipelines.cluster import run_cluster
from xtec_pipelines.config import make_config
from xtec_pipelines.order_parameter import OrderConfig, run_order_parameter
from xtec_pipelines.simulate import make_simulate_config, run_simulate

SERIES = Path(__file__).resolve().parents[2] / "sample_data" / "srn_cdw.nxs"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tree") / "run"


@pytest.fixture(scope="module")
def run(folder: Path) -> ClusterRun:
    options = {"clusters": "auto", "figures": False, "region": "K=-3:3,H=-3:3"}
    return run_cluster(make_config({"inputs": [str(SERIES)], "output": str(folder), **options}))


@pytest.fixture(scope="module")
def order(run: ClusterRun, folder: Path) -> OrderFindings:
    return run_order_parameter(OrderConfig(run=str(folder), figures=False))


def assert_same(found: Any, expected: Any, *, but: tuple[str, ...] = ()) -> None:
    """Two records of a type agree in every field."""
    for field in fields(expected):
        if field.name not in but:
            one, other = getattr(found, field.name), getattr(expected, field.name)
            if isinstance(other, np.ndarray):
                np.testing.assert_allclose(one, other, rtol=1e-12, err_msg=field.name)
            elif hasattr(other, "__dataclass_fields__"):
                assert_same(one, other)
            else:
                assert one == other or (one != one and other != other), field.name


def test_curves(run: ClusterRun, folder: Path) -> None:
    assert_same(tree.curves(open_run(folder)), run.curves, but=("scan",))
    assert_same(read_curves(folder).scan, run.curves.scan, but=("attributes",))


def test_the_map(run: ClusterRun, folder: Path) -> None:
    found = tree.cluster_map(open_run(folder))
    assert_same(found, run.map, but=("axes",))
    for axis, expected in zip(found.axes, run.map.axes, strict=True):
        assert_same(axis, expected, but=("attributes",))
        assert float(axis.attributes["scaling_factor"]) == expected.attributes["scaling_factor"]


def test_the_threshold(run: ClusterRun, folder: Path) -> None:
    threshold, counts = tree.threshold(open_run(folder))
    assert_same(threshold, run.threshold)
    assert counts == run.counts


def test_a_threshold_without_a_histogram(tmp_path: Path) -> None:
    options = {"threshold": "none", "clusters": 3, "figures": False, "region": "K=-2:2,H=-2:2"}
    run = run_cluster(make_config({"inputs": [str(SERIES)], "output": str(tmp_path / "run"), **options}))
    assert_same(tree.threshold(open_run(tmp_path / "run"))[0], run.threshold)


def test_the_selection(run: ClusterRun, folder: Path) -> None:
    assert run.selection is not None
    assert_same(tree.selection(open_run(folder)), run.selection)


def test_order_parameters(order: OrderFindings, folder: Path) -> None:
    found = tree.order_parameters(open_run(folder))
    (one, title), (expected,) = found[0], order.order_parameters
    assert len(found) == 1
    assert title == f"cluster {expected.clusters[0]}, q = (1/2, 1/2, 0)"
    not_kept = ("scan", "transitions", "criteria", "members", "facts")
    assert_same(replace(one, members=expected.members), expected, but=not_kept)
    for transition, wanted in zip(one.transitions, expected.transitions, strict=True):
        assert_same(replace(transition, amplitude=wanted.amplitude), wanted)
        assert transition.amplitude.value == wanted.amplitude.value


def test_both_branches_of_a_cycle(tmp_path: Path) -> None:
    series, folder = tmp_path / "cycle.nxs", tmp_path / "run"
    run_simulate(make_simulate_config({"preset": "tiny", "output": series, "cycle": 20.0}))
    run_cluster(
        make_config({"inputs": [str(series)], "output": str(folder), "clusters": 2, "figures": False})
    )
    order = run_order_parameter(OrderConfig(run=str(folder), figures=False))
    found = tree.order_parameters(open_run(folder))
    assert {one.branch for one, _ in found} == {"cooling", "warming"}
    for (one, title), expected in zip(found, order.order_parameters, strict=True):
        assert title == expected.title([vector.text for vector in order.wave_vectors_of(expected)])
        assert one.transitions[0].tc == expected.transitions[0].tc
        np.testing.assert_array_equal(one.scan.values, expected.scan.values)


def test_another_axis_first_is_the_transposed_map() -> None:
    rng = np.random.default_rng(1)
    dense = rng.integers(0, 3, (4, 5, 6)).astype(np.int16)
    index = np.flatnonzero(dense)
    axes = [np.arange(n) for n in dense.shape]
    given = ClusterMap(axes, index, dense.ravel()[index], np.array([70.0, 80.0, 90.0]))
    for axis in range(3):
        turned = given.with_slowest(axis)
        np.testing.assert_array_equal(turned.slab(0, dense.shape[axis]), np.moveaxis(dense, axis, 0))
        assert turned.angles is not None
        assert turned.angles[0] == 70 + 10 * axis
        assert [len(one) for one in turned.axes] == list(np.moveaxis(dense, axis, 0).shape)
