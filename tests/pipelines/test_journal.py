"""An interrupted run goes on and gives the same results; a changed one is refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from xtec.core.errors import ConfigError, InputError, OutputError
from xtec.io.reading.reader import SeriesReader
from xtec_pipelines.cluster import run_cluster
from xtec_pipelines.config import make_config

WriteSeries = Callable[..., Path]
SMALL = """
import xtec_pipelines.streaming.plan as plan
plan._BLOCK_BYTES, plan._SHARD_BYTES = 12_800, (25_600, 25_600)
"""
"""A series of half a megabyte in 48 blocks and 24 shards."""

MAIN = "import sys; from xtec_cli.main import main; sys.exit(main())"


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xtec_pipelines.streaming.plan._BLOCK_BYTES", 12_800)
    monkeypatch.setattr("xtec_pipelines.streaming.plan._SHARD_BYTES", (25_600, 25_600))


@pytest.fixture
def series(write_series: WriteSeries) -> Path:
    """A cluster that fades and one that does not, above a background; 48 chunks."""
    rng = np.random.default_rng(0)
    data = rng.lognormal(1.0, 0.2, (8, 48, 20, 20))
    bright = rng.random((48, 20, 20))
    data[:, bright < 0.05] *= 40
    data[:4, (bright > 0.05) & (bright < 0.1)] *= 30
    return write_series(data.astype(np.float32), chunks=(8, 1, 20, 20))


def options(series: Path, output: Path, **others: object) -> dict[str, object]:
    return {
        "inputs": [str(series)],
        "output": str(output),
        "clusters": 3,
        "mode": "d",
        "figures": False,
        "memory_limit": "212MB",
        "save_after": 0,
        **others,
    }


def assert_same_results(one: Path, other: Path) -> None:
    with h5py.File(one / "results.nxs") as first, h5py.File(other / "results.nxs") as second:
        for name in (
            "voxels/index",
            "voxels/label",
            "voxels/probability",
            "mixture/means",
            "mixture/weights",
        ):
            np.testing.assert_array_equal(first[f"entry/{name}"][()], second[f"entry/{name}"][()])


def interrupt_reading(monkeypatch: pytest.MonkeyPatch, after: int, error: type[BaseException]) -> list[int]:
    """Let so many blocks be read, then raise."""
    count = [0]
    read = SeriesReader.read

    def counted(self: SeriesReader, *arguments: object, **named: object) -> np.ndarray:
        count[0] += 1
        if count[0] > after:
            raise error
        return read(self, *arguments, **named)

    monkeypatch.setattr(SeriesReader, "read", counted)
    return count


def test_interrupted_while_reading(series: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_cluster(make_config(options(series, tmp_path / "whole")))
    with monkeypatch.context() as patch:
        count = interrupt_reading(patch, 30, KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            run_cluster(make_config(options(series, tmp_path / "run", workers=1)))
        interrupted = count[0]
    saved = list((tmp_path / "run" / ".progress").rglob("held-*.npy"))
    assert saved
    assert interrupted > 30
    assert not (tmp_path / "run" / "results.nxs").exists()
    with monkeypatch.context() as patch:
        count = interrupt_reading(patch, 10**9, KeyboardInterrupt)
        run_cluster(make_config(options(series, tmp_path / "run", resume=True)))
    assert count[0] < 48 + 4, "what was saved was read again"
    assert not (tmp_path / "run" / ".progress").exists()
    assert (tmp_path / "run" / "summary.json").exists()
    run_cluster(make_config(options(series, tmp_path / "again", workers=1)))
    assert_same_results(tmp_path / "run", tmp_path / "again")


def test_interrupted_while_clustering(series: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_cluster(make_config(options(series, tmp_path / "whole")))
    with monkeypatch.context() as patch:

        def stop(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        patch.setattr("xtec_pipelines.clustering.voxels.Voxels.label", stop)
        with pytest.raises(KeyboardInterrupt):
            run_cluster(make_config(options(series, tmp_path / "run")))
    assert (tmp_path / "run" / ".progress" / "mixture.npy").exists()
    with monkeypatch.context() as patch:
        patch.setattr("xtec.mixture.gaussian.search", stop)
        run_cluster(make_config(options(series, tmp_path / "run", resume=True)))
    assert_same_results(tmp_path / "run", tmp_path / "whole")


@pytest.mark.parametrize("with_scratch", [False, True])
def test_killed(series: Path, tmp_path: Path, with_scratch: bool) -> None:
    """SIGKILL leaves no time to tidy up."""
    scratch = ["--scratch", str(tmp_path / "scratch")] if with_scratch else []
    slow = (
        "import time\nfrom xtec.io.reading.reader import SeriesReader\nread = SeriesReader.read\n"
        "def slowly(*a, **k):\n    time.sleep(0.1)\n    return read(*a, **k)\nSeriesReader.read = slowly\n"
    )
    arguments = ["cluster", series, "-o", tmp_path / "run", "-k", "3", "--mode", "d", "--no-figures"]
    more = ["--memory-limit", "212MB", "--save-after", "0", *scratch]
    command = [sys.executable, "-c", SMALL + slow + MAIN, *map(str, arguments), *more]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    where = tmp_path / "scratch" if with_scratch else tmp_path / "run"
    until = time.monotonic() + 300
    while not list(where.rglob("held-*.npy")) and time.monotonic() < until:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert list(where.rglob("held-*.npy"))
    with pytest.raises(OutputError, match=r"not empty(?s:.*)--resume"):
        run_cluster(make_config(options(series, tmp_path / "run")))
    run_cluster(make_config(options(series, tmp_path / "run", resume=True)))
    run_cluster(make_config(options(series, tmp_path / "whole")))
    assert_same_results(tmp_path / "run", tmp_path / "whole")
    assert not list(where.rglob("*.npy"))


def test_terminated_ends_with_130(series: Path, tmp_path: Path) -> None:
    slow = (
        "import time\nfrom xtec.io.reading.reader import SeriesReader\n"
        "def slowly(*a, **k):\n    open('reading', 'w').close()\n    time.sleep(0.5)\n    return a[0]\n"
        "SeriesReader.read = slowly\n"
    )
    arguments = ["cluster", str(series), "-o", "run", "--no-figures"]
    process = subprocess.Popen([sys.executable, "-c", slow + MAIN, *arguments], cwd=tmp_path)
    until = time.monotonic() + 300
    while not (tmp_path / "reading").exists() and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(300) == 130


class TestRefused:
    """What has changed since is named."""

    @pytest.fixture
    def interrupted(self, series: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        with monkeypatch.context() as patch:
            interrupt_reading(patch, 30, KeyboardInterrupt)
            with pytest.raises(KeyboardInterrupt):
                run_cluster(make_config(options(series, tmp_path / "run", workers=1)))
        return tmp_path / "run"

    def test_other_options(self, series: Path, interrupted: Path) -> None:
        changed = options(series, interrupted, resume=True, clusters=5)
        with pytest.raises(ConfigError, match=r"other options: clusters \(3 before, 5 now\)"):
            run_cluster(make_config(changed))

    def test_other_input(self, series: Path, interrupted: Path) -> None:
        os.utime(series, (1, 1))
        with pytest.raises(InputError, match="changed since the run was interrupted"):
            run_cluster(make_config(options(series, interrupted, resume=True)))
        run_cluster(make_config(options(series, interrupted, force=True)))

    def test_free_options_may_change(self, series: Path, interrupted: Path, tmp_path: Path) -> None:
        run_cluster(make_config(options(series, interrupted, resume=True, memory_limit="1GiB", workers=2)))
        assert (interrupted / "summary.json").exists()


def test_nothing_to_resume_starts_a_run(series: Path, tmp_path: Path) -> None:
    run_cluster(make_config(options(series, tmp_path / "run", resume=True)))
    with pytest.raises(OutputError, match="finished"):
        run_cluster(make_config(options(series, tmp_path / "run", resume=True)))


def test_a_full_disk_is_an_error_to_go_on_from(
    series: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("xtec.io.run.results.start_file", full)
        with pytest.raises(OutputError, match="No space left"):
            run_cluster(make_config(options(series, tmp_path / "run")))
    run_cluster(make_config(options(series, tmp_path / "run", resume=True)))
    assert (tmp_path / "run" / "results.nxs").exists()
