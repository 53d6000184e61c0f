"""The shape of components: what is alike but for strength, and which components are mixed of several shapes.

Rescaled by their mean, the trajectories of one order are multiples of one shape, longer the higher they
stand above background; a mixture cuts such a ray into pieces, and bright pieces from noisy ones. Whether two
components are of one shape is therefore asked leaving the strength free.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from xtec.core.types import CovarianceType, Float64Array
from xtec.mixture import EMState, MixtureParameters, Trajectories
from xtec.mixture.em import recast, responsibilities, run_em

_TOLERANCE = 0.04
"""Angle in radians by which bright trajectories of one class may differ in shape."""

_FLAT = 1.0
"""A component whose mean is smaller than its scatter (root of chi square) has no shape."""

_AVERAGED = 9
"""Shapes are compared on averages of so many trajectories, for single ones are too noisy to tell."""

_MIXED, _BEYOND = 1.3, 1.05
"""Scatter across its shape, over what its noise explains, from which on a component is mixed of several; and
over the largest that noise gives in so many directions."""

_ITERATIONS = 40
_GAIN = 1e-4


@dataclass(frozen=True)
class Scatter:
    """How a component scatters across its shape, at most.

    Attributes
    ----------
    size : int
        Trajectories.
    ratio : float
        Largest variance in any direction but its own, over what its noise explains.
    direction : array, shape (T,)
        One standard deviation in that direction.
    """

    size: int
    ratio: float
    direction: Float64Array

    @property
    def mixed(self) -> bool:
        """Whether noise cannot explain the scatter (Marchenko & Pastur 1967); False of too few to tell."""
        edge = (1 + np.sqrt(self.direction.size / max(self.size, 1))) ** 2
        return self.size >= self.direction.size and self.ratio >= max(_MIXED, _BEYOND * float(edge))

    @property
    def gain(self) -> float:
        """About what a split would add to the log-likelihood; 0 where noise may explain the scatter."""
        if not self.mixed:
            return 0.0
        return self.size * float(self.ratio - 1 - np.log(self.ratio)) / 2


def scatter(rows: Float64Array, mixture: MixtureParameters) -> list[Scatter]:
    """Scatter of every component across its shape; `rows` (n, T) are what it was fitted to."""
    label = responsibilities(rows, mixture)[0].argmax(axis=1)
    widths = np.sqrt(mixture.variances() + _TOLERANCE**2 * _squared_length(mixture)[:, None])
    return [
        _scatter_of(rows[label == k], mean, width)
        for k, (mean, width) in enumerate(zip(mixture.means, widths, strict=True))
    ]


def _scatter_of(rows: Float64Array, mean: Float64Array, width: Float64Array) -> Scatter:
    if len(rows) < 2:
        return Scatter(len(rows), 0.0, np.zeros_like(mean))
    white = (rows - rows.mean(axis=0)) / width
    along = mean / width
    along = along / max(float(np.linalg.norm(along)), float(np.finfo(float).tiny))
    white = white - np.outer(white @ along, along)
    values, vectors = np.linalg.eigh(white.T @ white / len(rows))
    largest = vectors[:, -1] * np.sign(vectors[np.abs(vectors[:, -1]).argmax(), -1])
    return Scatter(len(rows), float(values[-1]), largest * np.sqrt(max(values[-1], 0.0)) * width)


def refine(data: Trajectories, start: MixtureParameters, n_components: int) -> MixtureParameters:
    """Split components that are mixed of several shapes, the worst first, until none is.

    Parameters
    ----------
    data : Trajectories
        Few enough to be held as rows.
    start : MixtureParameters
    n_components : int
        At most.
    """
    rows = data.rows()
    mixture = _settled(data, recast(data, start, CovarianceType.DIAG), _GAIN, _ITERATIONS)
    settled = False
    while mixture.n_components < n_components:
        found = scatter(rows, mixture)
        worst = max(range(len(found)), key=lambda k: found[k].gain)
        if found[worst].gain > 0:
            halves = split(mixture, worst, found[worst].direction)
            mixture, settled = _settled(data, halves, _GAIN, _ITERATIONS), False
        elif settled:
            return mixture
        else:
            mixture, settled = _settled(data, mixture, _GAIN / 10, 5 * _ITERATIONS), True
    return _settled(data, mixture, _GAIN / 10, 5 * _ITERATIONS)


def _settled(data: Trajectories, start: MixtureParameters, tol: float, max_iter: int) -> MixtureParameters:
    state: EMState = run_em(data, start, tol=tol, max_iter=max_iter, accelerate=True)
    return state.parameters


def split(mixture: MixtureParameters, k: int, step: Float64Array) -> MixtureParameters:
    """Component k in two halves, 0.8 `step` to either side of its mean; the halves come last."""
    rest = np.delete(np.arange(mixture.n_components), k)
    order = np.concatenate([rest, [k, k]])
    means, weights = mixture.means[order].copy(), mixture.weights[order].copy()
    means[-2:] += np.outer([0.8, -0.8], step)
    weights[-2:] /= 2
    covariances = mixture.variances()[order].copy()
    covariances[-2:] = np.maximum(covariances[-2:] - 0.6 * step**2, 0.2 * covariances[-2:])
    return replace(
        mixture,
        weights=weights,
        means=means,
        covariances=covariances,
        covariance_type=CovarianceType.DIAG,
    )


def likeness(rows: Float64Array, mixture: MixtureParameters) -> Float64Array:
    """p(x, y): what averages of a few trajectories of component x look like, in the shape of y.

    Every average is compared with every shape at the strength that suits it best, within the scatter of its
    own component; strengths without limit are paid for by their range (Laplace's approximation). A component
    looks like those that it overlaps with, too: noise that was cut in two is not told apart.

    Parameters
    ----------
    rows : array, shape (n, T)
    mixture : MixtureParameters
        M components.

    Returns
    -------
    array, shape (M, M)
        Adds up to one.
    """
    share_of = responsibilities(rows, mixture)[0]
    label = share_of.argmax(axis=1)
    length, variances = _squared_length(mixture), mixture.variances()
    flat = np.sum(mixture.means**2 / variances, axis=1) < _FLAT**2
    with np.errstate(divide="ignore"):
        prior = np.log(mixture.weights)
    table = np.zeros((mixture.n_components, mixture.n_components))
    for k in range(mixture.n_components):
        precision = 1 / (variances[k] / _AVERAGED + _TOLERANCE**2 * length[k])
        averages = _averages(rows[label == k], mixture.means[k])
        strength = (mixture.means**2) @ precision
        projection = np.maximum((averages * precision) @ mixture.means.T, 0.0)
        gain = projection**2 / (2 * np.maximum(strength, 1e-300)) - np.log1p(np.sqrt(strength / (2 * np.pi)))
        score = np.where(flat, 0.0, gain) + prior
        share = np.exp(score - score.max(axis=1, keepdims=True))
        table[k] = (share / share.sum(axis=1, keepdims=True)).mean(axis=0)
    looks = (share_of.T @ share_of) @ table
    return np.asarray(looks / looks.sum())


def _averages(rows: Float64Array, mean: Float64Array) -> Float64Array:
    """Means of nine rows at a time, from all over; the component's own mean where there are too few."""
    n = len(rows) // _AVERAGED
    if n < 2:
        return mean[None]
    return np.asarray(rows[: n * _AVERAGED].reshape(_AVERAGED, n, -1).mean(axis=0))


def _squared_length(mixture: MixtureParameters) -> Float64Array:
    return np.asarray(np.sum(mixture.means**2, axis=1))
