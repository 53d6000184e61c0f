"""The next temperatures, from runs that are still growing."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from xtec.core.errors import BackendUnavailableError, ConfigError
from xtec_pipelines.validation import validated
from xtec_pipelines.watch import run_watch
from xtec_pipelines.watching.config import WatchConfig

from .test_watch import Steps, write


class Obstinate:
    """A sampler of somebody else: without reasons, and out of bounds."""

    told: ClassVar[list[tuple[float, int]]] = []

    def __init__(self, low: float, high: float, *, step: float, direction: str, budget: int, by: float = 1.0):
        self.low, self.high, self.by = low, high, by

    def tell(self, x: float, y: Any) -> None:
        if self.by < 0:
            raise ZeroDivisionError("no such thing")
        Obstinate.told.append((x, len(y)))

    def ask(self, n: int = 1) -> Sequence[float]:
        return [self.low + self.by, self.high + 100.0][:n]


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two more samplers, one of which cannot be loaded."""
    import xtec.plugins.registry as registry

    here = f"{__name__}:Obstinate"
    added = [
        EntryPoint("obstinate", here, "xtec.samplers"),
        EntryPoint("broken", "no.such.module:Sampler", "xtec.samplers"),
    ]
    real = registry.entry_points

    def entry_points(**chosen: Any) -> EntryPoints:
        return EntryPoints([*real(group="xtec.samplers"), *added]).select(**chosen)

    monkeypatch.setattr(registry, "entry_points", entry_points)


def watch(folder: Path, output: Path, wait: Callable[[float], None], **options: Any) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    values = {"inputs": (str(folder),), "output": str(output), "figures": False, "clusters": 3}
    values |= {"every": 0.01, "rest": 0.0, "suggest": 1, "suggest_range": "30:300", **options}
    run_watch(validated(WatchConfig, values), events.append, wait=wait)
    return events


def test_measuring_what_is_suggested_finds_the_transition(tmp_path: Path) -> None:
    """The loop of an experiment that is steered: blobs are gone above 150 K."""
    folder, output = tmp_path / "scans", tmp_path / "run"
    folder.mkdir()
    measured = [30.0, 120.0, 210.0, 300.0]

    def measure(_: float) -> None:
        if not measured:
            found = json.loads((output / "summary.json").read_text(encoding="utf-8"))["suggestions"]
            seen = len(list(folder.glob("*.nxs")))
            settled = json.loads((output / "summary.json").read_text(encoding="utf-8"))["status"]["seen"]
            if seen == settled:
                measured.append(found[0]["value"])
        if measured:
            write(folder, measured.pop(0))

    watch(folder, output, measure, until=14, suggest_step=2.0)
    summary = json.loads((output / "summary.json").read_text(encoding="utf-8"))
    values = np.array(sorted(float(path.stem[5:-1]) for path in folder.glob("*.nxs")))
    assert ((values >= 30) & (values <= 300)).all()
    assert ((values - 30) % 2 == 0).all()
    low, high = values[values < 150].max(), values[values > 150].min()
    assert high - low <= 10  # even temperatures would leave a gap of 21 K
    onsets = [one["onset"]["value"] for one in summary["clusters"] if one["order_parameter"]]
    assert any(abs(onset - 150) < 8 for onset in onsets)


def test_when_cooling_nothing_above_is_suggested(tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    falling = [280.0, 250.0, 220.0, 190.0, 160.0, 130.0, 100.0]
    steps = Steps(*[lambda t=t: write(folder, t) for t in falling])
    options = {"until": 7, "suggest": 3, "suggest_direction": "cooling", "suggest_budget": 12}
    coldest = 300.0
    for event in watch(folder, tmp_path / "run", steps, **options):
        if event["event"] == "ready":
            coldest = min(coldest, event["value"])
        if event["event"] == "suggestion":
            assert 30 <= event["value"] < coldest
            assert event["reason"]


def test_any_sampler_can_be_asked_and_is_kept_within_bounds(tmp_path: Path, plugins: None) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    for t in (50.0, 100.0, 150.0):
        write(folder, t)
    Obstinate.told.clear()
    events = watch(
        folder, tmp_path / "run", Steps(), until=3, suggest=2, sampler="obstinate:by=7.5", threshold="kl"
    )
    suggested = [event for event in events if event["event"] == "suggestion"]
    assert {event["value"] for event in suggested} == {37.5}
    assert [x for x, _ in Obstinate.told[:3]] == [50.0, 100.0, 150.0]


def test_a_sampler_that_fails_is_told_of_and_watching_goes_on(tmp_path: Path, plugins: None) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    for t in (50.0, 100.0, 150.0):
        write(folder, t)
    options = {"sampler": "obstinate:by=-1", "threshold": "kl", "until": 3}
    events = watch(folder, tmp_path / "run", Steps(), **options)
    assert events[-1]["event"] == "end"
    assert any("no such thing" in event.get("reason", "") for event in events)


def test_samplers_that_are_not_there_or_broken_are_refused_before_anything_is_read(
    tmp_path: Path, plugins: None
) -> None:
    for name, what in (("nobody", "no plugin 'nobody'"), ("broken", "cannot be loaded")):
        with pytest.raises(BackendUnavailableError, match=what):
            watch(tmp_path / "scans", tmp_path / "run", Steps(), sampler=name)
    with pytest.raises(ConfigError, match="does not take"):
        watch(tmp_path / "scans", tmp_path / "run", Steps(), sampler="gp:color=3")
    with pytest.raises(ConfigError, match="within bounds"):
        watch(tmp_path / "scans", tmp_path / "run", Steps(), suggest_range=None)
    with pytest.raises(ConfigError, match="no option"):
        watch(tmp_path / "scans", tmp_path / "run", Steps(), sampler="gp:3")
    assert not (tmp_path / "run").exists()


def test_the_command_exits_with_5_for_an_unknown_sampler(tmp_path: Path, run_cli: Callable[..., Any]) -> None:
    options = ("--suggest", 1, "--range", "30:300", "--sampler", "nobody")
    done = run_cli("watch", tmp_path / "scans", "-o", tmp_path / "run", *options)
    assert done.code == 5
    assert "gp" in done.stderr
