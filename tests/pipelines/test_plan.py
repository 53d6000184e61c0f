"""The plan covers every voxel once and keeps to the limit."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from xtec.core.errors import ConfigError
from xtec.core.memory import parse_bytes
from xtec.io import open_series
from xtec_pipelines.streaming.plan import plan_run

WriteSeries = Callable[..., Path]


@pytest.mark.parametrize("chunks", [None, (1, 3, 4, 5), (4, 9, 1, 1)])
@pytest.mark.parametrize("n_workers", [1, 2, 7])
def test_every_voxel_is_in_one_shard(
    write_series: WriteSeries, monkeypatch: pytest.MonkeyPatch, chunks: tuple[int, ...] | None, n_workers: int
) -> None:
    monkeypatch.setattr("xtec_pipelines.streaming.plan._BLOCK_BYTES", 1000)
    monkeypatch.setattr("xtec_pipelines.streaming.plan._SHARD_BYTES", (2000, 5000))
    series = open_series(write_series(np.ones((4, 9, 10, 11), np.float32), chunks=chunks))
    plan = plan_run(series, 2**30, n_workers)
    seen = np.zeros(series.shape, int)
    for shard in plan.shards:
        for block in shard.blocks:
            seen[block] += 1
    assert (seen == 1).all()
    assert [shard.number for shard in plan.shards] == list(range(len(plan.shards)))
    assert len(plan.shards) > 4


def test_a_limit_below_the_program_is_refused(write_series: WriteSeries) -> None:
    series = open_series(write_series(np.ones((4, 9, 10, 11), np.float32)))
    with pytest.raises(ConfigError, match=r"memory limit of 2 MB is too little(?s:.*)--workers 1"):
        plan_run(series, 2_000_000, 2)


def test_what_the_limit_leaves_no_room_for_is_spilled(write_series: WriteSeries) -> None:
    series = open_series(write_series(np.ones((4, 40, 50, 60), np.float32)))
    roomy = plan_run(series, 2**30, 1, figures=False)
    narrow = plan_run(series, int(1.07 * roomy.fixed_bytes), 1, figures=False)
    assert roomy.spilled_bytes == 0
    assert narrow.spilled_bytes > 0
    assert narrow.peak_bytes <= narrow.limit


def test_results_that_do_not_fit_the_limit_are_told_of(
    write_series: WriteSeries, caplog: pytest.LogCaptureFixture
) -> None:
    series = open_series(write_series(np.ones((4, 40, 50, 60), np.float32)))
    roomy = plan_run(series, 2**30, 1, threshold=False)
    assert not caplog.records
    narrow = plan_run(series, int(0.99 * (roomy.fixed_bytes + roomy.result_bytes)), 1, threshold=False)
    assert narrow.peak_bytes > narrow.limit
    assert "results alone lead past the memory limit" in caplog.text


RUN = """
import sys
from xtec_cli.main import main
try:
    main(sys.argv[1:])
finally:
    print(*(line for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def write_rods(path: Path, shape: tuple[int, int, int]) -> Path:
    """A background, with a tenth of the voxels on rods far above it."""
    rng = np.random.default_rng(0)
    data = rng.lognormal(1.0, 0.3, (24, *shape)).astype(np.float32)
    rods = rng.random(data.shape[2:]) < 0.1
    data[..., rods] *= np.linspace(60, 20, 24, dtype=np.float32)[:, None, None]
    with h5py.File(path, "w") as file:
        file.create_dataset("entry/data/data", data=data, chunks=(1, 12, 60, 50))
        group = file["entry/data"]
        file["entry"].attrs["NX_class"], group.attrs["NX_class"] = "NXentry", "NXdata"
        group.attrs["signal"], group.attrs["axes"] = "data", ["temperature", "Ql", "Qk", "Qh"]
        for name, size in zip(group.attrs["axes"], data.shape, strict=True):
            group[name] = np.arange(size) / 10.0
    return path


def peak_of_clustering(series: Path, output: Path, limit: str, options: list[str]) -> int:
    """Most memory that the command held at any time, in bytes."""
    command = ["cluster", series, "-o", output, "--memory-limit", limit, "-k", "2", "--workers", "2"]
    program = [sys.executable, "-c", RUN, *map(str, command), *options]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    peak = re.search(r"VmHWM:\s+(\d+) kB", done.stdout)
    assert peak is not None
    return 1024 * int(peak[1])


@pytest.fixture(scope="module")
def rods(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 MB; the machine code for them is there, as after any first run, since compiling it takes memory."""
    folder = tmp_path_factory.mktemp("rods")
    few = write_rods(folder / "few.nxs", (12, 60, 50))
    for threshold in "significance", "none":
        peak_of_clustering(few, folder / threshold, "4GiB", ["--threshold", threshold, "--no-figures"])
    return write_rods(folder / "rods.nxs", (36, 180, 200))


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is read from /proc")
@pytest.mark.parametrize("options", [["--no-figures"], [], ["--threshold", "none", "--no-figures"]])
@pytest.mark.parametrize("limit", ["420MB", "4GiB"])
def test_the_estimate_is_near_the_measured_peak(
    rods: Path, tmp_path: Path, limit: str, options: list[str]
) -> None:
    plan = plan_run(
        open_series(rods),
        parse_bytes(limit),
        2,
        threshold="--threshold" not in options,
        figures="--no-figures" not in options,
    )
    assert 0.8 < plan.peak_bytes / peak_of_clustering(rods, tmp_path / "run", limit, options) < 1.2
