"""New HDF5 files: every single write may fail, and a signal may come at any time."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from xtec.core.errors import OutputError
from xtec.io.hdf5 import output
from xtec.io.hdf5.output import check_room, new_hdf5


def fill(file: h5py.File) -> None:
    """Groups, attributes, texts, and data in pieces, with and without compression."""
    rng = np.random.default_rng(0)
    for number in range(6):
        group = file.create_group(f"entry{number}")
        group.attrs["NX_class"] = "NXdata"
        group["text"] = "a text " * 300
        group["whole"] = rng.standard_normal(5000)
        data = group.create_dataset("pieces", (20, 30, 40), np.int16, chunks=(7, 30, 40), compression="gzip")
        for start in range(0, 20, 4):
            data[start : start + 4] = rng.integers(0, 9, data[start : start + 4].shape)


def content(path: Path) -> dict[str, Any]:
    found = {}
    with h5py.File(path, "r") as file:
        file.visititems(
            lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
        )
    return found


def test_what_is_written_is_what_hdf5_writes_by_itself(tmp_path: Path) -> None:
    with new_hdf5(tmp_path / "ours.nxs") as file:
        assert file.filename == "ours.nxs"
        fill(file)
    with h5py.File(tmp_path / "theirs.nxs", "w") as file:
        fill(file)
    ours, theirs = content(tmp_path / "ours.nxs"), content(tmp_path / "theirs.nxs")
    assert ours.keys() == theirs.keys()
    for name, values in theirs.items():
        np.testing.assert_array_equal(ours[name], values)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ours.nxs", "theirs.nxs"]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], list[int]]:
    """From the n-th write on the disk is full; how many there were is counted."""

    def fail_from(n: float) -> list[int]:
        written = [0]

        def pwrite(number: int, data: memoryview, place: int) -> int:
            written[0] += 1
            if written[0] >= n:
                raise OSError(errno.ENOSPC, "No space left on device")
            return _pwrite(number, data, place)

        monkeypatch.setattr(output.os, "pwrite", pwrite)
        return written

    _pwrite = os.pwrite
    return fail_from


def test_whichever_write_fails_the_earlier_file_stays_and_nothing_is_left_open(
    tmp_path: Path, failing: Callable[[float], list[int]]
) -> None:
    path = tmp_path / "results.nxs"
    with new_hdf5(path) as file:
        file["earlier"] = 1
    before = path.read_bytes()
    written = failing(np.inf)
    with new_hdf5(tmp_path / "whole.nxs") as file:
        fill(file)
    (tmp_path / "whole.nxs").unlink()
    assert written[0] > 30
    descriptors = len(os.listdir("/proc/self/fd"))
    for n in range(1, written[0] + 1):
        failing(n)
        with pytest.raises(OutputError, match="No space left on device"), new_hdf5(path) as file:
            fill(file)
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert h5py.h5f.get_obj_count(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_FILE) == 0


def test_a_disk_that_takes_only_part_of_a_write_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pwrite = os.pwrite
    monkeypatch.setattr(output.os, "pwrite", lambda number, data, at: pwrite(number, data[:1000], at))
    with new_hdf5(tmp_path / "a.nxs") as file:
        fill(file)
    monkeypatch.undo()
    with h5py.File(tmp_path / "b.nxs", "w") as file:
        fill(file)
    np.testing.assert_equal(content(tmp_path / "a.nxs"), content(tmp_path / "b.nxs"))


def test_long_writing_ends_at_once_on_a_full_disk(
    tmp_path: Path, failing: Callable[[float], list[int]]
) -> None:
    failing(1)
    blocks = []

    def write_long() -> None:
        with new_hdf5(tmp_path / "long.nxs") as file:
            data = file.create_dataset("data", (1000, 5000), np.float32, chunks=(1, 5000))
            for number in range(1000):
                data[number] = 1.0
                check_room(data)
                blocks.append(number)

    with pytest.raises(OutputError, match="No space"):
        write_long()
    assert len(blocks) < 900  # HDF5 holds chunks back before it writes the first


@pytest.mark.parametrize("in_between", [False, True])
def test_a_signal_waits_for_the_end_or_for_the_next_block(tmp_path: Path, in_between: bool) -> None:
    before, reached = signal.getsignal(signal.SIGINT), []

    def write() -> None:
        with new_hdf5(tmp_path / "a.nxs") as file:
            signal.raise_signal(signal.SIGINT)
            reached.append("the next statement")
            if in_between:
                check_room(file)
            reached.append("the end")

    with pytest.raises(KeyboardInterrupt):
        write()
    assert reached == ["the next statement", "the end"][: 2 - in_between]
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(signal.SIGINT) is before
