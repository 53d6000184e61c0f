"""Looking for the best optimum: many runs on a sample, the best few of them on all trajectories.

A single start, of whatever kind, often ends in an inferior optimum. So many starts are run on a sample;
those that reach the same optimum count once; and because the best on a sample is not always the best on the
whole, the best few optima are judged on all trajectories, but for those that the sample rules out. No start
is given up early: the optimum that is best on the whole is often behind on a sample, and further behind after
a few iterations.

With fewer trajectories than free parameters the likelihood ranks overfits: it prefers components that differ
in the width of their noise to components that differ in shape. There optima are found, and compared, with one
diagonal shared by all components (a model the data can bear); only the best gets the covariances asked for.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from xtec.core import parallel
from xtec.core.types import CovarianceType
from xtec.mixture.em import EMState, log_likelihoods, recast, run_em
from xtec.mixture.parameters import free_parameters
from xtec.mixture.starts import KINDS, Draw, Sample, draw_start
from xtec.mixture.trajectories import Trajectories

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

_STANDARD_ERRORS = 6.0
"""An optimum this far below the best, on the sample, is not judged on all trajectories."""


@dataclass(frozen=True)
class Candidates:
    """What the search found.

    Attributes
    ----------
    best : EMState
        After a few iterations on all trajectories. If those were of a simpler model, its history is empty.
    others : tuple of float
        Mean log-likelihood of the finalists that lost.
    """

    best: EMState
    others: tuple[float, ...]


def search(
    data: Trajectories,
    n_components: int,
    covariance_type: CovarianceType,
    *,
    n_init: int,
    tol: float,
    max_iter: int,
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
    max_iter : int
        Iterations at most on all trajectories.
    rng : numpy Generator
    """
    simple = data.n < free_parameters(n_components, data.n_features, covariance_type)
    working_type = CovarianceType.SHARED if simple else covariance_type
    if simple:
        logger.warning(
            "%d trajectories are fewer than the mixture's free parameters: trust their shapes, not widths",
            data.n,
        )
    with parallel.one_blas_thread():
        sample = Sample(data.sample(rng, SAMPLE))
        run = _RunOnSample(sample, n_components, working_type, max(tol, _GAIN))
        kinds = [KINDS[number % len(KINDS)] for number in range(n_init)]
        with ThreadPoolExecutor(parallel.n_cores()) as threads:
            runs = _ranked(threads.map(run, kinds, rng.spawn(n_init)))
        finalists = _distinct(runs)[:_FINALISTS]
        trials = _ranked(
            run_em(data, one.parameters, tol=tol, max_iter=min(max_iter, _TRIAL_ITERATIONS), accelerate=True)
            for one in _in_doubt(sample, finalists)
        )
        best, others = trials[0], tuple(one.log_likelihood for one in trials[1:])
        if simple and covariance_type is not working_type:
            best = EMState(recast(data, best.parameters, covariance_type))
    return Candidates(best, others)


@dataclass(frozen=True)
class _RunOnSample:
    """Draws a start and follows it, in one thread."""

    sample: Sample
    n_components: int
    covariance_type: CovarianceType
    tol: float

    def __call__(self, draw: Draw, rng: np.random.Generator) -> EMState:
        start = draw_start(self.sample, draw, self.n_components, self.covariance_type, rng)
        return run_em(self.sample.trajectories, start, tol=self.tol, max_iter=_ITERATIONS, accelerate=True)


def _ranked(runs: Iterable[EMState]) -> list[EMState]:
    """Most likely first."""
    return sorted(runs, key=lambda run: -run.log_likelihood)


def _distinct(runs: Iterable[EMState]) -> list[EMState]:
    """The best run of each optimum; runs come best first."""
    kept: list[EMState] = []
    for run in runs:
        if not any(_same_optimum(run, other) for other in kept):
            kept.append(run)
    return kept


def _in_doubt(sample: Sample, runs: list[EMState]) -> list[EMState]:
    """Leave out what the sample shows to be worse than the first, beyond what its size leaves open."""
    if len(runs) == 1:
        return runs
    densities = [log_likelihoods(sample.trajectories, run.parameters) for run in runs]
    deficits = [densities[0] - density for density in densities[1:]]
    certain = [lost.mean() * np.sqrt(lost.size) > _STANDARD_ERRORS * lost.std() for lost in deficits]
    return [
        runs[0],
        *(run for run, out in zip(runs[1:], certain, strict=True) if not (out and run.converged)),
    ]


def _same_optimum(some: EMState, other: EMState) -> bool:
    if abs(some.log_likelihood - other.log_likelihood) > _SAME_OPTIMUM:
        return False
    first, second = (np.sort(run.parameters.weights) for run in (some, other))
    return bool(np.abs(first - second).max() < _SAME_WEIGHTS)
