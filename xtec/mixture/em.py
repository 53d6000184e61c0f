"""Expectation maximisation over blocks of trajectories.

One implementation for one block, many blocks, any order: a block gives its log-likelihood and its moments,
and moments merge. Trajectories may be float32; sums are float64.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from xtec.core.backend import namespace
from xtec.core.errors import DegenerateMixtureError
from xtec.core.parallel import block_threads
from xtec.core.types import CovarianceType, Float64Array, FloatArray
from xtec.mixture.covariance import estimate, log_densities
from xtec.mixture.moments import ComponentMoments, has_full_scatter
from xtec.mixture.parameters import MixtureParameters

Outcome = TypeVar("Outcome")

logger = logging.getLogger(__name__)

RELATIVE_FLOOR = 1e-6
"""Smallest variance of a component, as a share of the data's variance at that temperature."""

_ROWS = 8192
"""Rows worked on at a time: they and their responsibilities stay in the processor's cache."""

_EMPTY = 1e-8
"""A component with less than this many trajectories has none."""

_RESEEDS = 3
"""How often an empty component is started anew before it is left empty."""


class Trajectories:
    """Trajectories in blocks, with the data's own mean and variance.

    Parameters
    ----------
    blocks : sequence of array, each of shape (n_i, T)
        float32 or float64; their order does not matter but for rounding.
    """

    def __init__(self, blocks: Sequence[FloatArray]) -> None:
        self.n = sum(len(block) for block in blocks)
        self.n_features = blocks[0].shape[1]
        self._pieces = [
            block[start : start + _ROWS] for block in blocks for start in range(0, len(block), _ROWS)
        ]
        moments = ComponentMoments.empty(1, self.n_features, full=False)
        for piece in self._pieces:
            rows = piece.astype(np.float64)
            shift = rows[0]
            part = ComponentMoments.of_block(rows - shift, np.ones((len(rows), 1)), full=False)
            moments = moments.merge(replace(part, mean=part.mean + shift))
        self.mean: Float64Array = moments.mean[0]
        self.variance: Float64Array = moments.scatter[0] / max(self.n, 1)

    def require_spread(self) -> None:
        """Refuse to go on without any variance: a mixture of them has no finite likelihood.

        Raises
        ------
        DegenerateMixtureError
            If all trajectories are the same.
        """
        if not self.variance.any():
            raise DegenerateMixtureError(
                "all trajectories are the same: there is nothing to cluster",
                hint="another --rescale or region",
            )

    @property
    def floor(self) -> Float64Array:
        """Smallest variance a component may have at each temperature, shape (T,)."""
        return np.asarray(RELATIVE_FLOOR * np.maximum(self.variance, 1e-6 * self.variance.mean()))

    def map(self, function: Callable[[Any], Outcome]) -> Iterator[Outcome]:
        """Apply a function to pieces of float64 rows with the data's mean subtracted; outcomes in order."""
        if len(self._pieces) == 1:
            yield function(self._centred(self._pieces[0]))
            return
        with block_threads() as run:
            yield from run(lambda piece: function(self._centred(piece)), self._pieces)

    def _centred(self, piece: FloatArray) -> Any:
        return piece.astype(np.float64) - self.mean

    def sample(self, index: NDArray[np.intp]) -> Trajectories:
        """Some of the trajectories, by number (rising); not all of them the same."""
        starts = np.cumsum([0, *(len(piece) for piece in self._pieces)])
        cuts = np.searchsorted(index, starts)
        parts = [
            piece[index[low:high] - start]
            for piece, start, low, high in zip(self._pieces, starts, cuts, cuts[1:], strict=False)
        ]
        sample = Trajectories([np.concatenate(parts)])
        sample.require_spread()
        return sample

    def rows(self) -> Float64Array:
        """All trajectories, shape (n, T), float64."""
        return np.concatenate(self._pieces).astype(np.float64)


@dataclass(frozen=True)
class Expectation:
    """What one pass gives: moments, mean log-likelihood, and the least likely trajectory."""

    moments: ComponentMoments
    log_likelihood: float
    outlier: Float64Array


def responsibilities(rows: Any, parameters: MixtureParameters) -> tuple[Any, Any]:
    """E step on rows (n, T): responsibilities (n, K) and ln of the mixture's density (n,)."""
    xp = namespace(rows)
    with np.errstate(divide="ignore"):
        log_weights = np.log(parameters.weights)
    joint = log_densities(rows, parameters) + xp.asarray(log_weights)
    highest = xp.max(joint, axis=1, keepdims=True)
    likelihood = xp.exp(joint - highest)
    total = xp.sum(likelihood, axis=1, keepdims=True)
    return likelihood / total, (xp.log(total) + highest)[:, 0]


def expect(data: Trajectories, parameters: MixtureParameters, *, full: bool | None = None) -> Expectation:
    """One pass over all trajectories.

    Parameters
    ----------
    data : Trajectories
    parameters : MixtureParameters
    full : bool, optional
        Whether scatter between temperatures is wanted; by default if `parameters` need it.

    Returns
    -------
    Expectation
        Moments about the origin of the data (not of `Trajectories.centred`).
    """
    full = has_full_scatter(parameters.covariance_type) if full is None else full
    shifted = replace(parameters, means=parameters.means - data.mean)
    moments = ComponentMoments.empty(parameters.n_components, parameters.n_features, full=full)
    total, worst, outlier = 0.0, np.inf, data.mean

    def of_piece(rows: Any) -> tuple[ComponentMoments, float, float, Any]:
        share, log_density = responsibilities(rows, shifted)
        lowest = int(log_density.argmin())
        part = ComponentMoments.of_block(rows, share, full=full)
        return part, float(log_density.sum()), float(log_density[lowest]), rows[lowest]

    for part, subtotal, lowest, row in data.map(of_piece):
        moments = moments.merge(part)
        total += subtotal
        if lowest < worst:
            worst, outlier = lowest, row + data.mean
    return Expectation(replace(moments, mean=moments.mean + data.mean), total / data.n, outlier)


@dataclass(frozen=True)
class EMRun:
    """A finished run of EM.

    Attributes
    ----------
    parameters : MixtureParameters
    log_likelihood : float
        Mean over trajectories, of `parameters`.
    history : tuple of float
        Mean log-likelihood before each iteration, and of the result.
    converged : bool
    n_reseeded : int
        Empty components that were started anew.
    """

    parameters: MixtureParameters
    log_likelihood: float
    history: tuple[float, ...] = field(repr=False)
    converged: bool
    n_reseeded: int = 0

    @property
    def n_iter(self) -> int:
        """Number of iterations."""
        return len(self.history) - 1


def run_em(data: Trajectories, start: MixtureParameters, *, tol: float, max_iter: int) -> EMRun:
    """Iterate E and M steps until the mean log-likelihood gains less than `tol` in an iteration.

    The likelihood never falls, except where an empty component is started anew.
    """
    parameters, reseeded = start, 0
    expectation = expect(data, parameters)
    history = [expectation.log_likelihood]
    for _ in range(max_iter):
        empty = expectation.moments.weight < _EMPTY
        fresh = bool(empty.any()) and reseeded < _RESEEDS * len(empty)
        parameters = _maximise(data, expectation, parameters, empty, reseed=fresh)
        reseeded += int(fresh)
        expectation = expect(data, parameters)
        history.append(expectation.log_likelihood)
        if not fresh and history[-1] - history[-2] < tol:
            return EMRun(parameters, history[-1], tuple(history), True, reseeded)
    return EMRun(parameters, history[-1], tuple(history), max_iter == 0, reseeded)


def recast(
    data: Trajectories, parameters: MixtureParameters, covariance_type: CovarianceType
) -> MixtureParameters:
    """The mixture that one EM step makes of another with covariances of a different type."""
    if parameters.covariance_type is covariance_type:
        return parameters
    moments = expect(data, parameters, full=has_full_scatter(covariance_type)).moments
    filled = replace(moments, weight=np.maximum(moments.weight, _EMPTY))
    return estimate(filled, covariance_type, data.floor)


def _maximise(
    data: Trajectories, expectation: Expectation, previous: MixtureParameters, empty: Any, *, reseed: bool
) -> MixtureParameters:
    """M step; empty components stay, but the first of them starts anew on the least likely trajectory."""
    moments = expectation.moments
    if not empty.any():
        return estimate(moments, previous.covariance_type, data.floor)
    mean, weight, scatter = moments.mean.copy(), moments.weight.copy(), moments.scatter.copy()
    mean[empty], weight[empty] = previous.means[empty], _EMPTY
    if reseed:
        first = int(np.flatnonzero(empty)[0])
        mean[first], weight[first] = expectation.outlier, 1.0
        logger.info("component %d ran empty and was started anew", first + 1)
    spread = data.variance if scatter.ndim == 2 else np.diag(data.variance)
    scatter[empty] = np.multiply.outer(weight[empty], spread)
    return estimate(ComponentMoments(weight, mean, scatter), previous.covariance_type, data.floor)
