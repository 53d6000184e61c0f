"""``xtec inspect``: what a series is, and what clustering it would take, without reading a voxel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from xtec.core.axes import Axis
from xtec.core.parallel import n_cores
from xtec.io import Series, open_series
from xtec.io.hdf5.tree import file_tree
from xtec.io.reading.storage import storage_notes
from xtec_pipelines.config import InputConfig
from xtec_pipelines.streaming.plan import RunPlan, plan_run

_GAPS_NAMED = 5


@dataclass(frozen=True)
class Inspection:
    """What is in a series (and the tree of its first file), what is odd about it, and the plan."""

    series: Series
    tree: tuple[str, ...]
    notes: tuple[str, ...]
    plan: RunPlan

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
                "shards": len(plan.shards),
                "workers": plan.n_workers,
                "peak_bytes": plan.peak_bytes,
                "spilled_bytes": plan.spilled_bytes,
                "seconds": plan.seconds,
            },
        }


def inspect_series(config: InputConfig) -> Inspection:
    """Open a series and describe it."""
    region, temperatures = config.bounds
    series = open_series(config.inputs, region=region, temperatures=temperatures, options=config.open_options)
    return Inspection(
        series,
        () if series.source.refs[0].reader else tuple(file_tree(series.inputs[0])),
        tuple(_notes(series)),
        plan_run(series, config.memory_bytes, n_cores()),
    )


def _notes(series: Series) -> list[str]:
    """Gaps, turns and chunks that slow reading."""
    notes = [f"{bad.file} left out: {bad.reason}" for bad in series.dropped]
    notes += _axis_notes(series.scan)
    for axis in series.axes:
        notes += _axis_notes(axis)
    return notes + storage_notes(series)


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
