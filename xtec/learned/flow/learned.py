"""What is learned from a reference series, and how it is kept."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xtec.core.types import Float64Array, FloatArray
from xtec.learned.flow.coupling import LARGEST, CouplingFlow, Design
from xtec.learned.flow.judging import Judge
from xtec.learned.flow.whitening import Noise, Whitening
from xtec.plugins.state import State

_WHITENING = ("means", "modes", "constants")
_JUDGE = ("noise", "middle", "spread", "usual", "levels")


@dataclass(frozen=True)
class Learned:
    """All that a score needs.

    Attributes
    ----------
    whitening : Whitening
    noise : Noise
    flow : CouplingFlow
    judge : Judge
    typicality : bool
        Whether a trajectory may also be too likely, or have too little noise.
    """

    whitening: Whitening
    noise: Noise
    flow: CouplingFlow
    judge: Judge
    typicality: bool

    def scores(self, x: FloatArray) -> Float64Array:
        """Of trajectories (n, T): array (n,)."""
        likelihood, noise = likelihoods(self.whitening, self.noise, self.flow, x)
        return self.judge.score(likelihood, noise, typicality=self.typicality)

    def state(self) -> State:
        """All of it as arrays and facts."""
        arrays = {f"flow/{name}": array for name, array in self.flow.weights().items()}
        arrays |= {name: getattr(self.whitening, name) for name in _WHITENING}
        arrays |= {f"judge/{name}": getattr(self.judge, name) for name in _JUDGE}
        design, noise = self.flow.design, self.noise
        facts = {
            "design": list(astuple(design)),
            "noise": [noise.low, noise.high, noise.centre, noise.width],
            "dither": self.whitening.dither,
            "typicality": bool(self.typicality),
        }
        return State(arrays, facts)

    @classmethod
    def from_state(cls, state: State, device: str) -> Learned:
        """The same again.

        Raises
        ------
        KeyError, TypeError, ValueError
            If the state is of something else.
        """
        arrays, facts = dict(state.arrays), state.facts
        design = Design(*(int(one) for one in facts["design"]))
        t, k = design.n_temperatures, design.n_classes
        if t < 2 or not all(0 < one <= LARGEST for one in astuple(design)):
            raise ValueError(f"a flow of {design}")
        shapes = [(k, t), (k, t, t), (k,)]
        named = zip(_WHITENING, shapes, strict=True)
        means, modes, constants = (plain(arrays.pop(name), shape) for name, shape in named)
        whitening = Whitening(means, modes, constants, float(facts["dither"]))
        at, middle, spread, usual, levels = (plain(arrays.pop(f"judge/{name}")) for name in _JUDGE)
        if not len(at) == len(middle) == len(spread) or (spread <= 0).any() or (np.diff(usual) < 0).any():
            raise ValueError("no likelihoods of a reference")
        with torch.random.fork_rng(devices=[]):
            flow = CouplingFlow(design, whitening.back, device)
        flow.load({name.removeprefix("flow/"): array for name, array in arrays.items()})
        noise = Noise(*(float(one) for one in facts["noise"]))
        return cls(
            whitening, noise, flow, Judge(at, middle, spread, usual, levels), bool(facts["typicality"])
        )


def likelihoods(
    whitening: Whitening, noise: Noise, flow: CouplingFlow, x: FloatArray
) -> tuple[Float64Array, FloatArray]:
    """Log-likelihoods given the noise, up to a constant, and the noise, of trajectories (n, T)."""
    classes, level = whitening.classes(x), noise(x)
    gained = flow.log_likelihood(whitening(x, classes), noise.bounded(level), classes)
    return gained + whitening.constants[classes], level


def plain(array: NDArray[Any], shape: tuple[int, ...] | None = None) -> Float64Array:
    """A finite array of this shape; by default of one dimension and any length but none."""
    array = np.asarray(array, dtype=np.float64)
    if (array.ndim != 1 or not array.size) if shape is None else array.shape != shape:
        raise ValueError(f"an array of shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError("an array that is not finite")
    return array
