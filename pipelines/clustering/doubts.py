"""What makes an answer weak, though nothing fails: saturation, few temperatures, lone trajectories."""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

from xtec.core.arrays import namespace
from xtec_pipelines.streaming.holding import Kept
from xtec_pipelines.streaming.ingest import KeptTrajectories

logger = logging.getLogger(__name__)

_FEW_TEMPERATURES = 4
"""Below, trajectories have hardly a shape."""

_SATURATED = 3
"""Voxels at the highest intensity of all that are no accident."""

_TWICE = 2
"""Temperatures at which a voxel has that intensity: noise does not lead to the same number again."""


def note_few_temperatures(n_temperatures: int) -> None:
    """Say so if trajectories can only rise or fall."""
    if n_temperatures < _FEW_TEMPERATURES:
        logger.warning(
            "%d temperatures: clusters tell what rises from what falls, and little more", n_temperatures
        )


def note_saturation(kept: KeptTrajectories) -> None:
    """Say so if several voxels share the highest intensity, each at several temperatures."""
    found = list(kept.shards.map(_at_the_top))
    highest = max(intensity for intensity, _ in found)
    if (n := sum(number for intensity, number in found if intensity == highest)) >= _SATURATED:
        logger.warning(
            "%d voxels have the highest intensity of all, %g, at %d temperatures or more: "
            "the detector was saturated, or this marks masked voxels",
            *(n, highest, _TWICE),
        )


def note_lone(size: NDArray[np.int64], what: str) -> None:
    """Say which clusters have a single member.

    Parameters
    ----------
    size : array, shape (K,)
        Members of clusters 1..K.
    what : str
        What a member is.
    """
    lone = np.flatnonzero(size == 1) + 1
    if lone.size:
        logger.warning(
            "a single %s is all there is of cluster%s %s: no average, and no error of it",
            *(what, "s" * (lone.size > 1), ", ".join(map(str, lone))),
        )


def _at_the_top(kept: Kept) -> tuple[float, int]:
    """The highest intensity of a shard, and how many voxels have it at several temperatures."""
    if not kept.index.size:
        return -np.inf, 0
    xp = namespace(kept.intensity)
    highest = xp.max(kept.intensity)
    times = xp.count_nonzero(kept.intensity == highest, axis=1)
    return float(highest), int(xp.count_nonzero(times >= _TWICE))
