"""Where results came from: the inputs as they were, and what computed them."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import h5py

from xtec.core.errors import SeriesNotFoundError
from xtec.io.hdf5.opening import DatasetRef, open_hdf5, read_text
from xtec.io.reading.series import Series

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


@dataclass(frozen=True)
class Process:
    """What a results file says of how it was made.

    Attributes
    ----------
    version, date : str
    parameters, environment, timings : mapping
    inputs : list of mapping
        One for each dataset that was read.
    """

    version: str
    date: str
    parameters: Mapping[str, Any]
    environment: Mapping[str, Any]
    timings: Mapping[str, Any]
    inputs: Sequence[Mapping[str, Any]]


def read_process(path: Path) -> Process:
    """Read back what `xtec.io.write_results` wrote of how results were made."""
    with open_hdf5(path) as file:
        group = file["entry/process"]
        inputs = {name: column[()] for name, column in group["inputs"].items()}
        rows = zip(*inputs.values(), strict=True)
        return Process(
            version=_plain(group["version"][()]),
            date=_plain(group["date"][()]),
            parameters=_fields(group["parameters"]),
            environment=_fields(group["environment"]),
            timings=_fields(group["timings"]),
            inputs=[dict(zip(inputs, map(_plain, row), strict=True)) for row in rows],
        )


def _fields(group: h5py.Group) -> dict[str, Any]:
    return {name: _plain(field[()]) for name, field in group.items()}


def _plain(value: Any) -> Any:
    return read_text(value) if isinstance(value, bytes | str) else value.item()


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
