"""``xtec watch`` for hours: temperatures come, and come again, with every fault; its memory is noted.

    python tests/faults/long_watch.py OUTPUT --hours 2 --arrivals 500

A hundred temperatures are measured once each in the first fifth of the time, and again and again after that,
as a beamline does that goes through a transition several times: so the series stays as long as it is from
then on, and memory that still grows is lost. In the end the results are compared with those of the batch.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from sklearn.metrics import adjusted_rand_score

from xtec.io.nexus.writer import now
from xtec.io.writing.arrival import link_to, locked, record_work, write_slowly

XTEC = (sys.executable, "-c", "import sys; from xtec_cli.main import main; main(sys.argv[1:])")

FAULTS = {
    "whole": 0.5,
    "truncated": 0.08,
    "duplicate": 0.08,
    "vanishing": 0.08,
    "touched": 0.06,
    "replaced": 0.06,
    "unfinished": 0.05,
    "never finished": 0.02,
    "not HDF5": 0.02,
    "empty": 0.02,
    "wrong shape": 0.03,
}
"""What befalls an arrival, and how often."""

Step = tuple[float, Callable[[], None]]
"""Something that follows, and after how many seconds."""


@dataclass(frozen=True)
class Setting:
    """How long, how often, how quickly."""

    seconds: float = 7200.0
    arrivals: int = 500
    temperatures: int = 100
    seed: int = 1
    every: float = 10.0
    rest: float = 2.0
    idle: float = 150.0
    options: tuple[str, ...] = ("--n-init", "8")
    simulation: tuple[str, ...] = ("--region", "L=0:1,K=-2:2,H=-2:2", "--pixels", "8", "--counts", "4")


@dataclass
class Beamline:
    """A folder in which scans appear as NXRefine leaves them, and what is known of them."""

    folder: Path
    staged: Path
    rng: np.random.Generator
    hashes: dict[Path, str] = field(default_factory=dict)
    busy: set[str] = field(default_factory=set)
    numbers: Iterator[int] = field(default_factory=count)

    def scans(self) -> dict[str, Path]:
        """Staged wrappers by name of scan, such as 30K."""
        return {path.stem.rpartition("_")[2]: path for path in sorted(self.staged.glob("*.nxs"))}

    def arrive(self, scan: str, fault: str) -> list[Step]:
        """Let one temperature arrive; what follows later is returned."""
        stories: dict[str, Callable[[str], list[Step]]] = {
            "whole": lambda scan: self._write(scan) or [],
            "truncated": lambda scan: self._for_a_while(scan, lambda: self._write(scan, share=0.6)),
            "unfinished": lambda scan: self._for_a_while(scan, lambda: self._write(scan, ended=False)),
            "duplicate": self._duplicate,
            "vanishing": self._vanish,
            "touched": lambda scan: self._touch(scan) or [],
            "replaced": lambda scan: self._replace(scan) or [],
            "never finished": self._never,
            "not HDF5": lambda _: self._odd(b"not what you think\n" * 50),
            "empty": lambda _: self._odd(b""),
            "wrong shape": self._other_grid,
        }
        return stories[fault](scan)

    def _wrapper(self, scan: str, name: str | None = None) -> Path:
        staged = self.scans()[scan]
        return self.folder / f"{staged.stem.removesuffix(scan)}{name or scan}.nxs"

    def _data(self, scan: str) -> Path:
        return self.folder / scan / "transform.nxs"

    def _measured(self, scan: str) -> Path:
        """The scan measured once more: the same truth with other noise."""
        draft = Path(shutil.copyfile(self.staged / scan / "transform.nxs", self.staged / "measured.h5"))
        with h5py.File(draft, "r+") as file:
            signal = file["entry/data/v"]
            counts = signal[()]
            noise = self.rng.standard_normal(counts.shape) * np.sqrt(np.clip(counts, 0, None)) / 2
            signal[...] = np.clip(counts + noise, 0, None)
        return draft

    def _write(
        self, scan: str, *, share: float = 1.0, ended: bool = True, name: str | None = None, grid: int = 0
    ) -> None:
        wrapper, measured = self._wrapper(scan, name), self._measured(scan)
        if grid:
            with h5py.File(measured, "r+") as file:
                counts = file["entry/data/v"][()][:, :, grid:]
                del file["entry/data/v"]
                file["entry/data/v"] = counts
        began = now()
        with locked(wrapper):
            data = self._data(name or scan)
            write_slowly(measured, data, lambda: time.sleep(0.05), share=share)
            draft = Path(shutil.copyfile(self.scans()[scan], self.staged / "draft.h5"))
            link_to(draft, f"{name or scan}/transform.nxs")
            record_work(draft, began, now() if ended else None)
            shutil.move(draft, wrapper)
        self._note(data)

    def _note(self, data: Path) -> None:
        self.hashes[data] = sha256(data.read_bytes()).hexdigest()

    def _for_a_while(self, scan: str, spoil: Callable[[], None]) -> list[Step]:
        self.busy.add(scan)
        spoil()

        def mend() -> None:
            self._write(scan)
            self.busy.discard(scan)

        return [(self.rng.uniform(20, 90), mend)]

    def _duplicate(self, scan: str) -> list[Step]:
        name = f"{scan}x{next(self.numbers)}"
        self._write(scan)
        self._write(scan, name=name)
        self.busy.add(scan)

        def end() -> None:
            self._wrapper(scan, name).unlink()
            shutil.rmtree(self.folder / name)
            del self.hashes[self._data(name)]
            self.busy.discard(scan)

        return [(self.rng.uniform(60, 180), end)]

    def _vanish(self, scan: str) -> list[Step]:
        self._write(scan)
        self.busy.add(scan)
        wrapper, away = self._wrapper(scan), self.staged / f"away-{scan}.nxs"

        def go() -> None:
            shutil.move(wrapper, away)

        def come() -> None:
            shutil.move(away, wrapper)
            self.busy.discard(scan)

        return [(self.rng.uniform(15, 30), go), (self.rng.uniform(40, 120), come)]

    def _touch(self, scan: str) -> None:
        if not self._data(scan).exists():
            self._write(scan)
        self._data(scan).touch()

    def _replace(self, scan: str) -> None:
        if not self._wrapper(scan).exists():
            self._write(scan)
        os.replace(self._measured(scan), self._data(scan))
        self._note(self._data(scan))

    def _never(self, scan: str) -> list[Step]:
        """A scan beside the series whose transforms are never combined."""
        name = f"never{next(self.numbers)}"
        self._write(scan, ended=False, name=name)
        return [] if self._wrapper(scan).exists() else [(0.0, lambda: self._write(scan))]

    def _other_grid(self, scan: str) -> list[Step]:
        name = f"other{next(self.numbers)}"
        self._write(scan, name=name, grid=2)
        return [] if self._wrapper(scan).exists() else [(0.0, lambda: self._write(scan))]

    def _odd(self, content: bytes) -> list[Step]:
        (self.folder / f"odd_{next(self.numbers)}.nxs").write_bytes(content)
        return []


@dataclass(frozen=True)
class Sample:
    """What the process of the watch holds at a time."""

    seconds: float
    rss_mb: float
    descriptors: int
    threads: int
    arrivals: int


@dataclass(frozen=True)
class Lived:
    """What a long watch came to; memory in MB, a slope in MB an hour over the last three quarters."""

    arrivals: int
    faults: dict[str, int]
    hours: float
    exit_code: int
    updates: int
    seen: int
    rss_second_quarter: float
    rss_last_quarter: float
    rss_slope_last_three_quarters: float
    rss_slope_last_half: float
    rss_highest: float
    descriptors_second_quarter: float
    descriptors_last_quarter: float
    descriptors_slope: float
    same_voxels: bool
    same_cutoff: bool
    rand_index: float
    inputs_unchanged: bool
    temporaries: int


def live(output: Path, setting: Setting = Setting()) -> Lived:
    """Watch a folder in which scans arrive; everything that is noted is in `output`."""
    output.mkdir(parents=True)
    rng = np.random.default_rng(setting.seed)
    beamline = Beamline(output / "scans", output / "staged", rng)
    beamline.folder.mkdir()
    _xtec(
        *("simulate", "cdw", "--layout", "nxrefine", "-o", beamline.staged, "--seed", setting.seed),
        *("--n-temperatures", setting.temperatures, "--temperatures", f"30:{28 + 2 * setting.temperatures}"),
        *setting.simulation,
    )
    command = [*XTEC, "watch", str(beamline.folder), "-o", str(output / "run"), "--json", *setting.options]
    command += ["--every", f"{setting.every}s", "--rest", f"{setting.rest}s", "--idle", f"{setting.idle}s"]
    with (output / "watch.jsonl").open("wb") as told, (output / "watch.log").open("wb") as complaints:
        watch = subprocess.Popen(command, stdout=told, stderr=complaints)
        try:
            samples, faults = _go_through(watch, beamline, setting, output)
            exit_code = watch.wait(timeout=3600)
        finally:
            watch.kill()
    return _compare(output, setting, beamline, samples, faults, exit_code)


def _go_through(
    watch: subprocess.Popen[bytes], beamline: Beamline, setting: Setting, output: Path
) -> tuple[list[Sample], dict[str, int]]:
    """Let everything arrive, and take note of the process every half a minute."""
    rng, scans = beamline.rng, list(beamline.scans())
    gaps = np.minimum(rng.exponential(setting.seconds / setting.arrivals, setting.arrivals), setting.idle / 3)
    first, order = iter(rng.permutation(scans)), count()
    due = [(float(when), next(order), None) for when in np.cumsum(gaps) * setting.seconds / gaps.sum()]
    heap: list[tuple[float, int, Callable[[], None] | None]] = list(due)
    heapq.heapify(heap)
    names, shares = list(FAULTS), np.array(list(FAULTS.values()))
    faults, samples, arrived = dict.fromkeys(FAULTS, 0), list[Sample](), 0
    began, every = time.monotonic(), setting.seconds / 240
    with (output / "samples.jsonl").open("w") as notes, (output / "arrivals.jsonl").open("w") as history:
        while watch.poll() is None:
            elapsed = time.monotonic() - began
            if elapsed >= len(samples) * every and elapsed <= setting.seconds + every:
                samples.append(_sample(watch.pid, elapsed, arrived))
                print(json.dumps(asdict(samples[-1])), file=notes, flush=True)
            if not heap or heap[0][0] > elapsed:
                time.sleep(0.2)
                continue
            _, _, follows = heapq.heappop(heap)
            if follows is not None:
                follows()
                continue
            free = [one for one in scans if one not in beamline.busy]
            scan = str(next(first, None) or rng.choice(free or [""]))
            if not scan:
                heapq.heappush(heap, (elapsed + every, next(order), None))
                continue
            fault = str(rng.choice(names, p=shares / shares.sum()))
            after = beamline.arrive(scan, fault)
            for wait, step in after:
                heapq.heappush(heap, (elapsed + wait, next(order), step))
            arrived += 1
            faults[fault] += 1
            print(json.dumps({"seconds": elapsed, "scan": scan, "what": fault}), file=history, flush=True)
    return samples, faults


def _sample(pid: int, elapsed: float, arrivals: int) -> Sample:
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line
    )
    descriptors = len(os.listdir(f"/proc/{pid}/fd"))
    return Sample(
        elapsed, int(status["VmRSS"].split()[0]) / 1024, descriptors, int(status["Threads"]), arrivals
    )


def _compare(
    output: Path,
    setting: Setting,
    beamline: Beamline,
    samples: list[Sample],
    faults: dict[str, int],
    exit_code: int,
) -> Lived:
    files = [beamline._wrapper(scan) for scan in beamline.scans()]
    _xtec("cluster", *files, "-o", output / "batch", "--no-figures", *setting.options)
    live, batch = _labels(output / "run"), _labels(output / "batch")
    same = bool(np.array_equal(live["index"], batch["index"]))
    summary = json.loads((output / "run" / "summary.json").read_text(encoding="utf-8"))
    changed = [
        path for path, known in beamline.hashes.items() if sha256(path.read_bytes()).hexdigest() != known
    ]
    second, last = (_part(samples, setting, 0.25, 0.5), _part(samples, setting, 0.75, 1.0))
    later, half = _part(samples, setting, 0.25, 1.0), _part(samples, setting, 0.5, 1.0)
    lived = Lived(
        arrivals=sum(faults.values()),
        faults=faults,
        hours=setting.seconds / 3600,
        exit_code=exit_code,
        updates=summary["status"]["updates"],
        seen=summary["status"]["seen"],
        rss_second_quarter=float(np.median([one.rss_mb for one in second])),
        rss_last_quarter=float(np.median([one.rss_mb for one in last])),
        rss_slope_last_three_quarters=_slope(later, "rss_mb"),
        rss_slope_last_half=_slope(half, "rss_mb"),
        rss_highest=max(one.rss_mb for one in samples),
        descriptors_second_quarter=float(np.median([one.descriptors for one in second])),
        descriptors_last_quarter=float(np.median([one.descriptors for one in last])),
        descriptors_slope=_slope(later, "descriptors"),
        same_voxels=same,
        same_cutoff=bool(live["cutoff"] == batch["cutoff"]),
        rand_index=float(adjusted_rand_score(live["label"], batch["label"])) if same else float("nan"),
        inputs_unchanged=not changed,
        temporaries=len(list((output / "run").rglob("*.tmp"))),
    )
    (output / "lived.json").write_text(json.dumps(asdict(lived), indent=2) + "\n", encoding="utf-8")
    return lived


def _part(samples: list[Sample], setting: Setting, low: float, high: float) -> list[Sample]:
    return [one for one in samples if low <= one.seconds / setting.seconds <= high]


def _slope(samples: list[Sample], name: str) -> float:
    """Per hour."""
    hours = [one.seconds / 3600 for one in samples]
    return float(np.polyfit(hours, [getattr(one, name) for one in samples], 1)[0])


def _labels(run: Path) -> dict[str, Any]:
    with h5py.File(run / "results.nxs", "r") as file:
        found = {name: file["entry/voxels"][name][()] for name in ("index", "label")}
        return {**found, "cutoff": file["entry/threshold/cutoff"][()]}


def _xtec(*arguments: object) -> None:
    done = subprocess.run([*XTEC, *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"xtec {arguments[0]} ended with {done.returncode}: {done.stderr}")


def main() -> None:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("output", type=Path)
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--arrivals", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    setting = Setting(seconds=3600 * given.hours, arrivals=given.arrivals, seed=given.seed)
    sys.stdout.write(json.dumps(asdict(live(given.output, setting)), indent=2) + "\n")


if __name__ == "__main__":
    main()
