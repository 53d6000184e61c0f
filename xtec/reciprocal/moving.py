"""Peaks that move with temperature, as by thermal expansion: two clusters of voxels that go opposite ways."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtrc, stdtrit

from xtec.core.axes import Q_NAMES, Axis
from xtec.core.order import MovingPeaks
from xtec.core.quantities import Quantity
from xtec.core.types import ClusterCurves, ClusterMap, Float64Array, VoxelChanges
from xtec.reciprocal.displacement import SCATTERING_ANGLES, Displacements, displacements

_EXPLAINED = 0.5
"""Share of what changes in a cluster that displacements must explain."""

_OPPOSITE = 0.5
"""Share of its voxels that must lie opposite those of clusters that go the other way."""

_CHANCE = 1e-4
"""Probability at which noise may explain as much."""

_LEAST_MAXIMA = 3
"""Maxima from which on a common relative shift has an error."""

_TOGETHER = 2**20
"""Voxels that are worked on at a time; maxima are cut between them."""

_KELVIN = ("k", "kelvin")


def moving_peaks(
    cluster_map: ClusterMap, changes: VoxelChanges, curves: ClusterCurves, span: float
) -> tuple[MovingPeaks, ...]:
    """Clusters that are flanks of moving peaks.

    A cluster is called so if displacements of maxima explain half of what changes in it (sum of squares),
    clearly more than noise would, and at least half of its voxels lie opposite voxels of other such clusters,
    which go the other way with temperature, on the same maximum.

    Parameters
    ----------
    cluster_map : ClusterMap
    changes : VoxelChanges
        Of its voxels.
    curves : ClusterCurves
    span : float
        Mean temperature of the low end that is compared, minus that of the high one.
    """
    if not cluster_map.index.size:
        return ()
    parts = [displacements(*part, curves.n_clusters) for part in _parts(cluster_map, changes)]
    found = Displacements.joined(parts)
    with np.errstate(divide="ignore", invalid="ignore"):
        explained = np.nan_to_num(1 - found.left / found.change)
    candidates = [k for k in range(curves.n_clusters) if explained[k] >= _EXPLAINED and _is_clear(found, k)]
    voxels = np.bincount(cluster_map.label, minlength=curves.n_clusters + 1)[1:]
    return tuple(
        MovingPeaks(
            cluster=k + 1,
            partners=tuple(j + 1 for j in partners),
            opposite=float(opposite / voxels[k]),
            explained=float(explained[k]),
            maxima=int(maxima.sum()),
            quantity=_quantity(cluster_map.axes),
            shift=_common_shift(found.pull[maxima], found.lever[maxima], span, curves.scan.units),
            scan=curves.scan.name,
            thermal=curves.scan.units.lower() in _KELVIN,
        )
        for k, partners, opposite, maxima in _facing(candidates, found.flanks, curves.rescaled_mean)
        if opposite >= _OPPOSITE * voxels[k]
    )


def _parts(cluster_map: ClusterMap, changes: VoxelChanges) -> Iterator[tuple[ClusterMap, VoxelChanges]]:
    """Some voxels at a time."""
    for start in range(0, cluster_map.index.size, _TOGETHER):
        some = slice(start, start + _TOGETHER)
        part = ClusterMap(cluster_map.axes, cluster_map.index[some], cluster_map.label[some])
        yield part, VoxelChanges(changes.intensity[some], changes.change[some])


def _is_clear(found: Displacements, k: int) -> bool:
    """Whether noise would not explain as much on the maxima where a cluster is."""
    mine = found.flanks[:, k].any(axis=0)
    of_moved, of_noise = found.freedom[:, mine].sum(axis=1)
    moved, noise = found.moved[mine].sum() / of_moved, found.noise[mine].sum() / of_noise
    return bool(fdtrc(of_moved, of_noise, moved / noise) < _CHANCE) if noise > 0 else bool(moved > 0)


def _facing(
    candidates: Sequence[int], flanks: NDArray[np.int64], curves: Float64Array
) -> Iterator[tuple[int, list[int], int, NDArray[np.bool_]]]:
    """Candidates, those that face them, how many of their voxels do so, and on which maxima."""
    there = flanks > 0
    for k in candidates:
        others = [j for j in candidates if _opposed(curves[k], curves[j])]
        partners = [j for j in others if (there[:, k] & there[::-1, j]).any()]
        faced = there[:, k] & there[::-1, partners].any(axis=1)
        yield k, partners, int(flanks[:, k][faced].sum()), np.asarray(faced.any(axis=0))


def _opposed(one: Float64Array, other: Float64Array) -> bool:
    """Whether two curves go opposite ways."""
    return bool((one - one.mean()) @ (other - other.mean()) < 0)


def _common_shift(pull: Float64Array, lever: Float64Array, span: float, units: str) -> Quantity | None:
    """Relative shift for a unit of the scan that all maxima share; its interval is from how they scatter."""
    n, total = pull.size, lever.sum()
    if n < _LEAST_MAXIMA or not total > 0 or span == 0:
        return None
    share = pull.sum() / total
    error = np.sqrt(n / (n - 1) * np.sum((pull - share * lever) ** 2)) / total
    reach = float(stdtrit(n - 1, 0.975) * error / abs(span))
    value = float(-share / span)  # a peak displaced by u changes by -u times its slope
    return Quantity(value, value - reach, value + reach, f"1/{units}" if units else "")


def _quantity(axes: Sequence[Axis]) -> str:
    """What shifts: q, or what the only axis is called."""
    names = [axis.name for axis in axes]
    in_q = all(name in Q_NAMES or name.lower() in ("q", *SCATTERING_ANGLES) for name in names)
    return "q" if in_q or len(names) > 1 else names[0]
