"""Wave vectors that are the wings of a stronger one: voxels beside a peak that were counted as peaks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xtec.core.order import WaveVector
from xtec.core.types import Float64Array
from xtec.reciprocal.lattice import folded
from xtec.reciprocal.wave_vectors import PeakPositions

_REACH = 2.5
"""How far a wing lies from its peak along every axis, in pixels."""

_AT_ARM = 1.5

_FAINT = 0.05
_SHARED = 0.9


def without_wings(vectors: Sequence[WaveVector], peaks: PeakPositions) -> list[WaveVector]:
    """Leave out wave vectors that come from the slopes of the peaks of one with more intensity.

    Those lie within two and a half pixels of it; or they have less than a twentieth of its intensity, and
    nearly all of their maxima lie in the same connected voxels as one of its.

    Parameters
    ----------
    vectors : sequence of WaveVector
        Of the same peaks.
    peaks : PeakPositions
    """
    at = [_at_arms(vector, peaks) for vector in vectors]
    weight = [float(peaks.weight[mine].sum()) for mine in at]

    def is_wing(i: int, j: int) -> bool:
        faint = weight[i] < _FAINT * weight[j]
        return weight[j] > weight[i] and (
            near(vectors[i], vectors[j], peaks.pixel) or (faint and _on_slopes(at[i], at[j], peaks))
        )

    everyone = range(len(vectors))
    return [vectors[i] for i in everyone if not any(is_wing(i, j) for j in everyone)]


def near(one: WaveVector, other: WaveVector, pixel: Float64Array) -> bool:
    """Whether every arm of one wave vector lies beside an arm of the other."""
    arms = np.array([arm.q for arm in other.arms])
    steps = [np.abs(folded(arms - arm.q)) / pixel for arm in one.arms]
    return all(bool((np.nan_to_num(step) <= _REACH).all(axis=1).any()) for step in steps)


def _on_slopes(own: NDArray[np.bool_], other: NDArray[np.bool_], peaks: PeakPositions) -> bool:
    """Whether the maxima of one wave vector are in the connected voxels of another's."""
    if peaks.connected is None or not own.any():
        return False
    return float(np.isin(peaks.connected[own], peaks.connected[other]).mean()) >= _SHARED


def _at_arms(vector: WaveVector, peaks: PeakPositions) -> NDArray[np.bool_]:
    """The peaks at its arms."""
    at_arm = np.zeros(len(peaks.hkl), dtype=bool)
    for arm in vector.arms:
        step = np.abs(folded(peaks.hkl - arm.q)) / peaks.pixel
        at_arm |= (np.nan_to_num(step) <= _AT_ARM).all(axis=1)
    return at_arm
