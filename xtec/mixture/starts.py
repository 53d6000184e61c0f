"""Starting points for EM, drawn from a sample of the trajectories.

Several kinds, because none finds the best optimum every time: k-means++ spreads its centres and lands in the
tails; random trajectories follow the density and miss small clusters.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from xtec.core.types import CovarianceType, Float64Array
from xtec.mixture.covariance import estimate
from xtec.mixture.em import Trajectories
from xtec.mixture.moments import ComponentMoments, has_full_scatter
from xtec.mixture.parameters import MixtureParameters

Centres = Callable[[Float64Array, int, np.random.Generator], Float64Array]

_LLOYD_STEPS = 10


def random_centres(sample: Float64Array, k: int, rng: np.random.Generator) -> Float64Array:
    """K trajectories at random; shape (K, T)."""
    return sample[rng.choice(len(sample), k, replace=False)]


def spread_centres(sample: Float64Array, k: int, rng: np.random.Generator) -> Float64Array:
    """K trajectories far from each other (k-means++, Arthur & Vassilvitskii 2007); shape (K, T)."""
    centres = [sample[rng.integers(len(sample))]]
    distance = _squared_distances(sample, centres[0][None])[:, 0]
    while len(centres) < k:
        total = distance.sum()
        chosen = rng.choice(len(sample), p=distance / total) if total > 0 else rng.integers(len(sample))
        centres.append(sample[chosen])
        distance = np.minimum(distance, _squared_distances(sample, centres[-1][None])[:, 0])
    return np.array(centres)


def settled_centres(sample: Float64Array, k: int, rng: np.random.Generator) -> Float64Array:
    """Spread centres after a few steps of Lloyd's k-means; shape (K, T)."""
    centres = spread_centres(sample, k, rng)
    for _ in range(_LLOYD_STEPS):
        nearest = _squared_distances(sample, centres).argmin(axis=1)
        member = nearest[:, None] == np.arange(k)
        size = member.sum(axis=0)
        filled = size > 0
        centres[filled] = (member.T.astype(np.float64) @ sample)[filled] / size[filled, None]
    return centres


KINDS: tuple[Centres, ...] = (random_centres, random_centres, spread_centres, settled_centres)
"""Taken in turn; random trajectories come twice because they find the best optimum most often."""


def draw_start(
    data: Trajectories, sample: Float64Array, centres: Float64Array, covariance_type: CovarianceType
) -> MixtureParameters:
    """Mixture whose components are the trajectories of a sample nearest to each centre.

    Parameters
    ----------
    data : Trajectories
        For its variance (components without a trajectory get it) and its floor.
    sample : array, shape (m, T)
    centres : array, shape (K, T)
    covariance_type : CovarianceType
    """
    nearest = _squared_distances(sample, centres).argmin(axis=1)
    member = (nearest[:, None] == np.arange(len(centres))).astype(np.float64)
    full = has_full_scatter(covariance_type)
    shift = data.mean
    moments = ComponentMoments.of_block(sample - shift, member, full=full)
    weight, mean, scatter = moments.weight.copy(), moments.mean + shift, moments.scatter.copy()
    alone = weight < 2
    spread = np.diag(data.variance) if full else data.variance
    weight[alone], mean[alone], scatter[alone] = 1.0, centres[alone], spread
    return estimate(ComponentMoments(weight, mean, scatter), covariance_type, data.floor)


def _squared_distances(sample: Float64Array, centres: Float64Array) -> Float64Array:
    """Shape (m, K)."""
    cross = sample @ centres.T
    distances: Float64Array = (
        np.sum(sample**2, axis=1)[:, None] - 2 * cross + np.sum(centres**2, axis=1)[None, :]
    )
    return np.maximum(distances, 0.0)
