"""How bright the background of a series is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xtec.core.types import BackgroundThreshold


@dataclass(frozen=True)
class Level:
    """Where trajectories stand by their mean intensity.

    Attributes
    ----------
    background : float
        Intensity of the background; 0 where nothing was judged.
    cutoff : float
        What is not brighter was kept because it varies.
    chance : float
        See `Shaped`, for these.
    """

    background: float
    cutoff: float
    chance: float

    @classmethod
    def of(cls, threshold: BackgroundThreshold, n_judged: int) -> Level:
        """As a threshold has it."""
        background = 0.0
        if np.isfinite(threshold.background_mean):
            background = float(np.exp(threshold.background_mean))
        elif threshold.density.size:
            fullest = int(threshold.density.argmax())
            background = float(np.exp(threshold.edges[fullest : fullest + 2].mean()))
        found, chance = threshold.significance, 0.0
        if found is not None and found.n_significant:
            chance = float(np.log(n_judged / found.n_significant))
        return cls(background, float(np.exp(threshold.cutoff)), chance)
