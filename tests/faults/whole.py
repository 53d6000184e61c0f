"""Whether everything in a folder is whole: each file is read to its end by what it is made for."""

from __future__ import annotations

import csv
import json
import tomllib
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

import h5py
import numpy as np
from PIL import Image
from sklearn.metrics import adjusted_rand_score

from .nursery import Ended


def check_whole(folder: Path, *, killed: bool = False) -> None:
    """Read every file; temporary ones and locks may be there only after a kill."""
    for path in sorted(folder.rglob("*")) if folder.exists() else ():
        inside = path.relative_to(folder).parts
        if path.is_dir() or ".progress" in inside or ".watch" in inside:
            continue
        if path.name.startswith("."):
            assert killed, f"{path} was left behind"
            continue
        _check_file(path)
    if (folder / "summary.json").exists():
        assert (folder / "results.nxs").exists()


def _check_file(path: Path) -> None:
    if path.suffix in (".nxs", ".h5"):
        with h5py.File(path, "r") as file:
            file.visititems(lambda _, item: item[()] is None if isinstance(item, h5py.Dataset) else None)
    elif path.suffix == ".json":
        json.loads(path.read_text(encoding="utf-8"))
    elif path.suffix == ".toml":
        tomllib.loads(path.read_text(encoding="utf-8"))
    elif path.suffix == ".csv":
        text = path.read_text(encoding="utf-8")
        assert text.endswith("\n")
        rows = [row for row in csv.reader(text.splitlines()) if not row[0].startswith("#")]
        assert len({len(row) for row in rows}) == 1, path
    elif path.suffix == ".png":
        with Image.open(path) as image:
            image.load()
    elif path.suffix == ".html":
        assert path.read_text(encoding="utf-8").rstrip().endswith("</html>"), path
    elif path.suffix == ".npz":
        with np.load(path) as stored:
            dict(stored)


def check_clear(ended: Ended, *codes: int) -> None:
    """A message without a traceback, and one of these exit codes (or none wrong)."""
    assert ended.code in (0, *codes), ended
    for text in ("Traceback", "this is a bug"):
        assert text not in ended.stderr, ended.stderr
    if ended.code > 0:
        assert "error: " in ended.stderr or "interrupted" in ended.stderr, ended


def hashes(paths: Iterable[Path]) -> dict[Path, str]:
    """What tells whether inputs are as they were."""
    return {path: sha256(path.read_bytes()).hexdigest() for path in paths}


def check_same_clusters(run: Path, batch: Path) -> None:
    """The voxels and clusters of a batch run; those of a watch may have other numbers."""
    (index, label), (expected_index, expected) = labels(run), labels(batch)
    assert index == expected_index
    assert adjusted_rand_score(np.frombuffer(label, np.int16), np.frombuffer(expected, np.int16)) > 0.999


def labels(run: Path) -> tuple[bytes, bytes]:
    """Voxels of a run, and their clusters."""
    with h5py.File(run / "results.nxs", "r") as file:
        voxels = file["entry/voxels"]
        return voxels["index"][()].tobytes(), voxels["label"][()].tobytes()
