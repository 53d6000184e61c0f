"""Which voxels can be judged at all: not empty, not NaN, positive where a logarithm is taken."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xtec.core.arrays import namespace
from xtec.core.types import VoxelCounts
from xtec.preprocess.statistics import VoxelSums

LARGEST, SMALLEST = 1e30, 1e-30
"""Mean intensities that single precision has room for, with what they vary by."""


@dataclass(frozen=True)
class MaskRules:
    """What disqualifies a voxel besides a NaN, or an intensity beyond `LARGEST`, which counts as one.

    Attributes
    ----------
    positive_mean : bool
        Drop voxels whose mean intensity is zero or below, or below `SMALLEST` (they are "empty"). Otherwise
        only voxels that are zero throughout are empty.
    positive_everywhere : bool
        Drop voxels with an intensity of zero or below at any temperature.
    nowhere_negative : bool
        Drop voxels with a negative intensity at any temperature.
    """

    positive_mean: bool = True
    positive_everywhere: bool = False
    nowhere_negative: bool = False


def usable_voxels(sums: VoxelSums, rules: MaskRules) -> tuple[NDArray[np.bool_], VoxelCounts]:
    """Voxels that a threshold may judge, and what became of the others.

    Returns
    -------
    usable : array of bool, shape (n,)
    counts : VoxelCounts
        With ``n_kept`` zero: nothing is kept before the threshold.
    """
    xp, mean = namespace(sums.total), sums.mean
    finite = sums.finite & (xp.abs(mean) <= LARGEST) & (sums.minimum >= -LARGEST)
    if rules.positive_mean:
        occupied = mean >= SMALLEST
    else:
        occupied = ~((mean == 0) & (sums.minimum == 0))
    usable = finite & occupied
    beyond = (sums.finite & ~finite) | (finite & ~occupied & (mean > 0))
    counts = VoxelCounts(
        n_total=finite.size,
        n_nan=int(xp.count_nonzero(~finite)),
        n_empty=int(xp.count_nonzero(finite & ~occupied)),
        n_beyond=int(xp.count_nonzero(beyond)),
    )
    if rules.positive_everywhere or rules.nowhere_negative:
        positive = sums.minimum > 0 if rules.positive_everywhere else sums.minimum >= 0
        counts = replace(counts, n_nonpositive=int(xp.count_nonzero(usable & ~positive)))
        usable = usable & positive
    return usable, counts
