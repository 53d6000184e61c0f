"""Voxels that have intensity, told from those that are empty."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xtec.compat.arrays import as_floats
from xtec.core.errors import ConfigError
from xtec.preprocess import MaskRules, VoxelSums, usable_voxels

_RULES = {"zero_mean": MaskRules(), "any_zeros": MaskRules(positive_everywhere=True)}


class Mask_Zeros:
    """Leave out voxels without intensity.

    Parameters
    ----------
    data : array, shape (T, ...)
        Intensities at T temperatures on a grid of one to three axes, such as (L, K, H).
    mask_type : {"zero_mean", "any_zeros"}
        Leave out voxels whose mean over temperature is zero or below, or those where any intensity is.
    check4NaN : bool
        Of no effect: voxels that are not finite at some temperature are left out in any case.

    Attributes
    ----------
    data_shape : tuple
        Shape of `data`.
    zero_mask : array of bool, shape (...)
        Voxels left out.
    ind_cols_with_zeros, ind_cols_nonzeros : array of int, shape (m, ndim) and (n, ndim)
        Indices of voxels left out, and of the others.
    data_with_zeros, data_nonzero : array, shape (T, m) and (T, n)
        Their intensities.

    Raises
    ------
    ConfigError
        If `mask_type` is unknown.
    """

    def __init__(self, data: ArrayLike, mask_type: str = "zero_mean", check4NaN: bool = False) -> None:
        if mask_type not in _RULES:
            raise ConfigError(f"unknown mask_type {mask_type!r}", hint=f"one of {', '.join(_RULES)}")
        volume = np.asarray(data)
        usable, _ = usable_voxels(VoxelSums.of_volume(as_floats(volume)), _RULES[mask_type])
        self.data_shape: tuple[int, ...] = volume.shape
        self.zero_mask: NDArray[np.bool_] = ~usable.reshape(volume.shape[1:])
        self.ind_cols_with_zeros: NDArray[np.intp] = np.argwhere(self.zero_mask)
        self.ind_cols_nonzeros: NDArray[np.intp] = np.argwhere(~self.zero_mask)
        self.data_with_zeros: NDArray[Any] = volume[:, self.zero_mask]
        self.data_nonzero: NDArray[Any] = volume[:, ~self.zero_mask]
