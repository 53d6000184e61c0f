"""What the GPU benchmark does on the host: reference, counting, checks and report, with NumPy for a card."""

from __future__ import annotations

import dataclasses
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from xtec.core.device import Host
from xtec.core.errors import BackendUnavailableError
from xtec.mixture import Trajectories
from xtec.mixture.em import expect

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
NAMES = ("gpu", "gpu_device", "gpu_fits", "gpu_passes", "gpu_peers", "gpu_reference")


@pytest.fixture(scope="module")
def scripts() -> Iterator[SimpleNamespace]:
    """The modules of the script, which find each other in their own folder; forgotten afterwards."""
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in NAMES})
        own = {name for name in set(sys.modules) - before if (FOLDER / f"{name}.py").exists()}
        for name in own:
            del sys.modules[name]


@pytest.fixture
def card(scripts: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(scripts.gpu_device, "COPY_BYTES", 2**16)
    monkeypatch.setattr(scripts.gpu_device, "MATRIX", 16)
    return scripts.gpu_device.Card(Host(), np, scripts.gpu_device.HostClock(), 2**10)


def test_reference_is_what_em_expects(scripts: SimpleNamespace) -> None:
    x, given = scripts.gpu_reference.draw(np.random.default_rng(0), 3001, 7, 3, "float64", empty=True)
    found = scripts.gpu_reference.reference(x, given)
    expected = expect(Trajectories(x), given)
    assert found.log_likelihood == pytest.approx(expected.log_likelihood, rel=1e-12)
    assert found.moments.weight == pytest.approx(expected.moments.weight, rel=1e-10)
    assert found.moments.mean[:2] == pytest.approx(expected.moments.mean[:2], rel=1e-10)
    assert found.moments.scatter == pytest.approx(expected.moments.scatter, rel=1e-9)
    assert found.share.sum(axis=1) == pytest.approx(np.ones(3001))


def test_errors_are_relative_and_not_a_number_never_passes(scripts: SimpleNamespace) -> None:
    own = scripts.gpu_reference
    x, given = own.draw(np.random.default_rng(1), 500, 4, 2, "float64")
    right = own.reference(x, given)
    pair = right.moments, right.log_likelihood
    assert set(own.errors_of_pass(pair, pair, given).values()) == {0.0}
    off = dataclasses.replace(right.moments, weight=1.01 * right.moments.weight)
    assert own.errors_of_pass((off, right.log_likelihood), pair, given)["weight"] == pytest.approx(0.01)
    off = dataclasses.replace(right.moments, scatter=np.full_like(right.moments.scatter, np.nan))
    errors = own.errors_of_pass((off, np.nan), pair, given)
    assert own.over_limit(errors, own.LIMITS["float32"]) == ["scatter", "log_likelihood"]


def test_errors_of_labels(scripts: SimpleNamespace) -> None:
    errors_of = scripts.gpu_reference.errors_of_labels
    share = np.array([[0.9, 0.1], [0.4999, 0.5001]])
    found = errors_of(np.array([0, 0]), np.array([0.9, 0.5001]), share)
    assert found["n_differing"] == 1
    assert found["tie"] == pytest.approx(2e-4)
    assert found["probability"] == 0
    assert errors_of(np.array([0, -1]), np.array([0.9, np.nan]), share)["tie"] == np.inf


def test_counting(scripts: SimpleNamespace) -> None:
    own = scripts.gpu_reference
    assert own.bytes_of_pass(10, 3, 2, 4) == 10 * 3 * 4 + 8 * (2 * 7 + 1)
    assert own.flops_of_pass(10, 3, 2) == 10 * 2 * (8 * 3 + 5)
    speeds = own.Ceilings(copy=100.0, read=100.0, multiply=1000.0)
    assert own.Floor.of(50, 100, speeds) == own.Floor(0.5, "memory")
    assert own.Floor.of(50, 2000, speeds) == own.Floor(2.0, "arithmetic")


def test_inputs_are_not_found_in_the_cache(scripts: SimpleNamespace) -> None:
    n_sets = scripts.gpu_device.n_sets
    assert n_sets(401, 100) == 1
    assert n_sets(400, 100) == 2
    assert n_sets(100, 100) == 4
    assert n_sets(48_000_000, 50_000_000) * 48_000_000 >= 200_000_000


def test_ratios(scripts: SimpleNamespace) -> None:
    times = scripts.gpu_device.Times([2e-3, 4e-3, 3e-3], [5e-3, 5e-3, 5e-3])
    contender = scripts.gpu_passes.Contender("any", [], None, by_events=True)
    speeds = scripts.gpu_reference.Ceilings(copy=4e9, read=4e9, multiply=1e15)
    record = scripts.gpu_passes.as_record(contender, times, (100_000, 24, 4), speeds)
    assert record["device_ms"] == pytest.approx({"median": 3.0, "low": 2.5, "high": 3.5})
    assert record["to_reading_once"] == pytest.approx(3.0 / 2.4)
    assert record["floor_set_by"] == "memory"
    assert record["share_of_floor"] == pytest.approx(record["bytes"] / 4e9 / 3e-3)
    on_wall = dataclasses.replace(contender, by_events=False)
    assert scripts.gpu_passes.as_record(on_wall, times, (100_000, 24, 4), speeds)[
        "to_reading_once"
    ] == pytest.approx(5.0 / 2.4)


def run(scripts: SimpleNamespace, card: Any, folder: Path, *more: str) -> tuple[int, dict[str, Any]]:
    options = ["-o", str(folder / "out.json"), "--sizes", "3000", "--fit-size", "4000", "--seed", "1"]
    small = ["--temperatures", "6", "--clusters", "4", "--repeats", "3", *more]
    code = scripts.gpu.report(card, scripts.gpu.parse([*options, *small]))
    return code, json.loads((folder / "out.json").read_text(encoding="utf-8"))


@pytest.fixture
def quick(scripts: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scripts.gpu, "_CHECKED", (1, 257))


@pytest.mark.usefixtures("quick")
def test_everything_is_reported(
    scripts: SimpleNamespace, card: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = run(scripts, card, tmp_path)
    assert code == 0
    assert all(one["ok"] for one in found["checks"])
    timed = {one["contender"] for one in found["passes"] if "wall_ms" in one}
    assert timed >= {*scripts.gpu_passes.WAYS, scripts.gpu_passes.COMPILED, scripts.gpu_peers.SKLEARN}
    assert {one["fit"] for one in found["fits"]} == {"from one start", "with the search"}
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]
    last = capsys.readouterr().out.splitlines()
    assert last[-1].startswith(f"checks: {len(found['checks'])} of {len(found['checks'])} right")
    assert "not measured" in last[-2]


@pytest.mark.usefixtures("quick")
def test_what_is_wrong_is_not_timed(
    scripts: SimpleNamespace,
    card: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    right = scripts.gpu_passes.WAYS[scripts.gpu_passes.FUSED]

    def halved(x: Any, given: Any) -> Any:
        moments, likelihood = right(x, given)
        return dataclasses.replace(moments, weight=moments.weight / 2), likelihood

    monkeypatch.setitem(scripts.gpu_passes.WAYS, scripts.gpu_passes.FUSED, halved)
    code, found = run(scripts, card, tmp_path)
    assert code == 1
    of_it = [one for one in found["passes"] if one["contender"] == scripts.gpu_passes.FUSED]
    assert [one["problem"] for one in of_it] == ["wrong: not timed"]
    assert found["skipped"][0]["problem"].startswith("whole fits on the card")
    assert "WRONG" in capsys.readouterr().out


@pytest.mark.usefixtures("quick")
def test_what_does_not_fit_is_skipped(
    scripts: SimpleNamespace, card: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Host, "free_bytes", lambda _: 2**20)
    _, found = run(scripts, card, tmp_path)
    assert found["passes"] == []
    assert found["skipped"][0]["problem"] == "0.5 GiB needed, 0.0 free"


def test_no_card(
    scripts: SimpleNamespace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def none() -> None:
        raise BackendUnavailableError("no GPU can be used: none here")

    monkeypatch.setattr(scripts.gpu, "open_card", none)
    assert scripts.gpu.main(["-o", str(tmp_path / "out.json")]) == 5
    assert "no GPU can be used: none here" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_json_holds_no_numbers_it_cannot(scripts: SimpleNamespace) -> None:
    assert scripts.gpu.finite({"a": [np.inf, np.float32(1.0)], "b": np.nan}) == {"a": [None, 1.0], "b": None}
