"""A neural spline coupling flow whose networks cannot copy a temperature from its neighbours.

Coupling flows fail as novelty detectors because their networks predict what is masked from its neighbours,
which works for smooth data of any kind (Kirichenko, Izmailov & Wilson, NeurIPS 2020, arXiv:2006.08545).
Neighbouring temperatures are just such neighbours. Here the first couplings are between modes of the whole
scan. The last ones are between interleaved blocks of temperatures, so that most temperatures are masked
together with their neighbours. All networks have a narrow bottleneck.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from zuko.flows import GeneralCouplingTransform
from zuko.transforms import MonotonicRQSTransform

from xtec.core.types import Float64Array, FloatArray

_BINS = 8
"""Of the splines (Durkan et al., NeurIPS 2019, arXiv:1906.04032)."""

_BLOCKS = 4
"""Into which the scan is cut."""

LARGEST = 1024
"""Numbers that a design may hold."""

_CHUNK = 8192
"""Trajectories at a time."""


@dataclass(frozen=True)
class Design:
    """What a flow is built of.

    Attributes
    ----------
    n_temperatures : int
    n_transforms : int
        Couplings: a third of them between temperatures, the others between modes.
    n_classes : int
    hidden, bottleneck : int
        Width of the outer layers and of the narrow middle one of each network.
    """

    n_temperatures: int
    n_transforms: int
    n_classes: int
    hidden: int
    bottleneck: int

    @property
    def masks(self) -> list[NDArray[np.bool_]]:
        """What each coupling leaves as it is, and predicts the rest from."""
        index = np.arange(self.n_temperatures)
        block = max(self.n_temperatures // _BLOCKS, 1)
        return [
            (index if k < self.n_in_modes else index // block) % 2 == k % 2 for k in range(self.n_transforms)
        ]

    @property
    def n_in_modes(self) -> int:
        """Couplings between modes, which come first."""
        return self.n_transforms - self.n_transforms // 3

    @property
    def layers(self) -> tuple[int, ...]:
        """Of each network."""
        return self.hidden, self.bottleneck, self.hidden


class CouplingFlow:
    """Density of whitened trajectories, given their noise and class.

    Parameters
    ----------
    design : Design
    back : array, shape (K, T, T)
        Rotations from modes to temperatures.
    device : str
    """

    def __init__(self, design: Design, back: Float64Array, device: str) -> None:
        self.design, self.device = design, device
        shapes = [(_BINS,), (_BINS,), (_BINS - 1,)]
        self.couplings = torch.nn.ModuleList(
            GeneralCouplingTransform(
                design.n_temperatures,
                context=1 + design.n_classes,
                mask=torch.tensor(mask),
                univariate=MonotonicRQSTransform,
                shapes=shapes,
                hidden_features=design.layers,
            )
            for mask in design.masks
        ).to(device)
        for coupling in self.couplings:
            # Splines that hardly differ from the identity are a good start for whitened data.
            with torch.no_grad():
                coupling.hyper[-1].weight.mul_(0.1)
                coupling.hyper[-1].bias.zero_()
        self._back = torch.tensor(back, dtype=torch.float32, device=device)

    def log_density(self, x: Any, noise: Any, classes: Any) -> Any:
        """Of whitened trajectories (n, T) with noise and classes (n,): tensor (n,), up to a constant."""
        which = torch.nn.functional.one_hot(classes, self.design.n_classes).to(x.dtype)
        gained, context = 0.0, torch.cat([noise[:, None], which], dim=1)
        for k, coupling in enumerate(self.couplings):
            if k == self.design.n_in_modes:
                x = torch.einsum("nk,nt,kts->ns", which, x, self._back)
            x, more = coupling(context).call_and_ladj(x)
            gained = gained + more
        return gained - x.square().sum(dim=-1) / 2

    def log_likelihood(self, x: FloatArray, noise: FloatArray, classes: NDArray[np.int64]) -> Float64Array:
        """The same with arrays, some thousands at a time."""
        parts = []
        for start in range(0, len(x), _CHUNK):
            few = slice(start, start + _CHUNK)
            some = [torch.tensor(one[few], device=self.device) for one in (x, noise, classes)]
            with torch.no_grad():
                parts.append(self.log_density(*some).double().cpu().numpy())
        return np.concatenate(parts) if parts else np.zeros(0)

    def weights(self) -> dict[str, FloatArray]:
        """Weights of all networks by name."""
        held = self.couplings.state_dict()
        return {name: held[name].cpu().numpy().copy() for name in self._names}

    def load(self, weights: Mapping[str, NDArray[Any]]) -> None:
        """Take weights from elsewhere.

        Raises
        ------
        ValueError
            If names, shapes or types are not those of this design.
        """
        own = self.weights()
        if own.keys() != weights.keys():
            raise ValueError("weights of other names")
        for name, array in weights.items():
            if array.shape != own[name].shape or array.dtype != own[name].dtype:
                raise ValueError(f"{name} is {array.dtype} {array.shape}, not {own[name].shape}")
            if not np.isfinite(array).all():
                raise ValueError(f"{name} is not finite")
        held = {name: torch.tensor(array) for name, array in weights.items()}
        self.couplings.load_state_dict(held, strict=False)

    @property
    def _names(self) -> list[str]:
        return [name for name, _ in self.couplings.named_parameters()]
