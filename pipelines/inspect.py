"""``xtec inspect``: what a series is, and what clustering it would take, without reading a voxel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from xtec.core.axes import Axis
from xtec.core.chunking import block_shape
from xtec.io import Series, open_series
from xtec.io.tree import file_tree
from xtec_pipelines.cluster import block_bytes
from xtec_pipelines.config import InputConfig

_KEPT_SHARE = 0.1
"""Share of voxels that is assumed to pass the threshold."""

_COPIES = 3
"""Kept trajectories are there as held, as rescaled, and once more while they are joined."""

_PROGRAM_BYTES = 150_000_000
"""The interpreter and the libraries."""

_DISK_RATE = 400e6
"""Bytes a second that reading is assumed to reach."""

_GAPS_NAMED = 5


@dataclass(frozen=True)
class MemoryPlan:
    """What a run would take.

    Attributes
    ----------
    n_blocks : int
    block_shape : tuple of int
        Voxels of the largest block.
    block_bytes, sums_bytes, kept_bytes : int
        Twice the largest block; ln mean of every voxel; kept trajectories if a tenth is kept.
    seconds : float
        Rough: reading at 400 MB/s.
    """

    n_blocks: int
    block_shape: tuple[int, ...]
    block_bytes: int
    sums_bytes: int
    kept_bytes: int
    seconds: float

    @property
    def peak_bytes(self) -> int:
        """All of it together, with the program itself."""
        return _PROGRAM_BYTES + self.block_bytes + self.sums_bytes + self.kept_bytes


@dataclass(frozen=True)
class Inspection:
    """What is in a series (and the tree of its first file), what is odd about it, and the plan."""

    series: Series
    tree: tuple[str, ...]
    notes: tuple[str, ...]
    plan: MemoryPlan

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        series, plan = self.series, self.plan
        return {
            "name": series.name,
            "inputs": [str(path) for path in series.inputs],
            "scan": _axis_json(series.scan) | {"values": series.scan.values.tolist()},
            "axes": [_axis_json(axis) for axis in series.axes],
            "shape": [series.n_temperatures, *series.shape],
            "dtype": str(series.dtype),
            "bytes": series.nbytes,
            "chunks": series.source.chunks,
            "filters": list(series.source.refs[0].filters),
            "dropped": [{"file": bad.file, "reason": bad.reason} for bad in series.dropped],
            "tree": list(self.tree),
            "notes": list(self.notes),
            "plan": {
                "blocks": plan.n_blocks,
                "block_shape": plan.block_shape,
                "peak_bytes": plan.peak_bytes,
                "seconds": plan.seconds,
            },
        }


def inspect_series(config: InputConfig) -> Inspection:
    """Open a series and describe it."""
    region, temperatures = config.bounds
    series = open_series(config.inputs, region=region, temperatures=temperatures, options=config.open_options)
    return Inspection(
        series,
        tuple(file_tree(series.inputs[0])),
        tuple(_notes(series)),
        memory_plan(series, config.memory_bytes),
    )


def memory_plan(series: Series, memory_bytes: int) -> MemoryPlan:
    """Blocks and bytes that clustering this series would take."""
    blocks = series.blocks(block_bytes(memory_bytes))
    voxels = int(np.prod(series.shape, dtype=np.int64))
    largest = max(blocks, key=lambda block: np.prod(block_shape(block), dtype=np.int64))
    size = int(np.prod(block_shape(largest), dtype=np.int64)) * series.n_temperatures
    kept = int(_KEPT_SHARE * voxels) * series.n_temperatures
    return MemoryPlan(
        n_blocks=len(blocks),
        block_shape=block_shape(largest),
        block_bytes=2 * size * series.dtype.itemsize,
        sums_bytes=2 * 8 * voxels,
        kept_bytes=_COPIES * kept * 4,
        seconds=series.nbytes / _DISK_RATE,
    )


def _notes(series: Series) -> list[str]:
    """Gaps, turns and chunks that slow reading."""
    notes = [f"{bad.file} left out: {bad.reason}" for bad in series.dropped]
    notes += _axis_notes(series.scan)
    for axis in series.axes:
        notes += _axis_notes(axis)
    chunks = series.source.chunks
    if chunks is not None and len(series.source.refs) == 1:
        signal = series.source.refs[0]
        along_scan = signal.chunks[0] if signal.chunks else 1
        if along_scan > 1 and along_scan < series.n_temperatures:
            notes.append(f"chunks hold {along_scan} temperatures each: dropping some does not save reading")
    return notes


def _axis_notes(axis: Axis) -> list[str]:
    steps = np.diff(axis.values)
    if steps.size == 0:
        return []
    notes = []
    if not (np.all(steps > 0) or np.all(steps < 0)):
        notes.append(f"{axis.name} is not in order: it neither rises nor falls throughout")
    size = np.abs(steps)
    gaps = np.flatnonzero(size > 2.5 * np.median(size))
    if len(gaps) > _GAPS_NAMED:
        uneven = f"the steps of {axis.name} are uneven: {size.min():.3g} to {size.max():.3g} {axis.units}"
        return [*notes, uneven.rstrip()]
    return notes + [
        f"gap in {axis.name}: {axis.values[i]:g} to {axis.values[i + 1]:g} {axis.units}".rstrip()
        for i in gaps
    ]


def _axis_json(axis: Axis) -> dict[str, Any]:
    return {
        "name": axis.name,
        "units": axis.units,
        "n": len(axis),
        "low": float(axis.values.min()),
        "high": float(axis.values.max()),
        "step": axis.step,
    }
