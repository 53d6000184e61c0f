"""Trajectories whitened within their class, and how noisy each is."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from xtec.core.types import Float64Array, FloatArray

_FLOOR = 1e-6
"""Least variance of a mode, in those of the largest: rescaled trajectories have a mode without any."""

_EACH = 200
"""Trajectories for each class."""

_TRIMMED = 0.02
"""Share of trajectories, the farthest ones, that the covariance is not to depend on."""

_FAR = 1e4
"""Standard deviations beyond which all is alike."""

_TINY = 1e-12


@dataclass(frozen=True)
class Whitening:
    """Classes of reference trajectories, and the principal modes of each in standard deviations.

    A flow of one piece bridges the gaps between classes, where it then finds nothing novel. So trajectories
    are whitened among those that are nearest to the same mean.

    Attributes
    ----------
    means : array, shape (K, T)
    modes : array, shape (K, T, T)
        Columns are a class's modes divided by their standard deviations, the largest first.
    constants : array, shape (K,)
        Log-likelihood of the class and of the change of scale.
    dither : float
        Standard deviation of the noise that is added to the trajectories learned from, so that modes without
        any variance have some. All others are far above it.
    """

    means: Float64Array
    modes: Float64Array
    constants: Float64Array
    dither: float

    @classmethod
    def of(cls, x: FloatArray, n_classes: int, random_state: int) -> Whitening:
        """Of reference trajectories (n, T); a few wild ones have no say in it.

        Parameters
        ----------
        x : array, shape (n, T)
        n_classes : int
            At most: each has some hundred trajectories.
        random_state : int
            Of k-means.
        """
        x = np.asarray(x, dtype=np.float64)
        scales, vectors = _modes(np.cov(x.T), 0.0)
        far = np.square((x - np.median(x, axis=0)) @ (vectors / scales)).sum(axis=1)
        x = x[far <= np.quantile(far, 1 - _TRIMMED)]
        k_means = KMeans(int(np.clip(len(x) // _EACH, 1, n_classes)), n_init=2, random_state=random_state)
        with warnings.catch_warnings():
            # Of fewer different trajectories than classes, some classes stay empty.
            warnings.simplefilter("ignore", ConvergenceWarning)
            k_means.fit(x)
        means = np.asarray(k_means.cluster_centers_, dtype=np.float64)
        sizes = np.bincount(k_means.labels_, minlength=len(means))
        means = means[sizes >= min(_EACH // 4, sizes.max())]
        own = _nearest(x, means)
        pooled = np.cov((x - means[own]).T)
        floor = max(_FLOOR * float(np.linalg.eigvalsh(np.cov(x.T))[-1]), _TINY)
        modes, constants = [], []
        for k in range(len(means)):
            members = x[own == k]
            n, t = members.shape
            means[k] = members.mean(axis=0)
            scales, vectors = _modes((n * np.cov(members.T) + t * pooled) / (n + t), floor)
            modes.append(vectors / scales)
            constants.append(np.log(n / len(x)) - np.log(scales).sum())
        return cls(means, np.array(modes), np.array(constants), float(np.sqrt(floor)))

    @property
    def back(self) -> Float64Array:
        """Rotations (K, T, T) that take whitened modes to whitened temperatures."""
        return np.asarray((self.modes / np.linalg.norm(self.modes, axis=1, keepdims=True)).transpose(0, 2, 1))

    def classes(self, x: FloatArray) -> NDArray[np.int64]:
        """Nearest mean of each trajectory (n, T), array (n,)."""
        return _nearest(np.asarray(x, dtype=np.float64), self.means)

    def __call__(self, x: FloatArray, classes: NDArray[np.int64]) -> FloatArray:
        """Trajectories (n, T) in the whitened modes of their classes (n,), float32."""
        white = np.empty(x.shape, dtype=np.float32)
        for k in range(len(self.means)):
            own = classes == k
            white[own] = np.clip((x[own] - self.means[k]) @ self.modes[k], -_FAR, _FAR)
        return white


def _modes(covariance: Float64Array, floor: float) -> tuple[Float64Array, Float64Array]:
    """Standard deviations (T,) and vectors (T, T) of the modes, the largest first."""
    variances, vectors = np.linalg.eigh(covariance)
    scales = np.sqrt(np.maximum(variances, 0.0) + max(floor, _FLOOR * float(variances[-1]), _TINY))
    return scales[::-1], vectors[:, ::-1]


def _nearest(x: FloatArray, means: Float64Array) -> NDArray[np.int64]:
    # |x|^2 is the same for all means.
    return np.asarray((np.square(means).sum(axis=1) - 2 * x @ means.T).argmin(axis=1))


@dataclass(frozen=True)
class Noise:
    """Logarithm of the mean second difference along a trajectory, which smooth changes hardly add to.

    It is standardised by the reference.

    Attributes
    ----------
    low, high : float
        Range in the reference, standardised.
    centre, width : float
        What it is standardised by.
    """

    low: float
    high: float
    centre: float
    width: float

    @classmethod
    def of(cls, x: FloatArray) -> Noise:
        """As it is in reference trajectories (n, T)."""
        level = _level(x)
        centre, width = float(level.mean()), max(float(level.std()), 1e-3)
        low, high = (np.quantile(level, [0.002, 0.998]) - centre) / width
        return cls(float(low), float(high), centre, width)

    def __call__(self, x: FloatArray) -> FloatArray:
        """Of trajectories (n, T): array (n,), float32."""
        return np.asarray((_level(x) - self.centre) / self.width, dtype=np.float32)

    def bounded(self, noise: FloatArray) -> FloatArray:
        """The same with the ends of the range for what is beyond."""
        return np.clip(noise, np.float32(self.low), np.float32(self.high))


def _level(x: FloatArray) -> Float64Array:
    roughness = np.abs(np.diff(np.asarray(x, dtype=np.float64), 2, axis=1)).mean(axis=1)
    return np.asarray(np.log(roughness + _TINY))
