"""A second pass: some clusters of an earlier run are clustered again, without the rest."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import xtec
from xtec.core.chunking import block_shape, flat_index
from xtec.core.errors import ConfigError, NothingToClusterError
from xtec.core.progress import Progress
from xtec.core.shards import Workers
from xtec.core.types import BackgroundThreshold, VoxelCounts
from xtec.io import Series, read_curves
from xtec.order_parameter import reasons_to_drop
from xtec.preprocess import MaskRules, VoxelSums, usable_voxels
from xtec_pipelines.config import ClusterConfig
from xtec_pipelines.streaming.holding import Kept
from xtec_pipelines.streaming.ingest import KeptTrajectories
from xtec_pipelines.streaming.plan import ShardPlan
from xtec_pipelines.streaming.readers import shared_reader

logger = logging.getLogger(__name__)

FIRST_PASS = "pass1"
"""Folder in the run folder for the first of two passes."""


@dataclass(frozen=True)
class Parent:
    """What is taken over from an earlier run.

    Attributes
    ----------
    index : array, shape (n,), int64
        Voxels of the clusters kept, by rising flat index.
    counts : VoxelCounts
        Of that run, with n of them kept.
    lineage : list of dict
        The runs this one descends from, oldest first: folder, number of clusters, those kept, voxels, and
        what those left out look like.
    """

    index: NDArray[np.int64]
    counts: VoxelCounts
    lineage: list[dict[str, Any]]


def load_parent(config: ClusterConfig, series: Series) -> Parent:
    """Read which voxels an earlier run had in the clusters to keep.

    Raises
    ------
    ConfigError
        If it has no such clusters, or another grid than the series.
    NothingToClusterError
        If the clusters are empty.
    """
    folder = Path(config.from_run or "")
    tree = xtec.open_run(folder)
    _require_same_grid(tree, series, folder)
    label = tree["voxels/label"].to_numpy()
    n_clusters = len(tree["mixture/weights"])
    kept = _numbers(config, n_clusters, folder)
    index = tree["voxels/index"].to_numpy()[np.isin(label, kept)]
    if index.size == 0:
        raise NothingToClusterError(f"clusters {_listed(kept)} of this run are empty", file=folder)
    found = tree["threshold"].attrs
    total, empty, nan, nonpositive = (
        int(found[name]) for name in ("n_total", "n_empty", "n_nan", "n_nonpositive")
    )
    counts = VoxelCounts(total, empty, nan, nonpositive, index.size)
    reasons = reasons_to_drop(read_curves(folder))
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    own = {
        "run": str(folder.resolve()),
        "n_clusters": n_clusters,
        "kept": list(kept),
        "voxels": int(index.size),
        "left_out": [
            {"cluster": number, "looks_like": reasons.get(number, "neither noise nor thermal diffuse")}
            for number in range(1, n_clusters + 1)
            if number not in kept
        ],
    }
    return Parent(index, counts, [*summary.get("lineage", []), own])


def take(
    series: Series,
    parent: Parent,
    rules: MaskRules,
    workers: Workers,
    plans: Sequence[ShardPlan],
    progress: Progress,
) -> KeptTrajectories:
    """Read the trajectories of a parent's voxels; blocks without any are not read."""
    with progress.stage("read", total=float(sum(plan.n_voxels for plan in plans)), unit="voxels") as advance:
        shards = workers.make(
            _Take(series, parent.index, rules), plans, done=lambda number: advance(plans[number].n_voxels)
        )
    n_kept = sum(shards.map(attrgetter("index.size")))
    if n_kept < parent.index.size:
        logger.warning("%d voxels of the earlier run cannot be used here", parent.index.size - n_kept)
    nothing = np.empty(0)
    threshold = BackgroundThreshold("run", -np.inf, nothing, nothing, np.nan, np.nan, credible=True)
    counts = replace(parent.counts, n_kept=n_kept)
    return KeptTrajectories(shards, plans, counts, threshold, workers.driver)


@dataclass(frozen=True)
class _Take:
    """Reads the chosen voxels of a shard."""

    series: Series
    chosen: NDArray[np.int64]
    rules: MaskRules

    def __call__(self, plan: ShardPlan) -> Kept:
        reader = shared_reader(self.series)
        indices, rows = [np.empty(0, np.int64)], [np.empty((self.series.n_temperatures, 0), np.float32)]
        for block in plan.blocks:
            inside = flat_index(block, self.series.shape)
            position = np.flatnonzero(_is_among(inside, self.chosen))
            if position.size == 0:
                continue
            volume = np.empty((self.series.n_temperatures, *block_shape(block)), self.series.dtype)
            reader.read(block, out=volume)
            taken = np.take(volume.reshape(len(volume), -1), position, axis=1)
            usable, _ = usable_voxels(VoxelSums.of_volume(taken), self.rules)
            indices.append(inside[position[usable]])
            rows.append(taken[:, usable].astype(np.float32, copy=False))
        index = np.concatenate(indices)
        order = np.argsort(index)
        together = np.concatenate(rows, axis=1)
        course = np.zeros(index.size, np.int8)
        return Kept(plan.number, index[order], np.take(together, order, axis=1).T, course)


def _is_among(index: NDArray[np.int64], chosen: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which indices are chosen ones, which rise."""
    place = np.minimum(np.searchsorted(chosen, index), chosen.size - 1)
    return np.asarray(chosen[place] == index)


def _numbers(config: ClusterConfig, n_clusters: int, folder: Path) -> tuple[int, ...]:
    """Numbers of the clusters that are kept."""
    named = config.keep or config.drop or ()
    unknown = sorted(set(named) - set(range(1, n_clusters + 1)))
    if unknown:
        raise ConfigError(f"this run has clusters 1 to {n_clusters}, no {_listed(unknown)}", file=folder)
    kept = tuple(n for n in range(1, n_clusters + 1) if (n in named) == (config.keep is not None))
    if not kept:
        raise ConfigError("no cluster is left", file=folder, hint="fewer numbers in --drop")
    return kept


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def _require_same_grid(tree: Any, series: Series, folder: Path) -> None:
    there = tree["cluster_map"]
    for axis in series.axes:
        values = there.coords[axis.name].values if axis.name in there.coords else np.empty(0)
        if values.shape != axis.values.shape or not np.allclose(values, axis.values):
            raise ConfigError(
                f"this run has another grid than the input: {axis.name} differs",
                file=folder,
                hint="the same INPUT and --region as there, or leave both out",
            )
