"""Stepwise EM: parameters move after every batch of trajectories, not after all of them.

Sums over batches are forgotten little by little, which brings a start near its optimum in a few sweeps where
there are many trajectories. It does not converge to a tolerance: batch iterations have the last word.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from xtec.mixture.em import expect, maximise
from xtec.mixture.moments import ComponentMoments
from xtec.mixture.parameters import MixtureParameters
from xtec.mixture.trajectories import Trajectories

_SWEEPS = 3
_DECAY = 0.7
"""The k-th batch (from 0) counts as (k+2)^-decay of all."""

_BATCHES = 16
_SMALLEST_BATCH = 1000


def sweep(data: Trajectories, start: MixtureParameters, rng: np.random.Generator) -> MixtureParameters:
    """Go through all trajectories a few times, batch by batch.

    A batch is from all over the shards, for they differ from each other.

    Parameters
    ----------
    data : Trajectories
    start : MixtureParameters
    rng : numpy Generator
        Draws the order of the batches.

    References
    ----------
    Liang & Klein, Online EM for unsupervised models, NAACL (2009).
    """
    n_batches = int(np.clip(data.n // _SMALLEST_BATCH, 1, _BATCHES))
    batches = data.batches(n_batches)
    order = np.concatenate([rng.permutation(n_batches) for _ in range(_SWEEPS)])
    parameters, kept = start, expect(data, start).moments
    for k, number in enumerate(order):
        batch = batches[number]
        share = (k + 2.0) ** -_DECAY
        moments = expect(batch, parameters).moments
        kept = _scaled(kept, 1 - share).merge(_scaled(moments, share * data.n / batch.n))
        parameters = maximise(data, kept, parameters)
    return parameters


def _scaled(moments: ComponentMoments, factor: float) -> ComponentMoments:
    return replace(moments, weight=moments.weight * factor, scatter=moments.scatter * factor)
