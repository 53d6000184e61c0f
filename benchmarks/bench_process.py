"""The whole process, from starting Python to results on disk."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from bench_mixture import score
from numpy.typing import NDArray
from reference_env import WORKER, run_process
from series import Subject
from timing import Answer, Benchmark, Contender, Timed

_OURS = "import sys; from xtec_cli.main import main; sys.exit(main())"


def benchmark(subject: Subject, x: NDArray[Any], k: int, python: Path | None, folder: Path) -> Benchmark:
    """``xtec cluster --mode d --no-figures`` against a script that does the same with the reference."""
    contenders = [
        Contender(
            f"xtec cluster --mode d -k {k} --no-figures",
            "ours",
            lambda: _ours(subject, k, folder),
            _judge_ours,
        )
    ]
    if python is not None:
        contenders.append(
            Contender(
                "reference 0.1.1: script",
                "peer",
                lambda: _reference(subject, k, python, folder),
                lambda usage: _judge_reference(usage, x, folder),
                slow=True,
            )
        )
    return Benchmark(
        "process",
        f"Whole process, X-TEC-d, K = {k}",
        contenders,
        note="Both read, threshold, cluster and write. Log-likelihoods are scored by our code, on the "
        "same trajectories. The reference starts once, ours races its starts and keeps the best.",
    )


def _ours(subject: Subject, k: int, folder: Path) -> Timed:
    command = [
        sys.executable,
        "-c",
        _OURS,
        "cluster",
        str(subject.path),
        "-o",
        str(folder / "run"),
        "--force",
    ]
    usage = run_process([*command, "--mode", "d", "-k", str(k), "--no-figures"], folder / "xtec.log")
    summary = json.loads((folder / "run" / "summary.json").read_text(encoding="utf-8"))
    return Timed(usage["seconds"], (usage, summary, folder / "run" / "results.nxs"))


def _judge_ours(result: Any) -> Answer:
    import h5py

    usage, summary, results = result
    with h5py.File(results, "r") as file:
        likelihood = float(file["entry/mixture/log_likelihood"][()])
    return {
        "kept": summary["n_kept"],
        "log-likelihood": likelihood,
        "peak memory (MB)": usage["peak memory (MB)"],
    }


def _reference(subject: Subject, k: int, python: Path, folder: Path) -> Timed:
    output = folder / "reference.npz"
    arguments = [str(subject.file), subject.dataset, str(k), str(output)]
    usage = run_process([str(python), "-I", str(WORKER), "whole", *arguments], folder / "reference.log")
    return Timed(usage["seconds"], usage)


def _judge_reference(usage: dict[str, float], x: NDArray[Any], folder: Path) -> Answer:
    with np.load(folder / "reference.npz") as found:
        weights, variances = found["weights"], found["covariances"]
        usable = np.isfinite(variances).all() and (variances > 0).all()
        likelihood = score(x, weights / weights.sum(), found["means"], variances) if usable else float("nan")
        return {
            "kept": len(found["label"]),
            "log-likelihood": likelihood,
            "epochs": int(found["epochs"]),
            "peak memory (MB)": usage["peak memory (MB)"],
        }
