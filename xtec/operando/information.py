"""How much values at temperatures to come would tell of an onset.

The information that a value has on which of N hypotheses is true is the entropy of the mixture of what they
predict less their mean entropy. For normal distributions it is bounded from below by
``-sum_i w_i ln sum_j w_j exp(-D_ij)`` with D the Bhattacharyya distance: zero where all agree, and the
entropy of the weights where all are apart (Kolchinsky & Tracey, Entropy 19, 361 (2017)). D of several values
is a sum, each given those before, so that temperatures can be chosen without knowing what they will show.
"""

from __future__ import annotations

import numpy as np

from xtec.core.types import Float64Array
from xtec.operando.evidence import Evidence, Setting
from xtec.operando.gaussian_process import Onsets, SmoothBasis, Sums
from xtec.operando.posterior import Posterior

N_ONSETS = 64

_ANY_CURVE = Setting(noise=0.01, amplitude=1.0, length=0.5, scale=1.0)


class Distinction:
    """How well the hypotheses on one curve can be told apart.

    Parameters
    ----------
    known : Posterior
    x : array, shape (C,)
        Temperatures that may be measured.

    Attributes
    ----------
    told : float
        Information in nats of the temperatures chosen so far.
    """

    def __init__(self, known: Posterior, x: Float64Array) -> None:
        mean, row = known.onset.with_onsets_at(x, known.representatives(N_ONSETS))
        smooth_mean, smooth_covariance = known.smooth.smooth_at(x)
        self.told = 0.0
        self._noise = known.sigma**2
        self._weights = np.append(np.full(N_ONSETS, (1 - known.p_smooth) / N_ONSETS), known.p_smooth)
        self._rows = np.vstack([row, np.zeros_like(x)])
        self._covariances = np.stack([known.onset.smooth_at(x)[1], smooth_covariance])
        self._which = np.append(np.zeros(N_ONSETS, dtype=np.intp), 1)
        # Pairs of hypotheses (N, N, C): difference of their means, and mean of their variances.
        means = np.vstack([mean, smooth_mean])
        self._apart = means[:, None] - means
        variance = np.diagonal(self._covariances, axis1=1, axis2=2)[self._which] + self._rows**2
        self._variance = (variance[:, None] + variance) / 2
        self._distance = np.zeros((N_ONSETS + 1, N_ONSETS + 1))
        self._columns: list[Float64Array] = []

    def gains(self) -> Float64Array:
        """Information (C,) in nats that each temperature would add."""
        further = self._distance[..., None] + self._further(slice(None))
        mixed = np.einsum("j,ijc->ic", self._weights, np.exp(-further))
        return np.asarray(-self._weights @ np.log(mixed) - self.told)

    def choose(self, k: int) -> None:
        """Take temperature k as measured, whatever it showed."""
        self.told += float(self.gains()[k])
        self._distance = self._distance + self._further(slice(k, k + 1))[..., 0]
        own = self._covariances[self._which, k] + self._rows * self._rows[:, k : k + 1]
        column = (own[:, None] + own) / 2
        for before in self._columns:
            column = column - before * before[..., k : k + 1]
        variance = column[..., k : k + 1] + self._noise
        self._apart = self._apart - column * (self._apart[..., k : k + 1] / variance)
        self._columns.append(column / np.sqrt(variance))
        self._variance = np.maximum(self._variance - self._columns[-1] ** 2, 0.0)

    def _further(self, at: slice) -> Float64Array:
        """Bhattacharyya distance (N, N, n) of values, given those chosen."""
        variance = self._variance[..., at] + self._noise
        log = np.log(variance)
        own = np.einsum("iic->ic", log)
        return np.asarray(self._apart[..., at] ** 2 / (8 * variance) + log / 2 - (own[:, None] + own) / 4)


class Spread:
    """How much of a smooth curve is unknown at temperatures, whatever was seen elsewhere.

    Parameters
    ----------
    measured : array, shape (n,)
        Temperatures in K.
    x : array, shape (C,)
        Temperatures that may be measured.
    low, high : float
        Range in K that holds them all; the curve varies by as much as its scale over half of it.
    """

    def __init__(self, measured: Float64Array, x: Float64Array, low: float, high: float) -> None:
        nothing = np.empty(0)
        sums = Sums.empty(SmoothBasis(low, high), Onsets(nothing, nothing, nothing, nothing))
        sums.add(measured, np.zeros_like(measured), np.ones_like(measured))
        self._covariance = Evidence(sums, _ANY_CURVE).smooth_at(x)[1]
        self._noise = _ANY_CURVE.noise**2

    def gains(self) -> Float64Array:
        """Information (C,) in nats on the curve."""
        return np.asarray(0.5 * np.log1p(np.maximum(np.diag(self._covariance), 0.0) / self._noise))

    def choose(self, k: int) -> None:
        """Take temperature k as measured."""
        column = self._covariance[:, k]
        self._covariance = self._covariance - np.outer(column, column) / (column[k] + self._noise)
