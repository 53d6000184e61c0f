"""What rescaled trajectories look like: nothing but noise, or one of several shapes at some strength.

Rescaled by its mean I/m - 1, the trajectory of a voxel whose intensity is a background b and something else
is the shape of that something, times the share (1 - b/m) of the intensity that stands above background. So a
class of voxels (an order, Bragg peaks, thermal diffuse scattering) has one shape u(t) and one strength A: an
order is gone above its temperature, whatever the height of the peak, and Bragg peaks fall by a few percent.
Noise is known, so what a single voxel can tell is weighed as it should be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from xtec.core.arrays import is_host, like, namespace, some_rows
from xtec.core.types import Float64Array, FloatArray
from xtec.mixture.passes import most_probable
from xtec.mixture.smoothed import Placed

_COSINES = 10
"""Trajectories are looked at through so many cosines over the scan; the rest is mostly noise."""

_TOLERANCE = 0.06
"""Angle in radians by which trajectories of one class differ in shape."""

_LEAST = 3.5
"""Least length of a trajectory with a shape, in standard deviations of its noise."""

_BACKGROUND = 0.2
"""Relative uncertainty of the background below a voxel."""

_SPREAD = (0.15, 0.6)
"""Bounds of how much strengths of one class differ (standard deviation of the logarithm)."""

_LEAST_EXCESS = 0.05

_ROWS = 16_384
_ROWS_ELSEWHERE = 2**18
"""Trajectories looked at together; and on other devices."""


@dataclass(frozen=True)
class Shaped(Placed):
    """Rescaled trajectories, their noise, and how much of them stands above background.

    Attributes
    ----------
    noise : array, shape (n,)
        Variance of the noise of a rescaled trajectory.
    excess : array, shape (n,)
        Share of the mean intensity above background, 1 - b/m.
    chance : array, shape (n,)
        Logarithm of the odds that noise has for a trajectory that was kept because it varies: of many that
        could have been, only such are here. 0 for others.
    """

    noise: FloatArray
    excess: FloatArray
    chance: FloatArray

    def chosen(self, which: NDArray[np.bool_] | slice) -> Shaped:
        """Some of the trajectories."""
        names = ("index", "rows", "noise", "excess", "chance")
        return Shaped(self.number, *(some_rows(getattr(self, name), which) for name in names))

    def parts(self) -> Iterator[slice]:
        """Some thousand trajectories at a time: what is made of them takes more memory than they do."""
        n = self.rows.shape[0]
        rows = _ROWS if is_host(self.rows) else _ROWS_ELSEWHERE
        return (slice(start, min(start + rows, n)) for start in range(0, n, rows))


@dataclass(frozen=True)
class View:
    """Trajectories as shapes are fitted to them.

    Attributes
    ----------
    points : array, shape (n, J)
        Cosine coefficients over the standard deviation of the noise.
    unit : array, shape (n,)
        Length of a trajectory of strength one, were all of it above background.
    excess : array, shape (n,)
    doubt : array, shape (n,)
        Variance of ln(excess).
    chance : array, shape (n,)
    """

    points: Float64Array
    unit: Float64Array
    excess: Float64Array
    doubt: Float64Array
    chance: Float64Array

    @classmethod
    def of(cls, block: Shaped) -> View:
        """Of all trajectories of a block, of any array library."""
        xp, t = namespace(block.rows), block.rows.shape[1]
        order = np.arange(1, min(_COSINES, t - 1) + 1)
        cosines = np.cos(np.pi * np.outer(np.arange(t) + 0.5, order) / t) * np.sqrt(2 / t)
        rows, noise, above, chance = (
            xp.astype(one, xp.float64) for one in (block.rows, block.noise, block.excess, block.chance)
        )
        deviation = xp.sqrt(noise)
        excess = xp.maximum(above, _LEAST_EXCESS)
        doubt = xp.minimum(_BACKGROUND * (1 - excess) / excess, 1.0) ** 2
        points = (rows @ like(cosines, rows)) / deviation[:, None]
        return cls(points, 1 / deviation, excess, doubt, chance)

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, part: NDArray[np.intp] | slice) -> View:
        return View(*(getattr(self, one.name)[part] for one in fields(self)))


@dataclass(frozen=True)
class Shapes:
    """A mixture of K classes: trajectories without a shape, and K - 1 shapes. May be sent elsewhere.

    Attributes
    ----------
    weights : array, shape (K,)
        The first is that of trajectories without a shape.
    directions : array, shape (K - 1, J)
        Unit vectors of cosine coefficients.
    log_strength, spread : array, shape (K - 1,)
        Mean and standard deviation of the logarithm of the strength.
    """

    weights: Float64Array
    directions: Float64Array
    log_strength: Float64Array
    spread: Float64Array

    @classmethod
    def none(cls, n_cosines: int) -> Shapes:
        """Noise alone."""
        return cls(np.ones(1), np.empty((0, n_cosines)), np.empty(0), np.empty(0))

    def with_one_more(self, direction: Float64Array, log_strength: float) -> Shapes:
        """The same with another shape, all of the same weight."""
        k = len(self.weights) + 1
        return Shapes(
            np.full(k, 1 / k),
            np.concatenate([self.directions, direction[None]]),
            np.append(self.log_strength, log_strength),
            np.append(self.spread, _SPREAD[1]),
        )

    def log_likelihoods(self, view: View) -> Float64Array:
        """ln of weight times likelihood of each class, shape (n, K), up to a constant of each trajectory.

        The likelihood of a shape is taken at the strength that suits the trajectory best.
        """
        xp, points = namespace(view.points), view.points
        weights, directions, log_strength, spread = (
            like(one, points) for one in (self.weights, self.directions, self.log_strength, self.spread)
        )
        squares = xp.sum(points**2, axis=1)
        along = points @ directions.T
        length = xp.maximum(along, _LEAST)
        freedom = max(points.shape[1] - 1, 1)
        wider = 1 + _TOLERANCE**2 * length**2 / freedom
        off = squares[:, None] - 2 * along * length + length**2
        expected = log_strength + xp.log(view.excess * view.unit)[:, None]
        variance = spread**2 + 1 / length**2 + view.doubt[:, None]
        shapes = -0.5 * (
            off / wider
            + freedom * xp.log(wider)
            + xp.log(variance)
            + (xp.log(length) - expected) ** 2 / variance
        ) - xp.log(length)
        noise = view.chance - 0.5 * squares
        found: Float64Array = xp.concat([noise[:, None], shapes], axis=1) + xp.log(weights)
        return found

    def responsibilities(self, view: View) -> Float64Array:
        """Probability of each class, shape (n, K)."""
        joint = self.log_likelihoods(view)
        xp = namespace(joint)
        likelihood = xp.exp(joint - xp.max(joint, axis=1, keepdims=True))
        shares: Float64Array = likelihood / xp.sum(likelihood, axis=1, keepdims=True)
        return shares

    def __call__(self, block: Shaped) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
        """Most probable class (0..K-1) of each trajectory, and its probability; both of shape (n,)."""
        found = [most_probable(self.responsibilities(View.of(block.chosen(part)))) for part in block.parts()]
        if not found:
            return np.empty(0, np.int16), np.empty(0, np.float32)
        label, probability = zip(*found, strict=True)
        xp = namespace(label[0])
        return xp.concat(label), xp.concat(probability)


def refit(shapes: Shapes, view: View, n_iter: int, least_weight: float = 0.05) -> Shapes:
    """Iterate: which class each trajectory is of, and what the classes then look like.

    Parameters
    ----------
    shapes : Shapes
    view : View
    n_iter : int
    least_weight : float
        No class weighs less than this share of an equal one.
    """
    for _ in range(n_iter):
        share = shapes.responsibilities(view)
        weights = np.maximum(share.mean(axis=0), least_weight / share.shape[1])
        along = np.maximum(view.points @ shapes.directions.T, 0.0)
        freedom = max(view.points.shape[1] - 1, 1)
        pull = (share[:, 1:] * along / (1 + _TOLERANCE**2 * along**2 / freedom)).T @ view.points
        length = np.linalg.norm(pull, axis=1, keepdims=True)
        directions = np.where(length > 0, pull / np.maximum(length, 1e-300), shapes.directions)
        strength = np.log(np.maximum(along, _LEAST) / (view.excess * view.unit)[:, None])
        telling = share[:, 1:] * (along > 2 * _LEAST) / (1 + 10 * view.doubt)[:, None]
        total = telling.sum(axis=0)
        mean = np.where(total > 0, (telling * strength).sum(axis=0) / np.maximum(total, 1e-300), 0.0)
        mean = np.where(total > 0, mean, shapes.log_strength)
        square = (telling * (strength - mean) ** 2).sum(axis=0) / np.maximum(total, 1e-300)
        spread = np.where(total > 0, np.clip(np.sqrt(square), *_SPREAD), shapes.spread)
        shapes = Shapes(weights / weights.sum(), directions, mean, spread)
    return shapes
