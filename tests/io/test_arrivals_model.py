"""Random histories of a folder, against a model that knows what each file is."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from xtec.io.arriving.arrivals import Event, Signature, WatchedFolder

REST = 5.0
NAMES = st.sampled_from(("a", "b", "c", "d", "e"))
VALUES = st.sampled_from((10.0, 20.0, 30.0))
SHAPES = st.sampled_from(((2, 2, 2), (2, 2, 2), (2, 2, 5)))
Shape = tuple[int, int, int]


@dataclass
class Scan:
    """What the model knows of a scan."""

    value: float = 0.0
    shape: Shape = (0, 0, 0)
    stored_shape: Shape = (0, 0, 0)
    wrapper: bool = False
    ended: bool = True
    target: str = "none"

    @property
    def usable(self) -> bool:
        return self.wrapper and self.ended and self.target == "whole" and self.shape == self.stored_shape


class Arrivals(RuleBasedStateMachine):
    """Files are written, cut short, mended, locked, moved, copied and removed, with looks in between."""

    def __init__(self) -> None:
        super().__init__()
        self.top = Path(tempfile.mkdtemp())
        self.folder = self.top / "cubic"
        self.folder.mkdir()
        self.watched = WatchedFolder(self.folder, rest=REST)
        self.scans: dict[str, Scan] = {}
        self.now = 0.0
        self.written = 0
        self.reader: dict[Path, tuple[float, Signature]] = {}
        self.holders: dict[float, Path] = {}
        self.touched: set[Path] = set()

    def teardown(self) -> None:
        self.settle()
        shutil.rmtree(self.top)

    def wrapper(self, name: str) -> Path:
        return self.folder / f"Test_{name}.nxs"

    def target(self, name: str) -> Path:
        return self.folder / name / "transform.nxs"

    def scan(self, name: str) -> Scan:
        self.touched.add(self.wrapper(name))
        return self.scans.setdefault(name, Scan())

    def stamp(self, path: Path) -> None:
        """Times of files are coarser than this test is fast."""
        self.written += 1
        os.utime(path, ns=(0, 10**9 * self.written))

    @rule(name=NAMES, shape=SHAPES, anew=st.booleans())
    def write_target(self, name: str, shape: Shape, anew: bool) -> None:
        path = self.target(name)
        path.parent.mkdir(exist_ok=True)
        if anew:
            path.unlink(missing_ok=True)
        with h5py.File(path, "w") as file:
            file["entry/data/v"] = np.full(shape, self.written, np.float32)
        self.stamp(path)
        scan = self.scan(name)
        scan.target, scan.stored_shape = "whole", shape

    @rule(name=NAMES, value=VALUES, shape=SHAPES, ended=st.sampled_from((True, True, False)))
    def write_wrapper(self, name: str, value: float, shape: Shape, ended: bool) -> None:
        path = self.wrapper(name)
        with h5py.File(path, "w") as file:
            file["entry/sample/temperature"] = value
            data = file.create_group("entry/transform")
            data.attrs.update({"NX_class": "NXdata", "signal": "data"})
            data.attrs["axes"] = ["Ql", "Qk", "Qh"]
            for axis, size in zip(("Ql", "Qk", "Qh"), shape, strict=True):
                data[axis] = np.arange(size) / 10
            data["data"] = h5py.ExternalLink(f"{name}/transform.nxs", "/entry/data/v")
            file["entry/nxworkflow/nxcombine/start_time"] = "2026"
            if ended:
                file["entry/nxworkflow/nxcombine/end_time"] = "2026"
        self.stamp(path)
        scan = self.scan(name)
        scan.value, scan.shape, scan.wrapper, scan.ended = value, shape, True, ended

    @rule(name=NAMES, value=VALUES)
    def arrive(self, name: str, value: float) -> None:
        self.write_target(name, (2, 2, 2), True)
        self.write_wrapper(name, value, (2, 2, 2), True)

    @rule(name=NAMES, kept=st.floats(0, 0.9))
    def cut_short(self, name: str, kept: float) -> None:
        path = self.target(name)
        if path.exists():
            os.truncate(path, int(path.stat().st_size * kept))
            self.stamp(path)
            self.scan(name).target = "broken"

    @rule(name=NAMES)
    def remove_target(self, name: str) -> None:
        self.target(name).unlink(missing_ok=True)
        self.scan(name).target = "none"

    @rule(name=NAMES)
    def remove_wrapper(self, name: str) -> None:
        self.wrapper(name).unlink(missing_ok=True)
        self.scan(name).wrapper = False

    @rule(name=NAMES, other=NAMES)
    def copy_target(self, name: str, other: str) -> None:
        if name != other and self.target(name).exists():
            self.target(other).parent.mkdir(exist_ok=True)
            shutil.copy2(self.target(name), self.target(other))
            source, scan = self.scan(name), self.scan(other)
            scan.target, scan.stored_shape = source.target, source.stored_shape

    @rule(name=NAMES)
    def write_into_the_wrapper(self, name: str) -> None:
        if self.wrapper(name).exists():
            with h5py.File(self.wrapper(name), "r+") as file:
                file[f"entry/log_{self.written}"] = "a line"
            self.stamp(self.wrapper(name))

    @rule(name=NAMES, data=st.booleans())
    def lock(self, name: str, data: bool) -> None:
        path = self.target(name) if data else self.wrapper(name)
        path.parent.mkdir(exist_ok=True)
        path.with_name(f"{path.name}.lock").touch()

    @rule(seconds=st.sampled_from((0.0, 1.0, REST, 100.0, -1000.0)))
    def look(self, seconds: float) -> None:
        self.now += seconds
        for event in self.watched.look(self.now):
            self.follow(event)
        ready = self.watched.status().ready
        assert len(set(ready.values())) == len(ready)
        assert {path: self.reader[path][0] for path in ready} == ready

    def follow(self, event: Event) -> None:
        """What a reader of the events holds."""
        if event.kind in ("gone", "bad", "duplicate"):
            self.reader.pop(event.path, None)
        elif event.kind != "seen":
            assert (event.path in self.reader) or event.kind == "ready"
            assert event.value is not None
            assert event.signature is not None
            before = self.reader.get(event.path)
            assert not (before and event.same_data) or before == (event.value, event.signature)
            self.reader[event.path] = event.value, event.signature

    @rule()
    def settle(self) -> None:
        for lock in self.folder.rglob("*.lock"):
            lock.unlink()
        for _ in range(6):
            self.look(REST)
        self.compare()

    def compare(self) -> None:
        status = self.watched.status()
        usable = {self.wrapper(name): scan for name, scan in self.scans.items() if scan.usable}
        assert set(status.ready) <= set(usable)
        assert set(status.ready) <= set(self.reader)
        rewritten = {path: self.reader[path][0] for path in set(self.reader) - set(status.ready)}
        assert set(rewritten) <= set(status.pending)
        grids = {path: scan.shape for path, scan in usable.items()}
        on_grid = {path: scan for path, scan in usable.items() if path not in status.bad}
        if not rewritten:  # whose grids count
            assert len({grids[path] for path in on_grid}) == bool(usable)
            assert len(on_grid) == max(map([*grids.values()].count, grids.values()), default=0)
        assert {*status.ready.values(), *rewritten.values()} >= {scan.value for scan in on_grid.values()}
        assert not {*status.ready.values()} & {*rewritten.values()}
        assert all(value == usable[path].value for path, value in status.ready.items())
        assert set(status.duplicates) == set(on_grid) - set(status.ready)
        for path in status.ready:
            signature = self.reader[path][1]
            stored = Path(signature.file).stat()
            assert path.stem.removeprefix("Test_") == Path(signature.file).parent.name
            assert (signature.size, signature.mtime_ns, signature.inode) == (
                stored.st_size,
                stored.st_mtime_ns,
                stored.st_ino,
            )
        holders = {value: path for path, value in status.ready.items()}
        for value, path in self.holders.items():
            if path in on_grid and path not in self.touched:
                assert holders[value] == path
        self.holders, self.touched = holders, set()
        assert self.watched.look(self.now) == []


class TestArrivals(Arrivals.TestCase):  # type: ignore[misc, name-defined]
    settings = settings(max_examples=30, stateful_step_count=40, deadline=None)
