"""Ordering wave vectors: peaks folded into one zone, and into one member of each star."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product
from math import gcd

import numpy as np
from numpy.typing import NDArray

from xtec.core.order import Arm, WaveVector
from xtec.core.types import Float64Array
from xtec.reciprocal.averages import Deviations
from xtec.reciprocal.lattice import Lattice, folded

Mask = NDArray[np.bool_]

_NEIGHBOUR = 0.75
"""Peaks nearer to each other than this (pixels) are dense. Centroids scatter by 0.1 to 0.3 pixels."""

_SAME = 1.0
"""Members of a star nearer to each other than this (pixels) are taken for one."""

_NEAR, _NEAR_CUT = 1.0, 2.0
"""How far a peak may be from its arm along an axis (pixels), and one that is cut along it."""

_STRAY = 0.1
"""Share of the peaks that may lie anywhere."""

_SMALLEST = 0.03
"""Wave vectors of a smaller share of the peaks are stray ones."""

_FAINTEST = 0.1
"""Arms with a smaller share of the peaks of the richest one are stray ones."""

_CELLS = 8
"""Positions are told apart to this part of a pixel where density is looked for."""

_FRACTIONS = sorted({Fraction(n, d) for d in range(1, 7) for n in range(-d, d + 1) if gcd(n, d) == 1})

_EXACT = 0.005
"""A component this near (r.l.u.) to a fraction agrees with it."""

_BALL = {1: 2.0, 2: np.pi, 3: 4 * np.pi / 3}
"""Volume of the unit ball by dimension."""


@dataclass
class PeakPositions:
    """Where the peaks of a cluster are.

    Attributes
    ----------
    hkl : array, shape (P, 3)
        Centroids (H, K, L) in r.l.u.; NaN along axes that were not measured.
    whole : array, shape (P, 3), bool
        False where the edge of the measured region cuts the peak along that axis: there its centroid tells
        which arm it belongs to, and is averaged no further.
    weight : array, shape (P,)
        What each peak counts for, its intensity for instance; used where there is no `error`.
    error : array, shape (P, 3), optional
        Standard errors of the centroids, in r.l.u.
    pixel : array, shape (3,)
        Grid step of each axis, in r.l.u.
    low, high : array, shape (3,)
        Extent of the measured region; NaN along axes that were not measured.
    connected : array, shape (P,), optional
        Number of the connected voxels that each lies in, where several may.
    """

    hkl: Float64Array
    whole: Mask
    weight: Float64Array
    error: Float64Array | None
    pixel: Float64Array
    low: Float64Array
    high: Float64Array
    connected: NDArray[np.int64] | None = None

    def __getitem__(self, which: Mask) -> PeakPositions:
        return replace(
            self,
            hkl=self.hkl[which],
            whole=self.whole[which],
            weight=self.weight[which],
            error=None if self.error is None else self.error[which],
            connected=None if self.connected is None else self.connected[which],
        )


@dataclass
class _Star:
    """Members of a star, and the peaks that lie at each.

    Attributes
    ----------
    members : array, shape (m, 3)
        The representative first.
    nearest : array, shape (P,), int
        Member that each peak belongs to; -1 where to none.
    """

    members: Float64Array
    nearest: NDArray[np.int64]


def find_wave_vectors(peaks: PeakPositions, lattice: Lattice, clusters: tuple[int, ...]) -> list[WaveVector]:
    """Wave vectors that the peaks of clusters lie at.

    Positions are folded modulo all integer (H, K, L), then into one member of their star, so that peaks at
    all arms are looked for together; dense places (DBSCAN) are wave vectors. Each is a robust mean, which
    knows every arm and leaves out coordinates that are cut.

    A component agrees with a simple fraction (denominators to 6) where that is the only one within 0.005
    r.l.u. or three standard errors. Components near 1/2 may exceed it by their error. Arms nearer to each
    other than a pixel are taken for one.

    Parameters
    ----------
    peaks : PeakPositions
    lattice : Lattice
    clusters : tuple of int
        Clusters that the peaks belong to; copied to the result.

    Returns
    -------
    list of WaveVector
        By falling number of peaks. Reciprocal lattice points are among them; places that hold less than
        3 % of the peaks are not.

    References
    ----------
    Ester, Kriegel, Sander & Xu, KDD 96, 226 (1996): DBSCAN.
    """
    measured = np.isfinite(peaks.low) & np.isfinite(peaks.high)
    peaks = peaks[np.asarray(np.isfinite(peaks.hkl[:, measured]).all(axis=1))]
    if len(peaks.hkl) == 0 or not measured.any():
        return []
    steps = np.where(peaks.pixel > 0, peaks.pixel, 0.0)
    peaks = replace(peaks, pixel=np.where(steps > 0, steps, steps.max() or 0.01))
    peaks.hkl = np.where(measured, peaks.hkl, np.nan)
    stars = _owned(_stars(peaks, lattice, measured), peaks)
    stray = len(peaks.hkl) - sum(int((star.nearest >= 0).sum()) for star in stars)
    around = float(np.prod(2 * _NEAR * peaks.pixel[measured]))
    found = []
    for star in stars:
        n_peaks = int((star.nearest >= 0).sum())
        by_chance = len(star.members) * around * stray
        if n_peaks >= _SMALLEST * len(peaks.hkl) and n_peaks > 2 * by_chance + 3 * np.sqrt(by_chance):
            found.append(_wave_vector(star, peaks, lattice, clusters))
    return sorted(found, key=lambda q: (-q.peaks, *np.nan_to_num(q.q)))


def _stars(peaks: PeakPositions, lattice: Lattice, measured: Mask) -> list[Float64Array]:
    """Members of the star of each dense place, shape (m, 3) each; those that whole peaks show come first."""
    rotations = lattice.acting(measured)
    pixel = _coarsest(rotations, peaks.pixel)
    position, chosen = _plainest(lattice.images(peaks.hkl))
    whole = ~((rotations[chosen] != 0) & ~peaks.whole[:, None, :]).any(axis=2)
    sure = whole[:, measured].all(axis=1)
    stars: list[Float64Array] = []
    for usable, rest in ((sure, _NEAR), (~sure, _NEAR_CUT)):
        new = usable & ~_is_at(stars, position, np.where(whole, _NEAR, _NEAR_CUT) * pixel)
        group = np.full(len(position), -1)
        among = len(position) if stars else int(new.sum())
        group[new] = _dense_places(position[new], pixel, measured, len(rotations), among)
        for number in np.argsort(-np.bincount(group[group >= 0]), kind="stable"):
            here = group == number
            seen = whole[here].any(axis=0) | ~measured
            centre = _middle(position[here], whole[here])
            if not _is_at(stars, centre[None], np.where(seen, _NEAR, rest) * pixel).any():
                near = np.where(seen, _SAME, rest) * pixel
                stars.append(lattice.star(lattice.settled(centre, near)))
    return stars


def _is_at(stars: list[Float64Array], position: Float64Array, reach: Float64Array) -> Mask:
    """Which positions lie no further than `reach` from a member of a star."""
    found = np.zeros(len(position), dtype=np.bool_)
    for member in (member for star in stars for member in star):
        found |= (np.nan_to_num(np.abs(folded(position - member))) <= reach).all(axis=1)
    return found


def _middle(position: Float64Array, whole: Mask) -> Float64Array:
    """Median on the torus, of the coordinates that are whole where there are any."""
    away = folded(position - position[0])
    middle = [np.median(x[ok] if ok.any() else x) for x, ok in zip(away.T, whole.T, strict=True)]
    return np.asarray(position[0] + middle)


def _plainest(images: Float64Array) -> tuple[Float64Array, NDArray[np.int64]]:
    """One image (n, P, 3) of each peak, the same for all equivalent peaks, and which operation makes it."""
    points = np.round(folded(images), 9)
    order = np.lexsort((-points[..., 2], -points[..., 1], -points[..., 0], (points < 0).sum(axis=2)), axis=0)
    chosen = order[0]
    return points[chosen, np.arange(points.shape[1])], chosen


def _dense_places(
    position: Float64Array, pixel: Float64Array, measured: Mask, operations: int, n_peaks: int
) -> NDArray[np.int64]:
    """Number of the dense place that each position belongs to, -1 where to none; of `n_peaks`."""
    from sklearn.cluster import DBSCAN

    if len(position) == 0:
        return np.empty(0, dtype=np.int64)
    # Folding onto one member of the stars makes stray peaks as many times denser as there are operations.
    ball = _BALL[int(measured.sum())] * float(np.prod(_NEIGHBOUR * pixel[measured]))
    crowd = _STRAY * n_peaks * min(1.0, ball * operations)
    enough = 1 if n_peaks < 3 else max(3, int(np.ceil(max(0.01 * n_peaks, 3 * crowd))))
    cell = pixel[measured] / _CELLS
    cells, inverse, count = np.unique(
        np.round(position[:, measured] / cell), axis=0, return_inverse=True, return_counts=True
    )
    angle = 2 * np.pi * cells * cell
    # Distances on the torus: a circle of circumference 1 for each axis.
    torus = np.hstack([np.cos(angle), np.sin(angle)]) / (2 * np.pi * np.tile(pixel[measured], 2))
    label = DBSCAN(eps=_NEIGHBOUR, min_samples=enough).fit(torus, sample_weight=count).labels_
    return np.asarray(label[inverse.ravel()], dtype=np.int64)


def _owned(stars: list[Float64Array], peaks: PeakPositions) -> list[_Star]:
    """Give each peak to the nearest member of all stars; arms that hold only a few stray peaks lose them."""
    if not stars:
        return []
    members = np.concatenate(stars)
    reach = np.where(peaks.whole, _NEAR, _NEAR_CUT) * peaks.pixel
    best = np.full(len(peaks.hkl), np.inf)
    nearest = np.full(len(peaks.hkl), -1)
    for number, member in enumerate(members):
        away = np.nan_to_num(folded(peaks.hkl - member)) / reach
        distance = np.where((np.abs(away) <= 1).all(axis=1), np.linalg.norm(away, axis=1), np.inf)
        nearest = np.where(distance < best, number, nearest)
        best = np.minimum(best, distance)
    owned = []
    start = 0
    for star in stars:
        own = np.where((nearest >= start) & (nearest < start + len(star)), nearest - start, -1)
        population = np.bincount(own[own >= 0], minlength=len(star))
        poor = population < _FAINTEST * population.max()
        own[(own >= 0) & poor[own]] = -1
        owned.append(_Star(star, own))
        start += len(star)
    return owned


def _wave_vector(
    star: _Star, peaks: PeakPositions, lattice: Lattice, clusters: tuple[int, ...]
) -> WaveVector:
    """What the peaks of a star say of its wave vector."""
    members, at = star.members, star.nearest[star.nearest >= 0]
    own = peaks[star.nearest >= 0]
    zone = np.nan_to_num(np.round(own.hkl - members[at])).astype(np.int64)
    away = Deviations(own.hkl - members[at] - zone, own.whole, own.error, own.weight, at, own.pixel)
    arms = []
    for number in np.unique(at):
        mean, error = away.at(number).mean()
        zones = np.unique(zone[at == number], axis=0)
        arms.append(Arm(folded(members[number] + mean), error, int((at == number).sum()), len(zones)))
    rotations = lattice.acting(np.isfinite(members[0]))
    images = lattice.images(members[0])
    to_arm = [np.nan_to_num(np.abs(folded(images - member))).max(axis=1).argmin() for member in members]
    from_arm = np.rint(np.linalg.inv(rotations[to_arm])).astype(np.int64)
    mean, error = away.turned(from_arm[at], _coarsest(rotations, own.pixel)).mean()
    q = members[0] + mean
    measured = _zones_measured(members, peaks)
    return WaveVector(
        clusters=clusters,
        q=q,
        uncertainty=error,
        fraction=tuple(_fraction(x, dx) for x, dx in zip(q.tolist(), error.tolist(), strict=True)),
        peaks=len(at),
        arms=sorted(arms, key=lambda arm: -arm.peaks),
        multiplicity=len(members),
        zones=len(measured & {tuple(g) for g in zone.tolist()}),
        zones_measured=len(measured),
    )


def _zones_measured(members: Float64Array, peaks: PeakPositions) -> set[tuple[int, ...]]:
    """Zones G, 0 along unmeasured axes, of which a member G + q lies in the measured region."""
    slack = peaks.pixel / 2
    zones: set[tuple[int, ...]] = set()
    for member in members:
        first = np.nan_to_num(np.ceil(peaks.low - slack - member)).astype(int)
        last = np.nan_to_num(np.floor(peaks.high + slack - member)).astype(int)
        zones.update(product(*(range(a, b + 1) for a, b in zip(first, last, strict=True))))
    return zones


def _coarsest(rotations: NDArray[np.int64], pixel: Float64Array) -> Float64Array:
    """Largest pixel among the axes that symmetry makes of each, shape (3,)."""
    return np.asarray(np.where(rotations != 0, pixel, 0.0).max(axis=(0, 2)))


def _fraction(value: float, error: float) -> str | None:
    """The only simple fraction that a component agrees with."""
    near = [x for x in _FRACTIONS if abs(value - float(x)) <= max(3 * error, _EXACT)]
    return str(near[0]) if len(near) == 1 else None
