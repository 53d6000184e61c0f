"""What befalls a watch: copies that fail, folders that cannot be written, other runs, hooks."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from xtec.core.errors import ConfigError, InputError, NothingToClusterError, OutputError
from xtec.io.arriving.mirror import Mirror
from xtec_pipelines.watch import COPIES
from xtec_pipelines.watching import copies

from .test_watch import Steps, T, assert_same, batch, volume, watch, write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    folder.mkdir()
    for t in T[:8]:
        write(folder, t)
    return folder


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> set[float]:
    """Temperatures whose copying fails as long as they are in here."""
    failing: set[float] = set()
    take = Mirror.take

    def taking(mirror: Mirror, *given: Any) -> None:
        if given[0].value in failing:
            raise InputError("a disk that does not answer", file="there")
        take(mirror, *given)

    monkeypatch.setattr(Mirror, "take", taking)
    return failing


def summary(output: Path) -> dict[str, Any]:
    return dict(json.loads((output / "summary.json").read_text(encoding="utf-8")))


def nothing() -> None:
    """One look."""


def test_a_copy_of_an_earlier_version_never_passes_for_the_new_one(
    folder: Path, tmp_path: Path, failing: set[float]
) -> None:
    away = tmp_path / "away.nxs"
    path = folder / "scan_60K.nxs"

    def rewrite() -> None:
        failing.add(60.0)
        write(folder, 60.0, data=3 * volume(60.0))

    def mend() -> None:
        failing.clear()
        shutil.move(away, path)
        write(folder, T[8])

    steps = [nothing, nothing, rewrite, nothing, lambda: shutil.move(path, away), nothing, mend]
    run, events = watch(folder, tmp_path / "run", Steps(*steps), until=9)
    assert any(event["event"] == "not copied" for event in events)
    assert_same(run, batch([folder / f"scan_{t:g}K.nxs" for t in T[:9]], tmp_path / "batch"))
    with h5py.File(tmp_path / "run" / COPIES / "60.0.h5") as file:
        np.testing.assert_array_equal(file["data"][()], 3 * volume(60.0))


def test_a_file_that_cannot_be_copied_is_listed_tried_again_later_and_does_not_stop_the_others(
    folder: Path, tmp_path: Path, failing: set[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    failing.add(60.0)
    monkeypatch.setattr(copies, "_RETRY", 0.3)
    output = tmp_path / "run"
    seen: list[dict[str, Any]] = []

    def look() -> None:
        seen.append(summary(output)["status"])
        failing.clear()
        time.sleep(0.4)

    run, events = watch(folder, output, Steps(nothing, nothing, nothing, look), until=8)
    assert seen[0]["seen"] == 7
    assert any("60K" in name and "does not answer" in why for name, why in seen[0]["bad"].items())
    assert sum(event["event"] == "not copied" for event in events) == 1
    assert len(run.curves.scan) == 8
    assert summary(output)["status"]["bad"] == {}


def test_copies_that_are_deleted_are_made_again(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    steps = [nothing, nothing, lambda: shutil.rmtree(output / COPIES), lambda: write(folder, T[8])]
    run, _ = watch(folder, output, Steps(*steps), until=9)
    assert_same(run, batch([folder / f"scan_{t:g}K.nxs" for t in T[:9]], tmp_path / "batch"))
    shutil.rmtree(output / COPIES)
    again, _ = watch(folder, output, Steps(), until=9)
    assert [one.number for one in again.clusters] == [one.number for one in run.clusters]


def test_a_disk_that_is_full_for_a_while_ends_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import xtec_pipelines.watching.folder as target

    whole = target.write_results
    full = [True]

    def writing(path: Path, run: Any) -> None:
        if full[0]:
            raise OutputError("cannot write (No space left on device)", file=path)
        whole(path, run)

    monkeypatch.setattr(target, "write_results", writing)
    steps = [nothing, nothing, nothing, nothing, full.clear, nothing]
    steps[4] = lambda: full.__setitem__(0, False)
    run, events = watch(folder, tmp_path / "run", Steps(*steps), until=8)
    assert sum(event["event"] == "not written" for event in events) == 1
    assert len(run.curves.scan) == 8


def test_a_run_folder_of_another_watch_is_not_taken_over(folder: Path, tmp_path: Path) -> None:
    output, other = tmp_path / "run", tmp_path / "other"
    watch(folder, output, Steps(), until=8)
    shutil.copytree(folder, other)
    with pytest.raises(OutputError, match="another folder"):
        watch(other, output, Steps(), until=8)
    with pytest.raises(OutputError, match="another folder, region"):
        watch(folder, output, Steps(), until=8, region="H=0:0.5")
    before = summary(output)["status"]["updates"]
    run, _ = watch(other, output, Steps(), until=8, force=True)
    assert summary(output)["status"]["updates"] <= before
    assert [one.number for one in run.clusters] == [1, 2, 3]


def test_results_do_not_go_into_a_folder_that_is_yet_to_come(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="never put among the input"):
        watch(tmp_path / "coming", tmp_path / "coming" / "run", Steps())


def test_own_tables_stay_and_those_of_earlier_results_go(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    steps = [nothing, nothing, nothing, nothing]

    def leave() -> None:
        for name in ("mine.csv", "peaks.csv", "order_parameter.nxs"):
            (output / name).write_text("x", encoding="utf-8")
        write(folder, T[8])

    watch(folder, output, Steps(*steps, leave), until=9)
    assert (output / "mine.csv").exists()
    assert not (output / "peaks.csv").exists()
    assert not (output / "order_parameter.nxs").exists()


def test_a_duplicate_changes_nothing(folder: Path, tmp_path: Path) -> None:
    steps = [nothing, nothing, nothing, lambda: write(folder, T[2], "again.nxs"), nothing, nothing]
    _, events = watch(folder, tmp_path / "run", Steps(*steps, lambda: write(folder, T[8])), until=9)
    told = [event["event"] for event in events]
    assert "duplicate" in told
    assert told.count("update") == 2


def test_what_comes_during_a_hook_is_not_missed_by_idle(folder: Path, tmp_path: Path) -> None:
    hook = tmp_path / "hook.py"
    target = folder / "scan_110K.nxs"
    spare = write(tmp_path, T[8], "spare.nxs")
    hook.write_text(
        f"import shutil, time, pathlib\nt = pathlib.Path({str(target)!r})\ntime.sleep(0.6)\n"
        f"t.exists() or shutil.copy({str(spare)!r}, t)\n",
        encoding="utf-8",
    )
    options = {"idle": 0.5, "on_update": f"{sys.executable} {hook}"}
    run, _ = watch(folder, tmp_path / "run", lambda _: time.sleep(0.05), **options)
    assert len(run.curves.scan) == 9


def test_what_a_hook_prints_is_not_among_the_events(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    watch(folder, tmp_path / "run", Steps(), until=8, on_update=f"{sys.executable} -c print('hello')")
    printed = capfd.readouterr()
    assert "hello" not in printed.out
    assert "hello" in printed.err


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"on_update": "echo 'x"}, "no command"),
        ({"suggest_range": "30:300"}, "go with --suggest"),
        ({"auto_refine": True}, "--auto-refine"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    folder: Path, tmp_path: Path, options: dict[str, Any], what: str
) -> None:
    with pytest.raises(ConfigError, match=what):
        watch(folder, tmp_path / "run", Steps(), **options)


def test_an_end_without_results_is_an_error(
    folder: Path, tmp_path: Path, run_cli: Callable[..., Any]
) -> None:
    with pytest.raises(NothingToClusterError):
        watch(folder, tmp_path / "run", lambda _: time.sleep(0.05), temperatures="500:600", idle=0.3)
    options = ("--idle", "1s", "--every", "0.1s")
    done = run_cli("watch", tmp_path / "nowhere", "-o", tmp_path / "other", *options)
    assert done.code == 4
    assert "not there yet" in done.stdout


def test_the_order_of_measuring_is_that_of_first_arrival(tmp_path: Path) -> None:
    folder, output = tmp_path / "cooling", tmp_path / "run"
    folder.mkdir()
    falling = [200.0, 180.0, 160.0, 140.0]
    steps: list[Callable[[], object]] = []
    for t in falling:
        steps += [lambda t=t: write(folder, t), nothing, nothing]
    steps += [lambda: write(folder, 200.0, data=2 * volume(200.0)), nothing, nothing, nothing]
    steps.append(lambda: write(folder, 120.0))
    options = {"suggest": 2, "suggest_range": "30:300", "suggest_direction": "cooling", "until": 5}
    _, events = watch(folder, output, Steps(*steps), **options)
    assert any(event["event"] == "changed" for event in events)
    status = summary(output)
    assert status["status"]["order"] == [*falling, 120.0]
    coldest = 300.0
    for event in events:
        if event["event"] == "ready":
            coldest = min(coldest, event["value"])
        if event["event"] == "suggestion":
            assert event["value"] < coldest
