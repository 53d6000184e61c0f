"""A long step from two EM steps: squared extrapolation, SQUAREM."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from xtec.core.types import CovarianceType, Float64Array
from xtec.mixture.moments import has_full_scatter
from xtec.mixture.parameters import MixtureParameters
from xtec.mixture.trajectories import RELATIVE_FLOOR


def extrapolate(
    steps: tuple[MixtureParameters, MixtureParameters, MixtureParameters], floor: Float64Array
) -> MixtureParameters:
    """Where a mixture and its next two EM steps are heading.

    ln weights, means and ln variances are taken for a sequence that converges at one rate. The likelihood may
    be lower there; this must be judged, and the last step taken instead.

    Parameters
    ----------
    steps : three MixtureParameters
        Each is an EM step from the one before.
    floor : array, shape (T,)
        Smallest variance allowed at each temperature.

    Returns
    -------
    MixtureParameters
        The last step itself where it is no use to go further, or covariances are not diagonal.

    References
    ----------
    Varadhan & Roland, Scand. J. Stat. 35, 335 (2008), scheme S3.
    """
    last = steps[-1]
    if has_full_scatter(last.covariance_type) or any((one.weights <= 0).any() for one in steps):
        return last
    spread = np.sqrt(floor / RELATIVE_FLOOR)
    before, middle, after = (_coordinates(one, spread) for one in steps)
    step, change = middle - before, after - 2 * middle + before
    bend = np.linalg.norm(change)
    length = np.linalg.norm(step) / bend if bend > 0 else 1.0
    if length <= 1:
        return last
    with np.errstate(all="ignore"):
        found = _mixture(before + 2 * length * step + length**2 * change, last, spread, floor)
    sound = all(np.isfinite(one).all() for one in (found.weights, found.means, found.covariances))
    return found if sound else last


def _coordinates(parameters: MixtureParameters, spread: Float64Array) -> Float64Array:
    widths = 0.5 * np.log(parameters.covariances)
    return np.concatenate([np.log(parameters.weights), (parameters.means / spread).ravel(), widths.ravel()])


def _mixture(
    at: Float64Array, like: MixtureParameters, spread: Float64Array, floor: Float64Array
) -> MixtureParameters:
    k, size = like.n_components, like.means.size
    weights = np.exp(at[:k] - at[:k].max())
    covariances = np.exp(2 * at[k + size :]).reshape(like.covariances.shape)
    lowest = floor.mean() if like.covariance_type is CovarianceType.SPHERICAL else floor
    return replace(
        like,
        weights=weights / weights.sum(),
        means=at[k : k + size].reshape(like.means.shape) * spread,
        covariances=np.maximum(covariances, lowest),
    )
