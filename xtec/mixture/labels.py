"""Which component each trajectory is of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xtec.core.types import Float64Array, FloatArray, Rescale
from xtec.mixture.em import PlainModel
from xtec.mixture.fused import Frame, FusedModel, precision
from xtec.mixture.moments import has_full_scatter
from xtec.mixture.noise import Noisy
from xtec.mixture.noisy import NoisyModel
from xtec.mixture.parameters import MixtureParameters


@dataclass(frozen=True)
class Labeller:
    """Finds the most probable component of each trajectory. May be sent to other processes.

    Attributes
    ----------
    parameters : MixtureParameters
    noise : Rescale, optional
        As of `Trajectories`.
    """

    parameters: MixtureParameters
    noise: Rescale | None = None

    def __call__(self, block: FloatArray | Noisy) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
        """Component (0..K-1) of each trajectory of an array (n, T), and its probability; both (n,)."""
        frame = Frame.of_mixture(self.parameters)
        if isinstance(block, Noisy):
            return _behind_noise(self.parameters, self.noise, block).predict(block)
        full = has_full_scatter(self.parameters.covariance_type)
        if isinstance(block, np.ndarray) and not full:
            return FusedModel(self.parameters, frame, precision(block.dtype)).predict(block)
        share = PlainModel(self.parameters, frame.centre).responsibilities(block)
        return share.argmax(axis=1).astype(np.int16), share.max(axis=1).astype(np.float32)


@dataclass(frozen=True)
class Responsibilities:
    """Probability of each component for each trajectory. May be sent to other processes.

    Attributes
    ----------
    parameters : MixtureParameters
    noise : Rescale, optional
        As of `Trajectories`.
    """

    parameters: MixtureParameters
    noise: Rescale | None = None

    def __call__(self, block: FloatArray | Noisy) -> Float64Array:
        """Of a block of n trajectories, shape (n, K)."""
        if isinstance(block, Noisy):
            return _behind_noise(self.parameters, self.noise, block).shares(block)[0]
        centre = Frame.of_mixture(self.parameters).centre
        return PlainModel(self.parameters, centre).responsibilities(block)


def _behind_noise(parameters: MixtureParameters, noise: Rescale | None, block: Noisy) -> NoisyModel:
    if noise is None:
        raise ValueError("trajectories with noise, but a mixture fitted to some without")
    return NoisyModel(parameters, Frame.of_mixture(parameters), precision(block.rows.dtype), noise)
