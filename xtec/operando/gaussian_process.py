"""Gaussian processes in one dimension as sums over points: a new point costs the same however many there are.

A Matern-5/2 process is written in sines on an interval somewhat longer than the scan, with variances from its
spectral density (Solin & Särkkä, Statistics and Computing 30, 419 (2020)). With a level, a slope and P - 2
sines in all, what the points say of the coefficients is held in P x P sums, whatever their number and order.
To these, every onset of a set adds one coefficient of its own, again in sums.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from xtec.core.types import Float64Array
from xtec.order_parameter.models import onset

N_SINES = 16
_REACH = 1.5
"""Half length of the interval of the sines, in half ranges of the scan."""

_LEVEL, _SLOPE = 10.0, 1.0
"""Standard deviations of the level and of the slope (over half the range), in units of the curve's scale."""


@dataclass(frozen=True)
class SmoothBasis:
    """Level, slope and sines over a range of temperatures.

    Attributes
    ----------
    low, high : float
        Range in K.
    n_sines : int
        P - 2 of them follow lengths down to some three half ranges over their number.
    """

    low: float
    high: float
    n_sines: int = N_SINES

    def features(self, x: Float64Array) -> Float64Array:
        """Functions (n, P) at temperatures (n,)."""
        u = (2 * x - self.low - self.high) / (self.high - self.low)
        sines = np.sin(self._frequencies * (u[:, None] + _REACH)) / np.sqrt(_REACH)
        return np.concatenate([np.ones_like(u)[:, None], u[:, None], sines], axis=1)

    def variances(self, scale: float, amplitude: float, length: float) -> Float64Array:
        """Prior variances (P,) of the coefficients.

        Parameters
        ----------
        scale : float
            Of the curve, in its units.
        amplitude : float
            Standard deviation of the Matern process, in units of the scale.
        length : float
            Its length, in half ranges.
        """
        rate = np.sqrt(5.0) / length
        density = 16 / 3 * amplitude**2 * rate**5 / (rate**2 + self._frequencies**2) ** 3
        return np.asarray(scale**2 * np.concatenate([[_LEVEL**2, _SLOPE**2], density]))

    @property
    def _frequencies(self) -> Float64Array:
        return np.asarray(np.pi * np.arange(1, self.n_sines + 1) / (2 * _REACH))


@dataclass(frozen=True)
class Onsets:
    """Onsets that are compared.

    Attributes
    ----------
    tc, beta, saturation : array, shape (G,)
        See `xtec.order_parameter.models.onset`.
    log_prior : array, shape (G,)
        Their probabilities sum to one.
    """

    tc: Float64Array
    beta: Float64Array
    saturation: Float64Array
    log_prior: Float64Array

    def shapes(self, x: Float64Array, low: float) -> Float64Array:
        """Onsets (G, n) at temperatures (n,), one at `low`."""
        depth = np.clip((self.tc[:, None] - x) / (self.tc[:, None] - low), 0.0, 1.0)
        depth = 1.0 - (1.0 - depth) ** self.saturation[:, None]
        return onset(1.0 - depth, 1.0, self.beta[:, None], 0.0)


@dataclass
class Sums:
    """What points say of the coefficients of the basis and of each onset, each point weighted by 1 / sigma^2.

    Attributes
    ----------
    basis : SmoothBasis
    onsets : Onsets
        G of them.
    ff : array, shape (P, P)
        Products of the functions of the basis.
    fy : array, shape (P,)
        With the intensities.
    of : array, shape (G, P)
        Onsets with functions of the basis.
    oo, oy : array, shape (G,)
        Onsets with themselves, and with the intensities.
    yy : float
    n : int
    """

    basis: SmoothBasis
    onsets: Onsets
    ff: Float64Array
    fy: Float64Array
    of: Float64Array
    oo: Float64Array
    oy: Float64Array
    yy: float = 0.0
    n: int = 0

    @classmethod
    def empty(cls, basis: SmoothBasis, onsets: Onsets) -> Sums:
        """Of no points."""
        p, g = basis.n_sines + 2, len(onsets.tc)
        return cls(basis, onsets, np.zeros((p, p)), np.zeros(p), np.zeros((g, p)), np.zeros(g), np.zeros(g))

    def add(self, x: Float64Array, y: Float64Array, sigma: Float64Array) -> None:
        """Take in points (n,); what one costs does not depend on how many were there before."""
        f = self.basis.features(x) / sigma[:, None]
        o = self.onsets.shapes(x, self.basis.low) / sigma
        y = y / sigma
        self.ff += f.T @ f
        self.fy += f.T @ y
        self.of += o @ f
        self.oo += np.einsum("gn,gn->g", o, o)
        self.oy += o @ y
        self.yy += float(y @ y)
        self.n += len(y)

    def centred(self) -> Sums:
        """The same with the mean intensity taken off, on which the order of the points has no bearing."""
        mean = self.fy[0] / self.ff[0, 0]
        return replace(
            self,
            fy=self.fy - mean * self.ff[:, 0],
            oy=self.oy - mean * self.of[:, 0],
            yy=self.yy - float(mean * self.fy[0]),
        )
