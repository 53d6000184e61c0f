"""A simulated series that arrives: order, faults, what a watcher sees of it, and a clean end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from xtec.core.durations import parse_duration
from xtec.core.errors import ConfigError, OutputError
from xtec.io import open_series
from xtec.io.arriving.arrivals import WatchedFolder
from xtec.io.writing.arrival import write_slowly
from xtec.io.writing.truth import read_truth
from xtec_pipelines.simulate import make_simulate_config, run_simulate
from xtec_pipelines.simulating.arrival_plan import Action, Fault, Order, plan_arrivals
from xtec_pipelines.simulating.arrive import Done, make_arrive_config, run_arrive

SMALL = {"preset": "tiny", "region": "H=-1:1,K=0:1,L=0:0.2", "n_temperatures": 6}
MAIN = "import sys; from xtec_cli.main import main; sys.exit(main())"


def arrive(folder: Path, sleep: Callable[[float], None] = lambda _: None, **options: object) -> list[Done]:
    done: list[Done] = []
    run_arrive(make_arrive_config({**SMALL, "arrive": folder, **options}), done.append, sleep=sleep)
    return done


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*")}


@pytest.fixture
def stacked(tmp_path: Path) -> np.ndarray:
    run_simulate(make_simulate_config({**SMALL, "output": tmp_path / "stacked.nxs"}))
    with h5py.File(tmp_path / "stacked.nxs") as file:
        return file["entry/data/data"][...]


class TestPlan:
    @pytest.mark.parametrize(
        ("order", "expected"), [(Order.RISING, [0, 1, 2, 3]), (Order.FALLING, [3, 2, 1, 0])]
    )
    def test_order(self, order: Order, expected: list[int]) -> None:
        plan = plan_arrivals(4, order, (), seed=0)
        assert [each.index for each in plan] == expected
        assert [each.tick for each in plan] == [0, 1, 2, 3]

    def test_random_order_by_seed(self) -> None:
        first, again, other = (plan_arrivals(30, Order.RANDOM, (), seed=seed) for seed in (1, 1, 2))
        assert first == again
        assert first != other
        assert sorted(each.index for each in first) == list(range(30))

    @pytest.mark.parametrize("seed", range(20))
    def test_each_fault_has_a_temperature_of_its_own(self, seed: int) -> None:
        plan = plan_arrivals(5, Order.RANDOM, list(Fault), seed)
        assert [each.tick for each in plan] == sorted(each.tick for each in plan)
        by_index = [{each.action for each in plan if each.index == index} for index in range(5)]
        told_apart = (Action.REPAIR, Action.DUPLICATE, Action.REWRITE, Action.ARRIVE_UNFINISHED)
        for action in told_apart:
            assert sum(action in actions for actions in by_index) == 1
        vanishing = {Action.VANISH, Action.VANISH_FOR_GOOD}
        assert sum(bool(vanishing & actions) for actions in by_index) == 1

    def test_vanishing_comes_back_or_not(self) -> None:
        stories = {
            tuple(each.action for each in plan_arrivals(1, Order.RISING, [Fault.VANISH], seed))
            for seed in range(20)
        }
        assert stories == {
            (Action.ARRIVE, Action.VANISH_FOR_GOOD),
            (Action.ARRIVE, Action.VANISH, Action.RETURN),
        }

    def test_too_many_faults(self) -> None:
        with pytest.raises(ConfigError, match="5 faults need as many temperatures, and there are 4"):
            plan_arrivals(4, Order.RISING, list(Fault), seed=0)


class TestArrival:
    def test_the_whole_series(self, tmp_path: Path, stacked: np.ndarray) -> None:
        waits: list[float] = []
        done = arrive(tmp_path / "in", waits.append, order="falling", every="100")
        assert [each.action for each in done] == ["arrives"] * 6
        assert [each.value for each in done] == sorted((each.value for each in done), reverse=True)
        assert done[0].scan == f"{done[0].value:g}K"
        pauses, between = [wait for wait in waits if wait == 10], [wait for wait in waits if wait != 10]
        assert len(pauses) == 6
        np.testing.assert_allclose(between, [100, 200, 300, 400, 500], atol=10)
        series = open_series(tmp_path / "in")
        np.testing.assert_array_equal(series.to_xarray().values, stacked)
        assert read_truth(tmp_path / "in").names
        assert not [path for path in tmp_path.iterdir() if path.name not in ("in", "stacked.nxs")]

    def test_locks_while_writing(self, tmp_path: Path) -> None:
        folder = tmp_path / "in"
        seen: list[tuple[int, set[str]]] = []

        def look(_: float) -> None:
            size = sum(path.stat().st_size for path in folder.rglob("transform.nxs"))
            seen.append((size, {path.name for path in folder.rglob("*.lock")}))

        arrive(folder, look, n_temperatures=2, every="1h")
        half, between, *_ = seen
        assert half[1] == {"Sr3Rh4Sn13_30K.nxs.lock", "transform.nxs.lock"}
        assert between[1] == set()
        assert 0 < half[0] < between[0]
        assert not list(folder.rglob("*.lock"))

    def test_faults(self, tmp_path: Path) -> None:
        folder = tmp_path / "in"
        done = arrive(folder, faults="all", order="random", seed=4)
        acted = {each.action: each for each in done}
        run_simulate(make_simulate_config({**SMALL, "output": tmp_path / "s.nxs", "seed": 4}))
        with h5py.File(tmp_path / "s.nxs") as file:
            truth = dict(zip(file["entry/data/temperature"][...], file["entry/data/data"][...], strict=True))

        def stored(each: Done) -> np.ndarray:
            with h5py.File(each.path) as file:
                return file["entry/transform/data"][...]

        for action in (Action.REPAIR, Action.REWRITE):
            np.testing.assert_array_equal(stored(acted[action]), truth[acted[action].value])
        again = stored(acted[Action.DUPLICATE])
        assert not np.array_equal(again, truth[acted[Action.DUPLICATE].value])
        np.testing.assert_allclose(
            again.mean(dtype=float), truth[acted[Action.DUPLICATE].value].mean(dtype=float), rtol=0.2
        )
        with h5py.File(acted[Action.ARRIVE_UNFINISHED].path) as file:
            assert set(file["entry/nxworkflow/nxcombine"]) >= {"program", "start_time"}
            assert "end_time" not in file["entry/nxworkflow/nxcombine"]

    @pytest.mark.parametrize(
        ("order", "seed"), [("rising", 0), ("falling", 1), ("random", 2), ("random", 3), ("random", 4)]
    )
    def test_what_a_watcher_sees(self, tmp_path: Path, order: str, seed: int) -> None:
        """It looks in every pause: at half-written files, and twelve times between two arrivals."""
        folder = tmp_path / "in"
        watched = WatchedFolder(folder, rest=1.0)
        now, counts, held = 0.0, dict.fromkeys(("bad", "changed", "duplicate", "gone", "ready"), 0), set()

        def look(wait: float) -> None:
            nonlocal now
            for _ in range(1 if wait <= 6 else 12):
                now += 1
                for event in watched.look(now):
                    if event.kind in counts:
                        counts[event.kind] += 1
                    if event.kind in ("ready", "changed"):
                        held.add(event.value)
                    elif event.kind != "seen":
                        held.discard(event.value)

        done = arrive(folder, look, faults="all", order=order, seed=seed, every="60s", n_temperatures=8)
        look(100.0)
        lost = {each.value for each in done if each.action in ("arrives unfinished", "vanishes for good")}
        values = {each.value for each in done}
        status = watched.status()
        assert set(status.ready.values()) == values - lost
        assert len(status.pending) == 1
        assert len(status.duplicates) == 1
        assert not status.bad
        assert counts["changed"] == 1
        assert counts["bad"] == 1
        assert counts["gone"] == 1
        assert counts["ready"] == 7 + (not status.gone)
        assert len(open_series(watched.paths()).scan) == len(values - lost)

    def test_an_earlier_file_is_deleted_not_overwritten(self, tmp_path: Path) -> None:
        source, path, other = (tmp_path / name for name in ("source", "path", "other"))
        source.write_bytes(b"new")
        path.write_bytes(b"old")
        os.link(path, other)
        write_slowly(source, path, lambda: None)
        assert (path.read_bytes(), other.read_bytes()) == (b"new", b"old")

    def test_a_folder_with_something_in_it(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").touch()
        with pytest.raises(OutputError, match="the folder is not empty"):
            arrive(tmp_path)
        with pytest.raises(OutputError, match="the folder is not empty"):
            arrive(tmp_path / "notes.txt")
        assert names(tmp_path) == {"notes.txt"}

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"faults": "truncated,flood"}, "no fault named 'flood'"),
            ({"every": "soon"}, "'soon' is not a length of time"),
            ({"layout": "stacked"}, "NXRefine layout"),
            ({"output": "a.nxs"}, "--output"),
            ({"force": True}, "--force"),
            ({"planar": True}, "three axes"),
            ({"cycle": 3.0}, "one scan at each temperature"),
            ({"faults": "all", "n_temperatures": 4}, "5 faults"),
            ({"preset": "phase-diagram"}, "single series"),
        ],
    )
    def test_what_has_no_meaning(self, tmp_path: Path, options: dict[str, object], message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            arrive(tmp_path / "in", **options)
        assert not list(tmp_path.iterdir())

    def test_an_error_leaves_no_half_file(self, tmp_path: Path) -> None:
        def interrupt(_: float) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            arrive(tmp_path / "in", interrupt)
        assert names(tmp_path) == {"in", "30K", "truth", "Sr3Rh4Sn13_truth.nxs"}


class TestCommandLine:
    SMALL = ("--region", "H=-1:1,K=0:1,L=0:0.2", "--n-temperatures", "5", "--every", "0.02s")

    def test_a_line_for_each_thing(self, tmp_path: Path, run_cli: Callable) -> None:
        done = run_cli("simulate", "tiny", "--arrive", tmp_path / "in", *self.SMALL, "--order", "falling")
        assert done.code == 0
        lines = done.stdout.splitlines()
        assert [line.split()[2] for line in lines] == ["220K", "172K", "125K", "78K", "30K"]

    def test_json_lines(self, tmp_path: Path, run_cli: Callable) -> None:
        done = run_cli(
            "simulate", "tiny", "--arrive", tmp_path / "in", *self.SMALL, "--faults", "rewritten", "--json"
        )
        events = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(events) == 6
        assert set(events[0]) == {"seconds", "action", "scan", "value", "path"}
        assert "is rewritten with all counts" in {event["action"] for event in events}

    @pytest.mark.parametrize(
        "arguments",
        [
            (),
            ("-o", "a.nxs", "--every", "5s"),
            ("-o", "a.nxs", "--faults", "all"),
            ("-o", "a.nxs", "--arrive", "in"),
            ("--arrive", "in", "--order", "upside-down"),
        ],
    )
    def test_usage(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_cli: Callable, arguments: tuple[str, ...]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert run_cli("simulate", "tiny", *arguments).code == 2
        assert not list(tmp_path.iterdir())

    def test_ctrl_c(self, tmp_path: Path) -> None:
        command = [sys.executable, "-c", MAIN, "simulate", "tiny", "--arrive", str(tmp_path / "in")]
        process = subprocess.Popen([*command, *self.SMALL[:-1], "2s"], stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 300
        while not (tmp_path / "in").exists() or not list((tmp_path / "in").glob("*.nxs")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGINT)
        _, message = process.communicate(timeout=300)
        assert process.returncode == 130
        assert message.strip() == "interrupted; nothing was left half-written"
        assert [path.name for path in tmp_path.iterdir()] == ["in"]
        assert not list((tmp_path / "in").rglob("*.lock"))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5s", 5),
        ("2m", 120),
        ("0.2s", 0.2),
        ("7", 7),
        ("1.5 h", 5400),
        ("300ms", 0.3),
        ("0", 0),
        (" 1d ", 86400),
    ],
)
def test_duration(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "soon", "-5s", "5 parsecs", ".5s", "inf", "nan", "1e999", "1h30m"])
def test_no_duration(text: str) -> None:
    with pytest.raises(ConfigError, match="is not a length of time"):
        parse_duration(text)
