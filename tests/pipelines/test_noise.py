"""``--noise poisson`` from file to labels: everywhere the same, gone on with, and told by the data."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from distributed import LocalCluster

from xtec.core.errors import ConfigError, InputError
from xtec.core.parallel import Threads
from xtec.io import open_series
from xtec.mixture import em
from xtec_pipelines.cluster import ingest_options, run_cluster
from xtec_pipelines.clustering.noise import count_scale
from xtec_pipelines.config import make_config
from xtec_pipelines.streaming.ingest import ingest
from xtec_pipelines.streaming.plan import plan_run

WriteSeries = Callable[..., Path]

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

COUNTS = 0.5


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xtec_pipelines.streaming.plan._BLOCK_BYTES", 19_200)
    monkeypatch.setattr("xtec_pipelines.streaming.plan._SHARD_BYTES", (38_400, 38_400))


@pytest.fixture
def series(write_series: WriteSeries) -> Path:
    """Blobs that fade and blobs that do not, of many strengths, at two units of intensity a count."""
    rng = np.random.default_rng(0)
    expected = np.full((12, 48, 20, 20), 8.0)
    for number, corner in enumerate(rng.integers(0, (45, 17, 17), (120, 3))):
        blob = (slice(None), *(slice(at, at + 3) for at in corner))
        course = np.linspace(2, 0.1, 12)[:, None, None, None] if number % 2 else 1.0
        expected[blob] += 10 ** rng.uniform(0.5, 2.5) * course
    counted = rng.poisson(COUNTS * expected) / COUNTS
    return write_series(counted.astype(np.float32), chunks=(12, 1, 20, 20))


def options(series: Path, output: Path, **others: object) -> dict[str, object]:
    return {
        "inputs": [str(series)],
        "output": str(output),
        "clusters": 3,
        "mode": "d",
        "threshold": "2.4",
        "noise": "poisson",
        "figures": False,
        "save_after": 0,
        "n_init": 4,
        **others,
    }


def labels(folder: Path) -> list[np.ndarray]:
    with h5py.File(folder / "results.nxs") as file:
        return [file[f"entry/voxels/{name}"][()] for name in ("index", "label", "probability")]


def assert_same(one: Path, other: Path) -> None:
    for first, second in zip(labels(one), labels(other), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("mode", ["d", "s"])
def test_workers_and_spilled_shards_give_what_threads_give(series: Path, tmp_path: Path, mode: str) -> None:
    run = run_cluster(make_config(options(series, tmp_path / "threads", mode=mode)))
    assert run.mixture.converged
    assert run.map.index.size > 500
    run_cluster(make_config(options(series, tmp_path / "spilled", mode=mode, memory_limit="212MB")))
    assert_same(tmp_path / "spilled", tmp_path / "threads")
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="localhost:0") as running:
        far = {"scheduler": running.scheduler_address, "workers": 2}
        run_cluster(make_config(options(series, tmp_path / "dask", mode=mode, **far)))
    assert_same(tmp_path / "dask", tmp_path / "threads")


def test_interrupted_while_iterating(series: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_cluster(make_config(options(series, tmp_path / "whole", tol=1e-9)))
    passes = itertools.count()
    iterate = em._iterate

    def some(*given: object, **named: object) -> object:
        if (tmp_path / "run/.progress/mixture.npy").exists() and next(passes) == 5:
            raise KeyboardInterrupt
        return iterate(*given, **named)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(em, "_iterate", some)
        with pytest.raises(KeyboardInterrupt):
            run_cluster(make_config(options(series, tmp_path / "run", tol=1e-9)))
    run_cluster(make_config(options(series, tmp_path / "run", tol=1e-9, resume=True)))
    assert_same(tmp_path / "run", tmp_path / "whole")


def test_counts_are_told_by_the_data_or_stated(series: Path, tmp_path: Path) -> None:
    opened = open_series([str(series)])
    config = make_config(options(series, tmp_path / "run"))
    plan = plan_run(opened, 10**9, 2, threshold=True, figures=False)
    kept = ingest(opened, ingest_options(config), Threads(2, None), plan.shards)
    told = count_scale(config, kept, opened.scan)
    stated = count_scale(config.model_copy(update={"counts_per_unit": COUNTS}), kept, opened.scan)
    assert told is not None
    assert stated is not None
    np.testing.assert_allclose(stated(np.array([1.0, 50.0])), 1 / COUNTS)
    np.testing.assert_allclose(told(np.array([12.0, 20.0, 60.0])), 1 / COUNTS, rtol=0.12)
    assert count_scale(config.model_copy(update={"noise": "none"}), kept, opened.scan) is None


def test_few_temperatures_tell_no_counts(write_series: WriteSeries, tmp_path: Path) -> None:
    data = np.random.default_rng(0).poisson(20, (3, 8, 10, 10)).astype(np.float32)
    few = write_series(data, chunks=(3, 8, 10, 10))
    with pytest.raises(InputError, match="too few") as refused:
        run_cluster(make_config(options(few, tmp_path / "run")))
    assert "--counts-per-unit" in str(refused.value.hint)
    run_cluster(make_config(options(few, tmp_path / "stated", counts_per_unit=1.0)))


@pytest.mark.parametrize("covariance", ["full", "tied"])
def test_covariances_that_noise_cannot_be_told_from_are_refused_before_reading(covariance: str) -> None:
    with pytest.raises(ConfigError, match="noise"):
        make_config({"inputs": ["x"], "output": "y", "noise": "poisson", "covariance": covariance})


def test_counts_must_be_above_zero() -> None:
    with pytest.raises(ConfigError, match="counts_per_unit"):
        make_config({"inputs": ["x"], "output": "y", "counts_per_unit": 0})
