"""E and M sums of diagonal components in one pass over the trajectories, by CUDA kernels.

The kernels, in `em.cu`, are compiled for each number of components and of temperatures when it is first met.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xtec.core.arrays import home, like, namespace
from xtec.core.backend import n_multiprocessors, raw_kernel
from xtec.core.types import Float64Array
from xtec.mixture.fused import FusedModel, padded_shape

_LANES = 32
"""Threads of a warp."""

_MOST_COMPONENTS = 32
"""A thread keeps those of a row in registers."""

_WARPS = range(1, 9)
"""Of a block."""

_SHARED = 48 * 1024
"""Bytes that a block may share on any card."""

_SHARED_BY_ALL = 220 * 1024
"""Bytes that all blocks on a multiprocessor share; where a card has less, some blocks wait for others."""

_REGISTERS = {4: 80, 8: 168}
"""Of a thread, by the bytes of a number: what keeps everything in them."""

_ALL_REGISTERS = 65_536
"""Of a multiprocessor."""

_ENOUGH = 16
"""Warps that keep a multiprocessor at work."""

_SUMMING = 2
"""Rows that a lane could add up in the time in which a task is summed over lanes."""

_ROWS_KEPT = 8
"""Components times rows that a thread works on together, where it works on more than one row."""


@dataclass(frozen=True)
class Shape:
    """How the work is divided; compiled in.

    Attributes
    ----------
    warps : int
        Of a block.
    each : int
        Rows of a thread.
    blocks : int
        Of a multiprocessor.
    shared_bytes : int
        Of a block: a tile's trajectories and responsibilities.
    """

    warps: int
    each: int
    blocks: int
    shared_bytes: int

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return _LANES * self.warps

    @property
    def rows(self) -> int:
        """Rows of a tile."""
        return self.threads * self.each

    @classmethod
    def of(cls, k: int, t: int, itemsize: int) -> Shape:
        """The one that wastes least.

        Parameters
        ----------
        k, t : int
            Components and temperatures, filled up.
        itemsize : int
            Bytes of a number.
        """
        several = 2 if 2 * k <= _ROWS_KEPT else 1
        possible = [cls._with(k, t, itemsize, *one) for one in itertools.product(_WARPS, (1, several))]
        tasks = n_tasks(k, t)

        def efficiency(shape: Shape) -> float:
            """Of warps: whether all have tasks, do more than summing over lanes, and are enough."""
            turns, rows = -(-tasks // shape.warps), shape.rows / _LANES
            enough = min(1.0, shape.blocks * shape.warps / _ENOUGH)
            return tasks / (turns * shape.warps) * rows / (rows + _SUMMING) * enough

        return max((one for one in possible if one.shared_bytes <= _SHARED), key=efficiency)

    @classmethod
    def _with(cls, k: int, t: int, itemsize: int, warps: int, each: int) -> Shape:
        shared = (k + t) * _LANES * warps * each * itemsize
        registers = _REGISTERS[itemsize] * _LANES * warps
        return cls(warps, each, max(1, min(_SHARED_BY_ALL // shared, _ALL_REGISTERS // registers)), shared)


def n_tasks(k: int, t: int) -> int:
    """Tasks of a tile's M step: four temperatures of four components, or of two."""
    return k // (2 if k % 4 else 4) * (t // 4)


def fits(k: int, t: int, dtype: Any) -> bool:
    """Whether the kernels can take so many components and temperatures in this precision."""
    k, t = padded_shape(k, t)
    return k <= _MOST_COMPONENTS and (k + t) * _LANES * np.dtype(dtype).itemsize <= _SHARED


class CudaModel(FusedModel):
    """A mixture of diagonal components, for CuPy arrays; parameters and sums are those of `FusedModel`."""

    @cached_property
    def shape(self) -> Shape:
        """How the work is divided."""
        _, k, t = self.model.shape
        return Shape.of(k, t, self.model.itemsize)

    @cached_property
    def options(self) -> tuple[str, ...]:
        """What is compiled in."""
        real = "float" if self.model.itemsize == 4 else "double"
        constants = {
            "REAL": real,
            "N_COMPONENTS": self.model.shape[1],
            "N_FEATURES": self._shape[1],
            "WARPS": self.shape.warps,
            "EACH": self.shape.each,
            "BLOCKS": self.shape.blocks,
        }
        return tuple(f"-D{name}={value}" for name, value in constants.items())

    @cached_property
    def _values(self) -> NDArray[Any]:
        """Model in the frame, as the kernels read it."""
        scale, offset, mean = self.model
        pairs = np.stack([scale.T, offset.T], axis=-1)[: self._shape[1]]
        return np.concatenate([one.ravel() for one in (pairs, self.frame.T, mean, self.constant)])

    def sums(self, block: Any) -> Float64Array:
        """What a block adds to all sums, as of `FusedModel.sums`; it comes home.

        Parameters
        ----------
        block : CuPy array, shape (n, T)
            Fastest in Fortran order.
        """
        _, k, t = self.model.shape
        sums = np.zeros((k + 1, 2 * t + 1))
        if len(block):
            xp, grid = namespace(block), self._grid(block)
            partial = xp.empty((grid, k * (2 * t + 1) + 1), dtype=xp.float64)
            self._launch("sum_tiles", grid, block, partial, shared_bytes=self.shape.shared_bytes)
            total = home(xp.sum(partial, axis=0))
            sums[:k], sums[k, 0] = total[:-1].reshape(k, -1), total[-1]
        return sums

    def predict(self, block: Any) -> tuple[Any, Any]:
        """Most probable component of each trajectory, and its probability, as of `FusedModel.predict`."""
        xp = namespace(block)
        label, probability = xp.empty(len(block), dtype=xp.int16), xp.empty(len(block), dtype=xp.float32)
        if len(block):
            self._launch("label_rows", self._grid(block), block, label, probability)
        return label, probability

    def _grid(self, block: Any) -> int:
        """Blocks at work at once, or as many as there are tiles."""
        return min(n_multiprocessors(block) * self.shape.blocks, -(-len(block) // self.shape.rows))

    def _launch(self, name: str, grid: int, block: Any, *outputs: Any, shared_bytes: int = 0) -> None:
        elements = _whole_steps(namespace(block).asarray(block, dtype=self.model.dtype))
        layout = [
            np.int64(size) for size in (len(block), *(step // elements.itemsize for step in elements.strides))
        ]
        kernel = raw_kernel(source(), name, self.options, shared_bytes=shared_bytes)
        kernel(grid, self.shape.threads, [elements, *layout, like(self._values, block), *outputs])


def _whole_steps(block: Any) -> Any:
    """The array, or a copy if its strides are no multiples of its numbers."""
    return block.copy() if any(step % block.itemsize for step in block.strides) else block


@cache
def source() -> str:
    """Source of the kernels."""
    return resources.files("xtec.mixture").joinpath("em.cu").read_text(encoding="utf-8")
