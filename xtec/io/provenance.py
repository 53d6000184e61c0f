"""Where results came from: the inputs as they were, and what computed them."""

from __future__ import annotations

import hashlib
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from xtec.core.errors import SeriesNotFoundError
from xtec.io.hdf5 import DatasetRef
from xtec.io.series import Series

DISTRIBUTION = "xtec-pipeline"
_RECORDED = ("numpy", "scipy", "h5py", "hdf5plugin")


def program_version() -> str:
    """Version of this distribution."""
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "0+unknown"


def environment() -> dict[str, str]:
    """Versions of what computes."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{name: version(name) for name in _RECORDED},
    }


def describe_inputs(series: Series) -> list[dict[str, Any]]:
    """Size, time of change and checksum of structure of each dataset of a series.

    Raises
    ------
    SeriesNotFoundError
        If a file has gone.
    """
    refs = {(ref.file, ref.path): ref for ref in (series.source.refs[row] for row in _rows(series))}
    return [_describe(ref) for ref in refs.values()]


def _rows(series: Series) -> tuple[int, ...]:
    return series.rows if len(series.source.refs) > 1 else (0,)


def _describe(ref: DatasetRef) -> dict[str, Any]:
    try:
        status = Path(ref.file).stat()
    except OSError as error:
        raise SeriesNotFoundError(f"the file has gone ({error.strerror})", file=ref.file) from error
    structure = f"{ref.path}|{ref.shape}|{ref.dtype}|{ref.chunks}|{ref.filters}"
    return {
        "file": str(ref.file.resolve()),
        "path": ref.path,
        "size": status.st_size,
        "modified": datetime.fromtimestamp(status.st_mtime, UTC).isoformat(timespec="seconds"),
        "structure_sha256": hashlib.sha256(structure.encode()).hexdigest(),
    }
