"""Cutting what is wanted of a dataset into the pieces in which it is stored."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Wanted: TypeAlias = slice | NDArray[np.intp]
"""What is wanted along one dimension: a range (with both ends, no step), or indices in any order."""

Box: TypeAlias = Sequence[Wanted]
"""What is wanted of a dataset, one entry for each of its dimensions."""


class BoxReader(Protocol):
    """A dataset that is open for reading."""

    def read(self, box: Box, out: NDArray[Any]) -> None:
        """Fill `out`, whose dimensions are the dataset's and whose strides may be any."""


class Piece(NamedTuple):
    """What is wanted along one dimension of one chunk.

    Attributes
    ----------
    number : int
        Of the chunk along the dimension.
    inside : slice or array
        What is wanted of the chunk.
    target : slice or array
        Where it goes.
    whole : bool
        Whether all of the chunk is wanted, as it is.
    """

    number: int
    inside: Wanted
    target: Wanted
    whole: bool


def cut(wanted: Wanted, length: int) -> list[Piece]:
    """Cut what is wanted along a dimension at multiples of `length`; each chunk comes once."""
    if isinstance(wanted, slice):
        first, last = wanted.start // length, -(-wanted.stop // length)
        return [_overlap(number, wanted, length) for number in range(first, last)]
    pieces = []
    for number in np.unique(wanted // length):
        target = np.flatnonzero(wanted // length == number)
        inside, place = as_slice(wanted[target] - number * length), as_slice(target)
        plain = isinstance(inside, slice) and isinstance(place, slice)
        pieces.append(Piece(int(number), inside, place, plain and target.size == length))
    return pieces


def _overlap(number: int, wanted: slice, length: int) -> Piece:
    low = number * length
    start, stop = max(wanted.start, low), min(wanted.stop, low + length)
    inside, target = slice(start - low, stop - low), slice(start - wanted.start, stop - wanted.start)
    return Piece(number, inside, target, stop - start == length)


def as_slice(indices: NDArray[np.intp]) -> Wanted:
    """Consecutive indices as a slice; others as they are."""
    if indices.size and np.all(np.diff(indices) == 1):
        return slice(int(indices[0]), int(indices[-1]) + 1)
    return indices


def runs(wanted: Wanted) -> list[tuple[slice, slice]]:
    """Runs of consecutive indices: what to read, and where it goes."""
    if isinstance(wanted, slice):
        return [(wanted, slice(0, wanted.stop - wanted.start))]
    breaks = [0, *(np.flatnonzero(np.diff(wanted) != 1) + 1).tolist(), wanted.size]
    return [
        (slice(int(wanted[start]), int(wanted[stop - 1]) + 1), slice(start, stop))
        for start, stop in itertools.pairwise(breaks)
    ]


def overlaps(
    marked: NDArray[np.bool_] | None, chunks: Sequence[int] | None, box: Sequence[slice]
) -> Iterator[tuple[slice, ...]]:
    """Parts of a box, in indices of its own, that lie in marked chunks; none where nothing is marked."""
    if marked is None or chunks is None:
        return
    first = [part.start // length for part, length in zip(box, chunks, strict=True)]
    last = [-(-part.stop // length) for part, length in zip(box, chunks, strict=True)]
    near = marked[tuple(slice(low, high) for low, high in zip(first, last, strict=True))]
    for found in np.argwhere(near):
        corner = (found + first) * chunks
        yield tuple(
            slice(max(part.start, int(low)) - part.start, min(part.stop, int(low) + length) - part.start)
            for part, low, length in zip(box, corner, chunks, strict=True)
        )


def cover(wanted: Wanted) -> tuple[int, int]:
    """First index and number of indices of the range that holds all that is wanted."""
    if isinstance(wanted, slice):
        return wanted.start, wanted.stop - wanted.start
    low = int(wanted.min())
    return low, int(wanted.max()) - low + 1


class _Buffers(threading.local):
    """Memory of one thread, used again for each chunk."""

    def __init__(self) -> None:
        self.held: dict[str, NDArray[np.uint8]] = {}


_buffers = _Buffers()


def buffer(purpose: str, size: int) -> NDArray[np.uint8]:
    """Bytes that this thread may use until it asks again for the same purpose."""
    held = _buffers.held.get(purpose)
    if held is None or held.size < size:
        held = _buffers.held[purpose] = np.empty(size, np.uint8)
    return held[:size]
