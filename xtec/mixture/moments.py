"""What the M step needs to know of the trajectories: weight, mean and scatter of each component.

Moments of two blocks merge into those of both, with an empty case as identity; no trajectory is needed twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from xtec.core.arrays import namespace
from xtec.core.types import CovarianceType, Float64Array

_SMALLEST = float(np.finfo(np.float64).smallest_normal)
"""Weights below are taken for none: their inverse overflows."""


def has_full_scatter(covariance_type: CovarianceType) -> bool:
    """Whether scatter between temperatures is needed, or only at each of them."""
    return covariance_type in (CovarianceType.FULL, CovarianceType.TIED)


@dataclass(frozen=True)
class ComponentMoments:
    """Responsibility-weighted moments about each component's own mean.

    Attributes
    ----------
    weight : array, shape (K,)
        Sum of responsibilities.
    mean : array, shape (K, T)
    scatter : array, shape (K, T) or (K, T, T)
        Weighted sum of squared deviations from `mean` (of their outer products).
    """

    weight: Float64Array
    mean: Float64Array
    scatter: Float64Array

    @classmethod
    def empty(cls, n_components: int, n_features: int, *, full: bool) -> ComponentMoments:
        """Moments of no trajectories: the identity of `merge`."""
        square = (n_features,) * (2 if full else 1)
        return cls(
            np.zeros(n_components), np.zeros((n_components, n_features)), np.zeros((n_components, *square))
        )

    @classmethod
    def of_block(cls, block: Any, responsibilities: Any, *, full: bool) -> ComponentMoments:
        """Moments of one block.

        Parameters
        ----------
        block : array, shape (n, T), float64
        responsibilities : array, shape (n, K), float64
        full : bool
            Whether scatter between temperatures is wanted.
        """
        xp = namespace(block)
        weight = xp.sum(responsibilities, axis=0)
        present = weight > _SMALLEST
        share = xp.where(present, 1 / xp.where(present, weight, xp.ones_like(weight)), 0 * weight)
        mean = (responsibilities.T @ block) * share[:, None]
        if full:
            deviations = [block - mean[k, :] for k in range(weight.shape[0])]
            scatter = xp.stack([d.T @ (d * responsibilities[:, k, None]) for k, d in enumerate(deviations)])
        else:
            squares = responsibilities.T @ (block * block) - weight[:, None] * mean * mean
            scatter = xp.where(squares > 0, squares, xp.zeros_like(squares))
        return cls(weight, mean, scatter)

    def merge(self, other: ComponentMoments) -> ComponentMoments:
        """Moments of both sets of trajectories (Chan, Golub & LeVeque 1983)."""
        weight = self.weight + other.weight
        share = other.weight / np.where(weight > _SMALLEST, weight, 1.0)
        step = other.mean - self.mean
        between = (self.weight * share)[:, None] * step
        if self.scatter.ndim == 2:
            added = between * step
        else:
            added = between[:, :, None] * step[:, None, :]
        return ComponentMoments(
            weight, self.mean + share[:, None] * step, self.scatter + other.scatter + added
        )
