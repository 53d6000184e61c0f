"""A watch that is killed again and again, while somebody reads its results."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from sklearn.metrics import adjusted_rand_score

from xtec_pipelines.watch import COPIES

from .test_watch import T, batch, write

KILLS = 20
FILES = ("results.nxs", "summary.json", "report.html")


class Reader(threading.Thread):
    """Opens the files of FILES as fast as it can; notes whatever it cannot read, and which it could."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder, self.failures, self.read = folder, list[str](), set[str]()
        self.ended = threading.Event()

    def run(self) -> None:
        readers: tuple[Callable[[Path], object], ...] = (self._results, self._summary, self._page)
        checks = dict(zip(FILES, readers, strict=True))
        there: set[str] = set()
        last = False
        while not last:
            last = self.ended.is_set()
            for name, check in checks.items():
                path = self.folder / name
                if name not in there and not path.exists():
                    continue
                there.add(name)
                try:
                    check(path)
                    self.read.add(name)
                except (OSError, RuntimeError, LookupError, ValueError, AssertionError) as error:
                    self.failures.append(f"{name}: {error!r}")
            time.sleep(0.002)

    @staticmethod
    def _results(path: Path) -> None:
        with h5py.File(path, "r", locking=False) as file:
            entry = file["entry"]
            assert entry["voxels/index"][()].size == entry["voxels/label"][()].size
            assert entry["cluster_map/cluster_map"][()].max() == entry["voxels/label"][()].max()

    @staticmethod
    def _summary(path: Path) -> None:
        assert json.loads(path.read_text(encoding="utf-8"))["status"]["seen"] >= 0

    @staticmethod
    def _page(path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        assert text.startswith("<!doctype html>")
        assert text.rstrip().endswith("</html>")


def start(folder: Path, output: Path, *options: str) -> subprocess.Popen[bytes]:
    code = "import sys; from xtec_cli.main import main; main(sys.argv[1:])"
    command = ["watch", str(folder), "-o", str(output), "--every", "0.05s", "--rest", "0.05s", "-k", "3"]
    return subprocess.Popen(
        [sys.executable, "-c", code, *command, "--no-figures", *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def test_killed_at_random_moments_it_goes_on_and_nothing_is_ever_half_written(tmp_path: Path) -> None:
    folder, output = tmp_path / "scans", tmp_path / "run"
    folder.mkdir()
    rng = random.Random(0)
    coming = rng.sample(T, len(T))
    for t in coming[:4]:
        write(folder, t)
    reader = Reader(output)
    reader.start()
    try:
        for number in range(KILLS):
            watch = start(folder, output)
            time.sleep(rng.uniform(0.6, 2.0))
            write(folder, coming[4 + number])
            time.sleep(rng.uniform(0.0, 0.6))
            assert watch.poll() is None, watch.communicate()[1].decode()
            watch.send_signal(signal.SIGKILL)
            watch.communicate()
        last = start(folder, output, "--until", "24")
        complaint = last.communicate(timeout=600)[1].decode()
        assert last.returncode == 0, complaint
    finally:
        reader.ended.set()
        reader.join()
    assert reader.failures == []
    assert reader.read == set(FILES)
    whole = batch([folder / f"scan_{t:g}K.nxs" for t in T], tmp_path / "batch")
    with h5py.File(output / "results.nxs") as file:
        np.testing.assert_array_equal(file["entry/voxels/index"][()], whole.map.index)
        assert adjusted_rand_score(file["entry/voxels/label"][()], whole.map.label) > 0.999
        assert file["entry/threshold/cutoff"][()] == whole.threshold.cutoff
    summary = json.loads((output / "summary.json").read_text(encoding="utf-8"))
    assert (summary["status"]["state"], summary["status"]["seen"]) == ("done", 24)
    assert sorted(path.name for path in output.rglob("*.tmp")) == []
    assert len(list((output / COPIES).glob("*.h5"))) == 24
    log = (output / "run.log").read_text(encoding="utf-8")
    assert all(f"scan_{t:g}K.nxs" in log for t in T)
