"""One curve that grows point by point."""

from __future__ import annotations

import numpy as np

from xtec.core.errors import ConfigError
from xtec.operando.gaussian_process import SmoothBasis, Sums
from xtec.operando.lattice import Lattice
from xtec.operando.posterior import Points, Posterior, posterior


class GrowingCurve:
    """Points of a curve and their sums, which a new point enters at a cost that does not grow.

    Parameters
    ----------
    low, high : float
        Range in K in which Tc is looked for; it widens where a point lies outside.
    """

    def __init__(self, low: float, high: float) -> None:
        self._points: list[tuple[float, float, float]] = []
        self._known: bool | None = None
        self._start(low, high)

    def __len__(self) -> int:
        return len(self._points)

    def _start(self, low: float, high: float) -> None:
        self._lattice = Lattice.even(low, high)
        self._sums = Sums.empty(SmoothBasis(low, high), self._lattice.onsets)

    def check(self, sigma: float | None) -> None:
        """Whether a point with this error goes with the others.

        Raises
        ------
        ConfigError
            If it is not above zero, or is known where others are not.
        """
        if self._known is not None and self._known != (sigma is not None):
            raise ConfigError("some intensities come with an error and some without", hint="give all or none")
        if sigma is not None and not 0 < sigma < np.inf:
            raise ConfigError(f"the error of an intensity must be above 0, got {sigma:g}")

    def add(self, x: float, y: float, sigma: float | None) -> None:
        """Take in the intensity `y` at `x` K; its error, or None for all points where it is not known."""
        self.check(sigma)
        self._known = sigma is not None
        self._points.append((x, y, 1.0 if sigma is None else sigma))
        basis = self._sums.basis
        if basis.low <= x <= basis.high:
            self._take_in(self._points[-1:])
        else:
            self._start(min(x, basis.low), max(x, basis.high))
            self._take_in(self._points)

    def _take_in(self, points: list[tuple[float, float, float]]) -> None:
        x, y, sigma = np.array(points).T
        self._sums.add(x, y - self._points[0][1], sigma)

    def posterior(self) -> Posterior:
        """What the points say of Tc and beta."""
        x, y, sigma = np.array(self._points).T
        points = Points(x, y - y[0], sigma, bool(self._known))
        return posterior(points, self._sums, self._lattice)
