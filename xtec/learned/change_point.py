"""A Gaussian process in one dimension that changes at Tc, as sums over points.

Above Tc a curve is a smooth process s(T). Below it gains ``d^(2 beta) g(ln(d + c))``, where d is the distance
from Tc, beta = 0 makes a jump, and g is a smooth process of its own: what sets in need follow no power law
but close to Tc. The covariance is ``k_s(T, T') + d^(2 beta) d'^(2 beta) k_g(d, d')``, the last term below Tc.
Both processes are written in sines (`xtec.operando.gaussian_process`), so a point costs the same however many
there are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular
from scipy.special import log_ndtr

from xtec.core.types import Float64Array
from xtec.operando.gaussian_process import Onsets, SmoothBasis

N_BELOW = 8
"""Sines of the process g; with its level and slope it has Q = 10 coefficients."""

_CLOSE = 0.03
"""Share c of the distance from Tc to the lowest temperature within which g hardly changes."""

_RISE, _TILT = 1.0, 0.5
"""Standard deviations of the level and of the slope of g, in units of the curve's scale."""


@dataclass
class ChangeSums:
    """What points say of the coefficients of the smooth part (P) and of what sets in at each onset (Q).

    Attributes
    ----------
    smooth, below : SmoothBasis
        Of s, with P functions, and of g, with Q.
    onsets : Onsets
        G of them, maybe none.
    ff, fy : array, shapes (P, P) and (P,)
        Products of the smooth functions, and with the intensities.
    of, oo, oy : array, shapes (G, Q, P), (G, Q, Q) and (G, Q)
        Functions of what sets in with the smooth ones, with themselves, and with the intensities.
    yy : float
    n : int
    """

    smooth: SmoothBasis
    below: SmoothBasis
    onsets: Onsets
    ff: Float64Array
    fy: Float64Array
    of: Float64Array
    oo: Float64Array
    oy: Float64Array
    yy: float = 0.0
    n: int = 0

    @classmethod
    def empty(cls, low: float, high: float, n_sines: int, onsets: Onsets) -> ChangeSums:
        """Of no points, on a range in K."""
        g, p, q = len(onsets.tc), n_sines + 2, N_BELOW + 2
        below = SmoothBasis(float(np.log(_CLOSE)), float(np.log(1 + _CLOSE)), N_BELOW)
        own = np.zeros((g, q, p)), np.zeros((g, q, q)), np.zeros((g, q))
        return cls(SmoothBasis(low, high, n_sines), below, onsets, np.zeros((p, p)), np.zeros(p), *own)

    def add(self, x: Float64Array, y: Float64Array, sigma: Float64Array) -> None:
        """Take in points (n,); what one costs does not depend on how many were there before."""
        f = self.smooth.features(x) / sigma[:, None]
        o = self.gained(x) / sigma
        y = y / sigma
        self.ff += f.T @ f
        self.fy += f.T @ y
        self.of += o @ f
        self.oo += o @ o.transpose(0, 2, 1)
        self.oy += o @ y
        self.yy += float(y @ y)
        self.n += len(y)

    def gained(self, x: Float64Array) -> Float64Array:
        """Functions (G, Q, n) of what sets in at temperatures (n,); the last is that of the level of g."""
        shapes = self.onsets.shapes(x, self.smooth.low)
        tc = self.onsets.tc[:, None]
        distance = np.clip((tc - x) / (tc - self.smooth.low), 0.0, 1.0)
        g = self.below.features(np.log(distance + _CLOSE).ravel()).reshape(*shapes.shape, N_BELOW + 2)
        return shapes[:, None, :] * g[..., ::-1].transpose(0, 2, 1)

    def only(self, which: NDArray[np.bool_]) -> ChangeSums:
        """The same with some of the onsets."""
        one = self.onsets
        chosen = Onsets(one.tc[which], one.beta[which], one.saturation[which], one.log_prior[which])
        return replace(self, onsets=chosen, of=self.of[which], oo=self.oo[which], oy=self.oy[which])

    @property
    def mean(self) -> float:
        """Weighted mean intensity; sums are taken about it, so the order of the points has no bearing."""
        return float(self.fy[0] / self.ff[0, 0])


@dataclass(frozen=True)
class SmoothPart:
    """The smooth process solved, and what it leaves of every onset.

    Attributes
    ----------
    sums : ChangeSums
    noise : float
        Errors over those that were given.
    amplitude, length : float
        Of the process, see `SmoothBasis.variances`.
    scale : float
        Of the curve, in its units.
    """

    sums: ChangeSums
    noise: float
    amplitude: float
    length: float
    scale: float

    @cached_property
    def _root(self) -> Float64Array:
        return np.sqrt(self.sums.smooth.variances(self.scale, self.amplitude, self.length))

    @cached_property
    def _factor(self) -> Float64Array:
        """Lower Cholesky factor of the precision of the coefficients, each in units of its prior."""
        products = self.sums.ff * self._root[:, None] * self._root / self.noise**2
        return np.asarray(cholesky(products + np.eye(len(products)), lower=True))

    @cached_property
    def _y(self) -> Float64Array:
        """Whitened products (P,) of the smooth functions with the intensities."""
        sums = self.sums
        drive = self._root * (sums.fy - sums.mean * sums.ff[:, 0]) / self.noise**2
        return np.asarray(solve_triangular(self._factor, drive, lower=True))

    @cached_property
    def _o(self) -> Float64Array:
        """The same (G, Q, P) with what sets in."""
        g, q, p = self.sums.of.shape
        mixed = (self.sums.of * (self._root / self.noise**2)).reshape(g * q, p)
        return np.asarray(solve_triangular(self._factor, mixed.T, lower=True).T.reshape(g, q, p))

    @cached_property
    def log_smooth(self) -> float:
        """ln probability of the points without an onset, up to a constant."""
        sums = self.sums
        misfit = (sums.yy - sums.mean * sums.fy[0]) / self.noise**2 - self._y @ self._y
        return float(-0.5 * misfit - np.log(np.diag(self._factor)).sum() - sums.n * np.log(self.noise))

    @cached_property
    def left(self) -> tuple[Float64Array, Float64Array]:
        """Precision (G, Q, Q) and drive (G, Q) of what sets in, the smooth part integrated out."""
        sums = self.sums
        precision = sums.oo / self.noise**2 - self._o @ self._o.transpose(0, 2, 1)
        drive = (sums.oy - sums.mean * sums.of[:, :, 0]) / self.noise**2 - self._o @ self._y
        return precision, np.asarray(drive)

    def curve(self, x: Float64Array, coefficients: Float64Array | None = None) -> Float64Array:
        """Mean of the smooth part at temperatures (n,): alone, (n,), or beside what sets in, (G, n)."""
        f = self.sums.smooth.features(x) * self._root
        y = self._y if coefficients is None else self._y - np.einsum("gqp,gq->gp", self._o, coefficients)
        solved = solve_triangular(self._factor, y.T, lower=True, trans="T")
        return np.asarray((f @ solved).T + self.sums.mean)


@dataclass(frozen=True)
class Change:
    """Every onset with one assumption of what sets in there.

    Attributes
    ----------
    smooth : SmoothPart
    amplitude, length : float
        Of the process g.
    """

    smooth: SmoothPart
    amplitude: float
    length: float

    @cached_property
    def _root(self) -> Float64Array:
        scale = self.smooth.scale
        root = np.sqrt(self.smooth.sums.below.variances(scale, self.amplitude, self.length))
        root[:2] = _RISE * scale, _TILT * scale
        return np.asarray(root[::-1])

    @property
    def _scaled(self) -> Float64Array:
        """Precision (G, Q, Q) of the coefficients, each in units of its prior."""
        precision, _ = self.smooth.left
        return np.asarray(precision * self._root[:, None] * self._root + np.eye(len(self._root)))

    @property
    def coefficients(self) -> Float64Array:
        """Of what sets in, shape (G, Q)."""
        drive = self._root * self.smooth.left[1]
        return np.asarray(np.linalg.solve(self._scaled, drive[..., None])[..., 0] * self._root)

    @cached_property
    def log_onset(self) -> Float64Array:
        """ln probability (G,) of the points with each onset whose level is positive; constant as above."""
        factor = np.linalg.cholesky(self._scaled)
        widths = np.diagonal(factor, axis1=1, axis2=2)
        white = self._root * self.smooth.left[1]
        for i in range(white.shape[1]):
            white[:, i] -= np.einsum("gj,gj->g", factor[:, i, :i], white[:, :i])
            white[:, i] /= widths[:, i]
        gain = 0.5 * (white**2).sum(axis=1) - np.log(widths).sum(axis=1)
        return np.asarray(self.smooth.log_smooth + gain + np.log(2) + log_ndtr(white[:, -1]))

    def curves(self, x: Float64Array) -> Float64Array:
        """Means (G, n) of the curve at temperatures (n,), with each onset."""
        set_in = np.einsum("gq,gqn->gn", self.coefficients, self.smooth.sums.gained(x))
        return np.asarray(set_in + self.smooth.curve(x, self.coefficients))
