"""Some of all trajectories, the same ones however they are split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from xtec.core.arrays import home
from xtec.core.types import FloatArray
from xtec.mixture import Trajectories

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""An odd number that mixes bits well."""


def some_rows(trajectories: Trajectories, size: int, seed: int) -> FloatArray:
    """About so many trajectories (n, T), in an order of their own: the same ones however they are split.

    Parameters
    ----------
    trajectories : Trajectories
    size : int
    seed : int
    """
    trajectories.require_spread()
    share = min(1.0, size / trajectories.n)
    rows = np.concatenate(list(trajectories.map(_Drawn(share, seed))))
    ordered: FloatArray = rows[np.lexsort(rows.T)]
    return ordered


@dataclass(frozen=True)
class _Drawn:
    """Trajectories that are drawn by a number made of their bytes."""

    share: float
    seed: int

    def __call__(self, shown: Any) -> FloatArray:
        rows: FloatArray = np.ascontiguousarray(home(shown))
        if self.share >= 1:
            return rows
        digits = rows.view(np.uint32 if rows.dtype == np.float32 else np.uint64).astype(np.uint64)
        with np.errstate(over="ignore"):
            mixed = np.full(len(rows), self.seed + 1, np.uint64) * _GOLDEN
            for column in digits.T:
                mixed = (mixed ^ column ^ (mixed >> np.uint64(29))) * _GOLDEN
            mixed ^= mixed >> np.uint64(32)
        drawn: FloatArray = rows[mixed <= np.uint64(self.share * 2.0**64)]
        return drawn
