"""Joining voxels into peaks and averaging the trajectories of each."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from peers import Peer
from scipy import ndimage
from timing import Answer, Benchmark, Contender

from xtec.peaks import average_peaks, connect
from xtec_pipelines.streaming.holding import Kept


def benchmark(kept: Kept, shape: tuple[int, ...], reference: Peer | None) -> Benchmark:
    """Ours against labelling the dense volume with scipy (and cc3d), and against the reference."""
    contenders = [
        Contender("xtec: connect, average_peaks", "ours", lambda: _ours(kept, shape), _judge),
        Contender("scipy.ndimage.label, bincount", "peer", lambda: _dense(kept, shape, _scipy_label), _judge),
    ]
    if find_spec("cc3d") and len(shape) == 3:
        contenders.append(
            Contender("cc3d, bincount", "peer", lambda: _dense(kept, shape, _cc3d_label), _judge)
        )
    if reference is not None:
        contenders.append(
            Contender(
                "reference 0.1.1: Peak_averaging",
                "peer",
                lambda: reference.timed("peaks"),
                lambda reply: {"peaks": reply["peaks"], "sum": reply["sum"]},
                slow=True,
            )
        )
    return Benchmark(
        "peaks",
        f"Peak averaging, n = {kept.index.size} voxels",
        contenders,
        note="From the kept voxels and their trajectories to one mean trajectory a peak. `sum` is over all "
        "of them; the reference sums in float32.",
        same=("peaks", "sum"),
        within=1e-4,
    )


def _ours(kept: Kept, shape: tuple[int, ...]) -> NDArray[Any]:
    return average_peaks(kept.intensity, connect(kept.index, shape))


def _dense(kept: Kept, shape: tuple[int, ...], label: Any) -> NDArray[Any]:
    mask = np.zeros(shape, dtype=bool)
    mask.reshape(-1)[kept.index] = True
    peak = label(mask).reshape(-1)[kept.index]
    sums = [np.bincount(peak, along)[1:] for along in kept.intensity.T]
    return np.stack(sums, axis=1) / np.bincount(peak)[1:, None]


def _scipy_label(mask: NDArray[np.bool_]) -> NDArray[Any]:
    labels, _ = ndimage.label(mask, structure=np.ones((3,) * mask.ndim))
    return np.asarray(labels)


def _cc3d_label(mask: NDArray[np.bool_]) -> NDArray[Any]:
    import cc3d

    return np.asarray(cc3d.connected_components(mask, connectivity=26))


def _judge(means: NDArray[Any]) -> Answer:
    return {"peaks": len(means), "sum": float(means.sum(dtype=np.float64))}
