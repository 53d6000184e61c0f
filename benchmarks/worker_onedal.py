"""Runs in an environment with daal4py: Intel oneDAL's EM for Gaussian mixtures.

python -I worker_onedal.py serve        tasks as JSON lines on stdin, replies on stdout
"""

from __future__ import annotations

import sys
import time
from importlib.metadata import version
from pathlib import Path

import daal4py
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from serve import State, serve


def iterate(state: State, request: State) -> State:
    """EM iterations with diagonal covariances from a given start; set-up of the algorithm is in the time."""
    if state.get("file") != request["file"]:
        with np.load(request["file"]) as given:
            state.update(file=request["file"], **given)
    x, k = state["x"].astype(request["dtype"], order="C"), len(state["weights"])
    algorithm = daal4py.em_gmm(
        nComponents=k,
        maxIterations=request["iterations"],
        accuracyThreshold=1e-300,
        fptype="float" if request["dtype"] == "float32" else "double",
        covarianceStorage="diagonal",
    )
    variances = [np.array(one[None]) for one in state["variances"]]
    began = time.perf_counter()
    result = algorithm.compute(x, state["weights"][None], state["means"], variances)
    seconds = time.perf_counter() - began
    done = int(result.nIterations[0, 0])
    return {
        "seconds": seconds,
        "iterations": done,
        "log-likelihood": float(result.goalFunction[0, 0]) / len(x),
    }


def versions(_: State, __: State) -> State:
    """What is installed here."""
    return {name: version(name) for name in ("daal4py", "numpy")}


if __name__ == "__main__":
    serve({"iterate": iterate, "versions": versions})
