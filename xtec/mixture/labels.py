"""Which component each trajectory is of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from xtec.core.arrays import library_of, numpy_dtype
from xtec.core.types import FloatArray, Rescale
from xtec.mixture.em import PlainModel
from xtec.mixture.fused import Frame, precision
from xtec.mixture.noise import Noisy
from xtec.mixture.noisy import NoisyModel
from xtec.mixture.parameters import MixtureParameters
from xtec.mixture.passes import fused_model, most_probable


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

    def __call__(self, block: Any) -> tuple[Any, Any]:
        """Component (0..K-1) of each trajectory of an array (n, T), and its probability; both (n,)."""
        frame = Frame.of_mixture(self.parameters)
        if isinstance(block, Noisy):
            return _behind_noise(self.parameters, self.noise, block).predict(block)
        model = fused_model(library_of(block), self.parameters, frame, numpy_dtype(block))
        if model is not None:
            return model.predict(block)
        return most_probable(PlainModel(self.parameters, frame.centre).responsibilities(block))


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

    def __call__(self, block: FloatArray | Noisy) -> Any:
        """Of a block of n trajectories, shape (n, K)."""
        if isinstance(block, Noisy):
            return _behind_noise(self.parameters, self.noise, block).shares(block)[0]
        centre = Frame.of_mixture(self.parameters).centre
        return PlainModel(self.parameters, centre).responsibilities(block)


def _behind_noise(parameters: MixtureParameters, noise: Rescale | None, block: Noisy) -> NoisyModel:
    if noise is None:
        raise ValueError("trajectories with noise, but a mixture fitted to some without")
    return NoisyModel(parameters, Frame.of_mixture(parameters), precision(numpy_dtype(block.rows)), noise)
