"""What is known of Tc and beta from the points of one curve so far.

A curve is ``level + slope T + A onset(Tc, beta) + f(T)`` with f a small smooth Gaussian process, or it has no
onset and f may be large. Given the onset all else is linear with normal priors, so the probability of the
points has a closed form. It is averaged over what the noise and the smooth part may be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logsumexp

from xtec.core.quantities import Quantity
from xtec.core.types import Float64Array
from xtec.operando.evidence import Evidence, Setting
from xtec.operando.gaussian_process import SmoothBasis, Sums
from xtec.operando.lattice import Lattice

P_SMOOTH = 0.5
"""Probability that a curve has no onset in the range, before anything is measured."""

_SEEN = 4.0
"""Standard deviations above which an onset counts as seen."""

_ERRORS = {1.0: 0.6, 2.0: 0.25, 5.0: 0.1, 15.0: 0.05}
"""Errors over those that were given, and how likely."""

_SHARES = dict.fromkeys((0.003, 0.01, 0.03, 0.1, 0.3), 0.2)
"""Errors over the scale of the curve, where none were given."""

_BESIDE = ((0.02, 1.0), (0.1, 1.0))
_ALONE = tuple(product((0.05, 0.3, 1.0), (0.5, 1.2)))
"""Amplitude and length of the smooth part beside an onset, and without one."""

_ROUNDS = 12


@dataclass(frozen=True)
class Points:
    """What was measured of one curve.

    Attributes
    ----------
    x, y, sigma : array, shape (n,)
        Temperatures in K, intensities and their errors; errors of one where they are not known.
    known : bool
        Whether errors are known.
    """

    x: Float64Array
    y: Float64Array
    sigma: Float64Array
    known: bool

    @property
    def scale(self) -> float:
        """Spread of the curve; twenty errors where it varies by less."""
        spread = float(np.ptp(self.y))
        return max(spread, 20 * float(np.median(self.sigma))) if self.known else spread or 1.0


@dataclass(frozen=True)
class Posterior:
    """Probabilities of onsets, and of none.

    Attributes
    ----------
    p_smooth : float
        That there is no onset.
    weights : array, shape (G,)
        Of each onset, given that there is one.
    onset, smooth : Evidence
        With the likeliest setting, each.
    sigma : float
        Error of a point to come.
    """

    p_smooth: float
    weights: Float64Array
    onset: Evidence
    smooth: Evidence
    sigma: float

    @property
    def seen(self) -> float:
        """Probability of an onset whose amplitude stands out of its error."""
        return float((1 - self.p_smooth) * self.weights[self.onset.significance > _SEEN].sum())

    @property
    def tc(self) -> Quantity:
        """Median of Tc in K and its 95 % interval, given that there is an onset."""
        return _summary(self.onset.sums.onsets.tc, self.weights, "K")

    @property
    def beta(self) -> Quantity:
        """Median of the exponent and its 95 % interval, given that there is an onset."""
        return _summary(self.onset.sums.onsets.beta, self.weights)

    def representatives(self, n: int) -> NDArray[np.intp]:
        """Onsets (n,) that stand for all with equal weights, by rising Tc."""
        onsets = self.onset.sums.onsets
        order = np.lexsort((onsets.beta, onsets.tc))
        below = np.cumsum(self.weights[order])
        at = np.searchsorted(below, (np.arange(n) + 0.5) / n * below[-1])
        return np.asarray(order[at])


def _summary(values: Float64Array, weights: Float64Array, units: str = "") -> Quantity:
    order = np.argsort(values)
    below = np.cumsum(weights[order])
    low, value, high = np.interp([0.025, 0.5, 0.975], below - weights[order] / 2, values[order])
    return Quantity(float(value), float(low), float(high), units)


def posterior(points: Points, sums: Sums, lattice: Lattice) -> Posterior:
    """Compare onsets on lattices that close in, and the smooth curves.

    Parameters
    ----------
    points : Points
    sums : Sums
        Of the points, with the onsets of `lattice`.
    lattice : Lattice
        To start from. The lattices after it take in the points anew, some thousand onsets each time.
    """
    errors = _ERRORS if points.known else {points.scale * share: p for share, p in _SHARES.items()}
    settings = [Setting(noise, *smooth, points.scale) for noise, smooth in product(errors, _BESIDE)]
    likely = np.log([errors[one.noise] / len(_BESIDE) for one in settings])
    sums = sums.centred()
    for number in range(_ROUNDS):
        tried = [Evidence(sums, one) for one in settings]
        each = np.stack([one.log_onset for one in tried]) + likely[:, None]
        log_likelihood = np.asarray(logsumexp(each, axis=0))
        lattice, fine = lattice.closer(log_likelihood, rows=number % 3 == 2)
        if fine:
            break
        sums = _taken_in(points, sums.basis, lattice)
    joint = each + tried[0].sums.onsets.log_prior
    whole = float(logsumexp(joint))
    smooth, log_smooth = _smooth(tried[0].sums, errors, points.scale)
    best = tried[int(logsumexp(joint, axis=1).argmax())]
    odds = np.log(P_SMOOTH / (1 - P_SMOOTH)) + log_smooth - whole
    sigma = best.setting.noise * float(np.median(points.sigma))
    return Posterior(float(expit(odds)), np.exp(logsumexp(joint, axis=0) - whole), best, smooth, sigma)


def _taken_in(points: Points, basis: SmoothBasis, lattice: Lattice) -> Sums:
    sums = Sums.empty(basis, lattice.onsets)
    sums.add(points.x, points.y, points.sigma)
    return sums.centred()


def _smooth(sums: Sums, errors: dict[float, float], scale: float) -> tuple[Evidence, float]:
    """The likeliest curve without an onset, and ln probability of the points under all of them."""
    settings = [Setting(noise, *smooth, scale) for noise, smooth in product(errors, _ALONE)]
    tried: Sequence[Evidence] = [Evidence(sums, one) for one in settings]
    logs = np.array([one.log_smooth + np.log(errors[one.setting.noise] / len(_ALONE)) for one in tried])
    return tried[int(logs.argmax())], float(logsumexp(logs))
