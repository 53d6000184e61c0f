"""The estimator: a Gaussian mixture of trajectories."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xtec.core.errors import ConfigError
from xtec.core.parallel import one_blas_thread
from xtec.core.types import CovarianceType, Float64Array, FloatArray
from xtec.mixture.em import EMRun, Trajectories, responsibilities, run_em
from xtec.mixture.parameters import MixtureParameters
from xtec.mixture.search import search

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
    """

    n_components: int
    covariance_type: CovarianceType = CovarianceType.DIAG
    n_init: int = 24
    tol: float = 1e-6
    max_iter: int = 1000
    seed: int = 0

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
    other_optima : tuple of float
        Mean log-likelihoods of the other finalists, as far as they were followed.

    References
    ----------
    Dempster, Laird & Rubin, J. R. Stat. Soc. B 39, 1 (1977); Venderley et al., PNAS 119, e2109665119 (2022).
    """

    def __init__(self, config: MixtureConfig) -> None:
        self.config = config

    def fit(
        self, trajectories: FloatArray | Sequence[FloatArray], start: MixtureParameters | None = None
    ) -> GaussianMixture:
        """Fit the mixture.

        Parameters
        ----------
        trajectories : array, shape (n, T), or sequence of such blocks
        start : MixtureParameters, optional
            Start from here instead of searching.

        Raises
        ------
        ConfigError
            If there are fewer trajectories than components.
        DegenerateMixtureError
            If all trajectories are the same.
        """
        config = self.config
        data = as_trajectories(trajectories)
        if data.n < config.n_components:
            raise ConfigError(
                f"{config.n_components} clusters of {data.n} trajectories cannot be found",
                hint="fewer clusters, or a lower threshold",
            )
        data.require_spread()
        self.other_optima: tuple[float, ...] = ()
        with one_blas_thread():
            self._adopt(self._run(data, start), data.n)
        return self

    def _run(self, data: Trajectories, start: MixtureParameters | None) -> EMRun:
        config = self.config
        before: tuple[float, ...] = ()
        if start is None:
            rng = np.random.default_rng(config.seed)
            candidates = search(
                data,
                config.n_components,
                config.covariance_type,
                n_init=config.n_init,
                tol=config.tol,
                rng=rng,
            )
            self.other_optima = candidates.others
            start, before = candidates.best, candidates.history[:-1]
        run = run_em(data, start, tol=config.tol, max_iter=config.max_iter)
        return replace(run, history=before + run.history)

    def _adopt(self, run: EMRun, n: int) -> None:
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

    def responsibilities(self, trajectories: FloatArray) -> Float64Array:
        """Probability of each component for each trajectory, shape (n, K)."""
        return np.concatenate([share for share, _ in self._expect(trajectories)])

    def predict(self, trajectories: FloatArray) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
        """Most probable component (0..K-1) of each trajectory, and its probability; both of shape (n,)."""
        labels, probabilities = [], []
        for share, _ in self._expect(trajectories):
            labels.append(share.argmax(axis=1).astype(np.int16))
            probabilities.append(share.max(axis=1).astype(np.float32))
        return np.concatenate(labels), np.concatenate(probabilities)

    def score(self, trajectories: FloatArray) -> float:
        """Mean log-likelihood of the trajectories."""
        return float(np.concatenate([density for _, density in self._expect(trajectories)]).mean())

    def bic(self) -> float:
        """Bayesian information criterion of the fit: ``-2 ln L + p ln n``."""
        return -2 * self.log_likelihood * self.n_fitted + self.parameters.n_free * float(
            np.log(self.n_fitted)
        )

    def _expect(self, trajectories: FloatArray) -> list[tuple[Float64Array, Float64Array]]:
        data = as_trajectories(trajectories)
        shifted = MixtureParameters(
            self.parameters.weights,
            self.parameters.means - data.mean,
            self.parameters.covariances,
            self.parameters.covariance_type,
        )
        return list(data.map(lambda rows: responsibilities(rows, shifted)))


def as_trajectories(trajectories: FloatArray | Sequence[FloatArray]) -> Trajectories:
    """One array or several blocks, as EM takes them."""
    return Trajectories([trajectories] if isinstance(trajectories, np.ndarray) else trajectories)
