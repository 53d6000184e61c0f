"""Least squares over a grid of onsets: every Tc, exponent and tail at once, the linear part solved exactly.

A curve is ``A onset(Tc, beta) + C tail(Tc, rounding) + b0 + b1 x``. The straight background is projected out
once; what is left for each point of the grid is a system of two, with A and C not negative. Fluctuations are
a small part of an order parameter: C is held near zero by a normal prior, without which a curve of few
temperatures could trade Tc for a tail.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from xtec.core.types import Float64Array
from xtec.order_parameter.models import onset, tail

ROUNDINGS = np.array([0.01, 0.03, 0.08, 0.2])
"""Reduced temperatures within which a tail is rounded."""

TAIL_SHARE = 0.02
"""Standard deviation of the prior of C, as a share of A."""

_TINY = 1e-12
"""Of what a shape may lose when a straight line is taken off it, before it counts as one."""


@dataclass(frozen=True)
class Solved:
    """Best sums of squares of N curves on a grid, and their coefficients.

    Attributes
    ----------
    misfit : array, shape (N, n_tc, n_beta)
        Weighted sum of squares (with what the prior adds), the least over roundings; infinite where the onset
        would have to be negative.
    rise : array, shape (N, n_tc, n_beta)
        Coefficient of the onset.
    tail : array, shape (N, n_tc, n_beta)
        Coefficient of the tail.
    rounding : array, shape (N, n_tc, n_beta), int
        Which rounding it has; -1 where there is no tail.
    """

    misfit: Float64Array
    rise: Float64Array
    tail: Float64Array
    rounding: np.ndarray[tuple[int, ...], np.dtype[np.intp]]


@dataclass(frozen=True)
class OnsetGrid:
    """Onsets on a grid, for curves measured at the same temperatures with the same relative errors.

    Attributes
    ----------
    x : array, shape (T,)
        Temperatures.
    sigma : array, shape (T,)
        Errors, up to a factor of each curve.
    tc : array, shape (n_tc,)
    beta : array, shape (n_beta,)
    saturation : float
        See `models.onset`.
    """

    x: Float64Array
    sigma: Float64Array
    tc: Float64Array
    beta: Float64Array
    saturation: float = 1.0

    @cached_property
    def _line(self) -> Float64Array:
        """Orthonormal basis (T, 2) of the weighted straight background."""
        low, span = self.x.min(), np.ptp(self.x) or 1.0
        columns = np.stack([np.ones_like(self.x), (self.x - low) / span], axis=1)
        basis, _ = np.linalg.qr(columns / self.sigma[:, None])
        return basis

    def project(self, rows: Float64Array) -> Float64Array:
        """Weighted rows (..., T) without what a straight line explains."""
        weighted = rows / self.sigma
        return np.asarray(weighted - (weighted @ self._line) @ self._line.T)

    @cached_property
    def onsets(self) -> Float64Array:
        """Projected onsets, shape (n_tc, n_beta, T)."""
        tc, beta = self.tc[:, None, None], self.beta[None, :, None]
        return self.project(onset(self.x, tc, beta, float(self.x.min()), self.saturation))

    @cached_property
    def tails(self) -> Float64Array:
        """Projected tails, shape (n_tc, R, T)."""
        return self.project(tail(self.x, self.tc[:, None, None], ROUNDINGS[None, :, None]))

    def solve(self, curves: Float64Array, prior: Float64Array | None) -> Solved:
        """Fit curves at every point of the grid.

        Parameters
        ----------
        curves : array, shape (N, T)
        prior : array, shape (N,), or None
            Standard deviation of each curve's tail, in the units of ``curves`` over the weighting factor of
            its errors; None fits without tails.
        """
        y = self.project(curves)
        whole = np.einsum("nt,nt->n", y, y)[:, None, None]
        f = self.onsets
        ff = np.einsum("abt,abt->ab", f, f)
        fy = np.tensordot(y, f, axes=(1, 2))
        rise = fy / np.maximum(ff, _TINY * ff.max())
        misfit = np.where(rise > 0, whole - rise * fy, np.inf)
        none = np.zeros_like(misfit)
        if prior is None:
            return Solved(misfit, rise, none, np.full(misfit.shape, -1))
        best = Solved(misfit, rise, none, np.full(misfit.shape, -1))
        for number in range(len(ROUNDINGS)):
            best = _better(best, self._with_tail(y, fy, ff, whole, prior, number), number)
        return best

    def _with_tail(
        self,
        y: Float64Array,
        fy: Float64Array,
        ff: Float64Array,
        whole: Float64Array,
        prior: Float64Array,
        number: int,
    ) -> tuple[Float64Array, Float64Array, Float64Array]:
        """Misfit, rise and tail with one rounding; infinite misfit where either would be negative."""
        g = self.tails[:, number]
        gy = (y @ g.T)[:, :, None]
        gg = np.einsum("at,at->a", g, g)[None, :, None] + 1.0 / np.square(prior)[:, None, None]
        fg = np.einsum("abt,at->ab", self.onsets, g)
        determinant = np.maximum(ff * gg - fg**2, _TINY * ff * gg + np.finfo(float).tiny)
        rise = (gg * fy - fg * gy) / determinant
        extra = (ff * gy - fg * fy) / determinant
        misfit = np.where((rise > 0) & (extra > 0), whole - rise * fy - extra * gy, np.inf)
        return misfit, rise, extra


def _better(best: Solved, other: tuple[Float64Array, Float64Array, Float64Array], number: int) -> Solved:
    misfit, rise, extra = other
    wins = misfit < best.misfit
    return Solved(
        np.where(wins, misfit, best.misfit),
        np.where(wins, rise, best.rise),
        np.where(wins, extra, best.tail),
        np.where(wins, number, best.rounding),
    )
