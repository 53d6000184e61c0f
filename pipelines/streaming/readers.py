"""One open reader a process for the series that is being read."""

from __future__ import annotations

import threading
from typing import Any

from xtec.io import Series
from xtec.io.reading.reader import SeriesReader

_lock = threading.Lock()
_open: dict[Any, SeriesReader] = {}


def shared_reader(series: Series) -> SeriesReader:
    """The reader of a series, opened when it is first asked for in this process."""
    key = (series.source, series.rows, series.origin, series.shape)
    with _lock:
        if key not in _open:
            _close()
            _open[key] = series.reader().__enter__()
        return _open[key]


def close_readers() -> None:
    """Let go of the files."""
    with _lock:
        _close()


def _close() -> None:
    for reader in _open.values():
        reader.close()
    _open.clear()
