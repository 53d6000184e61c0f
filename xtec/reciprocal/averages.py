"""Mean place of peaks about the arms of a star, with an error that holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xtec.core.types import Float64Array

_FLOOR = 0.1
"""What a centroid does not know of itself, in pixels."""

_SCATTER = 0.3
"""Scatter of centroids (pixels) where they are too few to show it."""

_FEW = 10
_OUTLYING = 4.0
"""Standard deviations from the median beyond which a peak is no part of the mean."""

_HEAVIEST = 4.0
"""A peak counts for no more than so many ordinary ones."""


@dataclass
class Deviations:
    """Distances of peaks from their arms.

    Attributes
    ----------
    away : array, shape (n, 3)
        In r.l.u.; NaN along axes that were not measured.
    whole : array, shape (n, 3), bool
        False where a coordinate is biased.
    error : array, shape (n, 3), optional
        Standard errors.
    weight : array, shape (n,)
        What each peak counts for where there is no `error`.
    arm : array, shape (n,), int
        Which arm each peak is at.
    pixel : array, shape (3,)
    """

    away: Float64Array
    whole: NDArray[np.bool_]
    error: Float64Array | None
    weight: Float64Array
    arm: NDArray[np.int64]
    pixel: Float64Array

    def at(self, arm: int) -> Deviations:
        """Those of one arm."""
        here = self.arm == arm
        error = None if self.error is None else self.error[here]
        return Deviations(
            self.away[here], self.whole[here], error, self.weight[here], self.arm[here], self.pixel
        )

    def turned(self, rotations: NDArray[np.int64], pixel: Float64Array) -> Deviations:
        """As seen from the representative of the star.

        Parameters
        ----------
        rotations : array, shape (n, 3, 3)
            Operation that maps the arm of each peak on the representative.
        pixel : array, shape (3,)
            Coarsest among equivalent axes.
        """
        measured = ~np.isnan(self.away).all(axis=0)
        mixing = rotations != 0
        away = np.einsum("nij,nj->ni", rotations.astype(np.float64), np.nan_to_num(self.away))
        error = self.error
        if error is not None:
            variance = np.nan_to_num(error) ** 2
            error = np.sqrt(np.einsum("nij,nj->ni", rotations.astype(np.float64) ** 2, variance))
        return Deviations(
            np.where(measured, away, np.nan),
            ~(mixing & ~self.whole[:, None, :]).any(axis=2),
            error,
            self.weight,
            self.arm,
            pixel,
        )

    def mean(self) -> tuple[Float64Array, Float64Array]:
        """Robust mean and its standard error, shape (3,) each.

        An axis along which every peak is cut has mean 0 and the error of a place somewhere in a pixel; an
        axis that was not measured has NaN.
        """
        pairs = np.array([self._mean_along(axis) for axis in range(3)])
        return pairs[:, 0], pairs[:, 1]

    def _mean_along(self, axis: int) -> tuple[float, float]:
        pixel = float(self.pixel[axis])
        x, usable = self.away[:, axis], self.whole[:, axis]
        if np.isnan(x).all():
            return np.nan, np.nan
        if not usable.any():
            return 0.0, pixel / np.sqrt(12)
        spread = np.abs(x - np.median(x[usable]))
        width = max(1.4826 * float(np.median(spread[usable])), _FLOOR * pixel)
        usable = usable & (spread <= _OUTLYING * width)
        x, weight, arm = x[usable], self._weights(axis)[usable], self.arm[usable]
        total, n = weight.sum(), len(x)
        mean = float(weight @ x / total)
        pull = weight * (x - mean) / total
        variance = float(pull @ pull) * n / max(n - 1, 1)
        if n < _FEW:
            variance = max(variance, (_SCATTER * pixel) ** 2 / n)
        if self.error is not None:
            variance = max(variance, float(1 / total))
        arms = len(np.unique(arm))
        if arms > 2:  # arms may disagree by more than their peaks do
            variance = max(variance, float((np.bincount(arm, pull) ** 2).sum()) * arms / (arms - 1))
        return mean, float(np.sqrt(variance + (_FLOOR * pixel) ** 2 / n))

    def _weights(self, axis: int) -> Float64Array:
        if self.error is not None:
            return np.asarray(
                1 / (np.nan_to_num(self.error[:, axis]) ** 2 + (_FLOOR * self.pixel[axis]) ** 2)
            )
        middle = float(np.median(self.weight))
        if not middle > 0:
            return np.ones(len(self.weight))
        return np.asarray(np.clip(self.weight / middle, 1 / _HEAVIEST, _HEAVIEST))
