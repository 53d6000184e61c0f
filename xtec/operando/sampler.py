"""Which temperature to measure next.

`Sampler` is told intensities and asked for temperatures (``tell``, ``tell_many``, ``ask``), as recommenders
of bluesky-adaptive are. Every curve has a posterior of (Tc, beta); the temperature chosen is the one whose
values would tell most of them (Lindley, Ann. Math. Statist. 27, 986 (1956)), summed over curves. Where
nothing is to be told, the least known part of a smooth curve is measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from xtec.core.errors import ConfigError
from xtec.core.quantities import Quantity
from xtec.core.types import Float64Array
from xtec.operando.bounds import Bounds, Direction
from xtec.operando.curve import GrowingCurve
from xtec.operando.planning import Suggestion, in_sight, paced, plan

_FEWEST = 2
"""Points a curve needs before it says anything of an onset."""


@dataclass(frozen=True)
class Transition:
    """What is known of the transition of one curve.

    Attributes
    ----------
    seen : float
        Probability that there is one which stands out.
    tc, beta : Quantity
        Median and 95 % interval, given that there is one.
    """

    seen: float
    tc: Quantity
    beta: Quantity


class Sampler:
    """Suggest temperatures at which to measure Tc and beta of one or more curves.

    Parameters
    ----------
    low, high : float
        Range in K.
    step : float
        In K, from `low`.
    direction : {"either", "cooling", "warming"}
        With the last two, only temperatures below (above) the one told last are suggested.
    budget : int
        Temperatures of the whole experiment. Where the way back is barred, it sets the pace.
    weights : sequence of float, optional
        How much each curve counts; all alike by default.
    """

    def __init__(
        self,
        low: float,
        high: float,
        *,
        step: float = 1.0,
        direction: str = Direction.EITHER,
        budget: int = 12,
        weights: Sequence[float] | None = None,
    ) -> None:
        if direction not in list(Direction):
            names = ", ".join(Direction)
            raise ConfigError(f"direction: {direction!r} is none", hint=f"choose from {names}")
        self.bounds = Bounds(float(low), float(high), float(step), Direction(direction))
        self.budget = budget
        self._weights = None if weights is None else np.asarray(weights, dtype=np.float64)
        self._measured: list[float] = []
        self._curves: list[GrowingCurve] = []

    @property
    def measured(self) -> Float64Array:
        """Temperatures told, in that order."""
        return np.array(self._measured)

    def tell(self, x: ArrayLike, y: ArrayLike, sigma: ArrayLike | None = None) -> None:
        """Take in the intensities of all curves at one temperature.

        Parameters
        ----------
        x : float
            In K.
        y : float, or array of shape (n_curves,)
            NaN where a curve was not measured.
        sigma : as `y`, optional
            Standard errors. Without them the noise is found from the curve.
        """
        at, values = float(np.ravel(x)[0]), np.ravel(np.asarray(y, dtype=np.float64))
        if not np.isfinite(at):
            raise ConfigError(f"a temperature must be a number, got {at}")
        if not self._curves:
            self._begin(len(values))
        if len(values) != len(self._curves):
            raise ConfigError(f"{len(values)} intensities at {at:g} K, {len(self._curves)} before")
        errors: list[float | None] = [None] * len(values)
        if sigma is not None:
            errors = np.broadcast_to(np.ravel(np.asarray(sigma, dtype=np.float64)), values.shape).tolist()
        each = zip(self._curves, values, errors, strict=True)
        points = [(curve, float(value), error) for curve, value, error in each if np.isfinite(value)]
        for curve, _, error in points:
            curve.check(error)
        for curve, value, error in points:
            curve.add(at, value, error)
        self._measured.append(at)

    def tell_many(self, xs: ArrayLike, ys: ArrayLike, sigmas: ArrayLike | None = None) -> None:
        """Take in many temperatures, the last measured last.

        Parameters
        ----------
        xs : array, shape (n,)
        ys, sigmas : array, shape (n,) or (n, n_curves)
        """
        errors = [None] * len(np.asarray(xs)) if sigmas is None else np.asarray(sigmas)
        for x, y, sigma in zip(np.asarray(xs), np.asarray(ys), errors, strict=True):
            self.tell(x, y, sigma)

    def ask(self, n: int = 1) -> list[float]:
        """The next temperatures in K, as `suggest`."""
        return [one.temperature for one in self.suggest(n)]

    def suggest(self, n: int = 1) -> list[Suggestion]:
        """The next temperatures with reasons: the most useful first, or in the direction that is given.

        Fewer than `n`, or none, where no more are allowed.
        """
        allowed = self.bounds.allowed(self.measured)
        if n < 1 or not allowed.size:
            return []
        known = [curve.posterior() if len(curve) >= _FEWEST else None for curve in self._curves]
        weights = np.ones(0) if self._weights is None else self._weights
        if self.bounds.direction is Direction.EITHER:
            return plan(allowed, self.measured, known, weights, self.bounds, n)
        left = max(n, self.budget - len(self._measured))
        if not in_sight(known):
            return paced(allowed, self.measured, self.bounds, left)[:n]
        # What is passed cannot be had later: all that is left is laid out, and the first of it suggested.
        laid_out = plan(allowed, self.measured, known, weights, self.bounds, left)
        cooling = self.bounds.direction is Direction.COOLING
        return sorted(laid_out, key=lambda one: one.temperature, reverse=cooling)[:n]

    def transitions(self) -> list[Transition | None]:
        """What is known of each curve; None with fewer than two points."""
        known = [curve.posterior() if len(curve) >= _FEWEST else None for curve in self._curves]
        return [None if one is None else Transition(one.seen, one.tc, one.beta) for one in known]

    def _begin(self, n_curves: int) -> None:
        if self._weights is None:
            self._weights = np.ones(n_curves)
        if self._weights.shape != (n_curves,) or not (self._weights >= 0).all():
            raise ConfigError(
                f"{self._weights.size} weights for {n_curves} curves", hint="one each, not negative"
            )
        self._curves = [GrowingCurve(self.bounds.low, self.bounds.high) for _ in range(n_curves)]
