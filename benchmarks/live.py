"""How long after a temperature is ready its results are there, and what memory that takes.

The simulated slab arrives in an NXRefine folder: the first temperatures at once, the last ones one by one,
each when the results of those before are settled. Beside it, in the same run: reading that temperature once
with `h5py`, and the memory of `xtec cluster` on the whole series.

    python benchmarks/live.py [--size slab] [--storage none,gzip] [--modes auto,d] [--late 6] [--work DIR]
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import machine
import series

from xtec.io.nexus.writer import now
from xtec.io.writing.arrival import record_work
from xtec_pipelines.validation import validated
from xtec_pipelines.watch import run_watch
from xtec_pipelines.watching.config import WatchConfig

_READS = 5


def main() -> None:
    """Print a line for each storage and mode."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="slab", choices=list(series.SIZES))
    parser.add_argument("--storage", default="none,gzip")
    parser.add_argument("--modes", default="auto,d")
    parser.add_argument("--late", type=int, default=6, help="temperatures that come one by one")
    parser.add_argument("--work", type=Path, help="where series are kept; a temporary folder by default")
    parser.add_argument("--watch", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.watch:
        source, folder, output, mode = options.watch
        print(json.dumps(_watch(Path(source), Path(folder), Path(output), mode, options.late)))
        return
    print(json.dumps(machine.describe()))
    print("| storage | mode | read one, s | 2.5 x + 1, s | latency, s | longest, s | MB | xtec cluster, MB |")
    print("|---|---|---|---|---|---|---|---|")
    with _folder(options.work) as work:
        for storage in options.storage.split(","):
            source = series.simulate(options.size, work, storage, "nxrefine")
            for mode in options.modes.split(","):
                print(_line(source, storage, mode, options.late), flush=True)


def _line(source: Path, storage: str, mode: str, late: int) -> str:
    with tempfile.TemporaryDirectory(dir=source.parent) as scratch:
        arriving, output = Path(scratch) / "arriving", Path(scratch) / "run"
        own = [__file__, "--late", late, "--watch", source, arriving, output, mode]
        watched = _measured(Path(scratch), own)
        command = ["cluster", source, "-o", Path(scratch) / "batch", "--mode", mode, "--no-figures"]
        batch = _measured(Path(scratch), ["-c", "from xtec_cli.main import main; main()", *command])
    found = json.loads(watched["output"].splitlines()[-1])
    read, times = found["read"], found["latencies"]
    cells = [f"{read:.3f}", f"{2.5 * read + 1:.2f}", f"{statistics.median(times):.2f}", f"{max(times):.2f}"]
    cells += [f"{one['peak'] / 1e6:.0f}" for one in (watched, batch)]
    return f"| {storage} | {mode} | {' | '.join(cells)} |"


def _watch(source: Path, folder: Path, output: Path, mode: str, late: int) -> dict[str, Any]:
    """Let temperatures arrive between looks; seconds from ready to results for the late ones."""
    folder.mkdir()
    wrappers = [path for path in source.glob("*.nxs") if not path.stem.endswith("_scans")]
    wrappers.sort(key=lambda path: float(path.stem.rpartition("_")[2].rstrip("K").replace("p", ".")))
    waiting = wrappers[1 :: len(wrappers) // late][:late]
    for wrapper in wrappers:
        if wrapper not in waiting:
            _bring(wrapper, folder)
    reads = [_read(source / one.stem.rpartition("_")[2] / "transform.nxs") for one in waiting]
    latencies: list[float] = []
    settled = False

    def say(event: dict[str, Any]) -> None:
        nonlocal settled
        settled = settled or event["event"] == "settled" or (event["event"] == "update" and not latencies)
        if event["event"] == "update":
            latencies.append(event["latency"])

    def wait(seconds: float) -> None:
        nonlocal settled
        if settled and waiting:
            settled = False
            _bring(waiting.pop(), folder)
        time.sleep(seconds)

    values = {"inputs": (str(folder),), "output": str(output), "mode": mode, "figures": False}
    values |= {"every": 0.05, "rest": 0.0, "until": len(wrappers), "backend": "numpy"}
    run_watch(validated(WatchConfig, values), say, wait=wait)
    return {"read": statistics.median(reads), "latencies": latencies[1:]}


def _bring(wrapper: Path, folder: Path) -> None:
    scan = wrapper.stem.rpartition("_")[2]
    shutil.copytree(wrapper.parent / scan, folder / scan)
    draft = folder.parent / "draft.nxs"
    shutil.copyfile(wrapper, draft)
    record_work(draft, now(), now())
    draft.rename(folder / wrapper.name)


def _read(path: Path) -> float:
    times = []
    for _ in range(_READS):
        began = time.perf_counter()
        with h5py.File(path, "r") as file:
            file["entry/data/v"][()]
        times.append(time.perf_counter() - began)
    return min(times)


def _measured(scratch: Path, command: list[Any]) -> dict[str, Any]:
    """Output and peak memory of a process of its own."""
    log, report = scratch / "log", scratch / "report.json"
    spawn = [sys.executable, Path(__file__).with_name("spawn.py"), log, report, sys.executable]
    subprocess.run([str(one) for one in (*spawn, *command)], check=True)
    found = json.loads(report.read_text(encoding="utf-8"))
    output = log.read_text(encoding="utf-8")
    if found["code"]:
        raise SystemExit(output)
    return {"output": output, "peak": found["peak_bytes"]}


@contextmanager
def _folder(work: Path | None) -> Iterator[Path]:
    if work is not None:
        work.mkdir(parents=True, exist_ok=True)
        yield work
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


if __name__ == "__main__":
    main()
