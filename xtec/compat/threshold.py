"""The background threshold, rescalings, and trajectories that vary."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xtec.compat.arrays import as_floats, plane
from xtec.compat.masking import Mask_Zeros
from xtec.core.errors import ConfigError, InputError
from xtec.core.types import BackgroundThreshold, Float64Array, Rescale
from xtec.preprocess import Rescaled, find_threshold, rescale, varying

_KEEPS_ALL = -1e6
"""Cutoff in ln intensity that stands for none."""

_METHODS: dict[str, str | float] = {
    "KL": "kl",
    "simple": "simple",
    "no thresh": _KEEPS_ALL,
    "No threshold": _KEEPS_ALL,
}


class Threshold_Background:
    """Keep voxels whose mean intensity is above the background.

    Parameters
    ----------
    mask : Mask_Zeros
        n voxels that have intensity.
    bin_size : float, optional
        Bin width of the histogram of ln mean intensity; by default half the Freedman-Diaconis width.
    threshold_type : {"KL", "simple", "no thresh", "No threshold"}
        Kullback-Leibler cutoff, mean + 2 standard deviations, or none.
    max_iter : int
        Steps of the search for the Kullback-Leibler cutoff, at most.

    Attributes
    ----------
    data_thresholded : array, shape (T, N)
        Intensities of the N voxels kept.
    ind_thresholded : array of int, shape (N, ndim)
        Their indices.
    thresholded : array of int, shape (...)
        1 where a voxel was kept, else 0.
    mask_threshold : array of bool, shape (n,)
        Which of the mask's voxels were kept.
    LogI_cutoff : float
        In ln mean intensity.
    success : bool
        Whether there is a Kullback-Leibler cutoff that can be believed.
    x_bins, y_bins : array, shape (B,)
        Left edges and probability density of the histogram of ln mean intensity.
    bin_size : float
    data_shape, data_shape_orig : tuple
        (T, n), and the shape of the data before the mask.
    optimal_x_ind_cut, LTS_ind_cut : int
        ``KL``: number of the bin that starts at the cutoff, and of voxels below it.
    mean_opt, std_dev_opt : float
        ``KL``: mean and standard deviation of ln mean intensity below the cutoff.
    naive_mean, naive_std : float
        ``simple``: the same of all voxels.
    data_high_std_dev, data_low_std_dev : array, shape (T, m)
        After `Get_High_Variance`; with ``ind_high_std_dev``, ``ind_low_std_dev``, shape (m, ndim).
    traj_means, traj_std : array, shape (N,)
        After a rescaling.

    Raises
    ------
    ConfigError
        If `threshold_type` is unknown.
    InputError
        If there is no voxel, or no Kullback-Leibler cutoff can be formed.
    """

    def __init__(
        self,
        mask: Mask_Zeros,
        bin_size: float | None = None,
        threshold_type: str = "KL",
        max_iter: int = 100,
    ) -> None:
        if threshold_type not in _METHODS:
            raise ConfigError(
                f"unknown threshold_type {threshold_type!r}", hint=f"one of {', '.join(_METHODS)}"
            )
        self.threshold_type = threshold_type
        self.data_shape: tuple[int, ...] = mask.data_nonzero.shape
        self.data_shape_orig = mask.data_shape
        log_mean = np.log(mask.data_nonzero.mean(axis=0, dtype=np.float64))
        found = find_threshold(log_mean, _METHODS[threshold_type], bin_width=bin_size, max_steps=max_iter)
        self._describe(found, log_mean)
        self.mask_threshold: NDArray[np.bool_] = log_mean > found.cutoff
        self.data_thresholded: NDArray[Any] = mask.data_nonzero[:, self.mask_threshold]
        self.ind_thresholded: NDArray[np.intp] = mask.ind_cols_nonzeros[self.mask_threshold]
        self.thresholded: NDArray[np.int_] = np.zeros(mask.data_shape[1:], dtype=np.int_)
        self.thresholded[tuple(self.ind_thresholded.T)] = 1

    def _describe(self, found: BackgroundThreshold, log_mean: Float64Array) -> None:
        self.LogI_cutoff = found.cutoff
        self.x_bins = found.edges[:-1]
        self.y_bins = found.density
        self.bin_size = 1 / float(found.density.sum())
        self.success = found.method == "kl" and found.credible
        if found.method == "kl":
            self.optimal_x_ind_cut = int(np.searchsorted(self.x_bins, found.cutoff))
            self.LTS_ind_cut = int(np.count_nonzero(log_mean < found.cutoff))
            self.mean_opt, self.std_dev_opt = found.background_mean, found.background_std
            if not found.credible:
                warnings.warn(
                    f"the cutoff {found.cutoff:.4g} is too far from the mean of ln intensity to be believed; "
                    "try threshold_type='simple', or another region",
                    stacklevel=3,
                )
        elif found.method == "simple":
            self.naive_mean, self.naive_std = found.background_mean, found.background_std

    def Rescale_mean(self, data: ArrayLike) -> NDArray[Any]:
        """Divide each trajectory by its mean over temperature, and subtract 1.

        Parameters
        ----------
        data : array, shape (T, N)
            Intensities whose means are above zero.

        Returns
        -------
        array, shape (T, N)
        """
        made = _rescaled(data, Rescale.MEAN)
        self.traj_means = made.offset
        return made.rows.T

    def Rescale_zscore(self, data: ArrayLike) -> NDArray[Any]:
        """Subtract from each trajectory its mean over temperature, and divide by its standard deviation.

        Parameters
        ----------
        data : array, shape (T, N)
            Trajectories that vary.

        Returns
        -------
        array, shape (T, N)
        """
        made = _rescaled(data, Rescale.ZSCORE)
        self.traj_means, self.traj_std = made.offset, made.scale
        return made.rows.T

    def Get_High_Variance(self, data: ArrayLike, std_dev_cutoff: float = 0.5) -> None:
        """Tell trajectories that vary from quiet ones; see the attributes.

        Parameters
        ----------
        data : array, shape (T, N)
            Rescaled trajectories of the voxels kept.
        std_dev_cutoff : float
            Smallest standard deviation over temperature of those that vary.
        """
        rows = as_floats(data)
        high = varying(rows.T, std_dev_cutoff)
        self.data_high_std_dev: NDArray[Any] = rows[:, high]
        self.ind_high_std_dev: NDArray[np.intp] = self.ind_thresholded[high]
        self.data_low_std_dev: NDArray[Any] = rows[:, ~high]
        self.ind_low_std_dev: NDArray[np.intp] = self.ind_thresholded[~high]

    def plot_cutoff(self, figsize_: tuple[float, float] = (15, 15)) -> None:
        """Plot the histogram of ln mean intensity with background and cutoff, on a new pyplot figure."""
        from xtec.plotting import classic

        if self.threshold_type == "KL":
            classic.plot_cutoff(
                self.x_bins, self.y_bins, (self.mean_opt, self.std_dev_opt), self.LogI_cutoff, figsize_
            )
        elif self.threshold_type == "simple":
            classic.plot_cutoff(
                self.x_bins, self.y_bins, (self.naive_mean, self.naive_std), self.LogI_cutoff, figsize_
            )
        else:
            classic.plot_cutoff(self.x_bins, self.y_bins, None, None, figsize_)

    def plot_thresholding_2D_slice(
        self,
        figsize_: tuple[float, float] = (10, 10),
        slice_ind: int | None = None,
        axis_: int | None = None,
    ) -> Any:
        """Plot the voxels kept in one plane, on a new pyplot figure.

        Parameters
        ----------
        figsize_ : tuple (width, height)
            In inches.
        slice_ind, axis_ : int, optional
            Which plane, and perpendicular to which axis (0, 1, 2 for L, K, H); for 3-D data.

        Returns
        -------
        module
            ``matplotlib.pyplot``, to go on with.
        """
        from xtec.plotting import classic

        return classic.plot_plane(plane(self.thresholded, slice_ind, axis_), 0, figsize_)

    def plot_thresholding_3D(self) -> None:
        """Plot the voxels kept as points in three dimensions, on a new pyplot figure."""
        from xtec.plotting import classic

        classic.plot_points([self.ind_thresholded], self.data_shape_orig[1:], [classic.KEPT])


def _rescaled(data: ArrayLike, how: Rescale) -> Rescaled[Any]:
    try:
        return rescale(as_floats(data).T, how)
    except InputError as error:
        raise InputError(error.what, hint="leave such trajectories out first") from error
