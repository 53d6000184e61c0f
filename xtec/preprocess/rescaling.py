"""Rescaling trajectories, so that bright and weak voxels with the same physics look alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from xtec.core.arrays import is_host, namespace
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
            xp = namespace(self.rows)
            return cast(NDArray[Real], xp.exp(self.rows + self.offset[:, None]))
        return self.rows * self.scale[:, None] + self.offset[:, None]


def rescale(trajectories: NDArray[Real], how: Rescale) -> Rescaled[Real]:
    """Rescale each trajectory over temperature.

    Parameters
    ----------
    trajectories : array, shape (n, T)
        Intensities in counts, or any linear unit; of any array library.
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
    xp, dtype = namespace(trajectories), trajectories.dtype
    one = xp.ones(trajectories.shape[0], dtype=dtype, device=trajectories.device)
    if how is Rescale.NONE:
        return Rescaled(trajectories, one, xp.zeros_like(one), how)
    if how is Rescale.LOG_MEAN:
        positive = bool(xp.all(trajectories > 0))
        _require(positive, "log-mean rescaling needs intensities above zero", how)
        logs = xp.log(xp.astype(trajectories, xp.float64))
        offset = xp.mean(logs, axis=1)
        return Rescaled(xp.astype(logs.T - offset, dtype).T, one, xp.astype(offset, dtype), how)
    offset = mean_over_scan(trajectories)
    if how is Rescale.MEAN:
        positive = bool(xp.all(offset > 0))
        _require(positive, "rescaling by the mean needs mean intensities above zero", how)
        scale = offset
    else:
        scale = std_over_scan(trajectories)
        _require(bool(xp.all(scale > 0)), "z-score rescaling needs trajectories that vary", how)
    rows = xp.astype((trajectories.T - offset) / scale, dtype).T
    return Rescaled(rows, xp.astype(scale, dtype), xp.astype(offset, dtype), how)


def mean_over_scan(trajectories: Any) -> Any:
    """Mean of each trajectory, shape (n,), float64, of any array library."""
    xp = namespace(trajectories)
    return xp.sum(trajectories, axis=1, dtype=xp.float64) / trajectories.shape[1]


def std_over_scan(trajectories: Any) -> Any:
    """Standard deviation of each trajectory over temperature, shape (n,), float64."""
    if is_host(trajectories):
        return trajectories.std(axis=1, dtype=np.float64)
    xp = namespace(trajectories)
    return xp.std(xp.astype(trajectories, xp.float64), axis=1)


def _require(holds: bool, what: str, how: Rescale) -> None:
    if not holds:
        other = Rescale.ZSCORE if how is Rescale.MEAN else Rescale.MEAN
        raise InputError(what, hint=f"--rescale {other}, or --negative drop where intensities are negative")


def varying(trajectories: FloatArray, min_std: float) -> NDArray[np.bool_]:
    """Trajectories whose standard deviation over temperature is at least `min_std`; shape (n,)."""
    return cast(NDArray[np.bool_], std_over_scan(trajectories) >= min_std)
