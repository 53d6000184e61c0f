"""Expectation maximisation over blocks of trajectories.

One implementation for one block, many blocks, any order: a block gives its log-likelihood and its moments,
and moments merge. Trajectories may be float32; sums are float64.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from xtec.core.backend import namespace
from xtec.core.errors import DegenerateMixtureError
from xtec.core.types import CovarianceType, Float64Array, FloatArray
from xtec.mixture.covariance import estimate, log_densities
from xtec.mixture.moments import ComponentMoments, has_full_scatter
from xtec.mixture.parameters import MixtureParameters

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

    Raises
    ------
    DegenerateMixtureError
        If they are all the same.
    """

    def __init__(self, blocks: Sequence[FloatArray]) -> None:
        self.blocks = [block for block in blocks if len(block)]
        self.n = sum(len(block) for block in self.blocks)
        self.n_features = self.blocks[0].shape[1] if self.blocks else 0
        moments = ComponentMoments.empty(1, self.n_features, CovarianceType.DIAG)
        for rows in self._pieces():
            ones = np.ones((len(rows), 1))
            shift = rows[0]
            part = ComponentMoments.of_block(rows - shift, ones, full=False)
            moments = moments.merge(replace(part, mean=part.mean + shift))
        self.mean: Float64Array = moments.mean[0]
        self.variance: Float64Array = moments.scatter[0] / max(self.n, 1)
        if self.n and not self.variance.any():
            raise DegenerateMixtureError(
                "all trajectories are the same: there is nothing to cluster",
                hint="another --rescale or region",
            )

    @property
    def floor(self) -> Float64Array:
        """Smallest variance a component may have at each temperature, shape (T,)."""
        return np.asarray(RELATIVE_FLOOR * np.maximum(self.variance, 1e-6 * self.variance.mean()))

    def _pieces(self) -> Iterator[Any]:
        for block in self.blocks:
            for start in range(0, len(block), _ROWS):
                yield block[start : start + _ROWS].astype(np.float64)

    def centred(self) -> Iterator[Any]:
        """Pieces of float64 rows with the data's mean subtracted."""
        for rows in self._pieces():
            yield rows - self.mean

    def rows(self, index: Any) -> Float64Array:
        """Chosen trajectories by number, shape (m, T), float64."""
        starts = np.cumsum([0, *(len(block) for block in self.blocks)])
        which = np.searchsorted(starts, index, side="right") - 1
        picked = [self.blocks[b][i - starts[b]] for b, i in zip(which, index, strict=True)]
        return np.asarray(picked, dtype=np.float64).reshape(len(index), self.n_features)


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


def expect(data: Trajectories, parameters: MixtureParameters) -> Expectation:
    """One pass over all trajectories.

    Returns
    -------
    Expectation
        Moments about the origin of the data (not of `Trajectories.centred`).
    """
    full = has_full_scatter(parameters.covariance_type)
    shifted = replace(parameters, means=parameters.means - data.mean)
    moments = ComponentMoments.empty(
        parameters.n_components, parameters.n_features, parameters.covariance_type
    )
    total, worst, outlier = 0.0, np.inf, data.mean
    for rows in data.centred():
        share, log_density = responsibilities(rows, shifted)
        moments = moments.merge(ComponentMoments.of_block(rows, share, full=full))
        total += float(log_density.sum())
        lowest = int(log_density.argmin())
        if log_density[lowest] < worst:
            worst, outlier = float(log_density[lowest]), rows[lowest] + data.mean
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
        reseeded += int(empty.sum()) if fresh else 0
        expectation = expect(data, parameters)
        history.append(expectation.log_likelihood)
        if not fresh and history[-1] - history[-2] < tol:
            return EMRun(parameters, history[-1], tuple(history), True, reseeded)
    return EMRun(parameters, history[-1], tuple(history), max_iter == 0, reseeded)


def _maximise(
    data: Trajectories, expectation: Expectation, previous: MixtureParameters, empty: Any, *, reseed: bool
) -> MixtureParameters:
    """M step; empty components are put on the least likely trajectory, or left where they were."""
    moments = expectation.moments
    if not empty.any():
        return estimate(moments, previous.covariance_type, data.floor)
    mean, weight, scatter = moments.mean.copy(), moments.weight.copy(), moments.scatter.copy()
    mean[empty] = expectation.outlier if reseed else previous.means[empty]
    weight[empty] = 1.0 if reseed else _EMPTY
    spread = data.variance if scatter.ndim == 2 else np.diag(data.variance)
    scatter[empty] = spread * weight[empty][0]
    if reseed:
        logger.info("%d empty component(s) started anew", int(empty.sum()))
    return estimate(ComponentMoments(weight, mean, scatter), previous.covariance_type, data.floor)
