"""How noisy an intensity is: variance over mean, the count scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import gammaincinv

from xtec.core.arrays import home, like
from xtec.core.errors import InputError
from xtec.core.types import Float64Array, FloatArray, Rescale, Significance
from xtec.preprocess.rescaling import Rescaled

_BINS = 20
_VOXELS_A_BIN = 500

_QUIET = 0.1


@dataclass(frozen=True)
class CountScale:
    """Variance of an intensity over its mean, against the mean.

    Intensities that are counts divided by a constant c have ``1/c`` everywhere. Merged and symmetrised
    volumes need not be so even: bright voxels vary by more than counting.

    Attributes
    ----------
    intensity : array, shape (m,)
        Mean intensities, rising.
    scale : array, shape (m,)
        Variance over mean at these.
    """

    intensity: Float64Array
    scale: Float64Array

    @classmethod
    def constant(cls, counts_per_unit: float) -> CountScale:
        """Intensities are counts divided by `counts_per_unit`."""
        return cls(np.ones(1), np.array([1 / counts_per_unit]))

    @classmethod
    def of(cls, found: Significance) -> CountScale:
        """As significance was judged by: all voxels' scale, and the systematic error of bright ones."""
        return cls(found.intensity, found.scale + found.systematic**2 * found.intensity)

    @classmethod
    def estimate(cls, mean: Float64Array, variance: Float64Array, freedom: float) -> CountScale:
        """Median of variance over mean, in bins of mean intensity with as many voxels each.

        Parameters
        ----------
        mean, variance : array, shape (n,)
            Of voxels of which in every bin more than half vary by noise alone; means above zero.
        freedom : float
            Degrees of freedom of a variance. The median of so few numbers squared lies below their mean.

        Raises
        ------
        InputError
            If no voxel varies, or there is none.
        """
        if not mean.size:
            raise InputError("no mean intensity is above zero: counting noise cannot be told")
        n_bins = int(np.clip(len(mean) // _VOXELS_A_BIN, 1, _BINS))
        bins = np.array_split(np.argsort(mean, kind="stable"), n_bins)
        intensity = np.array([np.median(mean[one]) for one in bins])
        scale = np.array([np.median(variance[one] / mean[one]) for one in bins])
        scale *= freedom / (2 * gammaincinv(freedom / 2, 0.5))  # the median of chi-square
        sound = (scale > 0) & np.concatenate([[True], np.diff(intensity) > 0])
        if not sound.any():
            raise InputError("intensities do not vary: counting noise cannot be told", hint="--noise none")
        return cls(intensity[sound], scale[sound])

    def __call__(self, mean: Float64Array) -> Float64Array:
        """Variance over mean at some mean intensities: linear between logarithms, flat outside."""
        with np.errstate(divide="ignore", invalid="ignore"):
            at = np.log(np.maximum(mean, self.intensity[0]))
        scale: Float64Array = np.exp(np.interp(at, np.log(self.intensity), np.log(self.scale)))
        return scale


def quiet_scale(mean: Float64Array, variance: Float64Array, freedom: int) -> float:
    """Variance over mean that the quietest tenth of voxels shows; 0 where there is none.

    Parameters
    ----------
    mean, variance : array, shape (n,)
        Of voxels many of which may vary by more than noise; means above zero.
    freedom : int
        Degrees of freedom of a variance.
    """
    if not mean.size:
        return 0.0
    quiet = float(np.quantile(variance / mean, _QUIET))
    return quiet * freedom / (2 * float(gammaincinv(freedom / 2, _QUIET)))


def noise_of_rescaled(
    scale: CountScale, mean: Float64Array, rescaled: Rescaled[Any], size: Float64Array | float = 1.0
) -> FloatArray:
    """Variance of the counting noise of rescaled trajectories, where the intensity is its own mean.

    Parameters
    ----------
    scale : CountScale
    mean : array, shape (n,)
        Mean intensities.
    rescaled : Rescaled
        n trajectories.
    size : array, shape (n,), or float
        How many voxels each is the mean of.

    Returns
    -------
    array, shape (n,), float32
        Of trajectories that are not rescaled: for a unit of intensity.
    """
    here = home(mean)
    if rescaled.how is Rescale.NONE:
        relative = np.ones_like(here)
    elif rescaled.how is Rescale.ZSCORE:
        relative = here / home(rescaled.scale).astype(np.float64) ** 2
    else:
        relative = 1 / here
    noise: FloatArray = like(np.asarray(scale(here) * relative / size, dtype=np.float32), mean)
    return noise
