"""Runs on another device: the whole way from the file to the labels, with the same outcome."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import h5py
import numpy as np
import pytest

from xtec.core.backend import open_cuda
from xtec.core.device import Device, Host, Other
from xtec.core.errors import BackendUnavailableError
from xtec.core.results import ClusterRun
from xtec.core.types import Backend
from xtec.io import open_series
from xtec.io.disk.scratch import Scratch
from xtec_pipelines.cluster import run_cluster
from xtec_pipelines.config import make_config
from xtec_pipelines.streaming import devices, workers
from xtec_pipelines.streaming.devices import WORTH_A_GPU, choose_device

SAMPLE = str(files("xtec_pipelines.sample_data") / "srn_cdw.nxs")

Run = Callable[..., ClusterRun]


@pytest.fixture
def run(tmp_path: Path, device: Device, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Cluster the bundled sample on a backend; the device takes the part of the GPU."""
    monkeypatch.setattr(devices, "open_cuda", lambda: device)

    def cluster(backend: Backend, name: str = "", **options: object) -> ClusterRun:
        output = str(tmp_path / (name or backend))
        values = {"inputs": (SAMPLE,), "output": output, "figures": False, "backend": backend, **options}
        return run_cluster(make_config(values))

    return cluster


def assert_same_labels(here: ClusterRun, there: ClusterRun) -> None:
    """But for voxels whose two clusters are nearly as probable."""
    differ = there.map.label != here.map.label
    for run in (here, there):
        assert not (run.probability[differ] > 0.55).any()


CASES = {
    "voxels": {"mode": "d"},
    "peaks": {"mode": "s"},
    "smoothed": {"mode": "smooth", "region": "L=0:0.6"},
    "periodic": {"mode": "smooth", "smooth_kernel": "periodic", "region": "L=0:0.6"},
    "noise": {"mode": "d", "noise": "poisson", "region": "L=0:0.6"},
    "noise of peaks": {"mode": "s", "noise": "poisson"},
    "number of clusters": {"mode": "d", "clusters": "2:4", "region": "L=0:0.6"},
    "number of clusters of peaks": {"mode": "s", "clusters": "auto"},
    "significance, z-scores": {"mode": "d", "threshold": "significance", "rescale": "zscore"},
    "all voxels": {"mode": "d", "threshold": "none", "region": "L=0:0.6,K=-1:1"},
    "logarithms, full": {
        "mode": "d",
        "threshold": 5.5,
        "rescale": "log-mean",
        "covariance": "full",
        "region": "L=0:0.6",
        "clusters": 2,
    },
    "stepwise, minimal variation": {"mode": "d", "em": "stepwise", "min_std": 0.05},
}


@pytest.mark.parametrize("case", CASES)
def test_the_same_clusters(run: Run, case: str) -> None:
    here, there = (run(backend, **CASES[case]) for backend in (Backend.NUMPY, Backend.CUPY))
    assert here.process["backend"]["name"] == "numpy"
    assert there.process["backend"]["name"] != "numpy"
    assert there.mode == here.mode
    assert there.counts == here.counts
    np.testing.assert_array_equal(there.map.index, here.map.index)
    assert there.threshold.cutoff == pytest.approx(here.threshold.cutoff, abs=1e-9)
    # EM stops within its tolerance of the optimum, not at the same point: the plain sums are of float64, and
    # the fused ones of float32 in an order that depends on the processor.
    assert there.mixture.log_likelihood == pytest.approx(here.mixture.log_likelihood, abs=1e-3)
    np.testing.assert_allclose(there.mixture.means, here.mixture.means, atol=0.02)
    assert_same_labels(here, there)


def test_a_second_pass_takes_its_trajectories_there(run: Run) -> None:
    first = run(Backend.NUMPY, "first", mode="d")
    options = {"from_run": first.process["parameters"]["output"], "keep": "1,2", "mode": "d"}
    here, there = (run(backend, **options, clusters=2) for backend in (Backend.NUMPY, Backend.CUPY))
    np.testing.assert_array_equal(there.map.index, here.map.index)
    assert_same_labels(here, there)


def test_dask_workers_work_there(run: Run, device: Device) -> None:
    if device.name == "cupy":
        pytest.skip("needs dask-cuda")
    here = run(Backend.NUMPY, mode="d")
    there = run(Backend.CUPY, mode="d", scheduler="processes", workers=2)
    np.testing.assert_array_equal(there.map.index, here.map.index)
    assert_same_labels(here, there)


def test_trajectories_that_do_not_fit_rest_in_memory_and_files(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = run(Backend.CUPY, "kept", mode="d")
    rested: list[int] = []
    put = Scratch.put
    monkeypatch.setattr(Scratch, "put", lambda store, item: (rested.append(1), put(store, item))[1])
    for budget in (0, 1_000_000):
        rested.clear()
        monkeypatch.setattr(workers, "resident_bytes", lambda _, budget=budget: budget)
        spilled = run(Backend.CUPY, f"spilled-{budget}", mode="d", memory_limit="330MB", workers=1)
        assert rested
        np.testing.assert_array_equal(spilled.map.index, kept.map.index)
        assert_same_labels(kept, spilled)


@pytest.mark.parametrize("turn", [("cupy", "numpy"), ("numpy", "cupy"), ("cupy", "cupy")])
def test_an_interrupted_run_goes_on_elsewhere(
    run: Run, monkeypatch: pytest.MonkeyPatch, turn: tuple[str, str], device: Device
) -> None:
    """On another backend, or on a device with another amount of free memory."""
    whole = run(Backend.NUMPY, "whole", mode="d")
    with monkeypatch.context() as broken:
        broken.setattr(type(device), "free_bytes", lambda _: 80 * 2**20)
        broken.setattr("xtec_pipelines.cluster.cluster_kept", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(Backend(turn[0]), "resumed", mode="d", save_after=0)
    resumed = run(Backend(turn[1]), "resumed", mode="d", resume=True)
    assert resumed.counts == whole.counts
    np.testing.assert_array_equal(resumed.map.index, whole.map.index)
    assert_same_labels(whole, resumed)


def interrupt(*_: object) -> None:
    """As Ctrl-C does."""
    raise KeyboardInterrupt


def test_blocks_are_halved_until_the_device_can_take_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Small(Other):
        """Takes 20,000 voxels at a time, and trajectories of no more."""

        out_of_memory = (MemoryError,)

        def upload(self, values: np.ndarray) -> object:
            if values.size > 20_000 * 16:
                raise MemoryError("too much at once")
            return super().upload(values)

    monkeypatch.setattr(devices, "open_cuda", lambda: Small("array_api_strict", "device1"))
    made = {}
    for backend in (Backend.NUMPY, Backend.CUPY):
        config = make_config(
            {
                "inputs": (SAMPLE,),
                "output": str(tmp_path / backend),
                "figures": False,
                "backend": backend,
                "mode": "d",
            }
        )
        made[backend] = run_cluster(config)
    here, there = made.values()
    assert there.counts == here.counts
    np.testing.assert_array_equal(there.map.index, here.map.index)


def test_the_choice_is_written_down(
    run: Run, tmp_path: Path, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    if device.name != "cupy":
        facts = {"device": "Card", "driver": "CUDA 13.0", "cupy": "14.2.0"}
        monkeypatch.setattr(type(device), "describe", lambda _: facts)
    run(Backend.CUPY, "run", mode="d")
    with h5py.File(tmp_path / "run" / "results.nxs") as file:
        process = file["entry/process"]
        assert process["backend/name"].asstr()[()] == device.name
        assert process["backend/reason"].asstr()[()] == "asked for"
        for name, value in device.describe().items():
            assert process[f"backend/{name}"].asstr()[()] == value
    assert 'backend = "cupy"' in (tmp_path / "run" / "run.toml").read_text(encoding="utf-8")


def test_a_gpu_is_taken_unasked_for_large_series_only(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = Other("array_api_strict", "device1")
    monkeypatch.setattr(devices, "cupy_is_installed", lambda: True)
    monkeypatch.setattr(devices, "open_cuda", lambda: gpu)
    series = open_series([SAMPLE])
    small = choose_device(Backend.AUTO, "threads", series)
    assert isinstance(small.device, Host)
    assert "less than 2 GB" in small.reason
    scan = series.scan
    long = replace(scan, values=np.linspace(0, 1, int(WORTH_A_GPU / series.nbytes * len(scan)) + 2))
    large = replace(series, scan=long)
    assert large.nbytes >= WORTH_A_GPU
    assert choose_device(Backend.AUTO, "threads", large).device is gpu
    assert isinstance(choose_device(Backend.AUTO, "processes", large).device, Host)
    assert isinstance(choose_device(Backend.NUMPY, "threads", large).device, Host)


def test_what_is_in_the_way_of_a_gpu_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    series = open_series([SAMPLE])

    def refuse() -> Device:
        raise BackendUnavailableError("no GPU can be used: no driver")

    monkeypatch.setattr(devices, "cupy_is_installed", lambda: False)
    assert choose_device(Backend.AUTO, "threads", series).reason == "CuPy is not installed"
    monkeypatch.setattr(devices, "cupy_is_installed", lambda: True)
    monkeypatch.setattr(devices, "open_cuda", refuse)
    monkeypatch.setattr(devices, "WORTH_A_GPU", 0)
    assert choose_device(Backend.AUTO, "threads", series).reason == "no GPU can be used: no driver"
    with pytest.raises(BackendUnavailableError):
        choose_device(Backend.CUPY, "threads", series)


@pytest.mark.gpu
def test_the_card_is_described() -> None:
    try:
        found = open_cuda().describe()
    except BackendUnavailableError as error:
        pytest.skip(error.what)
    assert found["device"]
    assert found["cupy"]
