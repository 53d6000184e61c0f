"""Trajectories wherever they are: an array, several of them, or shards in other places."""

from __future__ import annotations

import copy
import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from xtec.core import parallel
from xtec.core.arrays import home, is_host, library_of, like, namespace, numpy_dtype, some_rows
from xtec.core.backend import device_of
from xtec.core.device import halving
from xtec.core.errors import DegenerateMixtureError
from xtec.core.shards import PartOf, Shards
from xtec.core.types import Float64Array, FloatArray, Rescale
from xtec.mixture.fused import Frame, moments_of_all, precision
from xtec.mixture.moments import ComponentMoments
from xtec.mixture.noise import Noisy, rows_of

Outcome = TypeVar("Outcome")
Blocks = FloatArray | Noisy | Sequence[FloatArray] | Sequence[Noisy] | Shards[Any]

RELATIVE_FLOOR = 1e-6
"""Smallest variance of a component, as a share of the data's variance at that temperature."""

_ROWS = 8192
"""Rows converted to float64 at a time."""

_ELSEWHERE_BYTES = 2**26
"""The same on other devices, in bytes: enough to fill a card, and little of its memory."""

_PIECES = 4
"""An array in memory is cut into a multiple of so many pieces, for threads to share."""

_PIECE = 16_384
"""Rows of a piece, about; less than twice as many are not worth a second thread."""


_SPREAD = 3
"""Shards of a batch at least, for those next to each other differ less than those far apart."""


class Trajectories:
    """Trajectories in shards, with the data's own mean and variance; they are never copied as a whole.

    Parameters
    ----------
    data : array, shape (n, T), sequence of such arrays, or Shards of them
        float32 or float64; their order does not matter but for rounding. Sums are fastest over arrays in
        Fortran order.
    noise : Rescale, optional
        If `data` are `Noisy` records in place of arrays: how their rows were rescaled, and so how noise goes
        with temperature.

    Attributes
    ----------
    n, n_features : int
    mean, variance : array, shape (T,), float64
    dtype : dtype
        Precision of sums over diagonal components.
    array_library : str
        Of the arrays, ``numpy`` or ``cupy`` for instance; empty where they differ.
    """

    def __init__(self, data: Blocks, noise: Rescale | None = None) -> None:
        self._shards = as_shards(data)
        self.noise = noise
        surveys = list(self._shards.map(_survey))
        self._sizes = np.array([one.n for one in surveys])
        self._keys = [one.key for one in surveys]
        self.n_features = surveys[0].moments.mean.shape[1]
        self.dtype = precision(np.result_type(*(one.dtype for one in surveys)))
        libraries = {one.array_library for one in surveys}
        self.array_library = libraries.pop() if len(libraries) == 1 else ""
        moments = ComponentMoments.empty(1, self.n_features, full=False)
        for one in surveys:
            moments = moments.merge(one.moments)
        self.mean: Float64Array = moments.mean[0]
        self.variance: Float64Array = moments.scatter[0] / max(self.n, 1)
        self.frame = Frame.of(self.mean, self.variance)

    @property
    def n(self) -> int:
        """Number of trajectories."""
        return int(self._sizes.sum())

    @property
    def floor(self) -> Float64Array:
        """Smallest variance a component may have at each temperature, shape (T,)."""
        return np.asarray(RELATIVE_FLOOR * np.maximum(self.variance, 1e-6 * self.variance.mean()))

    def require_spread(self) -> None:
        """Refuse to go on without any variance: a mixture of them has no finite likelihood.

        Raises
        ------
        DegenerateMixtureError
            If all trajectories are the same.
        """
        if not self.variance.any():
            raise DegenerateMixtureError(
                "all trajectories are the same: there is nothing to cluster",
                hint="another --rescale or region",
            )

    def map(self, function: Callable[[Any], Outcome]) -> Iterator[Outcome]:
        """Apply a picklable function to every array (n_i, T), where it is; outcomes in order."""
        return self._shards.map(function)

    def batches(self, n_batches: int) -> list[Trajectories]:
        """Parts of nearly the same size from all over the shards; mean and variance are those of all.

        Several whole shards make a batch, so that all batches together read them once; a share of every
        shard does where shards are few, or too different in size.
        """
        if len(self._shards) >= _SPREAD * n_batches:
            dealt = _deal(self._sizes, n_batches)
            if min(self._sizes[one].sum() for one in dealt) > 0.5 * self.n / n_batches:
                return [self._with(self._shards.some(one), self._sizes[one]) for one in dealt]
        ends = self._sizes * np.arange(n_batches + 1)[:, None] // n_batches
        return [
            self._with(PartOf(self._shards, _Share(number, n_batches)), ends[number + 1] - ends[number])
            for number in range(n_batches)
        ]

    def _with(self, shards: Shards[Any], sizes: NDArray[np.intp]) -> Trajectories:
        part = copy.copy(self)
        part._shards, part._sizes = shards, sizes
        return part

    def sample(self, rng: np.random.Generator, size: int) -> Trajectories:
        """Some of the trajectories as NumPy arrays, without repetition, in their order; not all the same.

        Which ones depends on the generator and the order of all trajectories, not on how they are split.
        """
        chosen = np.sort(rng.choice(self.n, min(self.n, size), replace=False))
        starts = np.cumsum(self._sizes) - self._sizes
        each = np.split(chosen, np.searchsorted(chosen, starts[1:]))
        local = {key: part - start for key, part, start in zip(self._keys, each, starts, strict=True)}
        parts = list(self.map(_Choice(local)))
        rows = np.asfortranarray(np.concatenate([rows_of(part) for part in parts]))
        if self.noise is None:
            sample = Trajectories(rows)
        else:
            sample = Trajectories(Noisy(rows, np.concatenate([part.noise for part in parts])), self.noise)
        sample.require_spread()
        return sample

    @property
    def plain(self) -> Trajectories:
        """The same trajectories as if they had no noise."""
        if self.noise is None:
            return self
        plain = self._with(PartOf(self._shards, rows_of), self._sizes)
        plain.noise = None
        return plain

    def rows(self) -> Float64Array:
        """All trajectories, shape (n, T), float64."""
        return np.concatenate(list(self.map(_as_float64)))


def as_shards(data: Blocks) -> Shards[Any]:
    """Arrays in this process are cut into pieces for its threads; shards are left as they are."""
    if isinstance(data, Shards):
        return data
    return _Pieces(data if isinstance(data, list | tuple) else [data])


def over_rows(block: Any, centre: Float64Array, work: Callable[[Any, slice], Outcome]) -> Iterator[Outcome]:
    """Work on some rows of a block at a time, in float64 with a centre subtracted, in its own library.

    Parameters
    ----------
    block : array, shape (n, T)
    centre : array, shape (T,)
    work : callable
        Is given the rows, and which of the block they are.
    """
    xp, middle = namespace(block), like(centre, block)

    def on_part(part: slice) -> Outcome:
        return work(xp.astype(some_rows(block, part), xp.float64) - middle, part)

    n, t = block.shape
    return halving(device_of(block), n, on_part, _ROWS if is_host(block) else _ELSEWHERE_BYTES // (8 * t))


class _Pieces:
    """Pieces of arrays in this process, worked on by as many threads as there are cores."""

    def __init__(self, arrays: Sequence[Any]) -> None:
        self._pieces = [piece for array in arrays for piece in _cut(array)]
        at_home = all(is_host(rows_of(piece)) for piece in self._pieces)
        self._n_threads = min(parallel.n_cores(), len(self._pieces)) if at_home else 1
        self._pool = ThreadPoolExecutor(self._n_threads) if self._n_threads > 1 else None

    def __len__(self) -> int:
        return len(self._pieces)

    def map(self, function: Callable[[Any], Outcome]) -> Iterator[Outcome]:
        """Apply a function to every piece; outcomes in order."""
        if self._pool is None:
            return (home(function(piece)) for piece in self._pieces)
        outcomes: dict[int, Outcome] = {}
        numbers = iter(range(len(self._pieces)))

        def work() -> None:
            """Take the next piece as long as there is one: cheaper than handing out each."""
            for number in numbers:
                outcomes[number] = home(function(self._pieces[number]))

        for job in [self._pool.submit(work) for _ in range(self._n_threads)]:
            job.result()
        return (outcomes[number] for number in range(len(self._pieces)))

    def derive(self, function: Callable[[Any], Any]) -> _Pieces:
        """Make every piece into another."""
        return _Pieces([function(piece) for piece in self._pieces])

    def some(self, numbers: Sequence[int]) -> _Pieces:
        """A few of them, to map over."""
        few = copy.copy(self)
        few._pieces = [self._pieces[number] for number in numbers]
        return few


def _deal(sizes: NDArray[np.intp], n: int) -> list[list[int]]:
    """Shards dealt out by falling size, each to the one of n that has least; equal ones at random."""
    mixed = np.random.default_rng(0).permutation(len(sizes))
    hands: list[list[int]] = [[] for _ in range(n)]
    total = np.zeros(n)
    for number in mixed[np.argsort(-sizes[mixed], kind="stable")]:
        least = int(total.argmin())
        hands[least].append(int(number))
        total[least] += sizes[number]
    return hands


def _cut(array: Any) -> list[Any]:
    n = len(array) if is_host(rows_of(array)) else 0
    if n < 2 * _PIECE:
        return [array]
    count = _PIECES * -(-n // (_PIECES * _PIECE))
    edges = [n * number // count for number in range(count + 1)]
    return [array[low:high] for low, high in itertools.pairwise(edges)]


@dataclass(frozen=True)
class _Survey:
    """What is to be known of a shard; `key` tells it from others wherever it is."""

    n: int
    dtype: Any
    array_library: str
    moments: ComponentMoments
    key: bytes


def _survey(block: Any) -> _Survey:
    block = rows_of(block)
    n, n_features = block.shape
    if is_host(block) and n:
        moments = moments_of_all(block)
    else:
        moments = ComponentMoments.empty(1, n_features, full=False)
        for part in over_rows(block, np.zeros(n_features), _as_one):
            moments = moments.merge(part)
    return _Survey(n, numpy_dtype(block), library_of(block), moments, _key(block))


def _as_one(rows: Any, part: slice) -> ComponentMoments:
    """Moments of some rows as one component."""
    xp = namespace(rows)
    mean = xp.mean(rows, axis=0)
    scatter = home(xp.sum((rows - mean) ** 2, axis=0))
    return ComponentMoments(np.array([float(part.stop - part.start)]), home(mean)[None], scatter[None])


def _key(block: Any) -> bytes:
    rows = rows_of(block)
    few = np.ascontiguousarray(home(some_rows(rows, slice(None, None, max(1, rows.shape[0] // 64)))))
    return hashlib.blake2b(few.tobytes(), key=rows.shape[0].to_bytes(8, "big"), digest_size=16).digest()


@dataclass(frozen=True)
class _Choice:
    """Takes the chosen rows of a shard."""

    rows: dict[bytes, NDArray[np.intp]]

    def __call__(self, block: Any) -> Any:
        rows = self.rows[_key(block)]
        return block[rows] if isinstance(block, Noisy) else some_rows(block, rows)


@dataclass(frozen=True)
class _Share:
    """Takes one of several equal parts of a shard."""

    number: int
    of: int

    def __call__(self, block: Any) -> Any:
        n = rows_of(block).shape[0]
        part = slice(n * self.number // self.of, n * (self.number + 1) // self.of)
        return block[part] if isinstance(block, Noisy) else some_rows(block, part)


def _as_float64(block: Any) -> Float64Array:
    return np.asarray(home(rows_of(block)), dtype=np.float64)
