"""Learning a flow by maximum likelihood, stopped early."""

from __future__ import annotations

import math

import numpy as np
import torch

from xtec.core.types import FloatArray
from xtec.learned.flow.coupling import CouplingFlow
from xtec.learned.flow.whitening import Noise, Whitening
from xtec.learned.threads import one_torch_thread

_RATE = 4e-3
"""Of Adam's steps, at the most; it rises and falls over the training."""

_BATCH, _SMALL_BATCH, _STEPS = 512, 32, 8
"""Trajectories in a batch, at most; of few, an eighth, but some."""

_EPOCH = 4096
"""Trajectories in an epoch, at least: of fewer, each comes several times."""

_PATIENCE = 4
"""Epochs without gain after which it is over."""

_GIVEN_UP = -10.0
"""Log-density per temperature below which a trajectory is not learned from: the reference may hold a few wild
ones, and each would outweigh a batch."""


@one_torch_thread()
def train(
    flow: CouplingFlow,
    whitening: Whitening,
    noise: Noise,
    x: FloatArray,
    held_out: FloatArray,
    *,
    max_epochs: int,
    random_state: int,
) -> list[float]:
    """Train `flow` in place, up to the epoch that is best on what is held out.

    Parameters
    ----------
    flow : CouplingFlow
    whitening : Whitening
    noise : Noise
    x, held_out : array, shape (n, T)
        Trajectories.
    max_epochs, random_state : int

    Returns
    -------
    list of float
        Mean log-likelihood of what is held out, after each epoch.
    """
    rng = np.random.default_rng(random_state)
    batch = min(_BATCH, max(len(x) // _STEPS, _SMALL_BATCH))
    steps = max(_EPOCH, len(x)) // batch
    optimiser = torch.optim.Adam(flow.couplings.parameters(), lr=_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=max_epochs * steps)
    classes, level = whitening.classes(x), noise.bounded(noise(x))
    others = whitening.classes(held_out)
    test = whitening(held_out, others), noise.bounded(noise(held_out)), others
    seen: list[float] = []
    best = flow.weights()
    for _ in range(max_epochs):
        white = whitening(x + whitening.dither * rng.standard_normal(x.shape), classes)
        for which in _shuffled(len(x), steps * batch, rng).reshape(steps, batch):
            some = [torch.tensor(one[which], device=flow.device) for one in (white, level, classes)]
            log_density = flow.log_density(*some)
            loss = -log_density.clamp(min=_GIVEN_UP * x.shape[1]).mean()
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(flow.couplings.parameters(), 1.0)
            optimiser.step()
            schedule.step()
        held = flow.log_likelihood(*test)
        seen.append(float(np.maximum(held, _GIVEN_UP * x.shape[1]).mean()))
        if seen[-1] == max(seen):
            best = flow.weights()
        elif len(seen) - int(np.argmax(seen)) > _PATIENCE or not math.isfinite(seen[-1]):
            break
    flow.load(best)
    return seen


def _shuffled(n: int, wanted: int, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Numbers up to n in random order, and again until there are enough."""
    return np.concatenate([rng.permutation(n) for _ in range(math.ceil(wanted / n))])[:wanted]
