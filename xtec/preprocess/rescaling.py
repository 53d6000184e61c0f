"""Rescaling trajectories, so that bright and weak voxels with the same physics look alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from xtec.core.errors import InputError
from xtec.core.types import FloatArray, Rescale

Real = TypeVar("Real", np.float32, np.float64)


@dataclass(frozen=True)
class Rescaled(Generic[Real]):
    """Rescaled trajectories, and what takes them back to intensities.

    Attributes
    ----------
    rows : array, shape (n, T)
    scale, offset : array, shape (n,)
        ``I = scale * x + offset``; for ``log-mean``, ``I = exp(x + offset)``.
    how : Rescale
    """

    rows: NDArray[Real]
    scale: NDArray[Real]
    offset: NDArray[Real]
    how: Rescale

    def intensity(self) -> NDArray[Real]:
        """The intensities again, to rounding, shape (n, T)."""
        if self.how is Rescale.NONE:
            return self.rows
        if self.how is Rescale.LOG_MEAN:
            return np.asarray(np.exp(self.rows + self.offset[:, None]))
        return np.asarray(self.rows * self.scale[:, None] + self.offset[:, None])


def rescale(trajectories: NDArray[Real], how: Rescale) -> Rescaled[Real]:
    """Rescale each trajectory over temperature.

    Parameters
    ----------
    trajectories : array, shape (n, T)
        Intensities in counts, or any linear unit.
    how : Rescale
        ``mean``: I/mean - 1; ``zscore``: (I - mean)/std; ``log-mean``: ln I - mean(ln I); ``none``.

    Returns
    -------
    Rescaled
        Of the dtype and memory order of the input; dimensionless (except ``none``).

    Raises
    ------
    InputError
        If a mean is not positive (``mean``), a trajectory is constant (``zscore``), or an intensity is not
        positive (``log-mean``): such trajectories must be masked first.

    References
    ----------
    Venderley et al., PNAS 119, e2109665119 (2022).
    """
    dtype = trajectories.dtype
    if how is Rescale.NONE:
        one = np.ones(len(trajectories), dtype)
        return Rescaled(trajectories, one, np.zeros_like(one), how)
    if how is Rescale.LOG_MEAN:
        _require(bool((trajectories > 0).all()), "log-mean rescaling needs intensities above zero", how)
        logs = np.log(trajectories, dtype=np.float64)
        offset = logs.mean(axis=1)
        rows = (logs - offset[:, None]).astype(dtype)
        return Rescaled(rows, np.ones_like(rows, shape=len(rows)), offset.astype(dtype), how)
    offset = trajectories.mean(axis=1, dtype=np.float64)
    if how is Rescale.MEAN:
        _require(bool((offset > 0).all()), "rescaling by the mean needs mean intensities above zero", how)
        scale = offset
    else:
        scale = trajectories.std(axis=1, dtype=np.float64)
        _require(bool((scale > 0).all()), "z-score rescaling needs trajectories that vary", how)
    rows = ((trajectories - offset[:, None]) / scale[:, None]).astype(dtype)
    return Rescaled(rows, scale.astype(dtype), offset.astype(dtype), how)


def _require(holds: bool, what: str, how: Rescale) -> None:
    if not holds:
        other = Rescale.ZSCORE if how is Rescale.MEAN else Rescale.MEAN
        raise InputError(what, hint=f"--rescale {other}, or --negative drop where intensities are negative")


def varying(trajectories: FloatArray, min_std: float) -> NDArray[np.bool_]:
    """Trajectories whose standard deviation over temperature is at least `min_std`; shape (n,)."""
    return np.asarray(trajectories.std(axis=1, dtype=np.float64) >= min_std)
