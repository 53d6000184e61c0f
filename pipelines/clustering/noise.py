"""How noisy intensities are: as stated, or as the voxels show it."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from xtec.core.arrays import home, some_rows
from xtec.core.axes import Axis
from xtec.core.errors import InputError
from xtec.core.types import Float64Array
from xtec.preprocess import CountScale, n_waves, quiet_scale, split_variation
from xtec_pipelines.config import ClusterConfig
from xtec_pipelines.streaming.holding import Kept
from xtec_pipelines.streaming.ingest import KeptTrajectories

logger = logging.getLogger(__name__)

_VOXELS = 100_000
"""About so many are looked at."""


def count_scale(config: ClusterConfig, kept: KeptTrajectories, scan: Axis) -> CountScale | None:
    """Count scale of a run; None where noise is not asked for, and the number of clusters is given.

    Raises
    ------
    InputError
        If it is to come from the data, and there are too few temperatures for that.
    """
    if config.noise == "none" and isinstance(config.clusters, int):
        return None
    if config.counts_per_unit is not None:
        return CountScale.constant(config.counts_per_unit)
    if kept.threshold.significance is not None and kept.threshold.significance.scale > 0:
        return CountScale.of(kept.threshold.significance)
    if n_waves(len(scan)) == 0:
        raise InputError(
            f"{len(scan)} temperatures are too few to tell counting noise", hint="--counts-per-unit X"
        )
    mean, variance = _seen(kept)
    scale = CountScale.estimate(mean, variance, _freedom(scan))
    logger.info(
        "count scale %.3g to %.3g at mean intensities %.3g to %.3g",
        *(scale.scale[0], scale.scale[-1], scale.intensity[0], scale.intensity[-1]),
    )
    return scale


def variance_over_mean(kept: KeptTrajectories, scan: Axis) -> float:
    """Variance over mean of an intensity that only noise moves: as significance was judged by, or as seen.

    So what stands above noise does so in any unit of intensity. It is 1, that of counts, where there are too
    few temperatures to tell.
    """
    if kept.threshold.significance is not None:
        return kept.threshold.significance.scale
    if n_waves(len(scan)) == 0:
        return 1.0
    mean, variance = _seen(kept)
    return quiet_scale(mean, variance, _freedom(scan))


def _seen(kept: KeptTrajectories) -> Float64Array:
    """Mean intensity and variance of the noise, shape (2, m), of some of the trajectories kept."""
    look = _Look(max(1, kept.counts.n_kept // _VOXELS))
    return np.concatenate(list(kept.shards.map(look)), axis=1)


def _freedom(scan: Axis) -> int:
    """Degrees of freedom of such a variance."""
    return len(scan) - 1 - n_waves(len(scan))


@dataclass(frozen=True)
class _Look:
    """Mean intensity and variance of the noise, shape (2, m), of some voxels of a shard."""

    every: int

    def __call__(self, kept: Kept) -> Float64Array:
        some = home(some_rows(kept.intensity, slice(None, None, self.every)))
        some = some[some.mean(axis=1) > 0]
        mean = some.mean(axis=1, dtype=np.float64)
        return np.stack([mean, split_variation(np.ascontiguousarray(some.T), mean)[1] * mean])
