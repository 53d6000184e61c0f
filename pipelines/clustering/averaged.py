"""X-TEC-s: connected voxels are clustered as one, by the mean trajectory of their peak."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xtec.core.arrays import home, like, namespace, some_rows
from xtec.core.axes import Axis
from xtec.core.chunking import rim
from xtec.core.device import Device, Host
from xtec.core.shards import Local, Shards
from xtec.core.types import Float64Array, Rescale
from xtec.mixture import Blocks, GaussianMixture, Noisy
from xtec.order_parameter import ClusterMoments
from xtec.peaks import PeakSums, ShardPeaks, connect, unite
from xtec.preprocess import CountScale, mean_over_scan, noise_of_rescaled
from xtec.selection import Shaped, Shapes
from xtec_pipelines.clustering.labelled import Find, FindOfRows, Labelled, Score, contrasted
from xtec_pipelines.clustering.level import Level
from xtec_pipelines.clustering.peaks import Found, Owned
from xtec_pipelines.clustering.voxels import loud_enough, note_quiet, note_unknown
from xtec_pipelines.streaming.holding import Kept
from xtec_pipelines.streaming.ingest import KeptTrajectories
from xtec_pipelines.streaming.plan import ShardPlan


@dataclass(frozen=True)
class Connected(Kept):
    """Kept trajectories of one shard, and the peak of each among the shard's own.

    Attributes
    ----------
    peak : array, shape (n,), int32
    """

    peak: NDArray[np.int32]


@dataclass(frozen=True)
class Peaks:
    """Peaks of all kept voxels.

    Attributes
    ----------
    shards : Shards of Connected
    sums : PeakSums
        Of all P peaks, in the order of their first voxels.
    numbers : list of array
        For each shard, the number 0..P-1 of each of its own peaks.
    """

    shards: Shards[Connected]
    sums: PeakSums
    numbers: list[NDArray[np.int32]]


def find_peaks(kept: KeptTrajectories, axes: Sequence[Axis]) -> Peaks:
    """Join neighbouring voxels, within shards and across their faces.

    The shards of `kept` are given up: they go on as those of the peaks.
    """
    shape = tuple(len(axis) for axis in axes)
    shards = kept.shards.derive(_Connect(shape))
    found = shards.map(_Find(tuple(kept.plans), shape, tuple(axis.values for axis in axes)))
    return Peaks(shards, *unite(list(found), shape))


def every_peak(peaks: Peaks, label: NDArray[np.int16] | None = None) -> Found:
    """The peaks and their voxels, with the cluster of each peak if that is known."""
    label = np.zeros(len(peaks.sums), np.int16) if label is None else label
    return Found(peaks.sums, label, peaks.shards, _OwnedVoxels(peaks.numbers))


class AveragedPeaks:
    """Mean trajectories of peaks, rescaled.

    Parameters
    ----------
    peaks : Peaks
    how : Rescale
    min_std : float
        Peaks that vary less are left out, with their voxels.
    noise : CountScale, optional
        Has the noise of each mean trajectory go with it.
    device : Device, optional
        What clusters them.
    quantity : array, shape (P, T), optional
        Clustered in place of the mean intensity; peaks where it is not finite are left out.

    Raises
    ------
    NothingToClusterError
        If none varies enough.
    """

    def __init__(
        self,
        peaks: Peaks,
        how: Rescale,
        min_std: float,
        noise: CountScale | None = None,
        quantity: Float64Array | None = None,
        device: Device | None = None,
    ) -> None:
        self.peaks = peaks
        device = device or Host()
        known = np.arange(len(peaks.sums))
        if quantity is not None:
            known = np.flatnonzero(np.isfinite(quantity).all(axis=1))
            note_unknown(len(peaks.sums) - known.size, len(peaks.sums))
        rescaled, loud = loud_enough((peaks.sums.mean if quantity is None else quantity)[known], how, min_std)
        self._loud = known[loud]
        note_quiet(known.size - loud.size, known.size)
        self.rows = device.upload(rescaled.rows)
        self._mean, self._noise = peaks.sums.mean.mean(axis=1)[self._loud], noise
        if noise is not None:
            size = peaks.sums.size[self._loud]
            self._noise_of_rows = device.upload(noise_of_rescaled(noise, self._mean, rescaled, size))

    @property
    def trajectories(self) -> Blocks:
        """What is clustered, with its noise if that is known."""
        return self.rows if self._noise is None else Noisy(self.rows, self._noise_of_rows)

    def shaped(self, level: Level) -> Local[Shaped]:
        """What is clustered, its noise, and how much of it stands above a background."""
        excess = 1 - level.background / self._mean
        alone = (self.peaks.sums.size[self._loud] == 1) & (self._mean <= level.cutoff)
        chance = np.where(alone, level.chance, 0.0)
        number = np.arange(self._mean.size)
        beside = (like(one, self.rows) for one in (excess, chance))
        return Local([Shaped(0, number, self.rows, self._noise_of_rows, *beside)])

    def plain(self, mixture: GaussianMixture) -> Find:
        """Labels by a mixture."""
        return lambda peaks: mixture.predict(peaks.trajectories)

    def by_shape(self, shapes: Shapes, level: Level) -> Find:
        """Labels by shapes."""
        return lambda peaks: next(peaks.shaped(level).map(shapes))

    def moments(self, label_of: Callable[[Any], NDArray[np.int16]], n_clusters: int) -> ClusterMoments:
        """Of what is clustered, by labels of voxels: a peak goes with most of its own."""
        votes = np.zeros((len(self.peaks.sums), n_clusters + 1), np.int64)
        work = _Vote(label_of, n_clusters)
        for numbers, some in zip(self.peaks.numbers, self.peaks.shards.map(work), strict=True):
            np.add.at(votes, numbers, some)
        votes[:, 0] = 0
        label = votes.argmax(axis=1).astype(np.int16)
        return ClusterMoments.of(home(self.rows), label[self._loud], n_clusters)

    def by_rows(self, find: FindOfRows) -> Find:
        """Labels by trajectories alone."""
        return lambda peaks: find(peaks.rows)

    def label(
        self, find: Find, n_clusters: int, contrast: Float64Array, novel: Score | None = None
    ) -> tuple[Labelled, NDArray[np.int16]]:
        """What is known of all voxels; and labels of all peaks, shape (P,), 0 where one was left out."""
        component, certainty = find(self)
        n_peaks, k = len(self.peaks.sums), n_clusters
        label, probability = np.zeros(n_peaks, np.int16), np.zeros(n_peaks, np.float32)
        label[self._loud], probability[self._loud] = component + np.int16(1), certainty
        score = np.zeros(n_peaks, np.float32)
        if novel is not None:
            score[self._loud] = novel(self.rows)
        numbers = self.peaks.numbers
        work = _Label([label[one] for one in numbers], [probability[one] for one in numbers], k, contrast)
        if novel is not None:
            work = replace(work, novelty=[score[one] for one in numbers])
        labelled = Labelled.joined(self.peaks.shards.map(work), int(self.peaks.sums.size.sum()))
        moments = ClusterMoments.of(home(self.rows), label[self._loud], k)
        return replace(labelled, rescaled=moments), label


@dataclass(frozen=True)
class _OwnedVoxels:
    """Gives the voxels of a shard the numbers of their peaks."""

    numbers: list[NDArray[np.int32]]

    def __call__(self, shard: Connected) -> Owned:
        return Owned(shard.index, shard.intensity, self.numbers[shard.number][shard.peak])


@dataclass(frozen=True)
class _Connect:
    """Connects the voxels of a shard among themselves."""

    shape: tuple[int, ...]

    def __call__(self, kept: Kept) -> Connected:
        peak = connect(kept.index, self.shape, kept.course)
        return Connected(kept.number, kept.index, kept.intensity, kept.course, peak)


@dataclass(frozen=True)
class _Find:
    """Sums over the peaks of a shard, and its voxels that may touch other shards."""

    plans: tuple[ShardPlan, ...]
    shape: tuple[int, ...]
    coordinates: tuple[Float64Array, ...]

    def __call__(self, shard: Connected) -> ShardPeaks:
        outer = rim(home(shard.index), self.shape, self.plans[shard.number].blocks)
        sums = PeakSums.of(shard.index, shard.intensity, shard.peak, self.coordinates)
        rims = (some_rows(one, outer) for one in (shard.index, shard.peak, shard.course))
        return ShardPeaks(sums, *rims)


@dataclass(frozen=True)
class _Vote:
    """Counts the labels of the voxels of each peak of a shard."""

    label_of: Callable[[Any], NDArray[np.int16]]
    n_clusters: int

    def __call__(self, shard: Connected) -> NDArray[np.int64]:
        peak, width = home(shard.peak), self.n_clusters + 1
        cell = peak.astype(np.int64) * width + self.label_of(home(shard.index))
        counts = np.bincount(cell, minlength=int(peak.max(initial=-1) + 1) * width)
        return counts.reshape(-1, width)


@dataclass(frozen=True)
class _Label:
    """Gives the voxels of a shard the labels of their peaks.

    Attributes
    ----------
    label, probability, novelty : list of array
        For each shard, of each of its own peaks; label 0 leaves a peak out.
    n_clusters : int
    contrast : array, shape (T,)
    """

    label: list[NDArray[np.int16]]
    probability: list[NDArray[np.float32]]
    n_clusters: int
    contrast: Float64Array
    novelty: list[NDArray[np.float32]] | None = None

    def __call__(self, shard: Connected) -> Labelled:
        xp, number = namespace(shard.index), shard.number
        label, probability = (
            xp.take(like(one[number], shard.index), shard.peak) for one in (self.label, self.probability)
        )
        novelty = np.empty(0, np.float32)
        if self.novelty is not None:
            novelty = self.novelty[number][home(shard.peak)[home(label) > 0]]
        clustered = xp.nonzero(label)[0]
        brightness = xp.astype(mean_over_scan(shard.intensity), xp.float32)
        intensity = ClusterMoments.of(shard.intensity, label, self.n_clusters)
        change = contrasted(shard.intensity, self.contrast)
        return Labelled(
            index=xp.take(shard.index, clustered),
            label=xp.take(label, clustered),
            probability=xp.take(probability, clustered),
            brightness=xp.take(brightness, clustered),
            change=xp.take(change, clustered),
            intensity=intensity,
            rescaled=intensity,
            novelty=novelty,
        )
