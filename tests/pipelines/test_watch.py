"""Watching a folder in which temperatures arrive: in the end the same as clustering the whole series."""

from __future__ import annotations

import itertools
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from xtec.core.errors import ConfigError
from xtec.core.results import ClusterRun
from xtec.io.arriving.mirror import Mirror
from xtec_pipelines.cluster import run_cluster
from xtec_pipelines.config import make_config
from xtec_pipelines.streaming.readers import close_readers
from xtec_pipelines.validation import validated
from xtec_pipelines.watch import COPIES, run_watch
from xtec_pipelines.watching.config import WatchConfig

T = [30.0 + 10 * step for step in range(24)]


def volume(temperature: float, seed: int = 0) -> np.ndarray:
    """Blobs that are gone above 150 K and blobs that fade slowly, on counts of a background."""
    places = np.random.default_rng(seed)
    mean = np.full((12, 16, 16), 6.0)
    for number, corner in enumerate(places.integers(0, (10, 14, 14), (40, 3))):
        blob = tuple(slice(at, at + 2) for at in corner)
        order = max(1 - temperature / 150, 0.0) ** 0.7
        mean[blob] += 300 * order if number % 2 else 200 * (1 - temperature / 600)
    return np.random.default_rng((seed, int(temperature))).poisson(mean).astype(np.float32)


def write(folder: Path, temperature: float, name: str = "", **how: Any) -> Path:
    """A per-temperature file, whole unless it is to be something else."""
    path = folder / (name or f"scan_{temperature:g}K.nxs")
    data = how.get("data", volume(temperature))
    with h5py.File(path, "w") as file:
        entry = file.create_group("entry")
        entry.attrs.update(NX_class="NXentry", default="data")
        sample = entry.create_group("sample")
        sample.attrs["NX_class"] = "NXsample"
        sample["temperature"] = temperature
        sample["temperature"].attrs["units"] = "K"
        group = entry.create_group("data")
        group.attrs.update(NX_class="NXdata", signal="data", axes=["Ql", "Qk", "Qh"])
        group.create_dataset("data", data=data, chunks=(4, 8, 8), compression="gzip")
        for axis, size in zip(("Ql", "Qk", "Qh"), data.shape, strict=True):
            group[axis] = np.arange(size) / 10 - 0.5
            group[axis].attrs["units"] = "r.l.u."
        if "nxcombine" in how:
            work = entry.create_group("nxworkflow/nxcombine")
            work["start_time"] = "2026-01-01T00:00:00"
    return path


class Steps:
    """Does the next of several things each time it is waited, then nothing, for some looks."""

    def __init__(self, *steps: Callable[[], object], patience: int = 4) -> None:
        self.steps, self.patience = list(steps), patience

    def __call__(self, _: float) -> None:
        close_readers()
        if self.steps:
            self.steps.pop(0)()
        elif self.patience:
            self.patience -= 1
        else:
            raise TimeoutError("nothing came of it")


def watch(folder: Path, output: Path, wait: Callable[[float], None], **options: Any) -> Iterator[Any]:
    """The run, and the events."""
    events: list[dict[str, Any]] = []
    values = {"inputs": (str(folder),), "output": str(output), "figures": False, "clusters": 3}
    values |= {"every": 0.01, "rest": 0.0, **options}
    return run_watch(validated(WatchConfig, values), events.append, wait=wait), events


def batch(paths: list[Path], output: Path) -> ClusterRun:
    """All at once."""
    values = {"inputs": tuple(map(str, paths)), "output": str(output), "figures": False, "clusters": 3}
    return run_cluster(make_config(values))


def assert_same(found: ClusterRun, whole: ClusterRun) -> None:
    assert found.counts == whole.counts
    assert found.threshold.cutoff == whole.threshold.cutoff
    np.testing.assert_array_equal(found.map.index, whole.map.index)
    assert adjusted_rand_score(found.map.label, whole.map.label) > 0.999


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Temperatures that are copied, in order."""
    found: list[float] = []
    take = Mirror.take

    def noting(mirror: Mirror, *given: Any) -> None:
        found.append(given[0].value)
        take(mirror, *given)

    monkeypatch.setattr(Mirror, "take", noting)
    return found


def test_arrivals_in_any_order_with_faults_end_where_the_batch_does(tmp_path: Path) -> None:
    folder, output = tmp_path / "scans", tmp_path / "run"
    folder.mkdir()
    rng = np.random.default_rng(3)
    order = [float(t) for t in rng.permutation(T)]
    truncated, vanishing = order[5], order[9]
    steps: list[Callable[[], object]] = []

    def truncate() -> None:
        path = write(folder, truncated)
        path.write_bytes(path.read_bytes()[:3000])

    def duplicate() -> None:
        write(folder, order[2], "again.nxs", data=volume(order[2]) + 1)

    for number, temperature in enumerate(order):
        steps.append(truncate if temperature == truncated else lambda t=temperature: write(folder, t))
        if number == 12:
            steps += [duplicate, lambda: (folder / f"scan_{vanishing:g}K.nxs").unlink()]
            steps.append(lambda: write(folder, 275.0, "never.nxs", nxcombine="started"))
    steps += [lambda: write(folder, truncated), lambda: write(folder, vanishing)]
    run, events = watch(folder, output, Steps(*steps), until=24)
    assert run is not None
    assert_same(run, batch([folder / f"scan_{t:g}K.nxs" for t in T], tmp_path / "batch"))
    told = {(event["event"], Path(event.get("file", "")).name) for event in events}
    assert ("duplicate", "again.nxs") in told
    assert ("gone", f"scan_{vanishing:g}K.nxs") in told
    assert ("seen", "never.nxs") in told
    assert any(what in ("bad", "seen") and name == f"scan_{truncated:g}K.nxs" for what, name in told)
    status = json.loads((output / "summary.json").read_text(encoding="utf-8"))["status"]
    assert (status["state"], status["seen"]) == ("done", 24)
    assert any("never.nxs" in name for name in status["pending"])
    assert any("again.nxs" in name for name in status["bad"])


def test_a_rewritten_temperature_is_read_again_and_others_are_not(
    tmp_path: Path, copied: list[float]
) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    for t in T[:10]:
        write(folder, t)
    copied.clear()
    better = volume(T[3], seed=0) * 2
    waits = itertools.count()

    def wait(seconds: float) -> None:
        close_readers()
        time.sleep(seconds)
        if next(waits) == 3:
            write(folder, T[3], data=better)

    run, _ = watch(folder, tmp_path / "run", wait, idle=1.0)
    assert sorted(copied) == sorted([*T[:10], T[3]])
    assert_same(run, batch(sorted(folder.glob("*.nxs"), key=lambda p: float(p.stem[5:-1])), tmp_path / "b"))


def test_a_temperature_that_is_being_rewritten_stays_until_it_is_done(tmp_path: Path) -> None:
    folder, output = tmp_path / "scans", tmp_path / "run"
    folder.mkdir()
    for t in T[:8]:
        write(folder, t)
    lock = folder / "scan_60K.nxs.lock"

    def begin() -> None:
        lock.touch()
        write(folder, T[3], data=volume(T[3]) * 2)
        write(folder, T[8])

    run, events = watch(
        folder, output, Steps(lambda: None, lambda: None, begin, *[lambda: None] * 3, lock.unlink), until=9
    )
    told = [event["event"] for event in events]
    seen = next(
        i
        for i, e in enumerate(events)
        if e["event"] == "seen" and "60K" in e["file"] and "locked" in e["reason"]
    )
    changed = told.index("changed")
    updates = [event["temperatures"] for event in events[seen:changed] if event["event"] == "update"]
    assert updates == [9]
    assert_same(run, batch([folder / f"scan_{t:g}K.nxs" for t in T[:9]], tmp_path / "batch"))


def test_started_again_it_goes_on_without_reading_anything_twice(tmp_path: Path, copied: list[float]) -> None:
    folder, output = tmp_path / "scans", tmp_path / "run"
    folder.mkdir()
    for t in T[:12]:
        write(folder, t)
    first, _ = watch(folder, output, Steps(), until=12)
    damaged = next((output / COPIES).glob("*.h5"))
    damaged.write_bytes(damaged.read_bytes()[:100])  # as a crash of the machine may leave it
    for t in T[12:]:
        write(folder, t)
    copied.clear()
    second, _ = watch(folder, output, Steps(), until=24)
    assert sorted(copied) == sorted([*T[12:], float(damaged.stem)])
    assert_same(second, batch([folder / f"scan_{t:g}K.nxs" for t in T], tmp_path / "batch"))
    _, mine, theirs = np.intersect1d(first.map.index, second.map.index, return_indices=True)
    assert (first.map.label[mine] == second.map.label[theirs]).mean() > 0.95  # numbers mean what they meant


def test_a_number_means_the_same_cluster_from_update_to_update(tmp_path: Path) -> None:
    """The cluster that orders may be the last to show it; what goes on keeps its number."""
    folder, output = tmp_path / "scans", tmp_path / "run"
    folder.mkdir()
    seen: list[tuple[np.ndarray, np.ndarray]] = []
    events: list[dict[str, Any]] = []

    def note(event: dict[str, Any]) -> None:
        if event["event"] in ("update", "settled"):
            events.append(event)
            with h5py.File(output / "results.nxs") as file:
                seen.append((file["entry/voxels/index"][()], file["entry/voxels/label"][()]))

    falling = sorted(T, reverse=True)
    steps = Steps(*[lambda t=t: write(folder, t) for t in falling])
    values = {"inputs": (str(folder),), "output": str(output), "figures": False, "clusters": 3}
    config = validated(WatchConfig, {**values, "every": 0.01, "rest": 0.0, "until": 24})
    run = run_watch(config, note, wait=steps)
    assert events[-1]["event"] == "settled"
    used: set[int] = set()
    for (index, label), (other, later), event in zip(seen, seen[1:], events[1:], strict=False):
        before, after = set(label.tolist()), set(later.tolist())
        new, gone = set(event.get("new", [])), set(event.get("gone", []))
        assert after - before <= new
        assert before - after <= gone
        used |= before
        if event["temperatures"] >= 7:
            assert not new & used
        _, mine, theirs = np.intersect1d(index, other, return_indices=True)
        for number in after & before - new:
            was, now = label[mine] == number, later[theirs] == number
            assert (was & now).sum() >= 0.3 * (was | now).sum()
    numbers = {one.number: one.voxels for one in run.clusters}
    for number, voxels in numbers.items():
        own = run.mixture.means[number - 1], run.curves.rescaled_mean[number - 1]
        assert np.isfinite(own).all() == (voxels > 0)
        if voxels:
            np.testing.assert_allclose(*own, atol=0.1)
        else:
            assert run.mixture.weights[number - 1] == 0
    assert sum(voxels > 0 for voxels in numbers.values()) == 3
    changes = json.loads((output / "summary.json").read_text(encoding="utf-8"))["status"]["changes"]
    listed = [(change["new"], change["gone"]) for change in changes]
    told = [(event.get("new", []), event.get("gone", [])) for event in events]
    assert listed == [one for one in told if one != ([], [])]


def test_a_hook_is_run_with_the_run_folder_and_may_fail(tmp_path: Path) -> None:
    folder, output, called = tmp_path / "scans", tmp_path / "run", tmp_path / "called"
    folder.mkdir()
    for t in T[:8]:
        write(folder, t)
    hook = tmp_path / "hook.py"
    hook.write_text(
        f"import sys; open({str(called)!r}, 'a').write(sys.argv[1]); sys.exit(3)", encoding="utf-8"
    )
    run, events = watch(folder, output, Steps(), until=8, on_update=f"{sys.executable} {hook}")
    assert run is not None
    assert called.read_text(encoding="utf-8") == str(output)
    assert [event["reason"] for event in events if event["event"] == "hook failed"] == ["exit code 3"]


def test_an_interrupt_leaves_whole_results_and_says_so(tmp_path: Path) -> None:
    folder, output = tmp_path / "scans", tmp_path / "run"
    folder.mkdir()
    for t in T[:8]:
        write(folder, t)

    def wait(_: float) -> None:
        if (output / "summary.json").exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watch(folder, output, wait)
    summary = json.loads((output / "summary.json").read_text(encoding="utf-8"))
    assert summary["status"]["state"] == "interrupted"
    assert summary["status"]["seen"] == 8


def test_what_cannot_be_watched_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, 30.0)
    with pytest.raises(ConfigError, match="a folder is watched"):
        watch(path, tmp_path / "run", Steps())
    values = {"inputs": ("a", "b"), "output": str(tmp_path / "run")}
    with pytest.raises(ConfigError, match="one folder"):
        run_watch(validated(WatchConfig, values))


def test_the_command_prints_a_line_of_json_for_each_event(
    tmp_path: Path, run_cli: Callable[..., Any]
) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    for t in T[:8]:
        write(folder, t)
    shutil.copy(folder / "scan_30K.nxs", tmp_path / "kept")
    options = ("--every", "0.05s", "--rest", "0s", "--until", 8, "-k", 3, "--no-figures", "--json")
    done = run_cli("watch", folder, "-o", tmp_path / "run", *options)
    assert done.code == 0
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["event"] for event in events][-2:] == ["update", "end"]
    assert sum(event["event"] == "ready" for event in events) == 8
    assert (folder / "scan_30K.nxs").read_bytes() == (tmp_path / "kept").read_bytes()
    assert run_cli("watch", folder, "-o", tmp_path / "run", "--every", "soon").code == 2


def test_too_few_for_the_clusters_asked_for_is_no_end(tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    write(folder, T[0])
    write(folder, T[1])
    steps = [lambda t=t: write(folder, t) for t in T[2:8]]
    options = {"threshold": "significance", "until": 8}  # two temperatures tell nothing of noise
    run, events = watch(folder, tmp_path / "run", Steps(lambda: None, lambda: None, *steps), **options)
    assert run is not None
    assert events[-1]["event"] == "end"
    assert any(event["event"] == "no result" for event in events)


def test_options_that_never_do_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="noise"):
        watch(tmp_path / "scans", tmp_path / "run", Steps(), noise="poisson", covariance="full")
