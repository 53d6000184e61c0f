"""How unlike what is known trajectories are, as a plugin tells."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from xtec.core.arrays import home
from xtec.core.types import FloatArray, Mode
from xtec.mixture import Blocks, Trajectories
from xtec.plugins import Plugin
from xtec_pipelines.clustering.plugged import LEARNED_FROM, blocks_of, failing, learn
from xtec_pipelines.streaming.sampling import some_rows

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Novel:
    """How unlike a reference trajectories are: minus ``score_samples``, block by block; picklable."""

    plugin: Plugin

    @property
    def limit(self) -> float | None:
        """Above which they count as novel; None where the plugin has no limit."""
        offset = getattr(self.plugin.object, "offset_", None)
        return None if offset is None else -float(offset)

    def __call__(self, rows: Any) -> NDArray[np.float32]:
        """Shape (n,)."""
        trajectories = np.ascontiguousarray(home(rows))
        with failing(self.plugin):
            parts = [-np.asarray(self.plugin.object.score_samples(part)) for part in blocks_of(trajectories)]
        return np.concatenate(parts).astype(np.float32)


class Known(Protocol):
    """Gives trajectories of a reference."""

    def rows(self, mode: Mode, size: int) -> FloatArray:
        """At most so many."""


def what_is_new(
    plugin: Plugin | None, rows: Blocks, mode: Mode, reference: Known | None, seed: int
) -> Novel | None:
    """Have a plugin learn what is known, from a reference or else from what is clustered itself.

    Parameters
    ----------
    plugin : Plugin or None
        None gives None.
    rows : Blocks
        What is clustered.
    mode : Mode
    reference : Known, optional
    seed : int
    """
    if plugin is None:
        return None
    if not plugin.has_state and reference is None:
        logger.info("novelty is told against the series itself: --reference names another")
        learn(plugin, some_rows(Trajectories(rows), LEARNED_FROM, seed))
    elif reference is not None and not plugin.has_state:
        learn(plugin, reference.rows(mode, LEARNED_FROM))
    return Novel(plugin)
