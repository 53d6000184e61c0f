"""EM with label smoothing (X-TEC-s): responsibilities are averaged over neighbours between E and M step.

An iteration takes two passes over the shards. In the first each tells the others what they need to know of
its responsibilities; in the second it averages its own, and gives moments.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xtec.core.arrays import home, namespace
from xtec.core.shards import PartOf, Record, Shards
from xtec.core.types import Float64Array, FloatArray
from xtec.mixture.em import EMState, PlainModel, maximise
from xtec.mixture.moments import ComponentMoments, has_full_scatter
from xtec.mixture.parameters import MixtureParameters
from xtec.mixture.passes import most_probable
from xtec.mixture.smoothing import Neighbourhood
from xtec.mixture.trajectories import Trajectories, over_rows


@dataclass(frozen=True)
class Placed(Record):
    """Trajectories of one shard, and where they are.

    Attributes
    ----------
    number : int
        Of the shard.
    index : array, shape (n,), int64
        Flat C-order index of each voxel in the grid, rising.
    rows : array, shape (n, T)
    """

    number: int
    index: NDArray[np.int64]
    rows: FloatArray


def run_smoothed_em(
    placed: Shards[Placed],
    start: MixtureParameters | EMState,
    hood: Neighbourhood,
    *,
    tol: float,
    max_iter: int,
    save: Callable[[EMState], None] | None = None,
) -> EMState:
    """Iterate E step, averaging and M step until the mean log-likelihood moves by less than `tol`.

    The likelihood is that of the mixture without averaging: it may fall, and is not what is maximised.

    Parameters
    ----------
    placed : Shards of Placed
    start : MixtureParameters or EMState
    hood : Neighbourhood
    tol : float
    max_iter : int
        Iterations at most, those of a state included.
    save : callable, optional
        Called with the state after each iteration.
    """
    data = Trajectories(PartOf(placed, attrgetter("rows")))
    state = start if isinstance(start, EMState) else EMState(start)
    while not state.converged and state.n_iter < max_iter:
        labeller, total = listen(placed, state.parameters, data.mean, hood)
        log_likelihood = total / data.n
        converged = bool(state.history) and abs(log_likelihood - state.log_likelihood) < tol
        history = (*state.history, log_likelihood)
        if converged or len(history) > max_iter:
            return replace(state, history=history, converged=converged)
        state = replace(state, parameters=_maximised(placed, data, labeller), history=history)
        if save is not None:
            save(state)
    return state


def _maximised(placed: Shards[Placed], data: Trajectories, labeller: SmoothedLabeller) -> MixtureParameters:
    parameters = labeller.model.parameters
    full = has_full_scatter(parameters.covariance_type)
    moments = ComponentMoments.empty(*parameters.means.shape, full=full)
    for part in placed.map(labeller.moments):
        moments = moments.merge(part)
    return maximise(data, replace(moments, mean=moments.mean + data.mean), parameters)


def listen(
    placed: Shards[Placed], parameters: MixtureParameters, centre: Float64Array, hood: Neighbourhood
) -> tuple[SmoothedLabeller, float]:
    """First pass: what all shards know of each other; and the sum of the ln densities.

    Parameters
    ----------
    placed : Shards of Placed
    parameters : MixtureParameters
    centre : array, shape (T,)
        Near the trajectories.
    hood : Neighbourhood
    """
    model = PlainModel(parameters, centre, full=has_full_scatter(parameters.covariance_type))
    told, logs = zip(*placed.map(_Tell(model, hood)), strict=True)
    return SmoothedLabeller(model, hood, hood.gather(told)), float(sum(logs))


@dataclass(frozen=True)
class _Tell:
    model: PlainModel
    hood: Neighbourhood

    def __call__(self, shard: Placed) -> tuple[Any, float]:
        shares, logs = self.model.expected(shard.rows)
        return self.hood.tell(shard.number, shard.index, shares), float(namespace(logs).sum(logs))


@dataclass(frozen=True)
class SmoothedLabeller:
    """Finds the most probable component of each trajectory among its neighbours. May be sent elsewhere.

    Attributes
    ----------
    model : PlainModel
    hood : Neighbourhood
    known : object
        What all shards have told.
    """

    model: PlainModel
    hood: Neighbourhood
    known: Any

    def __call__(self, shard: Placed) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
        """Component (0..K-1) of each trajectory, and its share after averaging; both of shape (n,)."""
        return most_probable(self.shares(shard))

    def shares(self, shard: Placed) -> Any:
        """Averaged responsibilities, shape (n, K)."""
        own = self.model.responsibilities(shard.rows) if self.hood.needs_own else None
        return self.hood.average(self.known, shard.number, shard.index, own)

    def moments(self, shard: Placed) -> ComponentMoments:
        """Second pass: moments about the centre, weighted by averaged responsibilities."""
        shares, (k, t) = self.shares(shard), self.model.parameters.means.shape
        moments = ComponentMoments.empty(k, t, full=self.model.full)

        def on_rows(rows: Any, part: slice) -> ComponentMoments:
            return home(ComponentMoments.of_block(rows, shares[part, :], full=self.model.full))

        for part in over_rows(shard.rows, self.model.centre, on_rows):
            moments = moments.merge(part)
        return moments
