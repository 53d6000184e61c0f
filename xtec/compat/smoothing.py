"""Label smoothing by an explicit matrix, which may be of the caller's own making."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from xtec.core.errors import ConfigError
from xtec.core.shards import Local
from xtec.core.types import Float64Array, FloatArray
from xtec.mixture.em import EMState
from xtec.mixture.gaussian import GaussianMixture
from xtec.mixture.smoothed import Placed


@dataclass(frozen=True)
class MatrixNeighbourhood:
    """Neighbours as a matrix has them: a `Neighbourhood` for voxels in one shard, in the matrix's order.

    Attributes
    ----------
    matrix : sparse matrix or array, shape (n, n)
        Its rows add up to one.
    repeats : int
        How often it is applied.
    """

    matrix: Any
    repeats: int
    needs_own: ClassVar[bool] = True

    def tell(self, number: int, index: NDArray[np.int64], shares: Float64Array) -> None:
        """Nothing: there is no other shard."""

    def gather(self, told: Iterable[None]) -> None:
        """Nothing."""

    def average(
        self, known: None, number: int, index: NDArray[np.int64], shares: Float64Array | None
    ) -> Float64Array:
        """Averaged responsibilities, shape (n, K)."""
        for _ in range(self.repeats):
            shares = self.matrix @ shares
        return np.asarray(shares)


def fit_smoothed(
    model: GaussianMixture,
    rows: FloatArray,
    hood: MatrixNeighbourhood,
    save: Callable[[EMState], None] | None = None,
) -> Float64Array:
    """Fit a mixture to trajectories (n, T) with label smoothing; returns smoothed responsibilities (n, K).

    Raises
    ------
    ConfigError
        If the matrix has another size.
    """
    if hood.matrix.shape != (len(rows), len(rows)):
        raise ConfigError(f"the matrix has shape {hood.matrix.shape}, and there are {len(rows)} trajectories")
    shard = Placed(0, np.arange(len(rows)), rows)
    labeller = model.fit_smoothed(Local([shard]), hood, save=save).smoothed_labeller(Local([shard]), hood)
    shares: Float64Array = labeller.shares(shard)
    return shares
