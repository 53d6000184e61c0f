"""Expectation maximisation over trajectories in shards.

One implementation for one shard, many shards, any order: a shard gives sums, and sums merge. Trajectories may
be float32; what comes home is float64.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from xtec.core.arrays import home, like, namespace
from xtec.core.types import CovarianceType, Float64Array
from xtec.mixture.covariance import estimate, log_densities
from xtec.mixture.moments import ComponentMoments, has_full_scatter
from xtec.mixture.noisy import NoisyModel
from xtec.mixture.parameters import MixtureParameters
from xtec.mixture.passes import fused_model
from xtec.mixture.squarem import extrapolate
from xtec.mixture.trajectories import Trajectories, over_rows

logger = logging.getLogger(__name__)

EMPTY = 1e-8
"""A component with less than this many trajectories has none."""

_RESEEDS = 3
"""How often an empty component is started anew before it is left empty."""

_CALM = 0.1
"""Gain of an iteration below which EM has settled where to go; a longer step before may lead elsewhere."""


@dataclass(frozen=True)
class Expectation:
    """What one pass gives: moments about the origin of the data, and the mean log-likelihood."""

    moments: ComponentMoments
    log_likelihood: float


def responsibilities(rows: Any, parameters: MixtureParameters) -> tuple[Any, Any]:
    """E step on rows (n, T): responsibilities (n, K) and ln of the mixture's density (n,)."""
    xp = namespace(rows)
    with np.errstate(divide="ignore"):
        log_weights = np.log(parameters.weights)
    joint = log_densities(rows, parameters) + like(log_weights, rows)
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
    """
    needs_full = has_full_scatter(parameters.covariance_type)
    full = needs_full if full is None else full
    if data.noise is not None:
        behind = NoisyModel(parameters, data.frame, data.dtype, data.noise)
        return Expectation(*behind.expectation(np.asarray(sum(data.map(behind.sums))), data.n))
    model = None if full else fused_model(data.array_library, parameters, data.frame, data.dtype)
    if model is not None:
        return Expectation(*model.expectation(np.asarray(sum(data.map(model.sums))), data.n))
    moments = ComponentMoments.empty(parameters.n_components, parameters.n_features, full=full)
    total = 0.0
    for part, subtotal in data.map(PlainModel(parameters, data.mean, full)):
        moments = moments.merge(part)
        total += subtotal
    return Expectation(replace(moments, mean=moments.mean + data.mean), total / data.n)


@dataclass(frozen=True)
class PlainModel:
    """A mixture of any type, in float64 and any array namespace. May be sent to other processes.

    Attributes
    ----------
    parameters : MixtureParameters
    centre : array, shape (T,)
        Subtracted from trajectories: squares are expanded.
    full : bool
        Whether scatter between temperatures is wanted.
    """

    parameters: MixtureParameters
    centre: Float64Array
    full: bool = False

    @property
    def _centred(self) -> MixtureParameters:
        return replace(self.parameters, means=self.parameters.means - self.centre)

    def __call__(self, block: Any) -> tuple[ComponentMoments, float]:
        """Moments of a block about the centre, and the sum of ln densities."""
        k, t = self.parameters.means.shape
        moments, total = ComponentMoments.empty(k, t, full=self.full), 0.0
        centred = self._centred

        def on_rows(rows: Any, _: slice) -> tuple[ComponentMoments, Any]:
            share, log_density = responsibilities(rows, centred)
            part = ComponentMoments.of_block(rows, share, full=self.full)
            return home((part, namespace(rows).sum(log_density)))

        for part, subtotal in over_rows(block, self.centre, on_rows):
            moments, total = moments.merge(part), total + float(subtotal)
        return moments, total

    def expected(self, block: Any) -> tuple[Any, Any]:
        """Responsibilities of a block, shape (n, K), and its ln densities, shape (n,)."""
        xp, n, centred = namespace(block), block.shape[0], self._centred
        shares = xp.empty((n, self.parameters.n_components), dtype=xp.float64, device=block.device)
        log_density = xp.empty(n, dtype=xp.float64, device=block.device)

        def on_rows(rows: Any, part: slice) -> None:
            shares[part, :], log_density[part] = responsibilities(rows, centred)

        for _ in over_rows(block, self.centre, on_rows):
            pass
        return shares, log_density

    def responsibilities(self, block: Any) -> Any:
        """Responsibilities of a block, shape (n, K)."""
        return self.expected(block)[0]

    def log_likelihoods(self, block: Any) -> Any:
        """ln density of each trajectory of a block, shape (n,)."""
        xp, centred = namespace(block), self._centred
        log_density = xp.empty(block.shape[0], dtype=xp.float64, device=block.device)

        def on_rows(rows: Any, part: slice) -> None:
            log_density[part] = responsibilities(rows, centred)[1]

        for _ in over_rows(block, self.centre, on_rows):
            pass
        return log_density

    def least_likely(self, block: Any) -> tuple[float, Float64Array]:
        """Lowest ln density in a block, and the trajectory that has it."""
        if block.shape[0] == 0:
            return np.inf, self.centre
        xp, log_density = namespace(block), self.log_likelihoods(block)
        row = int(xp.argmin(log_density))
        return float(log_density[row]), np.asarray(home(block[row, :]), dtype=np.float64)


@dataclass(frozen=True)
class EMState:
    """A run of EM so far, from which it can go on.

    Attributes
    ----------
    parameters : MixtureParameters
    history : tuple of float
        Mean log-likelihood before each iteration, and of `parameters`; empty before the first pass.
    n_reseeded : int
        Empty components that were started anew.
    converged : bool
    before : MixtureParameters, optional
        What `parameters` are one EM step from, where a longer step is to follow; such states are not saved.
    """

    parameters: MixtureParameters
    history: tuple[float, ...] = field(default=(), repr=False)
    n_reseeded: int = 0
    converged: bool = False
    before: MixtureParameters | None = field(default=None, repr=False)

    @property
    def log_likelihood(self) -> float:
        """Mean over trajectories, of `parameters`."""
        return self.history[-1]

    @property
    def n_iter(self) -> int:
        """Number of iterations."""
        return max(len(self.history) - 1, 0)


def run_em(
    data: Trajectories,
    start: MixtureParameters | EMState,
    *,
    tol: float,
    max_iter: int,
    accelerate: bool = False,
    save: Callable[[EMState], None] | None = None,
) -> EMState:
    """Iterate E and M steps until the mean log-likelihood gains less than `tol` in an iteration.

    The likelihood never falls, except where an empty component is started anew, and behind noise that goes
    with the means: there a fall counts as a gain does.

    Parameters
    ----------
    data : Trajectories
    start : MixtureParameters or EMState
        A state goes on exactly as it would have without a break.
    tol : float
    max_iter : int
        Iterations at most, those of a state included.
    accelerate : bool
        Whether to take a longer step every other iteration. What counts as converged is the same.
    save : callable, optional
        Called with the state after each iteration, but for those that a longer step is to follow.
    """
    state = start if isinstance(start, EMState) else EMState(start)
    if state.converged:
        return state
    expectation = expect(data, state.parameters)
    if not state.history:
        state = replace(state, history=(expectation.log_likelihood,))
    while state.n_iter < max_iter and not state.converged:
        state, expectation = _iterate(data, state, expectation, tol, accelerate=accelerate)
        if save is not None and state.before is None:
            save(state)
    return state


def _iterate(
    data: Trajectories, state: EMState, expectation: Expectation, tol: float, *, accelerate: bool
) -> tuple[EMState, Expectation]:
    """One iteration, from the expectation of a state's parameters to that of the next."""
    empty = expectation.moments.weight < EMPTY
    fresh = bool(empty.any()) and state.n_reseeded < _RESEEDS * len(empty)
    plain = maximise(data, expectation.moments, state.parameters, reseed=fresh)
    if state.before is not None and not empty.any():
        longer = extrapolate((state.before, state.parameters, plain), data.floor)
        if longer is not plain:
            there = expect(data, longer)
            if there.log_likelihood >= expectation.log_likelihood:
                return EMState(longer, (*state.history, there.log_likelihood), state.n_reseeded), there
    there = expect(data, plain)
    gain = there.log_likelihood - expectation.log_likelihood
    if data.noise is not None:
        gain = abs(gain)  # noise follows the means: the likelihood may fall on the way to where they settle
    heading = accelerate and state.before is None and not fresh and tol <= gain < _CALM
    return EMState(
        parameters=plain,
        history=(*state.history, there.log_likelihood),
        n_reseeded=state.n_reseeded + fresh,
        converged=not fresh and gain < tol,
        before=state.parameters if heading else None,
    ), there


def log_likelihoods(data: Trajectories, parameters: MixtureParameters) -> Float64Array:
    """ln density of each trajectory, shape (n,)."""
    if data.noise is None:
        return np.concatenate(list(data.map(PlainModel(parameters, data.mean).log_likelihoods)))
    model = NoisyModel(parameters, data.frame, data.dtype, data.noise)
    return np.concatenate([density for _, density in data.map(model.shares)])


def _least_likely(
    data: Trajectories, parameters: MixtureParameters
) -> Callable[[Any], tuple[float, Float64Array]]:
    """Finds the least likely trajectory of a block."""
    if data.noise is None:
        return PlainModel(parameters, data.mean).least_likely
    return NoisyModel(parameters, data.frame, data.dtype, data.noise).least_likely


def recast(
    data: Trajectories, parameters: MixtureParameters, covariance_type: CovarianceType
) -> MixtureParameters:
    """The mixture that one EM step makes of another with covariances of a different type."""
    if parameters.covariance_type is covariance_type:
        return parameters
    moments = expect(data, parameters, full=has_full_scatter(covariance_type)).moments
    filled = replace(moments, weight=np.maximum(moments.weight, EMPTY))
    return estimate(filled, covariance_type, data.floor)


def maximise(
    data: Trajectories, moments: ComponentMoments, previous: MixtureParameters, *, reseed: bool = False
) -> MixtureParameters:
    """M step; empty components stay, or the first of them starts anew on the least likely trajectory."""
    empty = moments.weight < EMPTY
    if not empty.any():
        return estimate(moments, previous.covariance_type, data.floor)
    mean, weight, scatter = moments.mean.copy(), moments.weight.copy(), moments.scatter.copy()
    mean[empty], weight[empty] = previous.means[empty], EMPTY
    if reseed:
        first = int(np.flatnonzero(empty)[0])
        found = data.map(_least_likely(data, previous))
        mean[first], weight[first] = min(found, key=lambda one: one[0])[1], 1.0
        logger.info("component %d ran empty and was started anew", first + 1)
    spread = data.variance if scatter.ndim == 2 else np.diag(data.variance)
    scatter[empty] = np.multiply.outer(weight[empty], spread)
    return estimate(ComponentMoments(weight, mean, scatter), previous.covariance_type, data.floor)
