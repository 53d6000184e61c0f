"""X-TEC-d: every kept voxel is clustered on its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce
from operator import attrgetter
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from xtec.core.arrays import home, like, namespace
from xtec.core.errors import NothingToClusterError
from xtec.core.shards import PartOf, Shards
from xtec.core.types import Float64Array, FloatArray, Rescale
from xtec.mixture import Blocks, GaussianMixture, Noisy
from xtec.mixture.smoothed import Placed
from xtec.order_parameter import ClusterMoments
from xtec.preprocess import (
    CountScale,
    Rescaled,
    mean_over_scan,
    noise_of_rescaled,
    rescale,
    std_over_scan,
    varying,
)
from xtec.selection import Shaped, Shapes
from xtec_pipelines.clustering.labelled import Find, FindOfRows, Labelled, Labels, Score, contrasted
from xtec_pipelines.clustering.level import Level
from xtec_pipelines.streaming.holding import Kept

logger = logging.getLogger(__name__)

Outcome = TypeVar("Outcome")


@dataclass(frozen=True)
class _Scaled(Placed):
    """Rescaled trajectories of one shard, their noise, and what takes them back to intensities."""

    scale: NDArray[np.float32]
    offset: NDArray[np.float32]
    brightness: NDArray[np.float32]
    noise: NDArray[np.float32]
    n_quiet: int

    @property
    def noisy(self) -> Noisy:
        return Noisy(self.rows, self.noise)


class Voxels:
    """Kept voxels, rescaled.

    Parameters
    ----------
    kept : Shards of Kept
        Given up: their place is taken by rescaled trajectories.
    how : Rescale
    min_std : float
        Trajectories that vary less are left out.
    noise : CountScale, optional
        Has the noise of each trajectory go with it.

    Attributes
    ----------
    n : int
        Voxels that are clustered.

    Raises
    ------
    NothingToClusterError
        If none varies enough.
    """

    def __init__(
        self, kept: Shards[Kept], how: Rescale, min_std: float, noise: CountScale | None = None
    ) -> None:
        self.how = how
        self._part = attrgetter("rows" if noise is None else "noisy")
        self._shards = kept.derive(_Scale(how, min_std, noise))
        self.n, n_quiet = (int(one) for one in np.sum(list(self._shards.map(_sizes)), axis=0))
        note_quiet(n_quiet, self.n + n_quiet)

    @property
    def trajectories(self) -> Blocks:
        """What is clustered."""
        return PartOf(self._shards, self._part)

    @property
    def placed(self) -> Shards[Placed]:
        """What is clustered, and where it is."""
        return self._shards

    @property
    def rows(self) -> Blocks:
        """The same without what is known of its noise."""
        return PartOf(self._shards, attrgetter("rows"))

    def shaped(self, level: Level) -> Shards[Shaped]:
        """What is clustered, its noise, and how much of it stands above a background."""
        return PartOf(self._shards, _Above(level))

    def plain(self, mixture: GaussianMixture) -> Find:
        """Labels by a mixture."""
        return _OnPart(mixture.labeller(), self._part)

    def by_shape(self, shapes: Shapes, level: Level) -> Find:
        """Labels by shapes."""
        return _OnPart(shapes, _Above(level))

    def by_rows(self, find: FindOfRows) -> Find:
        """Labels by trajectories alone."""
        return _OnPart(find, attrgetter("rows"))

    def label(
        self,
        find: Find,
        n_clusters: int,
        contrast: Float64Array,
        novel: Score | None,
        also: Callable[[Labels], Outcome],
    ) -> tuple[Labelled, list[Outcome]]:
        """Labels, changes and novelty of all voxels, and what else is made of each shard's in that pass."""
        work = _Label(find, n_clusters, self.how, contrast, novel, also)
        outcomes: list[Outcome] = []

        def labelled() -> Iterator[Labelled]:
            for part, outcome in self._shards.map(work):
                outcomes.append(outcome)
                yield part

        return Labelled.joined(labelled(), self.n), outcomes

    def moments(self, label_of: Callable[[Any], NDArray[np.int16]], n_clusters: int) -> ClusterMoments:
        """Of what is clustered, by labels of voxels."""
        parts = self._shards.map(_ByLabel(label_of, n_clusters))
        return reduce(ClusterMoments.merge, parts)

    @property
    def intensity_of(self) -> Callable[[Any], FloatArray]:
        """Takes the trajectories of a shard back to intensities, shape (n, T)."""
        return _Intensity(self.how)


def note_quiet(n_quiet: int, n: int) -> None:
    """Say how many trajectories were left out.

    Raises
    ------
    NothingToClusterError
        If that was all of them.
    """
    if n_quiet:
        logger.warning("%d of %d trajectories left out: they vary too little", n_quiet, n)
    if n_quiet == n:
        raise NothingToClusterError("no trajectory varies enough", hint="a lower --min-std")


def note_unknown(n_unknown: int, n: int) -> None:
    """Say how many peaks have no value at some temperature.

    Raises
    ------
    NothingToClusterError
        If that was all of them.
    """
    if n_unknown:
        logger.warning("%d of %d peaks left out: too weak or too small somewhere for a value", n_unknown, n)
    if n_unknown == n:
        raise NothingToClusterError(
            "no peak has this quantity at every temperature",
            hint="--quantity spread, or --temperatures where peaks are strong",
        )


def loud_enough(intensity: FloatArray, how: Rescale, min_std: float) -> tuple[Rescaled[Any], Any]:
    """Rescaled trajectories, and which of all they are: those that vary enough."""
    xp = namespace(intensity)
    loud = xp.arange(intensity.shape[0], device=intensity.device)
    if how is Rescale.ZSCORE:
        loud = xp.nonzero(std_over_scan(intensity) > 0)[0]
    rescaled = rescale(_chosen(intensity, loud), how)
    if min_std > 0:
        enough = xp.nonzero(varying(rescaled.rows, min_std))[0]
        loud = xp.take(loud, enough)
        scale, offset = xp.take(rescaled.scale, enough), xp.take(rescaled.offset, enough)
        rescaled = Rescaled(_chosen(rescaled.rows, enough), scale, offset, how)
    return rescaled, loud


def _chosen(rows: FloatArray, which: Any) -> FloatArray:
    """Some rows, in the same memory order; all of them without a copy."""
    return rows if which.size == rows.shape[0] else namespace(rows).take(rows.T, which, axis=1).T


@dataclass(frozen=True)
class _Scale:
    """Rescales the trajectories of a shard."""

    how: Rescale
    min_std: float
    noise: CountScale | None

    def __call__(self, kept: Kept) -> _Scaled:
        xp = namespace(kept.intensity)
        rescaled, loud = loud_enough(kept.intensity, self.how, self.min_std)
        mean = xp.take(mean_over_scan(kept.intensity), loud)
        brightness = xp.astype(mean, xp.float32)
        noise = brightness[:0] if self.noise is None else noise_of_rescaled(self.noise, mean, rescaled)
        return _Scaled(
            kept.number,
            xp.take(kept.index, loud),
            rescaled.rows,
            rescaled.scale,
            rescaled.offset,
            brightness,
            noise,
            kept.index.size - loud.size,
        )


@dataclass(frozen=True)
class _ByLabel:
    """Moments of the trajectories of a shard."""

    label_of: Callable[[Any], NDArray[np.int16]]
    n_clusters: int

    def __call__(self, shard: Placed) -> ClusterMoments:
        label = like(self.label_of(home(shard.index)), shard.rows)
        return ClusterMoments.of(shard.rows, label, self.n_clusters)


@dataclass(frozen=True)
class _Above:
    """Tells how much of the trajectories of a shard stands above a background."""

    level: Level

    def __call__(self, shard: _Scaled) -> Shaped:
        bright = shard.brightness
        xp = namespace(bright)
        excess = 1 - self.level.background / bright
        chance = xp.where(bright > self.level.cutoff, 0.0, xp.full_like(bright, self.level.chance))
        return Shaped(shard.number, shard.index, shard.rows, shard.noise, excess, chance)


@dataclass(frozen=True)
class _OnPart:
    """Labels trajectories wherever they are."""

    component_of: Callable[[Any], tuple[NDArray[np.int16], NDArray[np.float32]]]
    part: Callable[[Any], Any]

    def __call__(self, shard: Placed) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
        return self.component_of(self.part(shard))


@dataclass(frozen=True)
class _Intensity:
    how: Rescale

    def __call__(self, shard: _Scaled) -> FloatArray:
        return Rescaled(shard.rows, shard.scale, shard.offset, self.how).intensity()


@dataclass(frozen=True)
class _Label:
    """Labels the voxels of a shard."""

    component_of: Find
    n_clusters: int
    how: Rescale
    contrast: Float64Array
    novel: Score | None
    also: Callable[[Labels], Any]

    def __call__(self, shard: _Scaled) -> tuple[Labelled, Any]:
        component, probability = self.component_of(shard)
        label, k = component + 1, self.n_clusters
        intensity = _Intensity(self.how)(shard)
        labelled = Labelled(
            shard.index,
            label,
            probability,
            shard.brightness,
            contrasted(intensity, self.contrast),
            ClusterMoments.of(shard.rows, label, k),
            ClusterMoments.of(intensity, label, k),
            np.empty(0, np.float32) if self.novel is None else self.novel(shard.rows),
        )
        return labelled, self.also(Labels(shard.number, shard.index, intensity, component))


def _sizes(shard: _Scaled) -> tuple[int, int]:
    """Trajectories that are clustered, and left out."""
    return shard.index.size, shard.n_quiet
