"""Looking for the best optimum: many runs on a sample, the best few of them on all trajectories.

A single start, of whatever kind, often ends in an inferior optimum. So many starts are run on a sample;
those that reach the same optimum count once; and because the best on a sample is not always the best on the
whole, the best few optima are judged on all trajectories. No start is given up early: the optimum that is
best on the whole is often behind on a sample, and further behind after a few iterations.

With fewer trajectories than free parameters the likelihood ranks overfits: it prefers components that differ
in the width of their noise to components that differ in shape. There optima are found, and compared, with one
diagonal shared by all components (a model the data can bear); only the best gets the covariances asked for.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from xtec.core.types import CovarianceType
from xtec.mixture.em import EMRun, Trajectories, recast, run_em
from xtec.mixture.parameters import MixtureParameters, free_parameters
from xtec.mixture.starts import KINDS, draw_start

logger = logging.getLogger(__name__)

SAMPLE = 20_000
"""Trajectories that starts are run on."""

_ITERATIONS = 100
"""Iterations at most on the sample."""

_GAIN = 1e-5
"""Gain in mean log-likelihood an iteration below which a run on the sample is left."""

_FINALISTS = 4
_TRIAL_ITERATIONS = 25
_SAME_OPTIMUM = 1e-3
"""Optima are the same if their mean log-likelihoods are closer than this, and their weights nearly equal."""

_SAME_WEIGHTS = 0.01


@dataclass(frozen=True)
class Candidates:
    """What the search found.

    Attributes
    ----------
    best : MixtureParameters
        After a few iterations on all trajectories; not yet converged.
    history : tuple of float
        Its mean log-likelihood along those iterations; empty if they were of a simpler model.
    others : tuple of float
        Mean log-likelihood of the finalists that lost.
    """

    best: MixtureParameters
    history: tuple[float, ...]
    others: tuple[float, ...]


def search(
    data: Trajectories,
    n_components: int,
    covariance_type: CovarianceType,
    *,
    n_init: int,
    tol: float,
    rng: np.random.Generator,
) -> Candidates:
    """Run `n_init` starts on a sample and judge the best few on all trajectories.

    Parameters
    ----------
    data : Trajectories
    n_components : int
    covariance_type : CovarianceType
    n_init : int
        Number of starts, of several kinds in turn.
    tol : float
        Gain in mean log-likelihood an iteration below which a run has converged.
    rng : numpy Generator
    """
    simple = data.n < free_parameters(n_components, data.n_features, covariance_type)
    working_type = CovarianceType.SHARED if simple else covariance_type
    if simple:
        logger.warning(
            "%d trajectories are fewer than the mixture's free parameters: trust their shapes, not widths",
            data.n,
        )
    chosen = np.sort(rng.choice(data.n, min(data.n, SAMPLE), replace=False))
    sample = data.sample(chosen)
    rows = sample.rows()
    starts = (
        draw_start(sample, KINDS[i % len(KINDS)](rows, n_components, rng), working_type)
        for i in range(n_init)
    )
    gain = max(tol, _GAIN)
    runs = _ranked(run_em(sample, start, tol=gain, max_iter=_ITERATIONS) for start in starts)
    finalists = _distinct(runs)[:_FINALISTS]
    trials = _ranked(run_em(data, run.parameters, tol=tol, max_iter=_TRIAL_ITERATIONS) for run in finalists)
    winner = recast(data, trials[0].parameters, covariance_type)
    history = () if simple else trials[0].history
    return Candidates(winner, history, tuple(run.log_likelihood for run in trials[1:]))


def _ranked(runs: Iterable[EMRun]) -> list[EMRun]:
    """Most likely first."""
    return sorted(runs, key=lambda run: -run.log_likelihood)


def _distinct(runs: Iterable[EMRun]) -> list[EMRun]:
    """The best run of each optimum; runs come best first."""
    kept: list[EMRun] = []
    for run in runs:
        if not any(_same_optimum(run, other) for other in kept):
            kept.append(run)
    return kept


def _same_optimum(some: EMRun, other: EMRun) -> bool:
    if abs(some.log_likelihood - other.log_likelihood) > _SAME_OPTIMUM:
        return False
    first, second = (np.sort(run.parameters.weights) for run in (some, other))
    return bool(np.abs(first - second).max() < _SAME_WEIGHTS)
