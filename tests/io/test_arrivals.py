"""A folder in which temperatures arrive: what is ready, what is not and why; nothing makes a look fail."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import h5py
import numpy as np
import pytest

from xtec.core.errors import ConfigError
from xtec.io import OpenOptions, open_series
from xtec.io.arriving.arrivals import Event, Signature, WatchedFolder
from xtec.io.arriving.watched_file import LOCK_EXPIRY

SHAPE = (2, 3, 4)
REST = 5.0


def put_target(folder: Path, scan: str, *, fill: float = 1.0, shape: tuple[int, ...] = SHAPE) -> Path:
    """The file with the intensities, as cctw leaves it."""
    path = folder / scan / "transform.nxs"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with h5py.File(path, "w") as file:
        file["entry/data/v"] = np.full(shape, fill, np.float32)
    return path


def write_axes(data: h5py.Group, shape: tuple[int, ...]) -> None:
    data.attrs["axes"] = ["Ql", "Qk", "Qh"]
    for axis, size in zip(("Ql", "Qk", "Qh"), shape, strict=True):
        data[axis] = np.arange(size) / 10


def put_wrapper(
    folder: Path,
    scan: str,
    value: float = 30.0,
    *,
    end_time: str | None = "2026-03-01T12:00:00",
    record: str = "entry/nxworkflow/nxcombine",
    target: str | None = None,
    name: str | None = None,
    shape: tuple[int, ...] = SHAPE,
    group: str = "transform",
) -> Path:
    """The wrapper with its link and the record of the work."""
    path = folder / (name or f"Test_{scan}.nxs")
    folder.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["entry/sample/temperature"] = value
        file["entry/sample/temperature"].attrs["units"] = "K"
        data = file.create_group(f"entry/{group}")
        data.attrs.update({"NX_class": "NXdata", "signal": "data"})
        write_axes(data, shape)
        data["data"] = h5py.ExternalLink(target or f"{scan}/transform.nxs", "/entry/data/v")
        process = file.create_group(record)
        process["program"] = "nxcombine"
        if end_time is not None:
            process["end_time"] = end_time
    return path


def put(folder: Path, scan: str, value: float, *, fill: float = 1.0, shape: tuple[int, ...] = SHAPE) -> Path:
    put_target(folder, scan, fill=fill, shape=shape)
    return put_wrapper(folder, scan, value, shape=shape)


def put_plain(folder: Path, name: str, value: float = 30.0, shape: tuple[int, ...] = SHAPE) -> Path:
    """A file that holds its intensities itself."""
    folder.mkdir(parents=True, exist_ok=True)
    with h5py.File(folder / name, "w") as file:
        data = file.create_group("entry/data")
        data.attrs.update({"NX_class": "NXdata", "signal": "data"})
        if len(shape) == 3:
            write_axes(data, shape)
        data["data"] = np.ones(shape)
        file["entry/sample/temperature"] = value
    return folder / name


def cut_short(path: Path) -> bytes:
    """Truncate a file; returns what it was."""
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    return whole


class Watch:
    """A watched folder with a clock of its own."""

    def __init__(self, path: Path, **options: object) -> None:
        self.folder = WatchedFolder(path, rest=REST, **options)  # type: ignore[arg-type]
        self.now = 1000.0

    def look(self, seconds: float = REST) -> list[Event]:
        self.now += seconds
        return self.folder.look(self.now)

    def settle(self) -> list[Event]:
        """Look until everything is at rest."""
        return [event for _ in range(7) for event in self.look()]

    @property
    def ready(self) -> dict[str, float]:
        return {path.name: value for path, value in self.folder.status().ready.items()}


def told(events: list[Event]) -> list[tuple[str, str]]:
    return [(str(event.kind), event.path.name) for event in events]


def without_seen(events: list[Event]) -> list[tuple[str, str]]:
    return [each for each in told(events) if each[0] != "seen"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cubic"


@pytest.fixture
def watch(folder: Path) -> Watch:
    return Watch(folder)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are opened, as they are opened."""
    names: list[str] = []
    whole = h5py.File.__init__

    def init(self: h5py.File, name: object, *args: object, **options: object) -> None:
        if isinstance(name, Path):
            names.append(name.name)
        whole(self, name, *args, **options)

    monkeypatch.setattr(h5py.File, "__init__", init)
    return names


class TestArrival:
    def test_the_folder_comes_later(self, folder: Path, watch: Watch) -> None:
        assert watch.look() == []
        put(folder, "30K", 30.0)
        assert without_seen(watch.settle()) == [("ready", "Test_30K.nxs")]

    def test_out_of_order_and_in_order_of_value(self, folder: Path, watch: Watch) -> None:
        for scan, value in (("100K", 100.0), ("9K", 9.0), ("30K", 30.0)):
            put(folder, scan, value)
            (ready,) = [event for event in watch.settle() if event.kind == "ready"]
            assert (ready.value, ready.units, ready.same_data) == (value, "K", False)
            assert ready.data is not None
            assert ready.data.file == folder / scan / "transform.nxs"
            assert ready.data.shape == SHAPE
        assert [path.name for path in watch.folder.paths()] == [
            "Test_9K.nxs",
            "Test_30K.nxs",
            "Test_100K.nxs",
        ]
        np.testing.assert_array_equal(open_series(watch.folder.paths()).scan.values, [9, 30, 100])

    def test_reasons_on_the_way(self, folder: Path, watch: Watch) -> None:
        wrapper = put_wrapper(folder, "30K", end_time=None)
        reasons = [event.reason for event in watch.settle()]
        assert reasons == ["not at rest yet", "nxcombine has no end time"]
        put_wrapper(folder, "30K")
        reasons = [event.reason for event in watch.settle()]
        assert reasons[0] == "not at rest yet"
        assert reasons[-1].endswith("30K/transform.nxs, which is not there")
        assert watch.folder.status().pending == {wrapper: reasons[-1]}
        put_target(folder, "30K")
        assert told(watch.settle())[-1] == ("ready", "Test_30K.nxs")

    def test_two_looks_and_the_rest_for_each_file(self, folder: Path) -> None:
        put_plain(folder, "a_30K.nxs")
        slow = Watch(folder)
        assert [told(slow.look(seconds)) for seconds in (0, 2, 2, 1)] == [
            [("seen", "a_30K.nxs")],
            [],
            [],
            [("ready", "a_30K.nxs")],
        ]

    def test_no_rest_still_takes_two_looks(self, folder: Path) -> None:
        put_plain(folder, "a_30K.nxs")
        watched = WatchedFolder(folder, rest=0)
        assert [told(watched.look(0.0)) for _ in range(3)] == [
            [("seen", "a_30K.nxs")],
            [("ready", "a_30K.nxs")],
            [],
        ]

    def test_a_growing_file_waits(self, folder: Path, watch: Watch) -> None:
        path = put_plain(folder, "a_30K.nxs")
        whole = path.read_bytes()
        for size in range(100, len(whole), 1000):
            path.write_bytes(whole[:size])
            watch.look()
        assert watch.ready == {}
        path.write_bytes(whole)
        assert without_seen(watch.settle()) == [("ready", "a_30K.nxs")]

    def test_nothing_is_opened_before_it_is_at_rest(
        self, folder: Path, watch: Watch, opened: list[str]
    ) -> None:
        put(folder, "30K", 30.0)
        opened.clear()
        watch.look()
        assert opened == []
        watch.look()
        assert set(opened) == {"Test_30K.nxs"}
        opened.clear()
        watch.look()
        assert opened == []
        watch.look()
        assert set(opened) == {"Test_30K.nxs", "transform.nxs"}

    def test_no_intensities_are_read(
        self, folder: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = h5py.Dataset.__getitem__

        def getitem(self: h5py.Dataset, *args: object, **options: object) -> object:
            assert self.ndim < 2, "intensities were read"
            return whole(self, *args, **options)

        monkeypatch.setattr(h5py.Dataset, "__getitem__", getitem)
        put(folder, "30K", 30.0)
        put_plain(folder, "b_40K.nxs", 40.0)
        watch.settle()
        assert len(watch.ready) == 2

    def test_nothing_is_opened_again(self, folder: Path, watch: Watch, opened: list[str]) -> None:
        for value in range(10, 60, 10):
            put(folder, f"{value}K", float(value))
        put_wrapper(folder, "70K", 70.0)
        put_wrapper(folder, "80K", 80.0, end_time=None)
        (folder / "90K.nxs").write_bytes(b"not HDF5")
        with h5py.File(folder / "notes.nxs", "w") as file:
            file["entry/title"] = "notes"
        watch.settle()
        opened.clear()
        assert watch.settle() == []
        assert opened == []

    @pytest.mark.parametrize("jump", [-1e9, 1e9])
    def test_the_clock_may_be_put_right(self, folder: Path, watch: Watch, jump: float) -> None:
        path = put_plain(folder, "a_30K.nxs")
        os.utime(path, (4e9, 4e9))
        watch.look()
        watch.look(jump)
        assert told(watch.settle()) == ([] if jump > 0 else [("ready", "a_30K.nxs")])
        assert watch.ready == {"a_30K.nxs": 30.0}


class TestRecords:
    @pytest.mark.parametrize(
        ("record", "group", "end_time", "is_ready"),
        [
            ("entry/nxworkflow/nxcombine", "transform", "2026", True),
            ("entry/nxworkflow/nxcombine", "transform", None, False),
            ("entry/nxcombine", "transform", "2026", True),
            ("entry/nxcombine", "transform", None, True),  # as versions without times wrote it
            ("entry/nxworkflow/nxmasked_combine", "masked_transform", None, False),
            ("entry/nxworkflow/nxmasked_combine", "masked_transform", "2026", True),
            ("entry/nxworkflow/nxcombine", "masked_transform", None, True),
            ("entry/other", "transform", None, True),
        ],
    )
    def test_end_time(
        self, folder: Path, record: str, group: str, end_time: str | None, is_ready: bool
    ) -> None:
        watch = Watch(folder, options=OpenOptions(group=group))
        put_target(folder, "30K")
        put_wrapper(folder, "30K", record=record, group=group, end_time=end_time)
        watch.settle()
        assert bool(watch.ready) is is_ready

    def test_begun_record_in_the_entry(self, folder: Path, watch: Watch) -> None:
        put_target(folder, "30K")
        with h5py.File(put_wrapper(folder, "30K", record="entry/nxcombine", end_time=None), "r+") as file:
            file["entry/nxcombine/start_time"] = "2026"
        watch.settle()
        assert watch.ready == {}

    def test_no_transform_yet(self, folder: Path, watch: Watch) -> None:
        with h5py.File(put_wrapper(folder, "30K"), "r+") as file:
            del file["entry/transform"]
        watch.settle()
        assert list(watch.folder.status().pending.values()) == ["no NXdata in this file"]

    def test_created_but_not_written(self, folder: Path, watch: Watch) -> None:
        put(folder, "30K", 30.0)
        with h5py.File(folder / "30K" / "transform.nxs", "w") as file:
            file.create_dataset("entry/data/v", SHAPE, np.float32, chunks=SHAPE)
        watch.settle()
        assert list(watch.folder.status().pending.values()) == ["no intensities written yet"]


class TestLocks:
    @pytest.mark.parametrize("locked", ["Test_30K.nxs", "30K/transform.nxs"])
    def test_a_lock_is_waited_for(self, folder: Path, watch: Watch, locked: str) -> None:
        put(folder, "30K", 30.0)
        lock = folder / f"{locked}.lock"
        lock.touch()
        assert watch.settle()[-1].reason == f"locked: {lock.name}"
        lock.unlink()
        assert told(watch.settle())[-1] == ("ready", "Test_30K.nxs")

    def test_a_lock_on_what_is_ready_takes_nothing_away(self, folder: Path, watch: Watch) -> None:
        put(folder, "30K", 30.0)
        watch.settle()
        (folder / "Test_30K.nxs.lock").touch()
        assert watch.settle() == []
        assert watch.ready == {"Test_30K.nxs": 30.0}

    def test_a_lock_left_behind_is_passed_in_the_end(self, folder: Path, watch: Watch) -> None:
        put(folder, "30K", 30.0)
        (folder / "Test_30K.nxs.lock").touch()
        watch.settle()
        assert watch.ready == {}
        watch.look(LOCK_EXPIRY)
        watch.look()
        watch.look(LOCK_EXPIRY)
        assert watch.ready == {"Test_30K.nxs": 30.0}


class TestChange:
    @pytest.fixture(autouse=True)
    def _first(self, folder: Path, watch: Watch) -> None:
        put(folder, "30K", 30.0)
        put(folder, "40K", 40.0)
        watch.settle()
        assert len(watch.ready) == 2

    def test_rewritten(self, folder: Path, watch: Watch) -> None:
        put_target(folder, "30K", fill=2.0)
        first = watch.look()
        assert told(first) == [("seen", "Test_30K.nxs")]
        assert first[0].value == 30.0
        assert watch.ready == {"Test_40K.nxs": 40.0}
        (changed,) = watch.settle()
        assert (changed.kind, changed.value) == ("changed", 30.0)
        assert changed.signature is not None
        assert changed.signature.mtime_ns == (folder / "30K" / "transform.nxs").stat().st_mtime_ns
        assert len(watch.ready) == 2

    def test_removed_then_written_again(self, folder: Path, watch: Watch) -> None:
        (folder / "30K" / "transform.nxs").unlink()
        assert told(watch.settle()) == [("gone", "Test_30K.nxs")]
        assert list(watch.folder.status().gone) == [folder / "Test_30K.nxs"]
        put_wrapper(folder, "30K")
        put(folder, "50K", 50.0)
        assert {name for _, name in told(watch.settle())} == {"Test_50K.nxs"}
        assert list(watch.folder.status().gone) == [folder / "Test_30K.nxs"]
        put_target(folder, "30K", fill=2.0)
        (ready,) = [event for event in watch.settle() if event.kind != "seen"]
        assert (ready.kind, ready.same_data) == ("ready", False)
        assert watch.folder.status().gone == {}

    @pytest.mark.parametrize("what", ["Test_30K.nxs", "30K", "30K/transform.nxs"])
    def test_away_and_back(self, folder: Path, watch: Watch, tmp_path: Path, what: str) -> None:
        shutil.move(folder / what, tmp_path / "away")
        (gone,) = watch.settle()
        assert (gone.kind, gone.value, gone.path.name) == ("gone", 30.0, "Test_30K.nxs")
        shutil.move(tmp_path / "away", folder / what)
        (ready,) = [event for event in watch.settle() if event.kind != "seen"]
        assert (ready.kind, ready.value, ready.same_data) == ("ready", 30.0, True)

    def test_the_whole_folder_away_and_back(self, folder: Path, watch: Watch, tmp_path: Path) -> None:
        shutil.move(folder, tmp_path / "away")
        assert [kind for kind, _ in told(watch.settle())] == ["gone", "gone"]
        shutil.move(tmp_path / "away", folder)
        assert {event.same_data for event in watch.settle() if event.kind == "ready"} == {True}
        assert len(watch.ready) == 2

    def test_renamed_wrapper_brings_the_same_data(self, folder: Path, watch: Watch) -> None:
        (folder / "Test_30K.nxs").rename(folder / "Other_30K.nxs")
        events = [event for event in watch.settle() if event.kind != "seen"]
        assert told(events) == [("gone", "Test_30K.nxs"), ("ready", "Other_30K.nxs")]
        assert events[1].same_data

    def test_log_entries_in_the_wrapper(self, folder: Path, watch: Watch, opened: list[str]) -> None:
        with h5py.File(folder / "Test_30K.nxs", "r+") as file:
            file["entry/nxworkflow/nxpdf/program"] = "nxpdf"
        opened.clear()
        assert watch.settle() == []
        assert "Test_40K.nxs" not in opened
        assert len(watch.ready) == 2

    def test_combined_again(self, folder: Path, watch: Watch) -> None:
        put_wrapper(folder, "30K", end_time="2026-03-02T12:00:00")
        assert told(watch.settle()) == [("changed", "Test_30K.nxs")]

    def test_combining_again_is_not_ready(self, folder: Path, watch: Watch) -> None:
        put_wrapper(folder, "30K", end_time=None)
        assert told(watch.settle()) == [("seen", "Test_30K.nxs")]
        put_wrapper(folder, "30K")
        (ready,) = [event for event in watch.settle() if event.kind != "seen"]
        assert (ready.kind, ready.same_data) == ("ready", True)

    def test_another_value(self, folder: Path, watch: Watch) -> None:
        put_wrapper(folder, "30K", 31.0)
        events = watch.settle()
        assert [(event.kind, event.value) for event in events] == [("gone", 30.0), ("ready", 31.0)]
        assert watch.ready == {"Test_30K.nxs": 31.0, "Test_40K.nxs": 40.0}

    def test_another_target(self, folder: Path, watch: Watch) -> None:
        put_target(folder, "again")
        put_wrapper(folder, "30K", target="again/transform.nxs")
        (changed,) = [event for event in watch.settle() if event.kind != "seen"]
        assert changed.kind == "changed"
        assert changed.data is not None
        assert changed.data.file == folder / "again" / "transform.nxs"

    def test_ready_becomes_foreign(self, folder: Path, watch: Watch) -> None:
        path = folder / "notes.nxs"
        put_plain(folder, path.name, 50.0)
        watch.settle()
        with h5py.File(path, "w") as file:
            file["entry/log"] = "nothing"
        assert without_seen(watch.settle()) == [("gone", "notes.nxs")]
        assert len(watch.ready) == 2

    def test_known_from_an_earlier_session(self, folder: Path, watch: Watch) -> None:
        first = Watch(folder)
        signatures = {event.value: event.signature for event in first.settle() if event.kind == "ready"}
        kept = {value: Signature(**asdict(one)) for value, one in signatures.items() if one is not None}
        put_target(folder, "40K", fill=2.0)
        second = Watch(folder, known=kept)
        same = {event.value: event.same_data for event in second.settle() if event.kind == "ready"}
        assert same == {30.0: True, 40.0: False}


class TestDuplicate:
    def test_the_first_keeps_its_place(self, folder: Path, watch: Watch) -> None:
        put(folder, "30K", 30.0)
        watch.settle()
        put(folder, "30K_0", 30.0)
        duplicate = watch.settle()[-1]
        assert (duplicate.kind, duplicate.reason) == ("duplicate", "30 K is there already: Test_30K.nxs")
        assert list(watch.folder.status().duplicates) == [folder / "Test_30K_0.nxs"]
        put_target(folder, "30K", fill=3.0)
        assert without_seen(watch.settle()) == [("changed", "Test_30K.nxs")]

    def test_the_other_takes_over(self, folder: Path, watch: Watch) -> None:
        put(folder, "30K", 30.0)
        watch.settle()
        put(folder, "30K_0", 30.0)
        watch.settle()
        away = folder / "30K" / "transform.nxs"
        away.rename(folder / "away")
        assert told(watch.look()) == [("gone", "Test_30K.nxs"), ("ready", "Test_30K_0.nxs")]
        (folder / "away").rename(away)
        assert told(watch.settle()) == [("duplicate", "Test_30K.nxs")]
        assert watch.ready == {"Test_30K_0.nxs": 30.0}

    def test_the_other_takes_over_from_a_broken_one(self, folder: Path, watch: Watch) -> None:
        put(folder, "30K", 30.0)
        watch.settle()
        put(folder, "30K_0", 30.0)
        watch.settle()
        cut_short(folder / "30K" / "transform.nxs")
        assert without_seen(watch.settle()) == [("bad", "Test_30K.nxs"), ("ready", "Test_30K_0.nxs")]

    def test_one_that_changes_to_a_value_already_there(self, folder: Path, watch: Watch) -> None:
        put(folder, "30K", 30.0)
        watch.settle()
        put(folder, "40K", 40.0)
        watch.settle()
        put_wrapper(folder, "30K", 40.0)
        assert told(watch.settle()) == [("gone", "Test_30K.nxs"), ("duplicate", "Test_30K.nxs")]
        assert watch.ready == {"Test_40K.nxs": 40.0}

    def test_of_two_at_once_the_one_written_first(self, folder: Path, watch: Watch) -> None:
        put(folder, "b", 30.0)
        put(folder, "a", 30.0)
        os.utime(folder / "b" / "transform.nxs", (1e9, 1e9))
        watch.settle()
        assert watch.ready == {"Test_b.nxs": 30.0}


class TestBad:
    """What cannot be used says why, and is tried again when it changes."""

    @pytest.fixture(autouse=True)
    def _others(self, folder: Path, watch: Watch) -> None:
        put(folder, "40K", 40.0)
        put(folder, "50K", 50.0)
        watch.settle()

    def cut_target(self, folder: Path) -> str:
        cut_short(folder / "30K" / "transform.nxs")
        return "cannot open this HDF5 file"

    def cut_wrapper(self, folder: Path) -> str:
        cut_short(folder / "Test_30K.nxs")
        return "cannot open this HDF5 file"

    def empty(self, folder: Path) -> str:
        (folder / "Test_30K.nxs").write_bytes(b"")
        return "this is not an HDF5 file"

    def not_hdf5(self, folder: Path) -> str:
        (folder / "Test_30K.nxs").write_text("still to come")
        return "this is not an HDF5 file"

    def folder_for_wrapper(self, folder: Path) -> str:
        (folder / "Test_30K.nxs").unlink()
        (folder / "Test_30K.nxs").mkdir()
        return "not a file"

    def folder_for_target(self, folder: Path) -> str:
        (folder / "30K" / "transform.nxs").unlink()
        (folder / "30K" / "transform.nxs").mkdir()
        return "the link points to what is not a file"

    def fifo(self, folder: Path) -> str:
        (folder / "Test_30K.nxs").unlink()
        os.mkfifo(folder / "Test_30K.nxs")
        return "not a file"

    def shape(self, folder: Path) -> str:
        put(folder, "30K", 30.0, shape=(2, 3, 5))
        return "shape (2, 3, 5) where the others have (2, 3, 4)"

    def axes(self, folder: Path) -> str:
        with h5py.File(folder / "Test_30K.nxs", "r+") as file:
            file["entry/transform/Qh"][...] += 0.05
        return "the axes differ from those of Test_40K.nxs"

    def axis_back_and_forth(self, folder: Path) -> str:
        with h5py.File(folder / "Test_30K.nxs", "r+") as file:
            file["entry/transform/Qh"][...] = [0, 1, 0, 1]
        return "Qh does not rise or fall steadily"

    def nan(self, folder: Path) -> str:
        put_wrapper(folder, "30K", np.nan)
        return "the scan value is not finite"

    def whole_series(self, folder: Path) -> str:
        put_plain(folder, "Test_30K.nxs", shape=(2, 2, 3, 4))
        return "this file is a whole series (4 dimensions), not one temperature"

    def no_voxels(self, folder: Path) -> str:
        put_plain(folder, "Test_30K.nxs", shape=(2, 0, 4))
        return "the signal has no voxels"

    @pytest.mark.parametrize(
        "spoil",
        [
            "cut_target",
            "cut_wrapper",
            "empty",
            "not_hdf5",
            "folder_for_wrapper",
            "folder_for_target",
            "fifo",
            "shape",
            "axes",
            "axis_back_and_forth",
            "nan",
            "whole_series",
            "no_voxels",
        ],
    )
    @pytest.mark.parametrize("was_ready", [False, True])
    def test_spoilt_then_mended(self, folder: Path, watch: Watch, spoil: str, was_ready: bool) -> None:
        put(folder, "30K", 30.0)
        if was_ready:
            watch.settle()
        reason = getattr(self, spoil)(folder)
        assert watch.settle()[-1].kind == "bad"
        assert watch.folder.status().bad[folder / "Test_30K.nxs"].startswith(reason)
        assert watch.ready == {"Test_40K.nxs": 40.0, "Test_50K.nxs": 50.0}
        for path in (folder / "Test_30K.nxs", folder / "30K" / "transform.nxs"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        put(folder, "30K", 30.0)
        assert told(watch.settle())[-1] == ("ready", "Test_30K.nxs")

    @pytest.mark.parametrize("name", ["Test_30K.nxs", "30K/transform.nxs"])
    def test_parts_of_a_file(self, folder: Path, watch: Watch, name: str) -> None:
        """Cut anywhere, or with pages still empty, as a transfer out of order leaves it."""
        put(folder, "30K", 30.0)
        path = folder / name
        whole = path.read_bytes()
        page = 4096
        parts = [whole[:size] for size in np.linspace(0, len(whole) - 1, 20).astype(int)]
        parts += [whole[:start] + bytes(page) + whole[start + page :] for start in range(0, len(whole), page)]
        for part in parts:
            path.write_bytes(part)
            watch.settle()
            assert len(watch.ready) >= 2
        path.write_bytes(whole)
        watch.settle()
        assert len(watch.ready) == 3

    def test_mended_in_place_with_its_old_time(self, folder: Path, watch: Watch) -> None:
        path = put_plain(folder, "Test_30K.nxs")
        whole, times = path.read_bytes(), path.stat()
        for content, kind in ((b"#" * len(whole), "bad"), (whole, "ready")):
            path.write_bytes(content)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
            assert without_seen(watch.settle()) == [(kind, "Test_30K.nxs")]


class TestGrid:
    def test_the_grid_of_most_files_wins(self, folder: Path, watch: Watch) -> None:
        put(folder, "10K", 10.0, shape=(2, 2, 2))
        watch.settle()
        assert watch.ready == {"Test_10K.nxs": 10.0}
        put(folder, "20K", 20.0)
        watch.settle()
        assert watch.ready == {"Test_10K.nxs": 10.0}
        assert list(watch.folder.status().bad) == [folder / "Test_20K.nxs"]
        put(folder, "30K", 30.0)
        events = without_seen(watch.settle())
        assert events == [("bad", "Test_10K.nxs"), ("ready", "Test_20K.nxs"), ("ready", "Test_30K.nxs")]

    def test_of_two_grids_the_one_in_use_stays(self, folder: Path, watch: Watch) -> None:
        put(folder, "10K", 10.0, shape=(2, 2, 2))
        watch.settle()
        for scan, value in (("20K", 20.0), ("30K", 30.0)):
            put(folder, scan, value)
        watch.settle()
        (folder / "Test_30K.nxs").unlink()
        assert without_seen(watch.settle()) == [("gone", "Test_30K.nxs")]
        assert watch.ready == {"Test_20K.nxs": 20.0}

    def test_a_new_grid_after_all_have_gone(self, folder: Path, watch: Watch) -> None:
        put(folder, "10K", 10.0, shape=(2, 2, 2))
        watch.settle()
        (folder / "Test_10K.nxs").unlink()
        put(folder, "20K", 20.0)
        assert without_seen(watch.settle()) == [("gone", "Test_10K.nxs"), ("ready", "Test_20K.nxs")]


class TestSystemErrors:
    @pytest.fixture(autouse=True)
    def _ready(self, folder: Path, watch: Watch) -> None:
        put(folder, "30K", 30.0)
        watch.settle()

    def failing(
        self, monkeypatch: pytest.MonkeyPatch, owner: object, name: str, part: str, error: OSError
    ) -> Callable[[], None]:
        """Let a call fail for files whose path has `part` in it, until the answer is called."""
        whole = getattr(owner, name)

        def fail(path: object, *args: object, **options: object) -> object:
            if str(path).endswith(part):
                raise error
            return whole(path, *args, **options)

        monkeypatch.setattr(owner, name, fail)
        return lambda: monkeypatch.setattr(owner, name, whole)

    def test_the_folder_cannot_be_listed(
        self, folder: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        error = OSError(116, "Stale file handle")
        mend = self.failing(monkeypatch, os, "scandir", folder.name, error)
        (event,) = watch.settle()
        assert (event.kind, event.path) == ("seen", folder)
        assert watch.folder.status().problem == "cannot be listed: Stale file handle"
        assert watch.ready == {"Test_30K.nxs": 30.0}
        mend()
        assert watch.settle() == []
        assert watch.folder.status().problem == ""

    @pytest.mark.parametrize("part", ["Test_30K.nxs", "30K/transform.nxs"])
    def test_what_is_ready_stays_while_there_is_no_answer(
        self, watch: Watch, monkeypatch: pytest.MonkeyPatch, part: str
    ) -> None:
        self.failing(monkeypatch, Path, "stat", part, OSError(5, "Input/output error"))
        assert watch.settle() == []
        assert watch.ready == {"Test_30K.nxs": 30.0}

    @pytest.mark.parametrize(
        "error", [OSError(5, "Input/output error"), PermissionError(13, "Permission denied")]
    )
    @pytest.mark.parametrize(("owner", "name"), [(Path, "stat"), (h5py, "File")])
    def test_tried_again_by_itself(
        self,
        folder: Path,
        watch: Watch,
        monkeypatch: pytest.MonkeyPatch,
        error: OSError,
        owner: object,
        name: str,
    ) -> None:
        wrapper = put(folder, "40K", 40.0)
        mend = self.failing(monkeypatch, owner, name, "Test_40K.nxs", error)
        watch.settle()
        assert list(watch.folder.status().pending) == [wrapper]
        mend()
        assert told(watch.settle())[-1] == ("ready", "Test_40K.nxs")

    def test_gone_between_listing_and_looking(self, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
        mend = self.failing(monkeypatch, Path, "stat", "Test_30K.nxs", FileNotFoundError(2, "gone"))
        assert told(watch.settle()) == [("gone", "Test_30K.nxs")]
        mend()
        (ready,) = watch.settle()
        assert (ready.kind, ready.same_data) == ("ready", True)

    def test_changed_while_it_is_opened(
        self, folder: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        wrapper = put(folder, "40K", 40.0)
        watch.look()
        watch.look()
        whole = h5py.File
        times = iter(range(1, 3))

        def touch(path: object, *args: object, **options: object) -> h5py.File:
            if str(path).endswith("40K/transform.nxs") and (number := next(times, None)):
                os.utime(str(path), (number, number))
            return whole(path, *args, **options)

        monkeypatch.setattr(h5py, "File", touch)
        watch.look()
        watch.look()
        assert watch.folder.status().pending == {wrapper: "not at rest yet"}
        assert told(watch.settle()) == [("ready", "Test_40K.nxs")]


class TestOthers:
    def test_strangers_parents_locks_and_hidden_files(
        self, folder: Path, watch: Watch, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO", logger="xtec")
        put(folder, "30K", 30.0)
        put_plain(folder, "Test_scans.nxs")
        put_plain(folder, ".Test_40K.nxs")
        (folder / "readme.txt").write_text("notes")
        with h5py.File(folder / "settings.nxs", "w") as file:
            file["entry/title"] = "settings"
        watch.settle()
        watch.settle()
        status = watch.folder.status()
        assert watch.ready == {"Test_30K.nxs": 30.0}
        assert not any((status.pending, status.bad, status.gone, status.duplicates))
        assert [message for message in caplog.messages if "settings.nxs" in message] == [
            f"{folder / 'settings.nxs'} holds no temperature of the series; passed over"
        ]

    def test_pattern(self, folder: Path) -> None:
        for value in (10, 20):
            put_plain(folder / str(value), "run_hkli.nxs", float(value))
            put_plain(folder / str(value), "other.nxs", float(value))
        watch = Watch(folder, pattern="*/*hkli.nxs")
        watch.settle()
        assert [path.parent.name for path in watch.folder.paths()] == ["10", "20"]

    def test_pattern_that_also_matches_folders(self, folder: Path) -> None:
        put(folder, "30K", 30.0)
        watch = Watch(folder, pattern="*")
        watch.settle()
        assert watch.ready == {"Test_30K.nxs": 30.0}
        assert not watch.folder.status().bad

    @pytest.mark.parametrize("pattern", ["", "/etc/*", "**x"])
    def test_pattern_that_is_none(self, folder: Path, pattern: str) -> None:
        with pytest.raises(ConfigError):
            WatchedFolder(folder, pattern)

    def test_dangling_symbolic_link(self, folder: Path, watch: Watch) -> None:
        folder.mkdir()
        (folder / "Test_30K.nxs").symlink_to(folder / "later.nxs")
        assert [event.kind for event in watch.settle()] == ["seen"]
        put_plain(folder, "later.nxs")
        watch.settle()
        assert len(watch.ready) == 1

    def test_links_over_several_files(self, folder: Path, watch: Watch) -> None:
        put_wrapper(folder, "30K")
        data = put_target(folder, "data")
        (folder / "30K").mkdir()
        with h5py.File(folder / "30K" / "transform.nxs", "w") as file:
            file["entry/data/v"] = h5py.ExternalLink("../data/transform.nxs", "/entry/data/v")
        assert told(watch.settle())[-1] == ("ready", "Test_30K.nxs")
        data.unlink()
        assert told(watch.settle()) == [("gone", "Test_30K.nxs")]
        put_target(folder, "data", fill=2.0)
        assert told(watch.settle())[-1] == ("ready", "Test_30K.nxs")
