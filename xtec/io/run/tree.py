"""What a run found, from the tree that `open_run` gives: the types that figures take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from xtec.core.axes import Axis
from xtec.core.errors import InputError
from xtec.core.order import OrderParameter, Transition
from xtec.core.quantities import Quantity
from xtec.core.reflections import Contingency, ReflectionGroup
from xtec.core.results import Selection
from xtec.core.types import (
    BackgroundThreshold,
    ClusterCurves,
    ClusterMap,
    Mode,
    Significance,
    VoxelCounts,
)

if TYPE_CHECKING:
    import pandas as pd
    import xarray

_COMMANDS = {
    "selection": "xtec select, or xtec cluster -k auto",
    "order_parameter": "xtec order-parameter RUN",
    "unit_cell": "xtec unit-cell RUN",
}


def _node(tree: xarray.DataTree, name: str) -> xarray.Dataset:
    """One group of the results, or what to do to have it."""
    if name not in tree.children:
        what = name.replace("_", " ")
        raise InputError(
            f"there is no {what} in {tree.name or 'this tree'}",
            file=tree.encoding.get("source"),
            hint=f"{_COMMANDS[name]} first, then open the run again"
            if name in _COMMANDS
            else "the whole tree that xtec.open_run gives",
        )
    return tree.children[name].to_dataset()


def curves(tree: xarray.DataTree) -> ClusterCurves:
    """What the clusters do over the scan.

    Raises
    ------
    InputError
        If the tree does not hold it; so do all functions here.
    """
    raw, rescaled = _node(tree, "average_intensity"), _node(tree, "trajectories")
    names = [f"cluster_{number}" for number in range(1, len(raw.data_vars) // 2 + 1)]
    columns = [
        np.stack([np.asarray(group[name + ending].values) for name in names])
        for group in (rescaled, raw)
        for ending in ("", "_errors")
    ]
    return ClusterCurves(_axes(raw)[0], *columns)


def labels(tree: xarray.DataTree) -> list[str]:
    """How many voxels each cluster has, ``12,345 voxels``; or peaks, where peaks were clustered."""
    averaged = tree.attrs.get("mode") == Mode.PEAKS
    members = _node(tree, "peaks" if averaged else "voxels")["label"].values
    counts = np.bincount(members, minlength=curves(tree).n_clusters + 1)[1:]
    return [f"{count:,} {'peaks' if averaged else 'voxels'}" for count in counts]


def cluster_map(tree: xarray.DataTree) -> ClusterMap:
    """Which voxel belongs to which cluster; the map is read in slabs, of which only labels stay."""
    group = _node(tree, "cluster_map")
    dense = group["cluster_map"]
    n_plane = int(np.prod(dense.shape[1:], dtype=np.int64))
    slab = dense.chunks[0][0] if dense.chunks else dense.shape[0]
    index, label = [np.empty(0, np.int64)], [np.empty(0, np.int16)]
    for start in range(0, dense.shape[0], slab):
        values = np.asarray(dense[start : start + slab].values).ravel()
        there = np.flatnonzero(values)
        index.append(there + start * n_plane)
        label.append(values[there])
    angles = group.attrs.get("angles")
    return ClusterMap(
        _axes(group),
        np.concatenate(index),
        np.concatenate(label),
        None if angles is None else np.asarray(angles, np.float64),
    )


def threshold(tree: xarray.DataTree) -> tuple[BackgroundThreshold, VoxelCounts]:
    """Where background ends, and how many voxels were kept."""
    group = _node(tree, "threshold")
    centres, density = (np.asarray(group[name].values) for name in ("log_intensity", "density"))
    found = group.attrs
    edges = np.empty(0)
    if density.any():
        half = float(np.median(np.diff(centres))) / 2 if len(centres) > 1 else 0.5
        edges = np.append(centres - half, centres[-1] + half)
    names = ("n_total", "n_empty", "n_nan", "n_nonpositive", "n_kept")
    return (
        BackgroundThreshold(
            method=str(found["method"]),
            cutoff=float(found["cutoff"]),
            edges=edges,
            density=density if edges.size else np.empty(0),
            background_mean=float(found["background_mean"]),
            background_std=float(found["background_std"]),
            credible=bool(found["credible"]),
            n_steps=int(found["n_steps"]),
            significance=_significance(tree),
        ),
        VoxelCounts(**{name: int(found[name]) for name in names}),
    )


def _significance(tree: xarray.DataTree) -> Significance | None:
    if "noise" not in tree.children:
        return None
    group = _node(tree, "noise")
    found = group.attrs
    quartiles = [group[name].values for name in ("lower_quartile", "median", "upper_quartile")]
    return Significance(
        fdr=float(found["fdr"]),
        cutoff=float(found["cutoff"]),
        n_waves=int(found["n_waves"]),
        n_significant=int(found["n_significant"]),
        scale=float(found["scale"]),
        systematic=float(found["systematic"]),
        cell_scale=np.asarray(group["cell_scale"].values),
        intensity=np.asarray(group["intensity"].values),
        variance_over_mean=np.stack(quartiles),
    )


def selection(tree: xarray.DataTree) -> Selection:
    """How the number of clusters was chosen."""
    group, frontier = _node(tree, "selection"), _node(tree, "frontier")
    names = ("bic", "icl", "silhouette", "stability", "size", "fidelity", "gain")
    return Selection(
        n_clusters=group["n_clusters"].values.astype(np.intp),
        **{name: np.asarray(group[name].values) for name in names},
        frontier=np.stack([frontier[name].values for name in ("n_clusters", "size", "fidelity")], axis=1),
        recommended=int(group.attrs["recommended"]),
        reason=str(group.attrs["reason"]),
        sensitivity=str(group.attrs["sensitivity"]),
    )


def order_parameters(tree: xarray.DataTree) -> list[tuple[OrderParameter, str]]:
    """Order parameters and what each is called in a figure; an empty list where none was found."""
    _node(tree, "order_parameter")
    found = tree.children["order_parameter"]
    if "transitions" not in found.children:
        return []
    transitions, vectors = _frame(found, "transitions"), _frame(found, "wave_vectors")
    pairs = []
    for number, rows in transitions.groupby("order_parameter"):
        one = _order_parameter(found, int(number), rows)
        texts = [] if vectors is None else vectors["fraction"][vectors["order_parameter"] == number]
        pairs.append((one, one.title(list(texts))))
    return pairs


def _order_parameter(found: xarray.DataTree, number: int, rows: pd.DataFrame) -> OrderParameter:
    curve, first = _node(found, f"order_parameter_{number}"), rows.iloc[0]
    scan = _axes(curve)[0]
    model = np.empty((0, 2))
    if f"order_parameter_{number}_model" in found.children:
        fine = _node(found, f"order_parameter_{number}_model")
        model = np.stack([fine[name].values for name in (scan.name, "model")], axis=1)
    return OrderParameter(
        clusters=_numbers(first["clusters"]),
        branch=str(first["branch"]),
        scan=scan,
        intensity=np.asarray(curve["intensity"].values),
        error=np.asarray(curve["intensity_errors"].values),
        transitions=tuple(_transition(row, scan.units) for _, row in rows.iterrows()),
        reason=str(first["reason"]),
        model=model,
        tail=_quantity(first, "tail"),
        peaks=int(first["peaks"]),
        side=str(first["side"]),
    )


def _transition(row: Any, units: str) -> Transition:
    return Transition(
        kind=str(row["kind"]),
        tc=_quantity(row, "tc", units) or Quantity(np.nan, units=units),
        beta=_quantity(row, "beta"),
        amplitude=Quantity(float(row["amplitude"])),
        width=_quantity(row, "width", units),
    )


def unit_cell(tree: xarray.DataTree) -> tuple[dict[str, Contingency], list[ReflectionGroup], Axis]:
    """Classes of reflections against groups, by scheme; the groups; and the scan they are given over."""
    _node(tree, "unit_cell")
    found = tree.children["unit_cell"]
    rules, classes = _frame(found, "rules"), _frame(found, "classes")
    curve = _node(found, "curves")
    scan = _axes(curve)[0]
    groups = [
        ReflectionGroup(
            int(row["group"]),
            _numbers(row["clusters"]),
            _quantity(row, "tc", scan.units),
            *(np.asarray(curve[f"group_{row['group']}{ending}"].values) for ending in ("", "_errors")),
        )
        for _, row in rules.iterrows()
    ]
    tables = {str(scheme): _contingency(rows) for scheme, rows in classes.groupby("scheme", sort=False)}
    return tables, groups, scan


def _contingency(rows: pd.DataFrame) -> Contingency:
    counts = rows.pivot(index="class", columns="group", values="reflections")
    names = list(dict.fromkeys(rows["class"]))
    first = rows.iloc[0]
    return Contingency(
        tuple(map(str, names)),
        tuple(int(group) for group in counts.columns),
        counts.loc[names].to_numpy(np.int64),
        float(first["p_value"]),
        float(first["cramers_v"]),
    )


def _frame(tree: xarray.DataTree, name: str) -> Any:
    """A table, or None where it would have been empty."""
    return tree.children[name].to_dataset().to_dataframe() if name in tree.children else None


def _axes(group: xarray.Dataset) -> tuple[Axis, ...]:
    return tuple(
        Axis(
            str(name),
            np.asarray(group[name].values, np.float64),
            str(group[name].attrs.get("units", "")),
            {key: value for key, value in group[name].attrs.items() if key != "units"},
        )
        for name in group.sizes
        if name in group.coords
    )


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in str(text).split())


def _quantity(row: Any, name: str, units: str = "") -> Quantity | None:
    """Three columns of a table as a quantity; None where there is none."""
    value, low, high = (float(row[column]) for column in (name, f"{name}_low", f"{name}_high"))
    if not np.isfinite(value):
        return None
    return Quantity(value, low if np.isfinite(low) else None, high if np.isfinite(high) else None, units)
