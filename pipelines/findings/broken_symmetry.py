"""Broken operations of a run: its Bragg positions against the group of the high-temperature phase."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xtec.core.reflections import BrokenSymmetry
from xtec.core.results import ClusteredRun
from xtec.core.types import Float64Array
from xtec.reciprocal import Lattice
from xtec_pipelines.findings.places import hkl_of

_AXES = ("Qh", "Qk", "Ql")


def broken_symmetry(
    run: ClusteredRun,
    hkl: NDArray[np.int64],
    peaks: NDArray[np.intp],
    lattice: Lattice,
    space_group: str,
    seed: int = 0,
) -> BrokenSymmetry:
    """Which operations are broken at each temperature, from the peaks at Bragg positions.

    Parameters
    ----------
    run : ClusteredRun
    hkl : array, shape (N, 3)
    peaks : array, shape (N,)
        Peak of the run at each.
    lattice : Lattice
    space_group : str
        Of the high-temperature phase; empty for the Laue group alone.
    seed : int

    Raises
    ------
    ConfigError
        If there is no such space group, too few temperatures, or no strong reflection.
    """
    from xtec.learned.symmetry_breaking import (
        BreakingOptions,
        MeasuredPeaks,
        find_broken_operations,
    )
    from xtec.learned.symmetry_operations import operation_group

    height = np.asarray(run.peaks.maximum[peaks], dtype=np.float64)
    intensity = np.asarray(run.peaks.intensity[peaks], dtype=np.float64)
    measured = MeasuredPeaks(
        hkl=hkl,
        height=height,
        height_variance=_variance(height, run.count_scale),
        intensity=intensity,
        intensity_variance=_variance(intensity, run.count_scale),
        voxels=run.peaks.size[peaks].astype(np.float64),
    )
    return find_broken_operations(
        measured,
        run.curves.scan,
        operation_group(lattice, space_group or None),
        _region(run),
        BreakingOptions(random_state=seed),
    )


def strongest_peaks(
    run: ClusteredRun, group: NDArray[np.integer], within: float
) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """The strongest peak at each Bragg position: (h, k, l), and its number.

    Parameters
    ----------
    run : ClusteredRun
    group : array, shape (P,)
        Peaks of group 0 do not count.
    within : float
        Largest distance from the position along every axis, in r.l.u.
    """
    position = np.nan_to_num(hkl_of(run, np.arange(len(group))))
    node = np.round(position).astype(np.int64)
    near = (np.abs(position - node) <= within).all(axis=1) & (group > 0) & node.any(axis=1)
    chosen = np.flatnonzero(near)
    strongest = chosen[np.argsort(-run.peaks.maximum[chosen].mean(axis=1), kind="stable")]
    _, first = np.unique(node[strongest], axis=0, return_index=True)
    kept = strongest[first]
    return node[kept], kept


def broken_symmetry_summary(found: BrokenSymmetry) -> dict[str, Any]:
    """What is added to summary.json."""
    x, units = found.scan.values, found.scan.units
    coldest = int(np.argmin(x))
    return {
        "group": found.group,
        "reference": x[found.reference].tolist(),
        "subgroups": [
            {"value": float(x[t]), "units": units, "subgroup": found.subgroup[t]} for t in np.argsort(x)
        ],
        "changes": [
            {"below": below, "above": above, "units": units, "from": before, "to": after}
            for below, above, after, before in found.changes
        ],
        "broken": [
            {
                "operation": found.triplets[g],
                "name": found.names[g],
                "highest": found.onset(int(g)),
                "units": units,
                "weight": found.weights[coldest, g],
                "low": found.low[coldest, g],
                "high": found.high[coldest, g],
            }
            for g in np.flatnonzero(found.broken.any(axis=0))
        ],
        "unseen": list(found.unseen),
    }


def draw_broken_symmetry(folder: Path, found: BrokenSymmetry) -> None:
    """``broken_symmetry.png``."""
    from xtec.plotting import save_figure
    from xtec.plotting.broken_symmetry import plot_broken_symmetry

    folder.mkdir(exist_ok=True)
    save_figure(plot_broken_symmetry(found), folder / "broken_symmetry.png")


def _variance(height: Float64Array, count_scale: float) -> Float64Array:
    """Counting variance; that of one count where there is none."""
    return np.asarray(count_scale * np.maximum(height, count_scale))


def _region(run: ClusteredRun) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Least and largest whole h, k, l on the axes; 0 along an axis that was not measured."""
    low, high = np.zeros(3, np.int64), np.zeros(3, np.int64)
    for axis in run.map.axes:
        place = _AXES.index(axis.name)
        low[place] = np.ceil(axis.values.min() - 1e-9)
        high[place] = np.floor(axis.values.max() + 1e-9)
    return low, high
