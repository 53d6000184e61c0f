"""The estimator: a Gaussian mixture of trajectories."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from xtec.core.errors import ConfigError
from xtec.core.parallel import one_blas_thread
from xtec.core.shards import PartOf, Shards
from xtec.core.types import CovarianceType, Float64Array, Updates
from xtec.mixture.covariance import estimate
from xtec.mixture.em import EMPTY, EMState, expect, run_em
from xtec.mixture.fused import Frame
from xtec.mixture.labels import Labeller, Responsibilities
from xtec.mixture.moments import ComponentMoments, has_full_scatter
from xtec.mixture.parameters import MixtureParameters
from xtec.mixture.search import Candidates, search
from xtec.mixture.smoothed import Placed, SmoothedLabeller, listen, run_smoothed_em
from xtec.mixture.smoothing import Neighbourhood
from xtec.mixture.stepwise import sweep
from xtec.mixture.trajectories import Blocks, Trajectories, as_shards

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class MixtureConfig:
    """How to fit a mixture.

    Attributes
    ----------
    n_components : int
        K.
    covariance_type : CovarianceType
    n_init : int
        Starts that are tried.
    tol : float
        Gain in mean log-likelihood (nats a trajectory) an iteration below which EM has converged.
    max_iter : int
    seed : int
        The same seed gives the same model.
    em : Updates
    """

    n_components: int
    covariance_type: CovarianceType = CovarianceType.DIAG
    n_init: int = 24
    tol: float = 1e-6
    max_iter: int = 1000
    seed: int = 0
    em: Updates = Updates.BATCH

    def __post_init__(self) -> None:
        for name, least in (("n_components", 1), ("n_init", 1), ("max_iter", 1), ("tol", 0), ("seed", 0)):
            if getattr(self, name) < least:
                raise ConfigError(f"mixture: {name} must be at least {least}, not {getattr(self, name)}")


class GaussianMixture:
    """Gaussian mixture fitted by expectation maximisation, from several starts.

    Parameters
    ----------
    config : MixtureConfig

    Attributes
    ----------
    parameters : MixtureParameters
        Weights (K,), means (K, T), covariances: named and shaped as in scikit-learn.
    log_likelihood : float
        Mean over the trajectories fitted.
    history : tuple of float
        Mean log-likelihood along the iterations of the best start, as far as they were on all trajectories.
    converged : bool
    n_iter : int
    n_reseeded : int
        Components that ran empty and were started anew.
    n_starts : int
        Starts that were tried; 0 where one was given.
    noise : Rescale or None
        As of the trajectories fitted; `predict` and the like take such trajectories.
    other_optima : tuple of float
        Mean log-likelihoods of the other finalists, as far as they were followed.

    References
    ----------
    Dempster, Laird & Rubin, J. R. Stat. Soc. B 39, 1 (1977); Venderley et al., PNAS 119, e2109665119 (2022).
    """

    def __init__(self, config: MixtureConfig) -> None:
        self.config = config

    def labeller(self) -> Labeller:
        """What finds the cluster of a trajectory, here or elsewhere."""
        return Labeller(self.parameters, self.noise)

    def fit(
        self,
        trajectories: Blocks | Trajectories,
        start: MixtureParameters | None = None,
        *,
        state: EMState | None = None,
        save: Callable[[EMState], None] | None = None,
    ) -> GaussianMixture:
        """Fit the mixture.

        Parameters
        ----------
        trajectories : array, shape (n, T), sequence of such arrays, Shards of them, or Trajectories
        start : MixtureParameters, optional
            Start from here instead of searching.
        state : EMState, optional
            Go on from here, as from a state that was saved, or from the best candidate of a search.
        save : callable, optional
            Called with the state after every iteration or two, as `run_em` does.

        Raises
        ------
        ConfigError
            If there are fewer trajectories than components.
        DegenerateMixtureError
            If all trajectories are the same.
        """
        config = self.config
        data = self._checked(trajectories)
        self.other_optima: tuple[float, ...] = ()
        self.n_starts = config.n_init if start is None else 0
        with one_blas_thread() if has_full_scatter(config.covariance_type) else nullcontext():
            if start is not None:
                state = self._swept(data, EMState(start))
            elif state is None:
                candidates = self.search(data)
                state, self.other_optima = candidates.best, candidates.others
            run = run_em(data, state, tol=config.tol, max_iter=config.max_iter, accelerate=True, save=save)
        self._adopt(run, data.n)
        self.noise = data.noise
        return self

    def fit_smoothed(
        self,
        placed: Shards[Placed],
        hood: Neighbourhood,
        *,
        state: EMState | None = None,
        save: Callable[[EMState], None] | None = None,
    ) -> GaussianMixture:
        """Fit with label smoothing, from the best start of a search without it.

        Parameters
        ----------
        placed : Shards of Placed
        hood : Neighbourhood
            Of `xtec.mixture.smoothing`.
        state : EMState, optional
            Go on from here.
        save : callable, optional
            Called with the state after every iteration.

        References
        ----------
        Venderley et al., PNAS 119, e2109665119 (2022).
        """
        config = self.config
        data = self._checked(PartOf(placed, attrgetter("rows")))
        self.n_starts = config.n_init
        if state is None:
            state = EMState(self.search(data).best.parameters)
        with one_blas_thread():
            run = run_smoothed_em(placed, state, hood, tol=config.tol, max_iter=config.max_iter, save=save)
        self.other_optima = ()
        self._adopt(run, data.n)
        self.noise = None
        return self

    def smoothed_labeller(self, placed: Shards[Placed], hood: Neighbourhood) -> SmoothedLabeller:
        """Labels by averaged responsibilities; to be called on each shard."""
        centre = Frame.of_mixture(self.parameters).centre
        return listen(placed, self.parameters, centre, hood)[0]

    def described_by(self, moments: ComponentMoments, trajectories: Trajectories) -> GaussianMixture:
        """Take on the parameters of given moments, whoever shared out the trajectories.

        Parameters
        ----------
        moments : ComponentMoments
            Of K components.
        trajectories : Trajectories
        """
        parameters = self.parameters_of(moments, trajectories)
        likelihood = expect(trajectories, parameters).log_likelihood
        self.other_optima, self.noise, self.n_starts = (), None, self.config.n_init
        self._adopt(EMState(parameters, (likelihood,), converged=True), trajectories.n)
        return self

    def parameters_of(self, moments: ComponentMoments, trajectories: Trajectories) -> MixtureParameters:
        """The parameters that an M step makes of given moments."""
        filled = replace(moments, weight=np.maximum(moments.weight, EMPTY))
        return estimate(filled, self.config.covariance_type, trajectories.floor)

    def search(self, trajectories: Blocks | Trajectories) -> Candidates:
        """Find a state to go on from; `fit` does this by itself where it is given neither start nor state."""
        config = self.config
        data = self._checked(trajectories)
        candidates = search(
            data,
            config.n_components,
            config.covariance_type,
            n_init=config.n_init,
            tol=config.tol,
            max_iter=config.max_iter,
            rng=np.random.default_rng(config.seed),
        )
        return replace(candidates, best=self._swept(data, candidates.best))

    def _swept(self, data: Trajectories, state: EMState) -> EMState:
        if self.config.em is Updates.BATCH or state.converged:
            return state
        return EMState(sweep(data, state.parameters, np.random.default_rng(self.config.seed)))

    def _checked(self, trajectories: Blocks | Trajectories) -> Trajectories:
        data = as_trajectories(trajectories)
        if data.n < self.config.n_components:
            raise ConfigError(
                f"{self.config.n_components} clusters of {data.n} trajectories cannot be found",
                hint="fewer clusters, or a lower threshold",
            )
        if data.noise is not None and has_full_scatter(self.config.covariance_type):
            raise ConfigError(
                f"noise cannot be told from {self.config.covariance_type} covariances",
                hint="--covariance diag, or --noise none",
            )
        data.require_spread()
        return data

    def _adopt(self, run: EMState, n: int) -> None:
        self.parameters = run.parameters
        self.log_likelihood = run.log_likelihood
        self.history = run.history
        self.converged = run.converged
        self.n_iter = run.n_iter
        self.n_reseeded = run.n_reseeded
        self.n_fitted = n
        if not run.converged:
            logger.warning(
                "EM stopped after %d iterations without converging; raise --max-iter or --tol", run.n_iter
            )

    def responsibilities(self, trajectories: Blocks) -> Float64Array:
        """Probability of each component for each trajectory, shape (n, K)."""
        shares = Responsibilities(self.parameters, self.noise)
        return np.concatenate(list(as_shards(trajectories).map(shares)))

    def predict(self, trajectories: Blocks) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
        """Most probable component (0..K-1) of each trajectory, and its probability; both of shape (n,)."""
        labels, probabilities = zip(*as_shards(trajectories).map(self.labeller()), strict=True)
        return np.concatenate(labels), np.concatenate(probabilities)

    def score(self, trajectories: Blocks | Trajectories) -> float:
        """Mean log-likelihood of the trajectories."""
        return expect(as_trajectories(trajectories), self.parameters).log_likelihood

    def bic(self) -> float:
        """Bayesian information criterion of the fit: ``-2 ln L + p ln n``."""
        return -2 * self.log_likelihood * self.n_fitted + self.parameters.n_free * float(
            np.log(self.n_fitted)
        )


def as_trajectories(trajectories: Blocks | Trajectories) -> Trajectories:
    """Arrays or shards, as EM takes them."""
    return trajectories if isinstance(trajectories, Trajectories) else Trajectories(trajectories)
