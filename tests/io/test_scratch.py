"""Records in memory and in files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from xtec.io.disk import scratch
from xtec.io.disk.scratch import Scratch, load_record, open_record, save_record


@dataclass(frozen=True)
class Measured:
    number: int
    index: np.ndarray
    rows: np.ndarray
    floor: float

    @property
    def size(self) -> int:
        return self.index.size


@pytest.fixture
def record() -> Measured:
    rows = np.arange(12, dtype=np.float32).reshape(4, 3).T
    return Measured(7, np.arange(5), rows, -np.inf)


@pytest.mark.parametrize("load", [load_record, open_record])
def test_what_is_read_is_what_was_written(tmp_path: Path, record: Measured, load: object) -> None:
    save_record(tmp_path / "record.npy", record)
    again = load(tmp_path / "record.npy", Measured)
    assert isinstance(again, Measured)
    assert (again.floor, again.number, again.size) == (-np.inf, 7, 5)
    for name in ("rows", "index"):
        value, expected = getattr(again, name), getattr(record, name)
        np.testing.assert_array_equal(value, expected)
        assert (value.dtype, value.strides) == (expected.dtype, expected.strides)


def test_only_what_is_asked_for_is_read(
    tmp_path: Path, record: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []

    def load(*arguments: object, **options: object) -> np.ndarray:
        read.append(arguments)
        return original(*arguments, **options)

    original = np.fromfile
    monkeypatch.setattr(scratch.np, "fromfile", load)
    save_record(tmp_path / "record.npy", record)
    opened = open_record(tmp_path / "record.npy", Measured)
    assert len(read) == 0
    assert opened.rows.sum() == opened.rows.sum() == 66
    assert len(read) == 1
    with pytest.raises(AttributeError):
        _ = opened.nothing


def test_a_store_gives_back_what_it_took_from_either_place(tmp_path: Path, record: Measured) -> None:
    store = Scratch(tmp_path / "scratch", budget=100)
    first, second = store.put(record), store.put(record)
    assert store.in_memory == store.written == 88
    for handle in (first, second):
        np.testing.assert_array_equal(store.get(handle).rows, record.rows)
        store.drop(handle)
    assert store.in_memory == 0
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_file_cut_short_is_an_error(tmp_path: Path, record: Measured) -> None:
    path = tmp_path / "record.npy"
    save_record(path, record)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises((EOFError, ValueError)):
        scratch.load_record(path, Measured)
