"""Expectation maximisation with diagonal covariance: one iteration, fits from one start and from many."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from peers import Peer
from series import random_start
from sklearn.mixture import GaussianMixture as Sklearn
from timing import Answer, Benchmark, Contender

from xtec.core.types import CovarianceType
from xtec.mixture import GaussianMixture, MixtureConfig, MixtureParameters, Trajectories
from xtec.mixture.em import run_em

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


def iteration(
    x: Rows, k: int, seed: int, reference: Peer | None, onedal: Peer | None, folder: Path
) -> Benchmark:
    """A fixed number of iterations from one start, divided by that number."""
    start = random_start(x, k, seed)
    data, given = Trajectories(x), parameters_of(*start)
    contenders = [
        Contender(
            "xtec: float32 data, float64 sums",
            "ours",
            lambda: run_em(data, given, tol=0.0, max_iter=ITERATIONS),
            lambda state: {"log-likelihood": state.log_likelihood, "iterations": state.n_iter},
            per=ITERATIONS,
        ),
        *_sklearns(x, start, tol=0.0, max_iter=ITERATIONS, per=ITERATIONS),
        *_floors(x),
    ]
    if onedal is not None:
        file = folder / "onedal.npz"
        np.savez(file, x=x, **dict(zip(("weights", "means", "variances"), start, strict=True)))
        contenders += [_onedal(onedal, file, dtype) for dtype in ("float32", "float64")]
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
        note=f"{ITERATIONS} plain iterations from the same start (the reference: from its own), and the time "
        f"divided by {ITERATIONS}; the last pass is in it, and the peers' set-up. The floors copy the "
        "float32 trajectories; reading once is half of copying.",
        same=("log-likelihood", "iterations"),
        within=1e-4,
    )


def fit(x: Rows, k: int, seed: int) -> Benchmark:
    """From one start until the mean log-likelihood gains less than the tolerance."""
    start = random_start(x, k, seed)
    return Benchmark(
        "fit",
        f"EM to convergence from one given start, tol = {TOLERANCE:g}, K = {k}",
        [
            Contender(
                "xtec: float32 data, float64 sums",
                "ours",
                lambda: ours_from(x, start, TOLERANCE, MAX_ITERATIONS),
                _judge_ours(x),
            ),
            *_sklearns(x, start, tol=TOLERANCE, max_iter=MAX_ITERATIONS),
        ],
        note="Same trajectories, start and tolerance. float32 rounds the likelihood that decides when to "
        "stop, so its number of iterations may differ.",
        same=("log-likelihood",),
        within=1e-3,
    )


def search(x: Rows, k: int) -> Benchmark:
    """With every program's own starts: ours raced, scikit-learn's one k-means start."""
    wide = x.astype(np.float64, order="C")
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


def _sklearns(x: Rows, start: Start, *, tol: float, max_iter: int, per: float = 1.0) -> list[Contender]:
    rows = {dtype: x.astype(dtype, order="C") for dtype in ("float32", "float64")}  # what it likes best
    return [
        Contender(
            f"scikit-learn {dtype}",
            "peer",
            lambda it=it: sklearn_from(it, start, tol, max_iter),
            _judge_sklearn(x),
            per=per,
        )
        for dtype, it in rows.items()
    ]


def _onedal(onedal: Peer, file: Path, dtype: str) -> Contender:
    return Contender(
        f"oneDAL {dtype}: em_gmm",
        "peer",
        lambda: onedal.timed("iterate", file=str(file), dtype=dtype, iterations=ITERATIONS),
        lambda reply: {name: reply[name] for name in ("log-likelihood", "iterations")},
        per=ITERATIONS,
    )


def _floors(x: Rows) -> list[Contender]:
    target = np.empty_like(x)
    copy = Contender("floor: memory copy", "floor", lambda: np.copyto(target, x))
    halves = [slice(0, len(x) // 2), slice(len(x) // 2, None)]

    def in_threads() -> None:
        list(threads.map(lambda half: np.copyto(target[half], x[half]), halves))

    threads = ThreadPoolExecutor(2)
    reading = Contender(
        "floor: reading once, at the bandwidth of copying in two threads", "floor", in_threads
    )
    return [copy, replace(reading, per=2.0)]


def _judge_ours(x: Rows) -> Callable[[GaussianMixture], Answer]:
    def judge(model: GaussianMixture) -> Answer:
        return {"log-likelihood": model.score(x), "iterations": model.n_iter}

    return judge


def _judge_sklearn(x: Rows) -> Callable[[Sklearn], Answer]:
    def judge(model: Sklearn) -> Answer:
        likelihood = score(x, model.weights_, model.means_, model.covariances_)
        return {"log-likelihood": likelihood, "iterations": model.n_iter_}

    return judge
