"""Averaging responsibilities over neighbouring voxels: ``R <- M R`` without ever forming M.

Voxels i and j are neighbours if a kernel of their distance d in pixels exceeds 0.01, and the rows of M add up
to one. The local kernel ``exp(-|d|^2 / l^2)`` reaches a few voxels: along the fastest axis those are runs of
the sorted voxels. The periodic kernel ``exp(-sum_i sin^2(pi d_i / u_i) / l^2)``, u pixels a Brillouin zone,
depends on the places within the zone alone: shares are summed zone-folded, and averaged there.

References
----------
Venderley et al., PNAS 119, e2109665119 (2022).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from xtec.core import grouped
from xtec.core.arrays import home, is_host, like, namespace, some_rows
from xtec.core.chunking import Block, rim
from xtec.core.compiled import compiled_sums
from xtec.core.types import Float64Array
from xtec.mixture.smooth_kernels import REACH, LocalKernel, PeriodicKernel, require_links

_FEWEST = 0.5
"""Places with fewer neighbours than this have none but by rounding."""

Boxes = Sequence[Sequence[Block]]
"""The boxes of voxels that each shard covers."""


class Neighbourhood(Protocol):
    """Neighbours on a grid. Shards tell what others need to know, and average with what all have told.

    A shard's arrays may be of any library; what all have told is of NumPy's.
    """

    def tell(self, number: int, index: Any, shares: Any) -> Any:
        """What other shards need to know of the responsibilities (n, K) in one shard."""

    def gather(self, told: Iterable[Any]) -> Any:
        """What all shards have told, in one."""

    @property
    def needs_own(self) -> bool:
        """Whether a shard needs its own responsibilities to average them, besides what is known of all."""

    def average(self, known: Any, number: int, index: Any, shares: Any) -> Any:
        """Averaged responsibilities of a shard's voxels, shape (n, K); their rows add up to one."""


def neighbourhood(
    kernel: LocalKernel | PeriodicKernel,
    shape: Sequence[int],
    boxes: Boxes | None = None,
    repeats: int = 1,
) -> Neighbourhood:
    """Neighbours of a kernel among the voxels of a grid.

    Parameters
    ----------
    kernel : LocalKernel or PeriodicKernel
    shape : sequence of int
        Of the grid, one to three axes.
    boxes : sequence of sequence of tuple of slice, optional
        Boxes of voxels that each shard covers; one shard has all by default.
    repeats : int
        How often responsibilities are averaged.

    Raises
    ------
    ConfigError
        If the grid has no two voxels that are neighbours.
    """
    if isinstance(kernel, PeriodicKernel):
        if all(size <= period for size, period in zip(shape, kernel.period, strict=True)):
            cells = [u for u, size in zip(kernel.unit_cell, shape, strict=True) if size > 1 and u > 1]
            least = min((math.sin(math.pi / u) for u in cells), default=0.0) / REACH
            require_links(kernel.length, least, "(of sines)")
        return _Folded(kernel, tuple(shape), repeats)
    return _Near(kernel, tuple(shape), boxes or [[tuple(slice(0, size) for size in shape)]], repeats)


def average(hood: Neighbourhood, index: NDArray[np.int64], shares: Float64Array) -> Float64Array:
    """Average responsibilities of all voxels, in one shard.

    Parameters
    ----------
    hood : Neighbourhood
    index : array, shape (n,), int64
        Flat C-order index of each voxel, in any order.
    shares : array, shape (n, K)
    """
    order = np.argsort(index, kind="stable")
    known = hood.gather([hood.tell(0, index[order], shares[order])])
    averaged = np.empty_like(shares)
    averaged[order] = hood.average(known, 0, index[order], shares[order])
    return averaged


@dataclass(frozen=True)
class _Near:
    """Neighbours of the local kernel; shards tell each other what lies near their faces."""

    kernel: LocalKernel
    shape: tuple[int, ...]
    boxes: Boxes
    repeats: int
    needs_own: ClassVar[bool] = True

    def tell(self, number: int, index: Any, shares: Any) -> tuple[Any, Any]:
        outer = rim(home(index), self.shape, self.boxes[number], self.repeats * self.kernel.reach)
        return some_rows(index, outer), some_rows(shares, outer)

    def gather(
        self, told: Iterable[tuple[NDArray[np.int64], Float64Array]]
    ) -> tuple[NDArray[np.int64], Float64Array]:
        indices, shares = zip(*told, strict=True)
        index = np.concatenate(indices)
        order = np.argsort(index)
        return index[order], np.concatenate(shares)[order]

    def average(
        self, known: tuple[NDArray[np.int64], Float64Array], number: int, index: Any, shares: Any
    ) -> Any:
        if index.size == 0:
            return shares
        xp, theirs = namespace(shares), self._near(known[0], home(index))
        everyone = xp.concat([index, like(known[0][theirs], index)])
        order = xp.argsort(everyone, stable=True)
        everyone = xp.take(everyone, order)
        together = xp.take(xp.concat([shares, like(known[1][theirs], shares)]), order, axis=0)
        for _ in range(self.repeats):
            sums = self._sums(everyone, together)
            together = sums[:, :-1] / sums[:, -1:]
        return xp.take(together, xp.searchsorted(everyone, index), axis=0)

    def _sums(self, index: Any, shares: Any) -> Any:
        """Weighted sums (n, K+1) over the neighbours of each voxel, of their shares and of the weights."""
        solid = (1,) * (3 - len(self.shape)) + self.shape
        offsets, weights = self.kernel.rows(solid)
        if not is_host(shares):
            return _summed_neighbours(index, solid, offsets, weights, shares)
        sums = np.zeros((len(index), shares.shape[1] + 1))
        _add_neighbours(index, np.array(solid), offsets, weights, shares, sums)
        return sums

    def _near(self, known: NDArray[np.int64], index: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Voxels of others that may lie within reach of one's own."""
        margin = (
            self.repeats
            * self.kernel.reach
            * sum(math.prod(self.shape[axis + 1 :]) for axis in range(len(self.shape)))
        )
        near = (known >= index[0] - margin) & (known <= index[-1] + margin)
        place = np.minimum(np.searchsorted(index, known), index.size - 1)
        return np.asarray(near & (index[place] != known))


def _summed_neighbours(
    index: Any, shape: Sequence[int], offsets: NDArray[np.int64], weights: Float64Array, shares: Any
) -> Any:
    """As `_add_neighbours`, in any array library: a search for each offset of the kernel."""
    xp, middle = namespace(shares), weights.shape[1] // 2
    place, strides = _spaced(index, shape, middle)
    ones = xp.ones((place.size, 1), dtype=shares.dtype, device=shares.device)
    added = xp.concat([shares, ones], axis=1)
    sums = xp.zeros_like(added)
    for row, along in np.argwhere(weights):
        wanted = place + int(np.dot((*offsets[row, :2], along - middle), strides))
        found = xp.minimum(xp.searchsorted(place, wanted), place.size - 1)
        weight = float(weights[row, along]) * xp.astype(xp.take(place, found) == wanted, shares.dtype)
        sums += weight[:, None] * xp.take(added, found, axis=0)
    return sums


def _spaced(index: Any, shape: Sequence[int], gap: int) -> tuple[Any, list[int]]:
    """Flat index in a grid with empty voxels after each row and plane, and the strides of that grid.

    No step of up to so many voxels along each axis leads from an edge of the grid to the other side.
    """
    strides = [math.prod(size + gap for size in shape[axis + 1 :]) for axis in range(len(shape))]
    place = namespace(index).zeros_like(index)
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        place, index = place + index % size * stride, index // size
    return place, strides


@compiled_sums
def _add_neighbours(
    index: NDArray[np.int64],
    shape: NDArray[np.int64],
    offsets: NDArray[np.int64],
    weights: Float64Array,
    shares: Float64Array,
    sums: Float64Array,
) -> None:
    """Weighted sums (n, K+1) over the neighbours of each voxel, of their shares and of the weights.

    Indices rise, so the neighbours in a row of voxels are a run that moves along with the voxel.
    """
    n_components = shares.shape[1]
    middle = weights.shape[1] // 2
    for row in range(offsets.shape[0]):
        first = 0
        for voxel in range(index.size):
            line, h = divmod(index[voxel], shape[2])
            k, other_l = line % shape[1] + offsets[row, 1], line // shape[1] + offsets[row, 0]
            if not (0 <= k < shape[1] and 0 <= other_l < shape[0]):
                continue
            start = (other_l * shape[1] + k) * shape[2]
            low = start + max(h - offsets[row, 2], 0)
            high = start + min(h + offsets[row, 2], shape[2] - 1)
            while first < index.size and index[first] < low:
                first += 1
            near = first
            while near < index.size and index[near] <= high:
                weight = weights[row, middle + index[near] - start - h]
                for component in range(n_components):
                    sums[voxel, component] += weight * shares[near, component]
                sums[voxel, n_components] += weight
                near += 1


@dataclass(frozen=True)
class _Folded:
    """Neighbours of the periodic kernel; shards tell sums over the places of a zone."""

    kernel: PeriodicKernel
    shape: tuple[int, ...]
    repeats: int
    needs_own: ClassVar[bool] = False

    def _place(self, index: Any) -> Any:
        """Flat index within the zone."""
        place = namespace(index).zeros_like(index)
        period = self.kernel.period
        for axis, size in enumerate(self.shape):
            along = index // math.prod(self.shape[axis + 1 :]) % size
            place += along % period[axis] * math.prod(period[axis + 1 :])
        return place

    def tell(self, number: int, index: Any, shares: Any) -> Any:
        place, n_places = self._place(index), math.prod(self.kernel.period)
        if not is_host(shares):
            return _summed_places(place, shares, n_places)
        sums = np.zeros((n_places, shares.shape[1] + 1))
        _add_to_places(place, shares, sums)
        return sums

    def gather(self, told: Iterable[Float64Array]) -> Float64Array:
        """Averaged shares at each place of the zone, shape (places, K)."""
        sums = sum(told, start=np.zeros(()))
        count = sums[:, -1:].copy()
        transfer = scipy.fft.rfftn(self.kernel.cells())[..., None]
        axes = tuple(range(len(self.kernel.period)))
        for _ in range(self.repeats):
            folded = scipy.fft.rfftn(sums.reshape(*self.kernel.period, -1), axes=axes) * transfer
            near = scipy.fft.irfftn(folded, s=self.kernel.period, axes=axes).reshape(sums.shape)
            shares = np.maximum(near[:, :-1], 0.0) / np.maximum(near[:, -1:], _FEWEST)
            sums = np.concatenate([shares * count, count], axis=1)
        return shares

    def average(self, known: Float64Array, number: int, index: Any, shares: Any) -> Any:
        return namespace(index).take(like(known, index), self._place(index), axis=0)


def _summed_places(place: Any, shares: Any, n_places: int) -> Any:
    """As `_add_to_places`, in any array library."""
    xp = namespace(shares)
    columns = [grouped.sums(shares[:, k], place, n_places) for k in range(shares.shape[1])]
    return xp.stack([*columns, xp.astype(grouped.counts(place, n_places), xp.float64)], axis=1)


@compiled_sums
def _add_to_places(place: NDArray[np.int64], shares: Float64Array, sums: Float64Array) -> None:
    n_components = shares.shape[1]
    for voxel in range(place.size):
        for component in range(n_components):
            sums[place[voxel], component] += shares[voxel, component]
        sums[place[voxel], n_components] += 1.0
