"""Counting noise beside the trajectories: how much each has, and how it goes with temperature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from xtec.core.arrays import some_rows
from xtec.core.shards import Record
from xtec.core.types import Float64Array, FloatArray, Rescale

_DARKEST = 0.1
"""Least intensity expected, over its mean. Where none is, trajectories without a count would be certain
beyond measure, and a component of such is always found."""


@dataclass(frozen=True)
class Noisy(Record):
    """Trajectories and the noise of each. It is cut into parts as an array of trajectories is.

    Attributes
    ----------
    rows : array, shape (n, T)
        Rescaled trajectories.
    noise : array, shape (n,)
        Variance of the noise at a temperature where the intensity is its own mean, in the unit of `rows`
        squared. `shape_of_noise` makes it that of every temperature.
    """

    rows: FloatArray
    noise: FloatArray

    def __len__(self) -> int:
        return int(self.rows.shape[0])

    def __getitem__(self, part: Any) -> Noisy:
        return Noisy(some_rows(self.rows, part), some_rows(self.noise, part))


def rows_of(block: Any) -> Any:
    """The trajectories of a block, with or without noise."""
    return block.rows if isinstance(block, Noisy) else block


def shape_of_noise(means: Float64Array, how: Rescale) -> Float64Array:
    """How the noise of a component's trajectories goes with temperature.

    Counting noise follows the intensity expected: that of the component's mean, for a trajectory's own would
    make low fluctuations look certain. A trajectory is divided by its own mean, which has the same noise in
    it; so there is a little less in the quotient.

    Parameters
    ----------
    means : array, shape (K, T)
        Of rescaled trajectories.
    how : Rescale
        How they were rescaled. After ``zscore`` the contrast is unknown, and noise is taken as even.

    Returns
    -------
    array, shape (K, T)
        Variance at each temperature, for a noise of one.
    """
    t = means.shape[1]
    if how is Rescale.NONE:
        return np.asarray(np.maximum(means, _DARKEST * np.abs(means).mean(axis=1, keepdims=True)))
    if how is Rescale.MEAN:
        expected = _bounded(1 + means)
        return np.asarray(expected * (1 - expected / t))
    if how is Rescale.LOG_MEAN:
        growth = np.exp(means - means.max(axis=1, keepdims=True))
        inverse = 1 / _bounded(growth / growth.mean(axis=1, keepdims=True))
        return np.asarray(inverse * (1 - 2 / t) + inverse.mean(axis=1, keepdims=True) / t)
    return np.full(means.shape, 1 - 1 / t)


def _bounded(expected: Float64Array) -> Float64Array:
    """Intensities over their mean, none of them near zero or so high that nothing is left for the others."""
    return np.clip(expected, _DARKEST, max(0.5 * expected.shape[1], 1.0))
