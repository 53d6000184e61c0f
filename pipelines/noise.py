"""How many counts a unit of intensity is: as stated, or as the kept voxels show it."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from xtec.core.axes import Axis
from xtec.core.errors import InputError
from xtec.core.types import Float64Array
from xtec.preprocess import CountScale, scatter_about_neighbours
from xtec_pipelines.config import ClusterConfig
from xtec_pipelines.ingest import Kept, KeptTrajectories

logger = logging.getLogger(__name__)

_VOXELS = 100_000
"""About so many are looked at."""

_FEWEST = 5
"""Temperatures needed to tell noise from what goes smoothly with temperature."""


def count_scale(config: ClusterConfig, kept: KeptTrajectories, scan: Axis) -> CountScale | None:
    """Count scale of a run; None where noise is not asked for.

    Raises
    ------
    InputError
        If it is to come from the data, and there are too few temperatures for that.
    """
    if config.noise == "none":
        return None
    if config.counts_per_unit is not None:
        return CountScale.constant(config.counts_per_unit)
    if len(scan) < _FEWEST:
        raise InputError(
            f"{len(scan)} temperatures are too few to tell counting noise", hint="--counts-per-unit X"
        )
    look = _Look(scan.values, max(1, kept.counts.n_kept // _VOXELS))
    seen = np.concatenate(list(kept.shards.map(look)), axis=1)
    scale = CountScale.estimate(*seen, freedom=look.freedom)
    logger.info(
        "count scale %.3g to %.3g at mean intensities %.3g to %.3g",
        *(scale.scale[0], scale.scale[-1], scale.intensity[0], scale.intensity[-1]),
    )
    return scale


@dataclass(frozen=True)
class _Look:
    """Mean intensity and variance of the noise, shape (2, m), of some voxels of a shard."""

    scan: Float64Array
    every: int

    @property
    def freedom(self) -> float:
        """Degrees of freedom of a variance: neighbouring differences have noise in common."""
        return float((self.scan.size - 2) * 18 / 35)

    def __call__(self, kept: Kept) -> Float64Array:
        some = kept.intensity[:: self.every].astype(np.float64)
        mean = some.mean(axis=1)
        seen = np.stack([mean, scatter_about_neighbours(some, self.scan)])
        return seen[:, mean > 0]
