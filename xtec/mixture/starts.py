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
from xtec.mixture.moments import ComponentMoments, has_full_scatter
from xtec.mixture.parameters import MixtureParameters
from xtec.mixture.trajectories import Trajectories

Shares = Callable[[Float64Array, int, np.random.Generator], Float64Array]
"""Gives responsibilities, shape (m, K), of K components for a sample of shape (m, T)."""

_LLOYD_STEPS = 10


def random_centres(sample: Float64Array, k: int, rng: np.random.Generator) -> Float64Array:
    """Each trajectory to the nearest of K random ones."""
    return _to_nearest(sample, sample[rng.choice(len(sample), k, replace=False)])


def spread_centres(sample: Float64Array, k: int, rng: np.random.Generator) -> Float64Array:
    """Each trajectory to the nearest of K far from each other (k-means++)."""
    return _to_nearest(sample, _plus_plus(sample, k, rng))


def settled_centres(sample: Float64Array, k: int, rng: np.random.Generator) -> Float64Array:
    """Spread centres after a few steps of Lloyd's k-means."""
    share = spread_centres(sample, k, rng)
    for _ in range(_LLOYD_STEPS):
        size = share.sum(axis=0)
        share = _to_nearest(sample, (share.T @ sample)[size > 0] / size[size > 0, None], k)
    return share


def random_shares(sample: Float64Array, k: int, rng: np.random.Generator) -> Float64Array:
    """A random share of each trajectory to every component."""
    share = rng.random((len(sample), k))
    return np.asarray(share / share.sum(axis=1, keepdims=True))


KINDS: tuple[Shares, ...] = (random_centres, spread_centres, random_centres, settled_centres, random_shares)
"""Taken in turn; random trajectories come twice because they find the best optimum most often."""


def draw_start(
    sample: Trajectories, share: Float64Array, covariance_type: CovarianceType
) -> MixtureParameters:
    """Mixture from responsibilities; components with less than two trajectories get the width of all.

    Parameters
    ----------
    sample : Trajectories
        m of them.
    share : array, shape (m, K)
    covariance_type : CovarianceType
    """
    full = has_full_scatter(covariance_type)
    rows = sample.rows() - sample.mean
    moments = ComponentMoments.of_block(rows, share, full=full)
    weight, scatter = np.maximum(moments.weight, 1.0), moments.scatter.copy()
    scatter[moments.weight < 2] = np.diag(sample.variance) if full else sample.variance
    start = ComponentMoments(weight, moments.mean + sample.mean, scatter)
    return estimate(start, covariance_type, sample.floor)


def _plus_plus(sample: Float64Array, k: int, rng: np.random.Generator) -> Float64Array:
    """Seeds drawn with probability by squared distance (Arthur & Vassilvitskii 2007), shape (k, T)."""
    centres = [sample[rng.integers(len(sample))]]
    distance = _squared_distances(sample, centres[0][None])[:, 0]
    while len(centres) < k:
        total = distance.sum()
        chosen = rng.choice(len(sample), p=distance / total) if total > 0 else rng.integers(len(sample))
        centres.append(sample[chosen])
        distance = np.minimum(distance, _squared_distances(sample, centres[-1][None])[:, 0])
    return np.array(centres)


def _to_nearest(sample: Float64Array, centres: Float64Array, k: int | None = None) -> Float64Array:
    """One-hot responsibilities, shape (m, k)."""
    nearest = (np.sum(centres**2, axis=1) - 2 * (sample @ centres.T)).argmin(axis=1)
    return np.asarray(nearest[:, None] == np.arange(k or len(centres)), dtype=np.float64)


def _squared_distances(sample: Float64Array, centres: Float64Array) -> Float64Array:
    """Shape (m, K)."""
    distances: Float64Array = (
        np.sum(sample**2, axis=1)[:, None] - 2 * (sample @ centres.T) + np.sum(centres**2, axis=1)[None, :]
    )
    return np.maximum(distances, 0.0)
