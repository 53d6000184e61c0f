"""Peaks: voxels above the threshold that touch, averaged."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xtec.compat.arrays import as_floats
from xtec.compat.threshold import Threshold_Background
from xtec.core.errors import InputError, NothingToClusterError
from xtec.core.types import Float64Array
from xtec.peaks import average_peaks, connect


class Peak_averaging:
    """Join voxels above the threshold into peaks, and average the intensity of each.

    Voxels belong to one peak if they touch, diagonals included.

    Parameters
    ----------
    intensity : array, shape (T, ...)
        What is averaged: as a rule the data that were thresholded.
    threshold : Threshold_Background

    Attributes
    ----------
    peak_avg_data : array, shape (T, P)
        Mean intensity of each peak's voxels.
    peak_avg_ind_list : list of array of int, shape (n_p, ndim)
        Indices of the voxels of each peak. Peaks are in the order of their first voxels.

    Raises
    ------
    InputError
        If `intensity` is on another grid than the threshold.
    NothingToClusterError
        If no voxel is above the threshold.
    """

    def __init__(self, intensity: ArrayLike, threshold: Threshold_Background) -> None:
        volume = as_floats(intensity)
        above = threshold.thresholded.astype(bool)
        if volume.shape[1:] != above.shape:
            raise InputError(f"intensities on a grid {volume.shape[1:]}, the threshold on {above.shape}")
        if not above.any():
            raise NothingToClusterError("no voxel is above the threshold", hint="another threshold_type")
        peak = connect(np.flatnonzero(above), above.shape)
        self.peak_avg_data: Float64Array = average_peaks(volume[:, above].T, peak).T
        by_peak = np.argwhere(above)[np.argsort(peak, kind="stable")]
        self.peak_avg_ind_list: list[NDArray[np.intp]] = np.split(by_peak, np.cumsum(np.bincount(peak))[:-1])
