"""From log-likelihoods to scores: how strange a trajectory would be in the reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xtec.core.types import Float64Array, FloatArray

_MOST_LEVELS, _EACH_LEVEL = 12, 50
"""Levels of noise that are told apart, at most, and trajectories in each, at least."""

_TAIL, _FEWEST_IN_TAIL = 0.05, 8
"""Share, and number at least, of the held-out trajectories that the tails are drawn out from."""

_TOO_LIKELY, _TOO_SMOOTH = 0.1, 0.05
"""Shares of the false alarms spent on trajectories that are so; the others are too unlikely."""


@dataclass(frozen=True)
class Judge:
    """What log-likelihoods held-out reference trajectories have.

    A quiet trajectory is more likely than a noisy one whatever its shape, so each is compared with those as
    noisy as itself. Then it may be too unlikely, or too likely: typical ones are at neither end (Nalisnick et
    al., arXiv:1906.02994). One with less noise than any of the reference has none to be compared with, and a
    shape too unlikely and noise too little would make up for each other; so noise has to be typical as well.

    Attributes
    ----------
    noise : array, shape (B,)
        Levels of noise.
    middle, spread : array, shape (B,)
        Median log-likelihood at each, and its standard deviation.
    usual : array, shape (m,)
        Deviations of the held-out trajectories from the median, in standard deviations, sorted.
    levels : array, shape (m,)
        Their noise, sorted.
    """

    noise: Float64Array
    middle: Float64Array
    spread: Float64Array
    usual: Float64Array
    levels: Float64Array

    @classmethod
    def of(cls, log_likelihood: FloatArray, noise: FloatArray) -> Judge:
        """From held-out reference trajectories: their log-likelihoods (m,) and noise (m,)."""
        n_levels = int(np.clip(len(noise) // _EACH_LEVEL, 1, _MOST_LEVELS))
        parts = np.array_split(np.argsort(noise, kind="stable"), n_levels)
        at = np.array([noise[part].mean() for part in parts], dtype=np.float64)
        low, middle, high = np.array(
            [np.quantile(log_likelihood[part], [0.16, 0.5, 0.84]) for part in parts], dtype=np.float64
        ).T
        judge = cls(at, middle, np.maximum((high - low) / 2, 1e-6), np.zeros(0), np.zeros(0))
        usual = np.sort(judge.deviation(log_likelihood, noise))
        return cls(at, middle, judge.spread, usual, np.sort(noise).astype(np.float64))

    def deviation(self, log_likelihood: FloatArray, noise: FloatArray) -> Float64Array:
        """How far log-likelihoods (n,) are above those of reference trajectories as noisy, in deviations."""
        middle = np.interp(noise, self.noise, self.middle)
        return np.asarray((log_likelihood - middle) / np.interp(noise, self.noise, self.spread))

    def score(
        self, log_likelihood: FloatArray, noise: FloatArray, *, typicality: bool = True
    ) -> Float64Array:
        """About the logarithm of the share of reference trajectories that are as strange, array (n,).

        All ends share the false alarms: Bonferroni's bound with unequal weights.
        """
        deviation = self.deviation(log_likelihood, noise)
        unlikely = log_tail(-deviation, -self.usual[::-1])
        if not typicality:
            return unlikely
        too_likely = log_tail(deviation, self.usual) - np.log(_TOO_LIKELY)
        too_smooth = log_tail(-noise.astype(np.float64), -self.levels[::-1]) - np.log(_TOO_SMOOTH)
        unlikely = unlikely - np.log(1 - _TOO_LIKELY - _TOO_SMOOTH)
        return np.asarray(np.minimum(np.minimum(unlikely, too_likely), too_smooth))


def log_tail(x: Float64Array, usual: Float64Array) -> Float64Array:
    """Logarithm of the share of `usual` at or above x, falling on exponentially where there are few or none.

    Parameters
    ----------
    x : array, shape (n,)
    usual : array, shape (m,)
        Sorted.
    """
    m = len(usual)
    k = min(max(int(_TAIL * m), _FEWEST_IN_TAIL), m)
    start = usual[m - k]
    length = max(float((usual[m - k :] - start).mean()), 1e-12)
    # Between ranks the share changes evenly: scores are to have no ties.
    share = np.interp(x, usual, np.arange(m, 0, -1) / m)
    beyond = np.log(k / m) - (x - start) / length
    return np.where(x > start, beyond, np.log(share))
