"""Wave vectors that are the wings of a stronger one: voxels beside a peak that were counted as peaks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from xtec.core.order import WaveVector
from xtec.core.types import Float64Array
from xtec.reciprocal.lattice import folded
from xtec.reciprocal.wave_vectors import PeakPositions

_REACH = 2.5
"""How far a wing lies from its peak along every axis, in pixels."""

_AT_ARM = 1.5


def without_wings(vectors: Sequence[WaveVector], peaks: PeakPositions) -> list[WaveVector]:
    """Leave out wave vectors that lie within two and a half pixels of one with more intensity.

    Parameters
    ----------
    vectors : sequence of WaveVector
        Of the same peaks.
    peaks : PeakPositions
    """
    weight = [_intensity(vector, peaks) for vector in vectors]
    return [
        vector
        for vector, own in zip(vectors, weight, strict=True)
        if not any(
            other > own and near(vector, stronger, peaks.pixel)
            for stronger, other in zip(vectors, weight, strict=True)
        )
    ]


def near(one: WaveVector, other: WaveVector, pixel: Float64Array) -> bool:
    """Whether every arm of one wave vector lies beside an arm of the other."""
    arms = np.array([arm.q for arm in other.arms])
    steps = [np.abs(folded(arms - arm.q)) / pixel for arm in one.arms]
    return all(bool((np.nan_to_num(step) <= _REACH).all(axis=1).any()) for step in steps)


def _intensity(vector: WaveVector, peaks: PeakPositions) -> float:
    """Sum over the peaks at its arms."""
    at_arm = np.zeros(len(peaks.hkl), dtype=bool)
    for arm in vector.arms:
        step = np.abs(folded(peaks.hkl - arm.q)) / peaks.pixel
        at_arm |= (np.nan_to_num(step) <= _AT_ARM).all(axis=1)
    return float(peaks.weight[at_arm].sum())
