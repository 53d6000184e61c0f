"""Rescaling trajectories, so that bright and weak voxels with the same physics look alike."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from xtec.core.errors import InputError
from xtec.core.types import FloatArray, Rescale

Real = TypeVar("Real", np.float32, np.float64)


def rescale(trajectories: NDArray[Real], how: Rescale) -> NDArray[Real]:
    """Rescale each trajectory over temperature.

    Parameters
    ----------
    trajectories : array, shape (n, T)
        Intensities in counts, or any linear unit.
    how : Rescale
        ``mean``: I/mean - 1; ``zscore``: (I - mean)/std; ``log-mean``: ln I - mean(ln I); ``none``.

    Returns
    -------
    array, shape (n, T), dtype of the input, dimensionless (except ``none``).

    Raises
    ------
    InputError
        If a mean is not positive (``mean``), a trajectory is constant (``zscore``), or an intensity is not
        positive (``log-mean``): such trajectories must be masked first.

    References
    ----------
    Venderley et al., PNAS 119, e2109665119 (2022).
    """
    if how is Rescale.NONE:
        return trajectories
    if how is Rescale.LOG_MEAN:
        _require(bool((trajectories > 0).all()), "log-mean rescaling needs intensities above zero", how)
        logs = np.log(trajectories, dtype=np.float64)
        return np.asarray(logs - logs.mean(axis=1, keepdims=True), dtype=trajectories.dtype)
    dtype = trajectories.dtype
    mean = trajectories.mean(axis=1, keepdims=True, dtype=np.float64)
    if how is Rescale.MEAN:
        _require(bool((mean > 0).all()), "rescaling by the mean needs mean intensities above zero", how)
        return np.asarray(trajectories / mean - 1, dtype=dtype)
    std = trajectories.std(axis=1, keepdims=True, dtype=np.float64)
    _require(bool((std > 0).all()), "z-score rescaling needs trajectories that vary", how)
    return np.asarray((trajectories - mean) / std, dtype=dtype)


def _require(holds: bool, what: str, how: Rescale) -> None:
    if not holds:
        other = Rescale.ZSCORE if how is Rescale.MEAN else Rescale.MEAN
        raise InputError(what, hint=f"--rescale {other}, or --negative drop where intensities are negative")


def varying(trajectories: FloatArray, min_std: float) -> NDArray[np.bool_]:
    """Trajectories whose standard deviation over temperature is at least `min_std`; shape (n,)."""
    return np.asarray(trajectories.std(axis=1, dtype=np.float64) >= min_std)
