"""Compare two runs of the same series, of `--backend numpy` and `--backend cupy` for instance.

    python benchmarks/compare.py RUN_A RUN_B [--tie 1e-3] [--json]

Ends with 0 if both kept the same voxels and only voxels between two clusters have different labels, with 1
if not, and with 2 if the runs cannot be compared. Clusters may be numbered differently. A voxel counts as
between two clusters if neither run gives its cluster more than half; with three or more it may be nearer to
one.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score


class NotComparableError(ValueError):
    """These are not two runs of one series."""


@dataclass(frozen=True)
class Run:
    """What a run found.

    Attributes
    ----------
    shape : tuple of int
        Of the map of clusters.
    index, label, probability : array, shape (n,)
        Of the voxels kept: where, cluster (from 1), and probability of that cluster.
    weights, means : array, shapes (K,), (K, T)
    cutoff : float
        Of the threshold.
    backend : dict
        Backend and device, as far as the run says.
    """

    shape: tuple[int, ...]
    index: NDArray[np.int64]
    label: NDArray[np.int64]
    probability: NDArray[np.float64]
    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    cutoff: float
    backend: dict[str, str]


def read(folder: Path) -> Run:
    """Read a run folder, or its results file.

    Raises
    ------
    NotComparableError
        If there are no results, or not all of them.
    """
    path = folder / "results.nxs" if folder.is_dir() else folder
    try:
        with h5py.File(path, "r") as file:
            entry = file["entry"]
            return Run(
                tuple(entry["cluster_map/cluster_map"].shape),
                *(entry[f"voxels/{name}"][...].astype(np.int64) for name in ("index", "label")),
                entry["voxels/probability"][...].astype(np.float64),
                *(entry[f"mixture/{name}"][...].astype(np.float64) for name in ("weights", "means")),
                float(entry["threshold/cutoff"][()]),
                _backend(entry["process"]),
            )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise NotComparableError(f"{path}: {error}") from error


def _backend(process: h5py.Group) -> dict[str, str]:
    """Backend, why it was taken, device and versions."""
    return {name: item.asstr()[()] for name, item in process["backend"].items()}


def compare(a: Run, b: Run, tie: float) -> dict[str, Any]:
    """How two runs differ.

    Parameters
    ----------
    a, b : Run
    tie : float
        A probability up to 1/2 and this much more is taken for one between two clusters.

    Raises
    ------
    NotComparableError
        If their maps have different shapes.
    """
    if a.shape != b.shape:
        raise NotComparableError(
            f"maps of {a.shape} and of {b.shape} voxels: not the same region of a series"
        )
    _, in_a, in_b = np.intersect1d(a.index, b.index, assume_unique=True, return_indices=True)
    label, other = a.label[in_a], b.label[in_b]
    pairs = match(label, other)
    there = np.zeros(max(other.max(initial=0), max(pairs.values(), default=0)) + 1, np.int64)
    for mine, theirs in pairs.items():
        there[theirs] = mine
    differing = there[other] != label
    top = np.maximum(a.probability[in_a], b.probability[in_b])[differing]
    n_only = (len(a.index) - len(in_a), len(b.index) - len(in_b))
    n_not_tied = int(np.sum(~(top <= 0.5 + tie)))
    return {
        "backend": [a.backend, b.backend],
        "kept_in_both": len(in_a),
        "only_in_a": n_only[0],
        "only_in_b": n_only[1],
        "matched": [[mine, theirs] for mine, theirs in sorted(pairs.items())],
        "differing": int(differing.sum()),
        "differing_share": float(differing.mean()) if len(in_a) else 0.0,
        "largest_probability_among_differing": _largest(top) if len(top) else None,
        "differing_not_tied": n_not_tied,
        "adjusted_rand_index": float(adjusted_rand_score(label, other)) if len(in_a) else None,
        "largest_difference": _parameters(a, b, pairs),
        "same": not (any(n_only) or n_not_tied) and len(in_a) > 0,
    }


def match(label: NDArray[np.int64], other: NDArray[np.int64]) -> dict[int, int]:
    """Which cluster of one run is which of the other, so that most voxels agree."""
    (names, rows), (others, columns) = (np.unique(one, return_inverse=True) for one in (label, other))
    overlap = np.zeros((len(names), len(others)), np.int64)
    np.add.at(overlap, (rows, columns), 1)
    pairs = zip(*linear_sum_assignment(overlap, maximize=True), strict=True)
    return {int(names[row]): int(others[column]) for row, column in pairs if overlap[row, column]}


def _parameters(a: Run, b: Run, pairs: dict[int, int]) -> dict[str, float | None]:
    """Largest absolute differences between matched clusters, and of the cutoffs."""
    known = [
        (mine - 1, theirs - 1)
        for mine, theirs in pairs.items()
        if 1 <= mine <= len(a.weights) and 1 <= theirs <= len(b.weights)
    ]
    mine, theirs = np.array(known, dtype=np.intp).reshape(-1, 2).T
    alike = a.means.shape[1] == b.means.shape[1]
    return {
        "weights": _largest(a.weights[mine] - b.weights[theirs]),
        "means": _largest(a.means[mine] - b.means[theirs]) if alike else None,
        "cutoff": 0.0 if a.cutoff == b.cutoff else _largest(np.array([a.cutoff - b.cutoff])),
    }


def _largest(values: NDArray[np.float64]) -> float | None:
    """Largest absolute value; None where there is none, or one is not finite."""
    found = float(np.max(np.abs(values), initial=0.0))
    return found if math.isfinite(found) and values.size else None


def as_text(found: dict[str, Any]) -> str:
    """The comparison for people."""
    top, apart = found["largest_probability_among_differing"], found["largest_difference"]
    lines = [
        *(f"run {name}: {_listed(facts)}" for name, facts in zip("AB", found["backend"], strict=True)),
        f"voxels kept: {found['kept_in_both']} in both, "
        f"{found['only_in_a']} only in A, {found['only_in_b']} only in B",
        "clusters (A = B): "
        + (", ".join(f"{mine} = {theirs}" for mine, theirs in found["matched"]) or "none"),
        f"different labels: {found['differing']} voxels ({found['differing_share']:.3g} of those in both)",
        f"largest probability among them: {_number(top)}; "
        f"{found['differing_not_tied']} are not between two clusters",
        f"adjusted Rand index: {_number(found['adjusted_rand_index'])}",
        "largest differences: " + ", ".join(f"{name} {_number(value)}" for name, value in apart.items()),
        "the same" if found["same"] else "NOT the same",
    ]
    return "\n".join(lines)


def _listed(facts: dict[str, str]) -> str:
    return ", ".join(value if name == "name" else f"{name} {value}" for name, value in facts.items())


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.9g}"


def main(arguments: list[str] | None = None) -> int:
    """Compare and print; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs=2, type=Path, metavar="RUN", help="run folder or results.nxs")
    parser.add_argument("--tie", type=float, default=1e-3, help="above 1/2, still between clusters [1e-3]")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    try:
        found = compare(*(read(run) for run in options.runs), options.tie)
    except NotComparableError as error:
        print(f"compare: {error}", file=sys.stderr)
        return 2
    print(json.dumps(found, allow_nan=False) if options.json else as_text(found))
    return 0 if found["same"] else 1


if __name__ == "__main__":
    sys.exit(main())
