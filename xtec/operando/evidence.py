"""Probability of the points of a curve, in closed form, for every onset of a set at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.special import log_ndtr

from xtec.core.types import Float64Array
from xtec.operando.gaussian_process import Onsets, Sums

_RISE = 2.0
"""Standard deviation of the amplitude of an onset before it was measured, in units of the curve's scale."""


@dataclass(frozen=True)
class Setting:
    """What else is assumed of a curve.

    Attributes
    ----------
    noise : float
        Errors over those that were given.
    amplitude, length : float
        Of the smooth process, see `SmoothBasis.variances`.
    scale : float
        Of the curve, in its units.
    """

    noise: float
    amplitude: float
    length: float
    scale: float


@dataclass(frozen=True)
class Evidence:
    """The linear part solved for one setting: the basis alone, and with each onset.

    Attributes
    ----------
    sums : Sums
        P functions, G onsets.
    setting : Setting
    """

    sums: Sums
    setting: Setting

    @cached_property
    def _root(self) -> Float64Array:
        one = self.setting
        return np.sqrt(self.sums.basis.variances(one.scale, one.amplitude, one.length))

    @cached_property
    def _factor(self) -> tuple[Float64Array, bool]:
        """Cholesky factor of the precision of the coefficients, each in units of its prior."""
        products = self.sums.ff * self._root[:, None] * self._root / self.setting.noise**2
        factor, lower = cho_factor(products + np.eye(len(products)))
        return factor, lower

    @cached_property
    def _solved(self) -> Float64Array:
        """Coefficients (P,) of the basis alone."""
        return np.asarray(cho_solve(self._factor, self._root * self.sums.fy / self.setting.noise**2))

    @cached_property
    def _shared(self) -> Float64Array:
        """What the basis explains of each onset: coefficients (G, P)."""
        mixed = self._root * self.sums.of / self.setting.noise**2
        return np.asarray(cho_solve(self._factor, mixed.T).T)

    @property
    def log_smooth(self) -> float:
        """ln probability of the points without an onset, up to a constant."""
        noise, sums = self.setting.noise, self.sums
        misfit = (sums.yy - self._solved @ (self._root * sums.fy)) / noise**2
        return float(-0.5 * misfit - np.log(np.diag(self._factor[0])).sum() - sums.n * np.log(noise))

    @cached_property
    def precision(self) -> Float64Array:
        """Inverse variance (G,) of each amplitude, its prior included."""
        prior = (_RISE * self.setting.scale) ** -2
        seen = (self.sums.oo - np.einsum("gp,gp->g", self._shared, self._root * self.sums.of)) / (
            self.setting.noise**2
        )
        return np.asarray(np.maximum(seen, 0.0) + prior)

    @cached_property
    def significance(self) -> Float64Array:
        """Each amplitude (G,) in its standard deviations."""
        drive = (self.sums.oy - self._shared @ (self._root * self.sums.fy)) / self.setting.noise**2
        return np.asarray(drive / np.sqrt(self.precision))

    @property
    def log_onset(self) -> Float64Array:
        """ln probability (G,) of the points with each onset of a positive amplitude; constant as above."""
        z = self.significance
        widths = np.log(self.precision) + 2 * np.log(_RISE * self.setting.scale)
        return np.asarray(self.log_smooth + 0.5 * z**2 - 0.5 * widths + np.log(2) + log_ndtr(z))

    def smooth_at(self, x: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Mean (n,) and covariance (n, n) of the curve without an onset."""
        f = self.sums.basis.features(x) * self._root
        return f @ self._solved, np.asarray(f @ cho_solve(self._factor, f.T))

    def with_onsets_at(self, x: Float64Array, which: NDArray[np.intp]) -> tuple[Float64Array, Float64Array]:
        """Mean (N, n) of the curve with some of the onsets, and what is added to the covariance above.

        The covariance with an onset is that without, and the outer product of its row (N, n). Amplitudes
        have the mean and variance of a normal distribution cut at zero.
        """
        z, width = self.significance[which], self.precision[which] ** -0.5
        hazard = np.exp(-0.5 * z**2 - 0.5 * np.log(2 * np.pi) - log_ndtr(z))
        narrowed = np.sqrt(np.clip(1 - z * hazard - hazard**2, 1e-3, 1.0))
        onsets, f = self.sums.onsets, self.sums.basis.features(x) * self._root
        chosen = Onsets(
            *(values[which] for values in (onsets.tc, onsets.beta, onsets.saturation, onsets.log_prior))
        )
        alone = chosen.shapes(x, self.sums.basis.low) - self._shared[which] @ f.T
        mean = f @ self._solved + ((z + hazard) * width)[:, None] * alone
        return mean, (narrowed * width)[:, None] * alone
