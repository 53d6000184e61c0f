"""What clustering says of voxels, and what says it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xtec.core.arrays import namespace
from xtec.core.shards import Record
from xtec.core.types import Float64Array, FloatArray
from xtec.order_parameter import ClusterMoments

Find = Callable[[Any], tuple[NDArray[np.int16], NDArray[np.float32]]]
"""Finds the cluster 0..K-1 of each trajectory of a shard, and its probability."""

FindOfRows = Callable[[Any], tuple[Any, Any]]
"""The same of trajectories (n, T)."""

Score = Callable[[Any], NDArray[np.float32]]
"""How unlike a reference trajectories (n, T) are."""


def low_minus_high(values: Float64Array) -> Float64Array:
    """Weights (T,) of the mean over the lowest third of temperatures minus that over the highest."""
    third = max(1, len(values) // 3)
    order = np.argsort(values, kind="stable")
    weights = np.zeros(len(values))
    weights[order[:third]] = 1 / third
    weights[order[-third:]] = -1 / third
    return weights


def contrasted(intensity: Any, contrast: Float64Array) -> Any:
    """Trajectories (n, T) summed up with weights (T,), shape (n,), float32, in any array library.

    Temperature by temperature: a product of matrices may copy the trajectories.
    """
    xp = namespace(intensity)
    total = xp.zeros(intensity.shape[0], dtype=intensity.dtype, device=intensity.device)
    for t in np.flatnonzero(contrast).tolist():
        total = total + float(contrast[t]) * intensity[:, t]
    return xp.astype(total, xp.float32, copy=False)


class Labels(NamedTuple):
    """Voxels of a shard, their intensities (n, T), and the cluster 0..K-1 of each."""

    number: int
    index: NDArray[np.int64]  # type: ignore[assignment]  # hides tuple.index
    intensity: FloatArray
    component: NDArray[np.int16]


@dataclass(frozen=True)
class Labelled(Record):
    """What clustering says of the voxels, and of what was clustered.

    Attributes
    ----------
    index : array, shape (n,), int64
        Voxels by rising flat index.
    label : array, shape (n,), int16
        1..K.
    probability : array, shape (n,), float32
    brightness : array, shape (n,), float32
        Mean intensity.
    change : array, shape (n,), float32
        What a contrast over the scan makes of the intensities; see `low_minus_high`.
    rescaled, intensity : ClusterMoments
        Of the trajectories clustered, and of the voxels' intensities.
    novelty : array, shape (n,), float32
        How unlike a reference; empty where that was not asked for.
    """

    index: NDArray[np.int64]
    label: NDArray[np.int16]
    probability: NDArray[np.float32]
    brightness: NDArray[np.float32]
    change: NDArray[np.float32]
    rescaled: ClusterMoments
    intensity: ClusterMoments
    novelty: NDArray[np.float32]

    @classmethod
    def joined(cls, parts: Iterable[Labelled], n: int) -> Labelled:
        """Of several shards with at most n voxels, each let go as soon as it is taken over."""
        columns: dict[str, NDArray[Any]] = {}
        moments: list[ClusterMoments] = []
        filled = 0
        for part in parts:
            for name in ("index", "label", "probability", "brightness", "change", "novelty"):
                if (values := getattr(part, name)).size or name != "novelty":
                    columns.setdefault(name, np.empty(n, values.dtype))[filled : filled + values.size] = (
                        values
                    )
            filled += part.index.size
            own = [part.rescaled, part.intensity]
            moments = [one.merge(other) for one, other in zip(moments, own, strict=True)] if moments else own
        order = np.argsort(columns["index"][:filled], kind="stable")
        for name in columns:
            columns[name] = columns[name][order]
        rescaled, intensity = moments
        columns.setdefault("novelty", np.empty(0, np.float32))
        return cls(**columns, rescaled=rescaled, intensity=intensity)
