"""Averaging responsibilities over neighbouring voxels (label smoothing)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from timing import Answer, Benchmark, Contender

from xtec.compat.markov import GMM_kernels
from xtec.mixture.smoothing import LocalKernel, PeriodicKernel, neighbourhood
from xtec_pipelines.streaming.holding import Kept

_PLANES = 5
_K = 4
_CELL = 20
"""Pixels a zone, of the simulated slab."""


def benchmark(kept: Kept, shape: tuple[int, ...]) -> Benchmark:
    """Both kernels among the voxels of a few planes, against an explicit sparse matrix of the local one."""
    few = (min(_PLANES, shape[0]), *shape[1:])
    index = kept.index[: np.searchsorted(kept.index, math.prod(few))]
    shares = np.random.default_rng(0).dirichlet(np.ones(_K), index.size)
    periodic = PeriodicKernel(0.1, (_CELL,) * len(few))
    matrix = GMM_kernels.Build_Markov_Matrix(np.stack(np.unravel_index(index, few), axis=1), 1.0)
    return Benchmark(
        "smoothing",
        f"Label smoothing, n = {index.size} voxels of {' x '.join(map(str, few))}, K = {_K}",
        [
            Contender(
                "xtec: local, l = 1 pixel",
                "ours",
                lambda: _average(LocalKernel(1.0), few, index, shares),
                _judge,
            ),
            Contender(
                f"explicit matrix of {matrix.nnz} entries, applied", "peer", lambda: matrix @ shares, _judge
            ),
            Contender(
                f"xtec: periodic, {_CELL} pixels a zone, l = 0.1",
                "peer",
                lambda: _average(periodic, few, index, shares),
            ),
            Contender("floor: shares copied once", "floor", shares.copy),
        ],
        note="Ours includes making the operator. The reference takes 825 s to make its matrix of 118,445 "
        "voxels (its tutorial).",
        same=("sum of squares",),
        within=1e-9,
    )


def _average(
    kernel: LocalKernel | PeriodicKernel, shape: tuple[int, ...], index: NDArray[Any], shares: NDArray[Any]
) -> NDArray[Any]:
    hood = neighbourhood(kernel, shape)
    return hood.average(hood.gather([hood.tell(0, index, shares)]), 0, index, shares)


def _judge(averaged: NDArray[Any]) -> Answer:
    return {"sum of squares": float((averaged**2).sum())}
