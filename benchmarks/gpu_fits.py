"""Whole fits, and whole runs of a series, on the card and on the processor."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from gpu_device import Card, HostClock, Times, measure

from xtec.core.errors import XtecError
from xtec.core.types import CovarianceType
from xtec.mixture import GaussianMixture, MixtureConfig, MixtureParameters

CLASSES = 4
N = 450_000
"""Trajectories, about as many as a slab of reciprocal space keeps."""

Record = dict[str, Any]

_NOISE = 0.08
_SHARES = (0.03, 0.25, 0.12, 0.6)
_BUDGET = 20.0
_FIT_REPEATS = 5


def curves(t: int) -> np.ndarray:
    """Of four classes (4, T), each with a mean of one: an order parameter, a slow fall, a rise, and flat."""
    at = np.linspace(0.0, 1.0, t)
    made = np.stack(
        [0.05 + np.sqrt(np.clip(1 - at / 0.55, 0, None)), 1.2 - 0.4 * at, 0.8 + 0.5 * at**2, np.ones(t)]
    )
    return np.asarray(made / made.mean(axis=1, keepdims=True))


def slab_like(n: int, t: int, seed: int) -> np.ndarray:
    """Noisy trajectories of the four classes (n, T), float32, Fortran order; faint ones are noisier."""
    rng = np.random.default_rng(seed)
    which = rng.choice(CLASSES, n, p=_SHARES)
    noise = _NOISE * rng.lognormal(0.0, 0.3, (n, 1))
    rows = curves(t)[which] + noise * rng.standard_normal((n, t))
    return np.asfortranarray(rows.astype(np.float32))


def fits(card: Card, n: int, t: int, repeats: int, seed: int, *, on_card: bool) -> Iterator[Record]:
    """Fits to convergence from one given start, and with the search, on the card and on the processor."""
    host = slab_like(n, t, seed)
    rows = np.random.default_rng(seed).choice(n, CLASSES, replace=False)
    start = MixtureParameters(
        np.full(CLASSES, 1 / CLASSES),
        host[rows].astype(np.float64),
        np.tile(host.var(axis=0, dtype=np.float64), (CLASSES, 1)),
        CovarianceType.DIAG,
    )
    places: list[tuple[str, Any, Any]] = [("numpy", host, HostClock())]
    if on_card:
        places.insert(0, (card.device.name, card.device.upload(host), card.clock))
    for what, given in (("from one start", start), ("with the search", None)):
        for where, x, clock in places:
            model = GaussianMixture(MixtureConfig(n_components=CLASSES))
            record = {"fit": what, "backend": where, "n": n, "t": t, "k": CLASSES}
            try:
                times = measure(clock, [lambda m=model, x=x, g=given: m.fit(x, start=g)], repeats, _BUDGET)
            except card.failures as error:
                yield {**record, "problem": f"{type(error).__name__}: {error}"}
                continue
            merits = {"iterations": model.n_iter, "log_likelihood": model.log_likelihood}
            yield {**record, **times.as_json(), **merits}


def series(path: Path, backends: tuple[str, ...], repeats: int, failures: Any) -> Iterator[Record]:
    """The whole job on a series, `xtec cluster --mode d`, with each backend, by stages."""
    if importlib.util.find_spec("xtec_pipelines") is None:
        yield {"series": path.name, "problem": "xtec_pipelines is not installed: not run"}
        return
    from xtec_pipelines.cluster import run_cluster
    from xtec_pipelines.config import make_config

    def run(backend: str, folder: Path) -> dict[str, float]:
        options = {"mode": "d", "figures": False, "force": True, "backend": backend}
        done = run_cluster(make_config({"inputs": (str(path),), "output": str(folder), **options}))
        timings: Any = done.process["timings"]
        return {name: float(seconds) for name, seconds in timings.items()}

    with tempfile.TemporaryDirectory(prefix="xtec-gpu-") as scratch:
        folders = {backend: Path(scratch) / backend for backend in backends}
        for backend, folder in folders.items():
            try:
                yield {"series": path.name, "backend": backend, **_rounds(run, backend, folder, repeats)}
            except (XtecError, *failures) as error:
                yield {"series": path.name, "backend": backend, "problem": f"{type(error).__name__}: {error}"}
        if all((folder / "results.nxs").exists() for folder in folders.values()):
            yield {"series": path.name, "comparison": _compared(*folders.values())}


def _rounds(run: Callable[[str, Path], dict[str, float]], backend: str, folder: Path, repeats: int) -> Record:
    """Wall time, and the median of every stage, after a run that is not counted."""
    stages: list[dict[str, float]] = []
    times: Times = measure(
        HostClock(), [lambda: stages.append(run(backend, folder))], min(repeats, _FIT_REPEATS), _BUDGET
    )
    names = {name: None for one in stages for name in one}
    medians = {name: 1e3 * float(np.median([one.get(name, 0.0) for one in stages[1:]])) for name in names}
    return {"stages_ms": medians, **times.as_json()}


def _compared(first: Path, second: Path) -> dict[str, Any]:
    import compare

    return compare.compare(compare.read(first), compare.read(second), 1e-3)
