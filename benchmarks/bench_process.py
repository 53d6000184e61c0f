"""The whole process, from starting Python to results on disk."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from bench_mixture import score
from numpy.typing import NDArray
from ours import run_xtec
from peers import ENVIRONMENTS, run_process
from series import Subject
from timing import Answer, Benchmark, Contender, Timed

from xtec.core.memory import parse_bytes
from xtec.core.parallel import n_cores
from xtec_pipelines.streaming.plan import plan_run


@dataclass
class Run:
    """``xtec cluster --mode d`` with some options more, and what the last time gave.

    The published threshold, since the others have no other.
    """

    subject: Subject
    k: int
    folder: Path
    options: tuple[str, ...] = ()
    always: tuple[str, ...] = ("--threshold", "kl", "--no-figures")
    seconds: float = 0.0
    usage: dict[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The command without its files."""
        return " ".join(["xtec cluster --mode d -k", str(self.k), *self.always, *self.options])

    def __call__(self) -> Timed:
        """Run it."""
        command = ["cluster", *self.subject.inputs, "-o", self.folder, "--force", "--mode", "d"]
        self.usage = run_xtec(
            [*command, "-k", str(self.k), *self.always, *self.options], self.folder.with_suffix(".log")
        )
        self.seconds = self.usage["seconds"]
        return Timed(self.seconds, None)

    def stage(self, name: str) -> float:
        """Seconds that a stage of the last run took."""
        timings = json.loads((self.folder / "summary.json").read_text(encoding="utf-8"))["timings"]
        return float(timings[f"{name} (s)"])

    def labels(self) -> NDArray[Any]:
        """The cluster of every voxel of the last run."""
        with h5py.File(self.folder / "results.nxs", "r") as file:
            return np.asarray(file["entry/voxels/label"][...])

    def judge(self, _: object = None) -> Answer:
        """Figures of merit of the last run."""
        with h5py.File(self.folder / "results.nxs", "r") as file:
            likelihood = float(file["entry/mixture/log_likelihood"][()])
        summary = json.loads((self.folder / "summary.json").read_text(encoding="utf-8"))
        return {
            "kept": summary["n_kept"],
            "log-likelihood": likelihood,
            "peak memory (MB)": self.usage["peak memory (MB)"],
        }


def whole(
    subject: Subject, x: Callable[[], NDArray[Any]], k: int, python: Path | None, folder: Path
) -> Benchmark:
    """Against scripts that do the same with other programs."""
    ours = Run(subject, k, folder / "run")
    default = Run(subject, k, folder / "default", always=("--no-figures",))
    contenders = [
        Contender(ours.name, "ours", ours, ours.judge),
        Contender(default.name, "peer", default, default.judge),
    ]
    if python is not None:
        contenders += [
            Contender(
                "script: the reference's threshold, scikit-learn's mixture",
                "peer",
                lambda: _script("sklearn", subject, k, python, folder),
                lambda usage: _judge_script(usage, x(), folder / "sklearn.npz"),
            ),
            Contender(
                "script: reference 0.1.1",
                "peer",
                lambda: _script("whole", subject, k, python, folder),
                lambda usage: _judge_script(usage, x(), folder / "whole.npz"),
                slow=True,
            ),
        ]
    return Benchmark(
        "process",
        f"Whole process, X-TEC-d, K = {k}",
        contenders,
        note="All read, threshold, cluster and write. Log-likelihoods are scored by our code, on the same "
        "trajectories. The scripts start once, and scikit-learn's stops at its default tolerance of 1e-3; "
        "ours runs 24 starts, keeps the best and goes on to 1e-6.",
    )


def limited(subject: Subject, k: int, limit: str, folder: Path) -> Benchmark:
    """Within a memory limit, against reading alone plus the time EM took."""
    run = Run(subject, k, folder / "limited", ("--memory-limit", limit))
    plan = plan_run(subject.series, parse_bytes(limit), n_cores(), figures=False)
    estimate = {"estimated memory (MB)": float(round(plan.peak_bytes / 1e6))}

    def floor() -> Timed:
        began = time.perf_counter()
        subject.read_in_threads()
        read, cluster = time.perf_counter() - began, run.stage("cluster")
        return Timed(read + cluster, {"reading (s)": read, "EM (s)": cluster})

    return Benchmark(
        "limited",
        f"Whole process within {limit}, series of {subject.series.nbytes / 1e9:.2f} GB, K = {k}",
        [
            Contender(run.name, "ours", run, lambda _: {**run.judge(), **estimate}),
            Contender("floor: chunks read and decoded by all cores, plus EM", "floor", floor, dict),
        ],
        note="EM is the stage `cluster` of the run before it: the search for starts and the fit.",
    )


def schedulers(subject: Subject, k: int, folder: Path) -> Benchmark:
    """Threads against two Dask worker processes."""
    threads = Run(subject, k, folder / "threads", ("--workers", "2"))
    processes = Run(subject, k, folder / "processes", ("--scheduler", "processes", "--workers", "2"))

    def judge(_: object) -> Answer:
        same = np.mean(threads.labels() == processes.labels())
        return {**processes.judge(), "same labels": float(same)}

    def working() -> Timed:
        return Timed(processes.seconds - processes.stage("start"), None)

    return Benchmark(
        "schedulers",
        f"Threads and Dask worker processes, K = {k}",
        [
            Contender(threads.name, "ours", threads, threads.judge),
            Contender(processes.name, "peer", processes, judge),
            Contender("the run before, without the start of the workers", "peer", working),
        ],
        note="Peak memory of the processes is that of the largest of them.",
        same=("kept", "log-likelihood"),
        within=1e-6,
    )


def _script(what: str, subject: Subject, k: int, python: Path, folder: Path) -> Timed:
    worker, output = ENVIRONMENTS["reference"].worker, folder / f"{what}.npz"
    command = [python, "-I", worker, what, subject.file, subject.dataset, k, output]
    usage = run_process([str(part) for part in command], output.with_suffix(".log"))
    return Timed(usage["seconds"], usage)


def _judge_script(usage: dict[str, float], x: NDArray[Any], output: Path) -> Answer:
    with np.load(output) as found:
        weights, variances = found["weights"], found["covariances"]
        usable = np.isfinite(variances).all() and (variances > 0).all()
        likelihood = score(x, weights / weights.sum(), found["means"], variances) if usable else float("nan")
        return {
            "kept": len(found["label"]),
            "log-likelihood": likelihood,
            "epochs": int(found["epochs"]),
            "peak memory (MB)": usage["peak memory (MB)"],
        }
