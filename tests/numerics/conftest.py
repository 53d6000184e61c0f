"""A series through `xtec cluster` and `xtec order-parameter`, and what must hold of what they leave."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

ABSENT = {
    "entry/threshold/cutoff": "no cutoff was asked for",
    "entry/threshold/background_*": "no background was told",
    "entry/noise/cutoff": "nothing varies significantly",
    "entry/peaks/spread": "the peak has no intensity there",
    "entry/peak_shapes/*": "the peak does not stand out there",
    "entry/selection/*": "there is no such number for this number of clusters",
    "entry/transitions/*_low": "the scan does not bound it",
    "entry/transitions/*_high": "the scan does not bound it",
    "entry/transitions/beta": "a jump has none",
    "entry/transitions/width": "the onset is not smeared",
    "entry/transitions/tail": "no fluctuations are seen",
}
"""Numbers of a results file that need not be finite, and what it means that they are not."""


@dataclass(frozen=True)
class Told:
    """What a command told, and left behind."""

    code: int
    message: str
    folder: Path
    summary: dict[str, Any]

    @property
    def warnings(self) -> str:
        return "\n".join(self.summary["status"]["warnings"])

    @property
    def sizes(self) -> list[int]:
        """Voxels of each cluster."""
        return [cluster["voxels"] for cluster in self.summary["clusters"]]

    @property
    def tc(self) -> list[float]:
        return [one["tc"]["value"] for one in self.summary["order_parameters"]]

    @property
    def map(self) -> np.ndarray:
        with h5py.File(self.folder / "results.nxs") as file:
            return np.asarray(file["entry/cluster_map/cluster_map"])


def require_finite(path: Path, summary: dict[str, Any]) -> None:
    """No number is NaN or infinite but those that are absent; an empty cluster has no curve."""
    empty = {f"cluster_{c['number']}" for c in summary["clusters"] if c["voxels"] == 0}

    def check(name: str, field: Any) -> None:
        if not isinstance(field, h5py.Dataset) or field.dtype.kind != "f" or np.isfinite(field[()]).all():
            return
        curve = name.rpartition("/")[2].removesuffix("_errors")
        assert curve in empty or any(fnmatch(name, pattern) for pattern in ABSENT), f"{name}: {field[()]}"

    with h5py.File(path) as file:
        file.visititems(check)


def strict_json(path: Path) -> dict[str, Any]:
    """A summary; NaN and Infinity are no JSON."""

    def refuse(text: str) -> None:
        raise AssertionError(f"{text} in {path.name}")

    return dict(json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse))


@pytest.fixture
def cluster(
    tmp_path: Path, write_series: Callable[..., Path], run_cli: Callable[..., Any]
) -> Callable[..., Told]:
    """Cluster intensities (T, ...): ``cluster(data, "-k", 2, axes=None, order=False)``.

    Whatever comes of it: exit codes are those of the design, no warning of NumPy gets through (they are
    errors in tests), a refused run leaves no results, and results hold numbers.
    """

    def run(
        data: np.ndarray, *options: object, axes: Any = None, order: bool = False, name: str = "run"
    ) -> Told:
        path, folder = write_series(data, axes, name=f"{name}-in/series.nxs"), tmp_path / name
        work = ("--no-figures", "--workers", 2, "--memory-limit", "1GiB")
        told = run_cli("cluster", path, "-o", folder, *work, *options)
        assert told.code in (0, 2, 3, 4), told.stderr
        if told.code:
            assert told.stderr.strip().splitlines()[-1]
            assert not (folder / "results.nxs").exists()
            return Told(told.code, told.stderr, folder, {})
        summary = strict_json(folder / "summary.json")
        require_finite(folder / "results.nxs", summary)
        if order:
            found = run_cli("order-parameter", folder, "--no-figures")
            assert found.code == 0, found.stderr
            summary = strict_json(folder / "summary.json")
            require_finite(folder / "order_parameter.nxs", summary)
        return Told(0, told.stderr, folder, summary)

    return run
