"""E and M sums of diagonal components in one pass over the trajectories.

Rows are worked on in tiles that stay in the processor's cache, in the precision of the data: responsibilities
are never stored beyond a tile. What a tile adds up to is summed in float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xtec.core.types import Float64Array, FloatArray
from xtec.mixture import kernels
from xtec.mixture.moments import ComponentMoments
from xtec.mixture.parameters import MixtureParameters

LEAST = -1e30
"""Stands for ln 0, the weight of a component without any."""

_FARTHEST = 1e12
"""Means are brought as near as this, in standard deviations of all: squares must not overflow."""

_FEW = 256
"""Rows that say about where a block is."""

Layout = tuple[FloatArray, int, int, int]
"""Elements of an array (n, T) in a row, n, and the steps from one row and one column to the next."""


@dataclass(frozen=True)
class Frame:
    """Where trajectories are near the origin and of the size of one: there single precision is enough.

    Attributes
    ----------
    centre : array, shape (T,)
    unit : array, shape (T,)
        Powers of two, so that nothing is rounded.
    """

    centre: Float64Array
    unit: Float64Array

    @classmethod
    def of(cls, mean: Float64Array, variance: Float64Array) -> Frame:
        """Frame of trajectories with a mean and variance at each temperature."""
        bounded = np.maximum(variance, 1e-6 * variance.mean())
        exponent = np.clip(np.frexp(np.sqrt(bounded))[1], -126, 126)
        return cls(mean, np.ldexp(1.0, -exponent))

    @classmethod
    def of_mixture(cls, parameters: MixtureParameters) -> Frame:
        """Frame of the trajectories that a mixture describes."""
        mean = parameters.weights @ parameters.means
        return cls.of(mean, parameters.weights @ (parameters.variances() + (parameters.means - mean) ** 2))


def precision(dtype: Any) -> Any:
    """Precision that trajectories are worked on in: float32 as it is, anything else as float64."""
    return np.dtype(np.float32) if dtype == np.float32 else np.dtype(np.float64)


class FusedModel:
    """A mixture of diagonal components, rounded to the precision of the data.

    The rounded mixture is the one whose likelihood is summed and about whose means moments are taken, so
    rounding adds no noise to either. May be sent to other processes.

    Parameters
    ----------
    parameters : MixtureParameters
        Of a type that is diagonal.
    frame : Frame
    dtype : dtype
        float32 or float64, the precision of the data.
    """

    def __init__(self, parameters: MixtureParameters, frame: Frame, dtype: Any) -> None:
        k, t = parameters.means.shape
        unit = frame.unit
        self.frame = np.stack([frame.centre, unit]).astype(dtype)
        centre = self.frame[0].astype(np.float64)
        mean = np.clip((parameters.means - centre) * unit, -_FARTHEST, _FARTHEST)
        scale = (np.sqrt(0.5 / parameters.variances()) / unit).astype(dtype).astype(np.float64)
        with np.errstate(divide="ignore"):
            log_weights = np.log(parameters.weights)
        log_norms = np.log(scale * unit).sum(axis=1) - 0.5 * t * math.log(math.pi)
        self.model = np.zeros((3, *padded_shape(k, t)), dtype)
        self.model[:, :k, :t] = scale, mean * scale, mean
        self._set_constants(np.maximum(log_weights + log_norms, LEAST))
        self._shape = (k, t)

    def _set_constants(self, constant: Float64Array) -> None:
        """Constants of the components less the highest of them, and how far they are rounded."""
        k = len(constant)
        self.highest = float(constant.max())
        self.constant = np.full(self.model.shape[1], LEAST, self.model.dtype)
        self.constant[:k] = constant - self.highest
        exact = np.where(constant > LEAST, constant - self.highest, self.constant[:k])
        self.rounding = self.constant[:k] - exact

    def sums(self, block: FloatArray) -> Float64Array:
        """What a block adds to all sums; those of blocks add up to those of all.

        Parameters
        ----------
        block : array, shape (n, T)

        Returns
        -------
        array, shape (K'+1, 2T'+1)
            Of each component its weight, first and second moments (T' each) about its mean; in the last row
            the sum of ln densities. K' and T' are K and T filled up for the kernels.
        """
        _, k, t = self.model.shape
        sums = np.zeros((k + 1, 2 * t + 1))
        if len(block):
            kernels.sum_tiles(
                *layout_of(block, self.model.dtype), self.frame, self.model, self.constant, sums
            )
        return sums

    def expectation(self, sums: Float64Array, n: int) -> tuple[ComponentMoments, float]:
        """Moments, and the mean of ln densities, from the sums over blocks of n trajectories together."""
        k, t = self._shape
        weight, first, second = sums[:k, 0], *(part[:, :t] for part in np.split(sums[:k, 1:], 2, axis=1))
        step = first / np.where(weight > np.finfo(np.float64).tiny, weight, 1.0)[:, None]
        centre, unit = self.frame.astype(np.float64)
        mean = centre + (self.model[2, :k, :t] + step) / unit
        scatter = np.maximum(second - first * step, 0.0) / (unit * unit)
        log_likelihood = self.highest + float(sums[-1, 0] - weight @ self.rounding) / n
        return ComponentMoments(weight, mean, scatter), log_likelihood

    def predict(self, block: FloatArray) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
        """Most probable component (0..K-1) of each trajectory, and its probability; both of shape (n,)."""
        label, probability = np.empty(len(block), np.int16), np.empty(len(block), np.float32)
        if len(block):
            layout = layout_of(block, self.model.dtype)
            kernels.label_tiles(*layout, self.frame, self.model, self.constant, label, probability)
        return label, probability


def padded_shape(k: int, t: int) -> tuple[int, int]:
    """K and T filled up for the kernels."""
    return -(-k // kernels.PAIR) * kernels.PAIR, -(-t // kernels.FOUR) * kernels.FOUR


def moments_of_all(block: FloatArray) -> ComponentMoments:
    """Moments of a block (n, T) as one component: its size, mean and scatter at each temperature."""
    few = block[:: max(1, len(block) // _FEW)].astype(np.float64)
    frame = Frame.of(few.mean(axis=0), few.var(axis=0))
    layout = layout_of(block, precision(block.dtype))
    sums = np.zeros((2, block.shape[1]))
    rounded = np.stack([frame.centre, frame.unit]).astype(layout[0].dtype)
    kernels.sum_powers(*layout, rounded, sums)
    n, (centre, unit) = len(block), rounded.astype(np.float64)
    step = sums[0] / n
    scatter = np.maximum(sums[1] - n * step * step, 0.0)
    return ComponentMoments(np.array([float(n)]), (centre + step / unit)[None], (scatter / unit**2)[None])


def layout_of(block: FloatArray, dtype: Any) -> Layout:
    """One view for every memory order, so that kernels are compiled once a precision."""
    block = np.asarray(block, dtype)
    row, column = (step // block.itemsize for step in block.strides)
    if row < 0 or column < 0 or any(step % block.itemsize for step in block.strides):
        return layout_of(block.copy(), dtype)
    n, t = block.shape
    size = (n - 1) * row + (t - 1) * column + 1
    elements = np.lib.stride_tricks.as_strided(block, (size,), (block.itemsize,), writeable=False)
    return elements, n, row, column
