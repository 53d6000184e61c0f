"""Tc without a power law: a Gaussian process that changes at Tc."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from xtec.core.errors import ConfigError
from xtec.core.order import CurveReading
from xtec.core.quantities import Quantity
from xtec.core.types import Float64Array
from xtec.learned.change_posterior import ChangePosterior, CurveSums, change_posterior
from xtec.learned.curve_points import checked_points, errors_are_known
from xtec.operando.posterior import Points
from xtec.order_parameter.fit import LEAST_RISE, LEAST_TEMPERATURES

_QUANTILES = np.array([0.025, 0.5, 0.975])
_MODEL_POINTS = 200
_JUMP = 0.5
"""Probability above which a change is called a jump."""


class GPOrderParameter(BaseEstimator):
    """Tc of a curve that may follow no power law, with its 95 % interval.

    The curve is a smooth Gaussian process above Tc and gains another one below, with any exponent of the
    onset or a jump (see `xtec.learned.change_point`). Tc has the probability of the points given Tc, with the
    exponent, amplitudes, lengths and the errors of the points integrated over; there is a transition if all
    this is likelier than smooth processes alone. Curves that are gained above a temperature do not count.

    Parameters
    ----------
    evidence : float
        ln of how much likelier the points have to be with a change than without.

    References
    ----------
    Saatci, Turner & Rasmussen, Gaussian process change point models, ICML 2010. Solin & Särkkä, Statistics
    and Computing 30, 419 (2020). Stanton, Maddox, Delbridge & Wilson, arXiv:2103.01454.
    """

    def __init__(self, *, evidence: float = 3.0) -> None:
        self.evidence = evidence

    def fit(self, temperature: ArrayLike, intensity: ArrayLike, sigma: ArrayLike) -> CurveReading:
        """Read one curve.

        Parameters
        ----------
        temperature, intensity, sigma : array, shape (T,)
            In K, in any order; standard errors. Where one of these is not above zero the errors of all are
            found from the curve. Points whose intensity is not finite are left out.

        Raises
        ------
        ConfigError
            If `evidence` is negative.
        InputError
            If shapes differ or a temperature is not finite.
        """
        self._points = np.empty((3, 0))
        self._sums: CurveSums | None = None
        return self.update(temperature, intensity, sigma).read()

    def update(self, temperature: ArrayLike, intensity: ArrayLike, sigma: ArrayLike) -> Self:
        """Take in more points; one inside the range costs the same however many there were before.

        Parameters, and what is raised, as of `fit`. `read` then gives what a fit to all points gives.
        """
        new = checked_points(temperature, intensity, sigma)
        if not hasattr(self, "_points"):
            self._points, self._sums = np.empty((3, 0)), None
        known = errors_are_known(self._points)
        self._points = np.concatenate([self._points, new], axis=1)
        if self._points.size == 0:
            return self
        low, high = float(self._points[0].min()), float(self._points[0].max())
        if low == high:
            return self
        points, entering = _as_points(self._points), slice(self._points.shape[1] - new.shape[1], None)
        if self._sums is None or (self._sums.low, self._sums.high) != (low, high) or known != points.known:
            self._sums, entering = CurveSums.empty(low, high), slice(None)
        self._sums.add(points.x[entering], points.y[entering], points.sigma[entering])
        return self

    def read(self) -> CurveReading:
        """What the points taken in so far say.

        Raises
        ------
        ConfigError
            If `evidence` is negative.
        """
        if not self.evidence >= 0:
            raise ConfigError(f"evidence must be 0 or more, got {self.evidence}", hint="3 is odds of 20 to 1")
        distinct = np.unique(self._points[0])
        if distinct.size < LEAST_TEMPERATURES or self._sums is None:
            few = f"fewer than {LEAST_TEMPERATURES} temperatures"
            return CurveReading("none", reason=f"{few}: a change cannot be told from a smooth curve")
        points = _as_points(self._points)
        found = change_posterior(points, self._sums, (float(distinct[1]), float(distinct[-2])))
        return self._reading(found, points, float(self._points[1, 0]))

    def _reading(self, found: ChangePosterior, points: Points, offset: float) -> CurveReading:
        low, tc, high = (float(end) for end in found.quantiles(_QUANTILES))
        if found.p_jump > _JUMP:
            low = min(low, float(points.x[points.x <= tc].max()))
            high = max(high, float(points.x[points.x >= tc].min()))
        x = np.linspace(points.x.min(), points.x.max(), _MODEL_POINTS)
        changed = found.curve(x) + offset
        facts: dict[str, Any] = {
            "log_evidence": found.log_evidence,
            "jump": found.p_jump > _JUMP,
            "p_jump": found.p_jump,
            "noise": found.best.smooth.noise * float(np.median(points.sigma)),
        }
        gained = float(changed[0] - np.interp(high, x, changed))
        reason = ""
        if found.log_evidence < self.evidence:
            reason = "a smooth curve describes it as well"
        elif gained < LEAST_RISE * max(float(changed[0]), 0.0) or gained <= 0:
            reason = f"no change below which {100 * LEAST_RISE:.0f} % of its intensity is gained"
        if reason:
            smooth = found.smooth_curve(x) + offset
            return CurveReading("none", reason=reason, model=np.stack([x, smooth], axis=1), facts=facts)
        what = "a jump" if facts["jump"] else "a change"
        reason = f"{what} describes it better than a smooth curve, ln evidence by {found.log_evidence:.0f}"
        kind = "first-order" if facts["jump"] else "second-order"
        known = Quantity(tc, low, high, "K")
        return CurveReading(kind, known, None, reason, np.stack([x, changed], axis=1), facts)


def _as_points(rows: Float64Array) -> Points:
    """Intensities from the first on, which keeps the sums small."""
    x, y, sigma = rows
    known = errors_are_known(rows)
    return Points(x, y - y[0], sigma if known else np.ones_like(x), known)
