"""What the map of a report is drawn from: labels, probabilities and intensities, small enough for a page."""

from __future__ import annotations

import base64
import gzip
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xtec.core.chunking import Block
from xtec.core.types import ClusterMap

MOST_VOXELS = 32_000_000
"""Of the map of labels; more than so many are joined."""

MOST_INTENSITIES = 6_000_000
"""Of all temperatures together."""

_MOST_TEMPERATURES = 60

_LEVELS = 254
"""Steps of ln intensity in a byte; 0 stands for no intensity."""


def packed(values: NDArray[Any]) -> str:
    """An array as gzip in base64, little-endian, for a page to unpack."""
    raw = np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
    return base64.b64encode(gzip.compress(raw, 6, mtime=0)).decode("ascii")


def joining(shape: Sequence[int], most: int) -> tuple[int, ...]:
    """How many voxels to join along each axis, so that at most so many are left; the longest axis first."""
    factors = [1] * len(shape)
    while math.prod(_joined(shape, factors)) > most:
        left = _joined(shape, factors)
        factors[left.index(max(left))] += 1
    return tuple(factors)


def _joined(shape: Sequence[int], factors: Sequence[int]) -> tuple[int, ...]:
    return tuple(-(-size // factor) for size, factor in zip(shape, factors, strict=True))


@dataclass(frozen=True)
class LabelVolume:
    """Labels of a grid, dense.

    Attributes
    ----------
    factors : tuple of int
        How many voxels of the run are one here, along each axis.
    label : array, uint8 or uint16
        0 where nothing is clustered; of joined voxels the label of the most probable.
    probability : array, shape (m,), uint8
        Of the labelled ones in C order, 255 for certain.
    """

    factors: tuple[int, ...]
    label: NDArray[Any]
    probability: NDArray[np.uint8]


def label_volume(
    cluster_map: ClusterMap, probability: NDArray[np.float32], most: int = MOST_VOXELS
) -> LabelVolume:
    """The map of a run for a page.

    Parameters
    ----------
    cluster_map : ClusterMap
    probability : array, shape (n,)
        Of the label of each of its voxels.
    most : int
        Voxels.
    """
    factors = joining(cluster_map.shape, most)
    shape = _joined(cluster_map.shape, factors)
    place = np.unravel_index(cluster_map.index, cluster_map.shape)
    joined = np.ravel_multi_index(tuple(i // factor for i, factor in zip(place, factors, strict=True)), shape)
    rising = np.argsort(probability, kind="stable")  # the last one to be written stays
    highest = int(cluster_map.label.max(initial=0))
    label = np.zeros(math.prod(shape), np.uint8 if highest < 256 else np.uint16)
    likely = np.zeros(label.size, np.uint8)
    label[joined[rising]] = cluster_map.label[rising]
    likely[joined[rising]] = np.round(255 * np.clip(probability[rising], 0, 1))
    return LabelVolume(factors, label.reshape(shape), likely[np.flatnonzero(label)])


@dataclass(frozen=True)
class IntensityVolume:
    """Intensities of a grid at some temperatures, in steps of their logarithm.

    Attributes
    ----------
    factors : tuple of int
        How many voxels are one here; the highest of them is shown.
    rows : array of int
        Which temperatures.
    level : array, shape (rows, *grid), uint8
        0 for none, else 1 + 254 (ln I - low) / (high - low).
    low, high : float
        ln intensity.
    """

    factors: tuple[int, ...]
    rows: NDArray[np.intp]
    level: NDArray[np.uint8]
    low: float
    high: float


class IntensityCollector:
    """Joins the intensities of a series, block by block.

    Parameters
    ----------
    shape : sequence of int
        Of the grid.
    n_temperatures : int
        No more than 60 of them are taken, evenly chosen.
    most : int
        Intensities in all.
    """

    def __init__(self, shape: Sequence[int], n_temperatures: int, most: int = MOST_INTENSITIES) -> None:
        n = min(n_temperatures, _MOST_TEMPERATURES)
        self.rows = np.linspace(0, n_temperatures - 1, n).round().astype(np.intp)
        self.factors = joining(shape, max(most // self.rows.size, 1))
        self._highest = np.full((self.rows.size, *_joined(shape, self.factors)), np.nan, np.float32)

    def add(self, block: Block, volume: NDArray[Any]) -> None:
        """Take in a block; `volume` has all temperatures, shape (T, *block)."""
        part = np.asarray(volume[self.rows], np.float32)
        there = [slice(None)]
        for axis, (within, factor) in enumerate(zip(block, self.factors, strict=True), start=1):
            first = within.start // factor
            starts = np.arange(first + 1, (within.stop - 1) // factor + 1) * factor - within.start
            part = np.fmax.reduceat(part, np.concatenate([[0], starts]).astype(np.intp), axis=axis)
            there.append(slice(first, first + part.shape[axis]))
        target = self._highest[tuple(there)]
        np.fmax(target, part, out=target)

    def finish(self) -> IntensityVolume:
        """What was collected."""
        with np.errstate(invalid="ignore", divide="ignore"):
            logarithm = np.where(self._highest > 0, np.log(self._highest), np.nan)
        finite = logarithm[np.isfinite(logarithm)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
        high = max(high, low + 1e-6)
        level = np.round(1 + _LEVELS * (logarithm - low) / (high - low))
        return IntensityVolume(
            self.factors, self.rows, np.nan_to_num(level, nan=0).astype(np.uint8), low, high
        )
