"""From file to order parameters and wave vectors on simulated series whose truth is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from xtec.core.order import OrderFindings
from xtec.io.run.clustered import read_clustered
from xtec.io.writing.truth import read_truth
from xtec_pipelines.cluster import run_cluster
from xtec_pipelines.config import make_config
from xtec_pipelines.order_parameter import OrderConfig, find_order
from xtec_pipelines.simulate import make_simulate_config, run_simulate

Find = Callable[..., OrderFindings]


@pytest.fixture
def find(tmp_path: Path) -> Find:
    """Simulate, cluster and read off: ``find("tiny", clustering={"mode": "s"}, cycle=12)``."""

    def run(preset: str, clustering: dict[str, object] | None = None, **options: object) -> OrderFindings:
        series, folder = tmp_path / "series.nxs", tmp_path / "run"
        run_simulate(make_simulate_config({"preset": preset, "output": series, **options}))
        given = {"inputs": [str(series)], "output": str(folder), "figures": False}
        run_cluster(make_config({**given, **(clustering or {})}))
        return find_order(read_clustered(folder), OrderConfig(run=str(folder)))

    return run


def strongest(findings: OrderFindings, branch: str = "") -> int:
    """Which order parameter of a branch gains the most intensity."""
    mine = [i for i, one in enumerate(findings.order_parameters) if one.branch == branch]
    return max(mine, key=lambda i: findings.order_parameters[i].transitions[0].amplitude.value)


@pytest.mark.parametrize(("options", "mode"), [({}, "d"), ({"n_temperatures": 20}, "s")])
def test_cooling_and_warming_have_a_transition_each(
    find: Find, options: dict[str, object], mode: str
) -> None:
    findings = find("tiny", {"mode": mode}, cycle=12.0, **options)
    tc = {}
    for branch, planted in (("cooling", 131.0), ("warming", 143.0)):
        one = findings.order_parameters[strongest(findings, branch)]
        (transition,) = one.transitions
        assert transition.kind == "second-order"
        assert transition.tc.holds(planted)
        assert transition.tc.error < 5
        assert transition.beta is not None
        assert transition.beta.holds(0.35)
        assert findings.wave_vectors_of(one)[0].fraction == ("1/2", "1/2", "0")
        steps = np.diff(one.scan.values)
        assert (steps < 0).all() if branch == "cooling" else (steps > 0).all()
        tc[branch] = transition.tc
    apart = tc["warming"].value - tc["cooling"].value
    assert apart == pytest.approx(12, abs=float(np.hypot(tc["warming"].error, tc["cooling"].error)))
    assert all(one.branch for one in [*findings.order_parameters, *findings.others])


@pytest.mark.parametrize("tc", [88.0, 131.0])
def test_a_jump_is_called_one_and_lies_between_two_temperatures(
    find: Find, tmp_path: Path, tc: float
) -> None:
    findings = find("tiny", {"mode": "d"}, kind="first-order", n_temperatures=20, tc=str(tc))
    one = findings.order_parameters[strongest(findings)]
    (transition,) = one.transitions
    assert transition.kind == "first-order"
    assert transition.beta is None
    below, above = (float(part.max() if side else part.min()) for side, part in _sides(one.scan.values, tc))
    assert transition.tc.holds(tc)
    assert (transition.tc.low, transition.tc.high) == pytest.approx((below, above), abs=1e-6)
    assert read_truth(tmp_path / "series.nxs").tc == [tc]


def _sides(values: np.ndarray, at: float) -> list[tuple[bool, np.ndarray]]:
    """Temperatures below and above."""
    return [(True, values[values < at]), (False, values[values > at])]


def test_both_jumps_of_a_cycle(find: Find) -> None:
    findings = find("tiny", {"mode": "d"}, kind="first-order", n_temperatures=20, cycle=12.0)
    for branch, planted in (("cooling", 131.0), ("warming", 143.0)):
        (transition,) = findings.order_parameters[strongest(findings, branch)].transitions
        assert transition.kind == "first-order"
        assert transition.tc.holds(planted)


def test_no_order_where_there_is_none(find: Find) -> None:
    findings = find("tiny", no_transition=True)
    assert findings.order_parameters == []
    assert findings.wave_vectors == []
    assert sorted(number for one in findings.others for number in one.clusters) == [1, 2, 3, 4]


WIDE = "H=-2:2,K=-2:2,L=-0.5:1.5"
NEAR = "H=-1.6:1.6,K=-1.6:1.6,L=-0.7:0.7"
STARS = [
    # lattice, planted, region, pixels; the first of its star, and its fractions
    ("cubic", "1/2,1/2,0", NEAR, 20, (1 / 2, 1 / 2, 0), ("1/2", "1/2", "0"), 3),
    ("cubic", "1/3,0,0", WIDE, 20, (1 / 3, 0, 0), ("1/3", "0", "0"), 6),
    ("cubic", "1/3,1/3,1/2", WIDE, 20, (1 / 2, 1 / 3, 1 / 3), ("1/2", "1/3", "1/3"), 12),
    ("cubic", "0.287,0,0", WIDE, 20, (0.287, 0, 0), (None, "0", "0"), 6),
    ("hexagonal", "1/2,1/2,0", WIDE, 20, (1 / 2, 0, 0), ("1/2", "0", "0"), 3),
    ("hexagonal", "1/3,0,0", WIDE, 20, (1 / 3, 0, 0), ("1/3", "0", "0"), 6),
    ("hexagonal", "1/3,1/3,1/2", WIDE, 20, (1 / 3, 1 / 3, 1 / 2), ("1/3", "1/3", "1/2"), 2),
    ("hexagonal", "0.287,0,0", WIDE, 20, (0.287, 0, 0), (None, "0", "0"), 6),
]
"""In a hexagonal crystal (1/2, 1/2, 0) is an M point as (1/2, 0, 0) is: of one star."""


@pytest.mark.parametrize(("lattice", "planted", "region", "pixels", "q", "fraction", "multiplicity"), STARS)
def test_wave_vectors(
    find: Find,
    tmp_path: Path,
    lattice: str,
    planted: str,
    region: str,
    pixels: int,
    q: tuple[float, ...],
    fraction: tuple[str | None, ...],
    multiplicity: int,
) -> None:
    findings = find("cdw", lattice=lattice, q=planted, region=region, pixels=pixels, n_temperatures=10)
    vector = max(findings.wave_vectors, key=lambda vector: vector.peaks)
    np.testing.assert_allclose(vector.q, q, atol=0.005)
    assert vector.fraction == fraction
    assert (np.abs(vector.q - q) < 4 * vector.uncertainty).all()
    assert vector.multiplicity == multiplicity
    assert not vector.is_bragg
    star = read_truth(tmp_path / "series.nxs").q
    for arm in vector.arms:
        apart = arm.q - star
        nearest = np.abs(apart - np.round(apart)).max(axis=1).min()
        assert nearest < max(0.005, 4 * float(arm.uncertainty.max()))
    assert findings.symmetry.startswith({"cubic": "m-3m", "hexagonal": "6/mmm"}[lattice])


def test_peaks_that_run_into_each_other_make_no_wave_vector(find: Find) -> None:
    """A star of twelve, a quarter of an r.l.u. apart, whose weak tails pass the threshold and touch."""
    findings = find("cdw", lattice="cubic", q="1/3,1/3,1/2", region=NEAR, pixels=24, n_temperatures=10)
    vector = max(findings.wave_vectors, key=lambda vector: vector.peaks)
    np.testing.assert_allclose(vector.q, (1 / 2, 1 / 3, 1 / 3), atol=0.005)


def test_a_sample_with_a_space_group_needs_no_metric(tmp_path: Path) -> None:
    """The Laue group comes from what the file says of its sample."""
    series, folder = tmp_path / "series.nxs", tmp_path / "run"
    run_simulate(make_simulate_config({"preset": "tiny", "output": series}))
    with h5py.File(series, "r+") as file:
        file["entry/sample/space_group"] = "Pmmm"
    run_cluster(make_config({"inputs": [str(series)], "output": str(folder), "figures": False}))
    findings = find_order(read_clustered(folder), OrderConfig(run=str(folder)))
    assert findings.symmetry.startswith("mmm")
    found = {vector.fraction: vector.multiplicity for vector in findings.wave_vectors if vector.peaks > 5}
    assert found == dict.fromkeys([("1/2", "1/2", "0"), ("1/2", "0", "1/2"), ("0", "1/2", "1/2")], 1)
