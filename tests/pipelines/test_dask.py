"""Worker processes give what threads give, whatever becomes of them."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import h5py
import numpy as np
import pytest
from distributed import Client, LocalCluster

from xtec.core.backend import Cuda, cupy_is_installed
from xtec.core.device import Host
from xtec.core.errors import BackendUnavailableError, ConfigError, InputError
from xtec.core.parallel import Threads
from xtec.io import open_series
from xtec_pipelines.cluster import run_cluster
from xtec_pipelines.config import make_config
from xtec_pipelines.streaming.dask_workers import DaskWorkers, connect_to, local_processes
from xtec_pipelines.streaming.holding import IngestOptions
from xtec_pipelines.streaming.ingest import ingest
from xtec_pipelines.streaming.plan import ShardPlan
from xtec_pipelines.streaming.readers import close_readers

WriteSeries = Callable[..., Path]


pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture
def series(write_series: WriteSeries) -> Path:
    """Blobs that fade and blobs that do not, above a background; some of them cut by chunk faces."""
    rng = np.random.default_rng(0)
    data = rng.lognormal(1.0, 0.2, (8, 24, 20, 20))
    for corner in rng.integers(0, (21, 17, 17), (60, 3)):
        blob = (slice(None), *(slice(at, at + 3) for at in corner))
        data[blob] += 60 * (np.linspace(1, 0.1, 8)[:, None, None, None] if corner[0] % 2 else 1)
    return write_series(data.astype(np.float32), chunks=(8, 4, 10, 10))


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="localhost:0") as running:
        yield running


def labels(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    with h5py.File(folder / "results.nxs") as file:
        return file["entry/voxels/index"][()], file["entry/voxels/label"][()]


@pytest.mark.parametrize(
    ("options", "together"),
    [
        ({"mode": "d"}, 64),
        ({"mode": "d"}, 2),
        ({"mode": "s"}, 64),
        ({"mode": "d", "clusters": "auto"}, 2),
        ({"mode": "smooth", "smooth_steps": 2}, 64),
        ({"mode": "smooth", "smooth_kernel": "periodic", "unit_cell": "5,5,6", "max_iter": 9}, 2),
    ],
)
def test_same_labels_as_threads(
    series: Path,
    tmp_path: Path,
    cluster: LocalCluster,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, object],
    together: int,
) -> None:
    monkeypatch.setattr("xtec_pipelines.streaming.dask_workers._TOGETHER", together)
    for scheduler in ("threads", cluster.scheduler_address):
        run_cluster(
            make_config(
                {
                    "inputs": [str(series)],
                    "output": str(tmp_path / scheduler.partition(":")[0]),
                    "clusters": 3,
                    **options,
                    "figures": False,
                    "scheduler": scheduler,
                    "workers": 2,
                }
            )
        )
    for one, other in zip(labels(tmp_path / "threads"), labels(tmp_path / "tcp"), strict=True):
        np.testing.assert_array_equal(one, other)
    assert labels(tmp_path / "tcp")[0].size > 500


def test_own_processes_from_the_command_line(
    series: Path, tmp_path: Path, run_cli: Callable[..., object]
) -> None:
    arguments = ("cluster", series, "-k", 3, "--no-figures", "--workers", 2)
    for scheduler in ("threads", "processes"):
        done = run_cli(*arguments, "-o", tmp_path / scheduler, "--scheduler", scheduler)
        assert done.code == 0, done.stderr
    for one, other in zip(labels(tmp_path / "threads"), labels(tmp_path / "processes"), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_workers_start_with_stays_with_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with local_processes(1, 2**30, tmp_path) as workers:
        there = workers.client.run(lambda: dict(os.environ))
        assert not {"OMP_NUM_THREADS", "MALLOC_TRIM_THRESHOLD_"} & os.environ.keys()
    for environment in there.values():
        assert environment["OMP_NUM_THREADS"] == "1"
        assert environment["MALLOC_TRIM_THRESHOLD_"] == str(2**26)


KILL = """
import json, os, signal, sys, threading
import numpy as np
from distributed import Client, LocalCluster
from xtec.io import open_series
from xtec_pipelines.streaming.dask_workers import DaskWorkers
from xtec_pipelines.streaming.holding import IngestOptions
from xtec_pipelines.streaming.ingest import ingest
from xtec_pipelines.streaming.plan import ShardPlan

def main(path, output, when):
    series = open_series(path)
    plans = [ShardPlan(number, (block,)) for number, block in enumerate(series.blocks(1))]
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="localhost:0") as running,
        Client(running, set_as_default=False) as client,
    ):
        read = []

        def kill():
            held = client.has_what()
            victim = max(running.workers.values(), key=lambda worker: len(held[worker.worker_address]))
            os.kill(victim.pid, signal.SIGKILL)
            print(len(held[victim.worker_address]), flush=True)

        def count(stage):
            read.append(stage)
            if when == "reading" and len(read) == len(plans) // 2:
                kill()

        make = DaskWorkers.make
        DaskWorkers.make = lambda self, function, plans, done=None: make(self, function, plans, count)
        kept = ingest(series, IngestOptions(), DaskWorkers(client), plans)
        if when == "read":
            kill()
        kept = kept.gather()
        np.savez(output, index=kept.index, intensity=kept.intensity)

if __name__ == "__main__":
    main(*sys.argv[1:])
"""


@pytest.mark.parametrize("when", ["reading", "read"])
def test_a_killed_worker_costs_time_only(series: Path, tmp_path: Path, when: str) -> None:
    """Killed when half or all of the shards are read: what it had is read again by the other."""
    opened = open_series(series)
    plans = [ShardPlan(number, (block,)) for number, block in enumerate(opened.blocks(1))]
    with Threads(2) as threads:
        expected = ingest(opened, IngestOptions(), threads, plans).gather()
    close_readers()
    (tmp_path / "kill.py").write_text(KILL, encoding="utf-8")
    command = [sys.executable, str(tmp_path / "kill.py"), str(series), str(tmp_path / "kept.npz"), when]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0, "the worker had nothing to lose"
    assert "lose already computed task" in done.stderr
    with np.load(tmp_path / "kept.npz") as kept:
        np.testing.assert_array_equal(kept["index"], expected.index)
        np.testing.assert_array_equal(kept["intensity"], expected.intensity)


def test_an_error_in_a_worker_comes_home(
    write_series: WriteSeries, cluster: LocalCluster, tmp_path: Path
) -> None:
    data = np.ones((4, 6, 6, 6), np.float32)
    data[1, 2, 3, 4] = -3
    series = open_series(write_series(data, chunks=(4, 2, 6, 6)))
    plans = [ShardPlan(number, (block,)) for number, block in enumerate(series.blocks(1))]
    with (
        Client(cluster, set_as_default=False) as client,
        pytest.raises(InputError, match=r"negative intensity -3(?s:.*)series\.nxs:/entry/data/data"),
    ):
        ingest(series, IngestOptions(), DaskWorkers(client), plans)


def test_no_scheduler_there(series: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xtec_pipelines.streaming.dask_workers._PATIENCE", 1)
    config = {"inputs": [str(series)], "output": str(tmp_path / "run"), "scheduler": "tcp://127.0.0.1:1"}
    with pytest.raises(BackendUnavailableError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:1"):
        run_cluster(make_config(config))
    assert not (tmp_path / "run").exists()


def test_an_unknown_scheduler_is_an_error() -> None:
    with pytest.raises(ConfigError, match="unknown scheduler 'slurm'"):
        make_config({"inputs": ["a"], "output": "b", "scheduler": "slurm"})


def test_workers_without_a_gpu_are_told_apart(cluster: LocalCluster) -> None:
    if cupy_is_installed():
        pytest.skip("CuPy is installed")
    with pytest.raises(BackendUnavailableError, match=r"a worker of .* has no GPU .*CuPy is not installed"):
        connect_to(cluster.scheduler_address, 1, Cuda())


def test_processes_on_gpus_need_dask_cuda(tmp_path: Path) -> None:
    if importlib.util.find_spec("dask_cuda"):
        pytest.skip("dask-cuda is installed")
    with pytest.raises(BackendUnavailableError, match="dask-cuda, which is not installed") as found:
        local_processes(None, 10**9, tmp_path, Cuda())
    assert "pip install dask-cuda" in str(found.value.hint)


@pytest.mark.parametrize(("asked", "started"), [(None, 2), (1, 1), (5, 2)])
def test_one_worker_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: int | None, started: int
) -> None:
    """With a LocalCluster in place of dask-cuda's, and two cards that nobody has."""
    module = ModuleType("dask_cuda")
    module.LocalCUDACluster = lambda **given: LocalCluster(  # type: ignore[attr-defined]
        processes=False, threads_per_worker=1, **given
    )
    monkeypatch.setitem(sys.modules, "dask_cuda", module)
    monkeypatch.setattr("xtec_pipelines.streaming.dask_workers.n_cuda_devices", lambda: 2)
    monkeypatch.setattr("xtec_pipelines.streaming.dask_workers.open_cuda", lambda: None)
    with local_processes(asked, 10**9, tmp_path, Cuda()) as workers:
        assert workers.n == started
        assert workers.device == Cuda()
        assert workers.driver == Host()
