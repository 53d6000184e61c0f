"""Peaks of a run, whatever was clustered: their sums and their shapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xtec.core.arrays import home, namespace
from xtec.core.axes import Axis
from xtec.core.chunking import rim
from xtec.core.errors import ConfigError
from xtec.core.results import PeakMaxima, PeakShapes, PeakTable
from xtec.core.shards import PartOf, Shards
from xtec.core.types import Float64Array, FloatArray
from xtec.io import Series
from xtec.peaks import (
    Maxima,
    PeakSums,
    ShapeSums,
    ShardPeaks,
    connect,
    find_maxima,
    shapes,
    thinned,
    unite,
    weighed,
)
from xtec_pipelines.clustering.labelled import Find, Labelled, Labels, Score, low_minus_high
from xtec_pipelines.clustering.voxels import Voxels
from xtec_pipelines.streaming.plan import ShardPlan


class Owned(NamedTuple):
    """Voxels of a shard, their intensities, and the peak 0..P-1 of each."""

    index: NDArray[np.int64]  # type: ignore[assignment]  # hides tuple.index
    intensity: FloatArray
    peak: NDArray[np.int32]


@dataclass(frozen=True)
class Found:
    """Peaks of all voxels, and where their voxels are.

    Attributes
    ----------
    sums : PeakSums
    label : array, shape (P,), int16
        Cluster of each peak.
    shards : Shards
    owned : callable
        Gives the `Owned` voxels of a shard; picklable.
    """

    sums: PeakSums
    label: NDArray[np.int16]
    shards: Shards[Any]
    owned: Callable[[Any], Owned]


@dataclass(frozen=True)
class Backdrop:
    """What peaks stand on: the intensity of a voxel without one, and variance over mean of intensities."""

    intensity: float
    count_scale: float


def measure(found: Found, series: Series, backdrop: Backdrop) -> PeakTable:
    """Everything that is kept of the peaks; reads the shards once.

    The shape is measured of peaks that have two voxels along each axis at least, as many as 2^ndim.
    """
    sums, axes = found.sums, series.axes
    centroid = sums.centroid
    shaped = np.flatnonzero((sums.size >= 2 ** len(axes)) & np.isfinite(centroid).all(axis=1))
    place = np.full(len(sums), -1, np.int32)
    place[shaped] = np.arange(shaped.size, dtype=np.int32)
    coordinates = tuple(axis.values for axis in axes)
    contrast = low_minus_high(series.scan.values)
    work = _Measure(found.owned, place, centroid[shaped], coordinates, contrast, backdrop.count_scale)
    sums_of_shape = ShapeSums.empty(shaped.size, len(contrast), len(axes))
    parts: list[_Tops] = []
    for own, part, tops in PartOf(found.shards, home).map(work):
        sums_of_shape.add(part, own)
        parts.append(tops)
    moments = shapes(sums_of_shape, backdrop.intensity, backdrop.count_scale)
    columns = (moments.displacement, moments.width, moments.asymmetry)
    maxima, left = thinned(Maxima.concatenate([part.maxima for part in parts]), series.shape)
    return PeakTable(
        label=found.label,
        size=sums.size,
        centroid=centroid,
        intensity=sums.total,
        maximum=sums.maximum,
        shapes=PeakShapes(shaped, *(column.astype(np.float32) for column in columns)),
        maxima=PeakMaxima(
            np.concatenate([part.peak for part in parts])[left].astype(np.int64),
            np.concatenate([part.change for part in parts])[left],
            maxima.position,
            maxima.error,
            maxima.whole,
        ),
    )


class _Tops(NamedTuple):
    """Maxima of one shard with their peaks, and by how much they change."""

    maxima: Maxima
    peak: NDArray[np.int32]
    change: Float64Array


@dataclass(frozen=True)
class _Measure:
    """Sums up the shapes of chosen peaks in a shard, and finds the maxima of all."""

    owned: Callable[[Any], Owned]
    place: NDArray[np.int32]
    about: Float64Array
    coordinates: tuple[Float64Array, ...]
    contrast: Float64Array
    count_scale: float

    def __call__(self, shard: Any) -> tuple[NDArray[np.intp], ShapeSums, _Tops]:
        """Which of the chosen peaks the shard has, their sums there, and the maxima of all."""
        index, intensity, peak = self.owned(shard)
        place = self.place[peak]
        own: NDArray[np.intp] = np.unique(place[place >= 0]).astype(np.intp)
        local = np.where(place >= 0, np.searchsorted(own, place), -1).astype(np.int32)
        sums = ShapeSums.of(index, intensity, local, self.about[own], self.coordinates)
        change, variance = weighed(intensity, self.contrast)
        noise = np.sqrt(self.count_scale * variance)
        maxima = find_maxima(index, np.abs(change), noise, self.coordinates)
        at = np.searchsorted(index, maxima.index)
        return own, sums, _Tops(maxima, peak[at], change[at])


QUANTITIES = ("intensity", "maximum", "spread", "width", "asymmetry", "displacement")
"""What can be clustered of peaks; the last three with an axis, ``width-h``."""


def quantity_of(table: PeakTable, axes: Sequence[Axis], name: str) -> Float64Array:
    """One quantity of every peak against temperature, shape (P, T); NaN where there is none.

    Parameters
    ----------
    table : PeakTable
    axes : sequence of Axis
    name : str
        ``maximum``, ``spread``, or ``width``, ``asymmetry``, ``displacement`` with a letter of an axis, as
        ``width-h``; ``width`` alone is the root of the mean square over the axes.

    Raises
    ------
    ConfigError
        If there is no such quantity.
    """
    kind, _, letter = name.partition("-")
    if name in ("intensity", "maximum", "spread"):
        values: Float64Array = getattr(table, kind)
        return values
    letters = [axis.name.removeprefix("Q").lower() for axis in axes]
    possible = {f"{one}-{along}" for one in QUANTITIES[3:] for along in letters} | {"width"}
    if name not in possible:
        some = ", ".join(["intensity", "maximum", "spread", "width", *(f"width-{one}" for one in letters)])
        raise ConfigError(
            f"no quantity of peaks named {name!r}", hint=f"{some}; likewise asymmetry-, displacement-"
        )
    each = getattr(table.shapes, kind).astype(np.float64)
    full = np.full(table.intensity.shape, np.nan)
    together = np.sqrt((each**2).mean(axis=2)) if not letter else each[..., letters.index(letter)]
    full[table.shapes.peak] = together
    return full


def connect_clusters(
    voxels: Voxels,
    find: Find,
    plans: Sequence[ShardPlan],
    axes: Sequence[Axis],
    n_clusters: int,
    contrast: Float64Array,
    novel: Score | None = None,
) -> tuple[Labelled, Found]:
    """Label voxels, and join neighbouring ones of the same cluster into peaks.

    Parameters
    ----------
    voxels : Voxels
    find : callable
        Finds the cluster 0..K-1 of each voxel of a shard.
    plans : sequence of ShardPlan
    axes : sequence of Axis
    n_clusters : int
        K.
    contrast : array, shape (T,)
        See `low_minus_high`.
    novel : callable, optional
        Tells how unlike a reference trajectories are.
    """
    shape = tuple(len(axis) for axis in axes)
    coordinates = tuple(axis.values for axis in axes)
    work = _ConnectLabels(tuple(plans), shape, coordinates, n_clusters)
    labelled, connected = voxels.label(find, n_clusters, contrast, novel, work)
    sums, label = list[PeakSums](), list[NDArray[np.int16]]()
    united_number: dict[int, list[NDArray[np.int32]]] = {one.number: [] for one in connected}
    for k in range(n_clusters):
        united, numbers = unite([one.peaks[k] for one in connected], shape)
        start = np.int32(sum(len(one) for one in sums))
        for one, number in zip(connected, numbers, strict=True):
            united_number[one.number].append(number + start)
        sums.append(united)
        label.append(np.full(len(united), k + 1, np.int16))
    joined, place = PeakSums.concatenate(sums).in_order()
    labels = np.empty(len(joined), np.int16)
    labels[place] = np.concatenate(label)
    peak = {one.number: place[np.concatenate(united_number[one.number])[one.peak]] for one in connected}
    return labelled, Found(joined, labels, voxels.placed, _OwnedVoxels(voxels.intensity_of, peak))


@dataclass(frozen=True)
class _ShardOfClusters:
    """Peaks of each cluster in a shard.

    Attributes
    ----------
    number : int
    label : array, shape (n,)
        Cluster 0..K-1 of each voxel.
    peak : array, shape (n,)
        Peak of each voxel among the shard's own, those of one cluster after those of the other.
    ends : list of int
        Where the peaks of each cluster end, after a 0.
    peaks : list of ShardPeaks
        For each cluster.
    """

    number: int
    label: NDArray[np.int16]
    peak: NDArray[np.int32]
    ends: list[int]
    peaks: list[ShardPeaks]


@dataclass(frozen=True)
class _ConnectLabels:
    """Connects the voxels of each cluster within a shard."""

    plans: tuple[ShardPlan, ...]
    shape: tuple[int, ...]
    coordinates: tuple[Float64Array, ...]
    n_clusters: int

    def __call__(self, shard: Labels) -> _ShardOfClusters:
        xp, label = namespace(shard.index), shard.component
        members, own, ends = [], [], [0]
        for k in range(self.n_clusters):
            mine = xp.nonzero(label == k)[0]
            peaks = connect(xp.take(shard.index, mine), self.shape)
            members.append(mine)
            own.append(peaks + ends[-1])
            ends.append(ends[-1] + (int(xp.max(peaks)) + 1 if peaks.size else 0))
        peak = xp.take(xp.concat(own), xp.argsort(xp.concat(members)))
        sums = home(PeakSums.of(shard.index, shard.intensity, peak, self.coordinates))
        index, label, peak = home((shard.index, label, peak))
        outer = rim(index, self.shape, self.plans[shard.number].blocks)
        found = []
        for k, (start, stop) in enumerate(pairwise(ends)):
            at = outer & (label == k)
            course = np.zeros(int(at.sum()), np.int8)
            found.append(ShardPeaks(sums[start:stop], index[at], peak[at] - np.int32(start), course))
        return _ShardOfClusters(shard.number, label, peak, ends, found)


@dataclass(frozen=True)
class _OwnedVoxels:
    intensity_of: Callable[[Any], FloatArray]
    peak: dict[int, NDArray[np.int32]]

    def __call__(self, shard: Any) -> Owned:
        return Owned(shard.index, self.intensity_of(shard), self.peak[shard.number])
