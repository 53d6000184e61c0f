"""Starting points for EM, drawn from a sample of the trajectories.

Several kinds, because none finds the best optimum every time: k-means++ spreads its centres and lands in the
tails; random trajectories follow the density and miss small clusters; random shares start from the middle and
let differences in width decide.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from xtec.core.types import CovarianceType, Float64Array
from xtec.mixture.covariance import estimate
from xtec.mixture.em import expect
from xtec.mixture.moments import ComponentMoments, has_full_scatter
from xtec.mixture.parameters import MixtureParameters
from xtec.mixture.trajectories import Trajectories

_LLOYD_STEPS = 10

_NARROW = 1e-6
"""Width that leaves each trajectory to the nearest centre, as a share of the sample's variance."""


class Sample:
    """Some trajectories to draw starts from.

    Parameters
    ----------
    trajectories : Trajectories
        m of them.

    Attributes
    ----------
    rows : array, shape (m, T)
        Differences from the mean.
    """

    def __init__(self, trajectories: Trajectories) -> None:
        self.trajectories = trajectories
        self.rows: Float64Array = trajectories.rows() - trajectories.mean
        self._plain = trajectories.plain

    def parts(self, centres: Float64Array, *, full: bool) -> ComponentMoments:
        """Moments of what is nearest to each centre, shape (K, T), all of them less the mean.

        One step of k-means, which is one of EM with components that are alike and narrow. Of equal centres
        the first takes all.
        """
        first = np.unique(centres, axis=0, return_index=True)[1]
        weights = np.isin(np.arange(len(centres)), first) / len(first)
        width = np.full(centres.shape, _NARROW * self.trajectories.variance.mean())
        alike = MixtureParameters(weights, centres + self.trajectories.mean, width, CovarianceType.DIAG)
        moments = expect(self._plain, alike, full=full).moments
        return ComponentMoments(moments.weight, moments.mean - self.trajectories.mean, moments.scatter)


Draw = Callable[[Sample, int, np.random.Generator, bool], ComponentMoments]
"""Draws K components, as moments less the sample's mean; the last argument asks for full scatter."""


def random_centres(sample: Sample, k: int, rng: np.random.Generator, full: bool) -> ComponentMoments:
    """Each trajectory to the nearest of K random ones."""
    return sample.parts(sample.rows[rng.choice(len(sample.rows), k, replace=False)], full=full)


def spread_centres(sample: Sample, k: int, rng: np.random.Generator, full: bool) -> ComponentMoments:
    """Each trajectory to the nearest of K far from each other (k-means++)."""
    return sample.parts(_plus_plus(sample.rows, k, rng), full=full)


def settled_centres(sample: Sample, k: int, rng: np.random.Generator, full: bool) -> ComponentMoments:
    """Spread centres after a few steps of Lloyd's k-means."""
    centres = _plus_plus(sample.rows, k, rng)
    for _ in range(_LLOYD_STEPS):
        part = sample.parts(centres, full=False)
        centres = np.where(part.weight[:, None] > 0, part.mean, centres)
    return sample.parts(centres, full=full)


def random_shares(sample: Sample, k: int, rng: np.random.Generator, full: bool) -> ComponentMoments:
    """A random share of each trajectory to every component."""
    share = rng.random((len(sample.rows), k))
    return ComponentMoments.of_block(sample.rows, share / share.sum(axis=1, keepdims=True), full=full)


KINDS: tuple[Draw, ...] = (random_centres, spread_centres, random_centres, settled_centres, random_shares)
"""Taken in turn; random trajectories come twice because they find the best optimum most often."""


def draw_start(
    sample: Sample, draw: Draw, k: int, covariance_type: CovarianceType, rng: np.random.Generator
) -> MixtureParameters:
    """Draw a mixture to start from; components with less than two trajectories get the width of all.

    Parameters
    ----------
    sample : Sample
    draw : Draw
        One of `KINDS`.
    k : int
        Number of components.
    covariance_type : CovarianceType
    rng : numpy Generator
    """
    full, data = has_full_scatter(covariance_type), sample.trajectories
    moments = draw(sample, k, rng, full)
    weight, scatter = np.maximum(moments.weight, 1.0), moments.scatter.copy()
    scatter[moments.weight < 2] = np.diag(data.variance) if full else data.variance
    start = ComponentMoments(weight, moments.mean + data.mean, scatter)
    return estimate(start, covariance_type, data.floor)


def _plus_plus(rows: Float64Array, k: int, rng: np.random.Generator) -> Float64Array:
    """Seeds drawn with probability by squared distance (Arthur & Vassilvitskii 2007), shape (k, T)."""
    centres = [rows[rng.integers(len(rows))]]
    length = np.einsum("mt,mt->m", rows, rows)
    distance = _squared_distances(rows, length, centres[0])
    while len(centres) < k:
        total = distance.sum()
        chosen = rng.choice(len(rows), p=distance / total) if total > 0 else rng.integers(len(rows))
        centres.append(rows[chosen])
        distance = np.minimum(distance, _squared_distances(rows, length, centres[-1]))
    return np.array(centres)


def _squared_distances(rows: Float64Array, length: Float64Array, centre: Float64Array) -> Float64Array:
    """From a centre, of rows whose squared lengths are known; shape (m,)."""
    distances: Float64Array = length - 2 * (rows @ centre) + centre @ centre
    return np.maximum(distances, 0.0)
