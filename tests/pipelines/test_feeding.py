"""Blocks that are read ahead: each is whole while it is worked on, and errors come where they belong."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from xtec.core.chunking import block_shape
from xtec.core.device import Device, Host, Other
from xtec.io import open_series
from xtec.io.reading.reader import SeriesReader
from xtec_pipelines.streaming.feeding import feed
from xtec_pipelines.streaming.readers import close_readers

STRICT = Other("array_api_strict", "device1")


@pytest.fixture
def series(write_series):  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(0)
    data = rng.random((5, 12, 8, 10)).astype(np.float32)
    yield open_series([write_series(data, chunks=(1, 3, 8, 10))]), data
    close_readers()


@pytest.mark.parametrize("device", [Host(), STRICT])
def test_every_block_is_whole_until_the_next_is_asked_for(series, device: Device) -> None:  # type: ignore[no-untyped-def]
    opened, data = series
    blocks = opened.blocks(5 * 3 * 8 * 10 * 4)
    assert len(blocks) == 4
    seen = []
    for block, volume in feed(opened, blocks, device):
        seen.append(block)
        assert volume.shape == (5, *block_shape(block))
        for _ in range(3):  # the next one is being read meanwhile
            np.testing.assert_array_equal(volume, data[(slice(None), *block)])
    assert seen == list(blocks)


def test_the_next_block_is_read_while_one_is_worked_on(series, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    opened, _ = series
    begun, read = [threading.Event() for _ in range(4)], SeriesReader.read
    count = iter(begun)

    def note(reader: SeriesReader, *given: object, **named: object) -> None:
        next(count).set()
        read(reader, *given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(SeriesReader, "read", note)
    for number, _ in enumerate(feed(opened, opened.blocks(5 * 3 * 8 * 10 * 4), STRICT)):
        assert begun[min(number + 1, 3)].wait(300)


def test_an_error_of_the_reader_is_that_of_its_block(series, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    opened, _ = series
    calls, read = [], SeriesReader.read

    def fail(reader: SeriesReader, *given: object, **named: object) -> None:
        calls.append(given)
        if len(calls) == 3:
            raise OSError("gone")
        read(reader, *given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(SeriesReader, "read", fail)
    coming = feed(opened, opened.blocks(5 * 3 * 8 * 10 * 4), STRICT)
    next(coming), next(coming)
    with pytest.raises(OSError, match="gone"):
        next(coming)


def test_work_that_fails_ends_the_reading(series, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    opened, _ = series
    before = threading.active_count()
    coming = feed(opened, opened.blocks(5 * 3 * 8 * 10 * 4), STRICT)
    next(coming)
    coming.close()
    assert threading.active_count() <= before
