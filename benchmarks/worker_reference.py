"""Runs in the reference package's own environment, never in ours: times its classes on a series.

python -I worker_reference.py serve              tasks as JSON lines on stdin, replies on stdout
python -I worker_reference.py whole FILE DATASET K OUTPUT.npz     read, threshold, cluster, write labels
python -I worker_reference.py sklearn FILE DATASET K OUTPUT.npz   the same, clustered by scikit-learn
"""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from xtec.GMM import GMM
from xtec.Preprocessing import Mask_Zeros, Peak_averaging, Threshold_Background

with suppress(ImportError):
    import hdf5plugin  # noqa: F401

sys.path.insert(0, str(Path(__file__).parent))

from serve import State, serve


def read(file: str, dataset: str) -> Any:
    """All intensities, shape (T, L, K, H)."""
    with h5py.File(file, "r") as opened:
        return opened[dataset][...]


def threshold(volume: Any) -> Any:
    """The reference's mask and Kullback-Leibler threshold."""
    return Threshold_Background(Mask_Zeros(volume, "zero_mean", check4NaN=True), None, "KL")


def rescaled(above: Any) -> Any:
    """Trajectories (n, T) as the reference clusters them."""
    return above.Rescale_mean(above.data_thresholded).transpose()


def ingest(state: State, request: State) -> State:
    """Read and threshold; what is kept stays for later tasks."""
    for name in ("volume", "above"):
        state.pop(name, None)
    began = time.perf_counter()
    volume = read(request["file"], request["dataset"])
    above = threshold(volume)
    seconds = time.perf_counter() - began
    state.update(volume=volume, above=above)
    return {
        "seconds": seconds,
        "kept": int(above.data_thresholded.shape[1]),
        "cutoff": float(above.LogI_cutoff),
    }


def peaks(state: State, _: State) -> State:
    """Average peaks, one `np.isin` over the volume a peak."""
    began = time.perf_counter()
    averaged = Peak_averaging(state["volume"], state["above"])
    seconds = time.perf_counter() - began
    data = averaged.peak_avg_data
    return {"seconds": seconds, "peaks": int(data.shape[1]), "sum": float(data.sum(dtype=np.float64))}


def iterate(state: State, request: State) -> State:
    """A fixed number of epochs of its EM on all trajectories."""
    np.random.seed(0)  # noqa: NPY002  the generator that the package draws from
    model = GMM(
        rescaled(state["above"]),
        request["k"],
        tol=-1,
        max_batch_epoch=0,
        max_full_epoch=request["iterations"] - 1,
    )
    began = time.perf_counter()
    model.RunEM()
    return {"seconds": time.perf_counter() - began, "iterations": int(model.epoch)}


def versions(_: State, __: State) -> State:
    """What is installed here."""
    return {name: version(name) for name in ("xtec", "numpy", "scipy", "h5py")}


TASKS = {"ingest": ingest, "peaks": peaks, "iterate": iterate, "versions": versions}


def whole(file: str, dataset: str, k: str, output: str) -> None:
    """What ``xtec cluster --mode d`` does, as a user of the reference would script it."""
    np.random.seed(0)  # noqa: NPY002  the generator that the package draws from
    above = threshold(read(file, dataset))
    data = rescaled(above)
    model = GMM(data, int(k))
    model.RunEM()
    np.savez(
        output,
        label=model.cluster_assignments,
        index=above.ind_thresholded,
        weights=model.mixing_weights,
        means=model.means,
        covariances=model.covs,
        epochs=model.epoch,
    )


def with_sklearn(file: str, dataset: str, k: str, output: str) -> None:
    """The same with scikit-learn's mixture and its default settings, but for the covariances."""
    from sklearn.mixture import GaussianMixture

    above = threshold(read(file, dataset))
    data = rescaled(above)
    model = GaussianMixture(int(k), covariance_type="diag", random_state=0)
    label = model.fit_predict(data)
    np.savez(
        output,
        label=label,
        index=above.ind_thresholded,
        weights=model.weights_,
        means=model.means_,
        covariances=model.covariances_,
        epochs=model.n_iter_,
    )


if __name__ == "__main__":
    what, *given = sys.argv[1:]
    if what == "serve":
        serve(TASKS)
    else:
        {"whole": whole, "sklearn": with_sklearn}[what](*given)
