"""Looking for the best optimum: many short runs on a sample, the best few of them on all trajectories.

A single start, of whatever kind, ends in an inferior optimum more often than not. Starts are therefore raced
in rounds: each round goes on with the better half and gives it more iterations; those that reach the same
optimum count once; and because the best on a sample is not always the best on the whole, several finalists
are judged on all trajectories.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from xtec.core.types import CovarianceType
from xtec.mixture.em import EMRun, Trajectories, recast, run_em
from xtec.mixture.parameters import MixtureParameters, free_parameters
from xtec.mixture.starts import KINDS, draw_start

SAMPLE = 20_000
"""Trajectories that starts are raced on."""

_ROUNDS = ((10, 0.5), (30, 0.34), (150, 1.0))
"""Iterations of each round of the race, and the share that goes on."""

_FINALISTS = 4
_TRIAL_ITERATIONS = 25
_SAME_OPTIMUM = 1e-3
"""Mean log-likelihoods closer than this are taken for the same optimum."""


@dataclass(frozen=True)
class Candidates:
    """Finalists on all trajectories, best first.

    Attributes
    ----------
    best : MixtureParameters
        After a few iterations on all trajectories; not yet converged.
    others : tuple of float
        Mean log-likelihood of the finalists that lost.
    """

    best: MixtureParameters
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
    """Race `n_init` starts and return the most likely on all trajectories.

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
    if data.n < free_parameters(n_components, data.n_features, covariance_type):
        racing = CovarianceType.SHARED
    else:
        racing = covariance_type
    chosen = np.sort(rng.choice(data.n, min(data.n, SAMPLE), replace=False))
    sample = data.sample(chosen)
    rows = sample.rows()
    starts: list[MixtureParameters] = [
        draw_start(sample, KINDS[i % len(KINDS)](rows, n_components, rng), racing) for i in range(n_init)
    ]
    for iterations, share in _ROUNDS:
        runs = [run_em(sample, start, tol=tol, max_iter=iterations) for start in starts]
        runs.sort(key=lambda run: -run.log_likelihood)
        starts = [run.parameters for run in runs[: max(1, round(len(runs) * share))]]
    finalists = _distinct(runs)[:_FINALISTS]
    trials = [run_em(data, run.parameters, tol=tol, max_iter=_TRIAL_ITERATIONS) for run in finalists]
    trials.sort(key=lambda run: -run.log_likelihood)
    winner = recast(data, trials[0].parameters, covariance_type)
    return Candidates(winner, tuple(run.log_likelihood for run in trials[1:]))


def _distinct(runs: Iterable[EMRun]) -> list[EMRun]:
    """The best run of each optimum; runs come best first."""
    kept: list[EMRun] = []
    for run in runs:
        if not kept or kept[-1].log_likelihood - run.log_likelihood > _SAME_OPTIMUM:
            kept.append(run)
    return kept
