"""Finding shapes: one after the other, each where the trajectories are explained least."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from xtec.core.types import Float64Array
from xtec.selection.shapes import Shapes, View, refit

GAIN = 4.0
"""Nats that a class must add for each trajectory it takes."""

_FEWEST, _FEWEST_OF_FEW = 10, 3
_LEAST_SHARE, _LEAST_SHARE_OF_FEW = 0.005, 0.04
"""Trajectories that a class must take, at least, in number and as a share; less where all are few."""

_UNEXPLAINED = 8.0
"""Nats by which a trajectory must be explained badly to be a candidate for a new shape."""

_LOUD = 6.0
"""Length in standard deviations that a candidate must have."""

_CANDIDATES = 200
_LOOKED_AT = 20_000
_TOGETHER = 20
"""Candidates at a time, and trajectories that they are judged by."""
_MOST_EACH = 30.0
"""Nats that a single trajectory may speak for a candidate: outliers are not to be shapes."""

_TRIES = 4
_SETTLE, _FINISH = 12, 25
"""Iterations after each new shape, and at the end."""


@dataclass(frozen=True)
class Found:
    """Shapes in the order they were found.

    Attributes
    ----------
    shapes : Shapes
    gains : tuple of float
        Nats a trajectory that each added; the last one of a class that was not taken, if any was tried.
    """

    shapes: Shapes
    gains: tuple[float, ...]


def discover(view: View, rng: np.random.Generator, lowest: int = 1, highest: int = 10) -> Found:
    """Add shapes until none explains its trajectories much better than those before.

    Parameters
    ----------
    view : View
        Of a sample.
    rng : numpy Generator
        Draws candidates.
    lowest, highest : int
        Number of classes, that of trajectories without a shape included. Up to the lowest, shapes are taken
        however little they gain.
    """
    shapes, gains, refused = Shapes.none(view.points.shape[1]), list[float](), list[float]()
    explained = _explained(shapes, view)
    barred, fewest = np.zeros(len(view), dtype=bool), _fewest(len(view))
    while len(shapes.weights) < highest and len(refused) < _TRIES:
        must = len(shapes.weights) < lowest
        tried = _candidate(shapes, view, explained, barred, rng, easy=must)
        if tried is None:
            break
        candidate, supporters = tried
        larger = refit(candidate, view, _SETTLE)
        now = _explained(larger, view)
        taken = int((larger.log_likelihoods(view).argmax(axis=1) == len(larger.weights) - 1).sum())
        gain = float((now - explained).sum()) / max(taken, 1)
        enough = taken >= fewest and gain >= GAIN
        if enough or (must and taken > 0):
            shapes, explained = larger, now
            gains.append(gain)
        else:
            barred |= supporters
            refused.append(gain if taken >= fewest else 0.0)
    return Found(refit(shapes, view, _FINISH), (*gains, *([max(refused)] if refused else [])))


def _fewest(n: int) -> float:
    """Trajectories that a class of n must take."""
    return max(min(_FEWEST, max(_FEWEST_OF_FEW, _LEAST_SHARE_OF_FEW * n)), _LEAST_SHARE * n)


def _explained(shapes: Shapes, view: View) -> Float64Array:
    return np.asarray(logsumexp(shapes.log_likelihoods(view), axis=1))


def _candidate(
    shapes: Shapes,
    view: View,
    explained: Float64Array,
    barred: NDArray[np.bool_],
    rng: np.random.Generator,
    *,
    easy: bool,
) -> tuple[Shapes, NDArray[np.bool_]] | None:
    """Of some badly explained trajectories, the one whose shape would explain most; and those it would."""
    length = np.linalg.norm(view.points, axis=1)
    missing = -explained - np.log(np.maximum(length, 1.0))
    possible = (missing > (0.0 if easy else _UNEXPLAINED)) & (length > _LOUD) & ~barred
    possible &= view.excess > 0.1
    which = np.flatnonzero(possible)
    if which.size < (1 if easy else _fewest(len(view))):
        return None
    chance = np.minimum(missing[which], 2 * _MOST_EACH)
    drawn = rng.choice(which, min(_CANDIDATES, which.size), replace=False, p=chance / chance.sum())
    few = np.arange(len(view))
    if few.size > _LOOKED_AT:
        few = np.sort(rng.choice(len(view), _LOOKED_AT, replace=False))
    directions = view.points[drawn] / length[drawn][:, None]
    strength = np.log(length[drawn] / (view.excess * view.unit)[drawn])
    looked_at = view[few]

    def gain(which: NDArray[np.intp]) -> Float64Array:
        """Nats that candidates would explain better, of each trajectory looked at."""
        alone = Shapes(
            np.full(which.size + 1, 0.1), directions[which], strength[which], np.full(which.size, 0.4)
        )
        better = alone.log_likelihoods(looked_at)[:, 1:] - explained[few][:, None]
        return np.clip(better, 0.0, _MOST_EACH)

    pieces = np.array_split(np.arange(drawn.size), -(-drawn.size // _TOGETHER))
    best = int(np.concatenate([gain(piece).sum(axis=0) for piece in pieces]).argmax())
    supporters = np.zeros(len(view), dtype=bool)
    supporters[few[gain(np.array([best]))[:, 0] > 2]] = True
    supporters[drawn[best]] = True
    return shapes.with_one_more(directions[best], float(strength[best])), supporters
