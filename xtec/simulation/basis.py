"""Line shapes as sums of Gaussians of a few fixed widths.

A Gaussian is a product over the axes, so that a whole lattice of peaks becomes two small matrix products a
plane instead of a sum over peaks. A Lorentzian is one too: ``1 / (1 + x^2/k^2)`` is the integral over s of
``exp(-s) exp(-s x^2/k^2)``, which the trapezoidal rule on a logarithmic grid of widths gives to a part in a
thousand. The widest Gaussian ends its tail.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xtec.core.types import Float64Array

_RATIO = 1.6
"""Between neighbouring widths; 1.6 keeps the ripple of a Lorentzian's height below 2e-4."""


@dataclass(frozen=True)
class GaussianBasis:
    """Gaussians of intrinsic widths 0, s1, s2, ... in r.l.u., all convolved with the resolution.

    Parameters
    ----------
    resolution : float
        Standard deviation of the resolution in r.l.u.
    intrinsic : array, shape (J,)
        Standard deviations before convolution, the first 0, the others a geometric series.
    """

    resolution: float
    intrinsic: Float64Array

    @classmethod
    def spanning(cls, resolution: float, widest: float) -> GaussianBasis:
        """Widths from a third of the resolution to `widest` (r.l.u.)."""
        narrowest = resolution / 3.0
        steps = max(1, int(np.ceil(np.log(max(widest / narrowest, 1.0)) / np.log(_RATIO))))
        return cls(resolution, np.concatenate([[0.0], narrowest * _RATIO ** np.arange(steps + 1)]))

    def __len__(self) -> int:
        return len(self.intrinsic)

    @property
    def widths(self) -> Float64Array:
        """Standard deviations after convolution, shape (J,), r.l.u."""
        return np.asarray(np.sqrt(self.resolution**2 + self.intrinsic**2))

    def profiles(self, coordinates: Float64Array, centres: Float64Array) -> Float64Array:
        """One-dimensional Gaussians of height 1.

        Parameters
        ----------
        coordinates : array, shape (n,)
        centres : array, shape (m,)

        Returns
        -------
        array, shape (J, n, m)
        """
        distance = coordinates[:, None] - centres[None, :]
        exponent = -0.5 * (distance[None] / self.widths[:, None, None]) ** 2
        # Subnormal numbers slow the matrix products tenfold and cannot be seen.
        return np.asarray(np.where(exponent > -60.0, np.exp(np.maximum(exponent, -60.0)), 0.0))

    def gaussian(self) -> Float64Array:
        """Weights (J,) of a resolution-limited peak of height 1."""
        weights = np.zeros(len(self))
        weights[0] = 1.0
        return weights

    def lorentzian(self, width: float) -> Float64Array:
        """Weights (J,) of ``1 / (1 + |dq|^2 / width^2)`` convolved with the resolution (3-D)."""
        sigma = self.intrinsic[1:]
        s = width**2 / (2.0 * sigma**2)
        smearing = (sigma / self.widths[1:]) ** 3
        return np.concatenate([[0.0], 2.0 * np.log(_RATIO) * s * np.exp(-s) * smearing])

    def pseudo_voigt(self, tail: float) -> Float64Array:
        """Weights (J,): a share `tail` of the height Lorentzian (two resolutions wide), the rest Gaussian."""
        lorentzian = self.lorentzian(2.0 * self.resolution)
        return np.asarray((1.0 - tail) * self.gaussian() + tail * lorentzian / lorentzian.sum())
