"""Expectation maximisation with diagonal covariance: one iteration, fits from one start and from many."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from reference_env import Reference
from series import random_start
from sklearn.mixture import GaussianMixture as Sklearn
from timing import Answer, Benchmark, Contender

from xtec.core.types import CovarianceType
from xtec.mixture import GaussianMixture, MixtureConfig, MixtureParameters

ITERATIONS = 20
TOLERANCE = 1e-6
MAX_ITERATIONS = 1000
REGULARISER = 1e-6
"""scikit-learn's reg_covar, and our variance floor, as a share of the data's variance."""

Rows = NDArray[Any]
Start = tuple[NDArray[np.float64], ...]


def parameters_of(weights: Any, means: Any, variances: Any) -> MixtureParameters:
    """Anybody's diagonal mixture in our terms, float64."""
    weights, means, variances = (np.asarray(one, dtype=np.float64) for one in (weights, means, variances))
    return MixtureParameters(weights, means, variances, CovarianceType.DIAG)


def score(x: Rows, weights: Any, means: Any, variances: Any) -> float:
    """Mean log-likelihood of any diagonal mixture, by our code in float64, whoever fitted it."""
    model = GaussianMixture(MixtureConfig(n_components=len(weights)))
    model.parameters = parameters_of(weights, means, variances)
    return model.score(x)


def ours_from(x: Rows, start: Start, tol: float, max_iter: int) -> GaussianMixture:
    """Our EM from a given start."""
    config = MixtureConfig(n_components=len(start[0]), tol=tol, max_iter=max_iter)
    return GaussianMixture(config).fit(x, start=parameters_of(*start))


def sklearn_model(x: Rows, k: int, **options: Any) -> Sklearn:
    """scikit-learn's mixture with the regulariser that corresponds to our variance floor."""
    floor = REGULARISER * float(x.var(axis=0, dtype=np.float64).mean())
    settings = {"tol": TOLERANCE, "max_iter": MAX_ITERATIONS, "reg_covar": floor, **options}
    return Sklearn(k, covariance_type="diag", **settings)


def fit_quietly(model: Sklearn, x: Rows) -> Sklearn:
    """Fit without the warning that a given number of iterations was used up."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(x)


def sklearn_from(x: Rows, start: Start, tol: float, max_iter: int) -> Sklearn:
    """scikit-learn's EM from a given start; in the precision of `x`."""
    weights, means, variances = (values.astype(x.dtype) for values in start)
    given = {"weights_init": weights, "means_init": means, "precisions_init": 1 / variances}
    return fit_quietly(sklearn_model(x, len(weights), tol=tol, max_iter=max_iter, **given), x)


def iteration(x: Rows, k: int, seed: int, reference: Reference | None) -> Benchmark:
    """A fixed number of iterations from one start, divided by that number."""
    contenders = [*_pair(x, k, seed, tol=0.0, max_iter=ITERATIONS, per=ITERATIONS), _copy_floor(x)]
    if reference is not None:
        contenders.append(
            Contender(
                "reference 0.1.1: GMM.RunEM",
                "peer",
                lambda: reference.timed("iterate", k=k, iterations=ITERATIONS),
                lambda reply: {"iterations": reply["iterations"]},
                per=ITERATIONS,
            )
        )
    return Benchmark(
        "iteration",
        f"One EM iteration, n = {len(x)}, T = {x.shape[1]}, K = {k}",
        contenders,
        unit="iteration",
        note=f"{ITERATIONS} iterations from the same start (the reference: from its own), time divided by "
        f"{ITERATIONS}; set-up and the last pass are in it. The floor copies the float32 trajectories once.",
        same=("log-likelihood", "iterations"),
        within=1e-4,
    )


def fit(x: Rows, k: int, seed: int) -> Benchmark:
    """From one start until the mean log-likelihood gains less than the tolerance."""
    return Benchmark(
        "fit",
        f"EM to convergence from one given start, tol = {TOLERANCE:g}, K = {k}",
        _pair(x, k, seed, tol=TOLERANCE, max_iter=MAX_ITERATIONS),
        note="Same trajectories, start and tolerance. float32 rounds the likelihood that decides when to "
        "stop, so its number of iterations may differ.",
        same=("log-likelihood",),
        within=1e-3,
    )


def search(x: Rows, k: int) -> Benchmark:
    """With every program's own starts: ours raced, scikit-learn's one k-means start."""
    wide = x.astype(np.float64)
    contenders = [
        Contender(
            "xtec: default, starts raced",
            "ours",
            lambda: GaussianMixture(MixtureConfig(n_components=k)).fit(x),
            _judge_ours(x),
        ),
        Contender(
            "scikit-learn float64: init_params='kmeans', n_init=1",
            "peer",
            lambda: fit_quietly(sklearn_model(wide, k, random_state=0), wide),
            _judge_sklearn(x),
        ),
    ]
    return Benchmark(
        "search",
        f"A fit with each program's default starts, tol = {TOLERANCE:g}, K = {k}",
        contenders,
        note="Not the same work: compare the log-likelihood as well as the time. benchmarks/optimum.py says "
        "how often the best optimum is found.",
    )


def _pair(x: Rows, k: int, seed: int, *, tol: float, max_iter: int, per: float = 1.0) -> list[Contender]:
    start = random_start(x, k, seed)
    narrow, wide = x.astype(np.float32), x.astype(np.float64)
    return [
        Contender(
            "xtec: float32 data, float64 sums",
            "ours",
            lambda: ours_from(narrow, start, tol, max_iter),
            _judge_ours(x),
            per=per,
        ),
        Contender(
            "scikit-learn float32",
            "peer",
            lambda: sklearn_from(narrow, start, tol, max_iter),
            _judge_sklearn(x),
            per=per,
        ),
        Contender(
            "scikit-learn float64",
            "peer",
            lambda: sklearn_from(wide, start, tol, max_iter),
            _judge_sklearn(x),
            per=per,
        ),
    ]


def _copy_floor(x: Rows) -> Contender:
    narrow = x.astype(np.float32)
    target = np.empty_like(narrow)
    return Contender("floor: memory copy", "floor", lambda: np.copyto(target, narrow))


def _judge_ours(x: Rows) -> Callable[[GaussianMixture], Answer]:
    def judge(model: GaussianMixture) -> Answer:
        return {"log-likelihood": model.score(x), "iterations": model.n_iter}

    return judge


def _judge_sklearn(x: Rows) -> Callable[[Sklearn], Answer]:
    def judge(model: Sklearn) -> Answer:
        likelihood = score(x, model.weights_, model.means_, model.covariances_)
        return {"log-likelihood": likelihood, "iterations": model.n_iter_}

    return judge
