"""Conditions on h, k and l that selection rules are made of, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from xtec.reciprocal.lattice import Lattice
from xtec.reciprocal.reflections import (
    absent,
    all_even,
    all_odd,
    count_4n,
    count_4n2,
    count_equal,
    count_odd,
    count_zero,
    mixed_parity,
    odd_one_out,
    short_symbol,
)

Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]
Condition = tuple[str, Callable[[Indices], Mask]]

_PAIRS = ((0, 1), (0, 2), (1, 2))
_LARGEST = 6
"""Conditions are tried on indices from -6 to 6: enough for every remainder, zero and equality."""


def vocabulary(lattice: Lattice, space_group: str | None = None) -> list[Condition]:
    """Conditions that treat equivalent reflections alike, the plainer first.

    Parameters
    ----------
    lattice : Lattice
        Conditions that its operations do not leave as they are, such as "h even" in a cubic crystal, are left
        out.
    space_group : str, optional
        Adds whether it allows a reflection.

    Returns
    -------
    list of (str, callable)
        Words, and a function from integers (N, 3) to bool (N,).
    """
    box = np.arange(-_LARGEST, _LARGEST + 1)
    trial = np.stack(np.meshgrid(box, box, box, indexing="ij"), axis=-1).reshape(-1, 3)
    images = trial @ lattice.rotations.transpose(0, 2, 1)
    kept = []
    for words, holds in _conditions(space_group):
        truth = holds(trial)
        if all(np.array_equal(holds(image), truth) for image in images):
            kept.append((words, holds))
    return kept


def _conditions(space_group: str | None) -> Iterator[Condition]:
    yield "all even", all_even
    yield "all odd", all_odd
    yield "mixed parity", mixed_parity
    yield "all even, no index 4n+2", lambda hkl: all_even(hkl) & (count_4n2(hkl) == 0)
    yield "all even, exactly one index 4n+2", lambda hkl: all_even(hkl) & (count_4n2(hkl) == 1)
    yield "all even, exactly two indices 4n+2 (one 4n)", lambda hkl: all_even(hkl) & (count_4n2(hkl) == 2)
    yield "all even, three indices 4n+2", lambda hkl: count_4n2(hkl) == 3
    if space_group:
        symbol = short_symbol(space_group)
        yield f"forbidden in {symbol}", lambda hkl: absent(hkl, space_group)
        yield f"allowed in {symbol}", lambda hkl: ~absent(hkl, space_group)
    for axis in range(3):
        yield from _single(axis)
    for pair in _PAIRS:
        yield from _paired(*pair)
    yield from _sums()
    yield from _counts()
    yield from _equalities()
    yield from _trigonal()


def _sums() -> Iterator[Condition]:
    yield "h+k+l even", lambda hkl: hkl.sum(axis=1) % 2 == 0
    yield "h+k+l odd", lambda hkl: hkl.sum(axis=1) % 2 == 1
    yield "all even, h+k+l = 4n", lambda hkl: all_even(hkl) & (hkl.sum(axis=1) % 4 == 0)
    yield "all even, h+k+l = 4n+2", lambda hkl: all_even(hkl) & (hkl.sum(axis=1) % 4 == 2)
    yield "h+k+l = 4n", lambda hkl: hkl.sum(axis=1) % 4 == 0


def _counts() -> Iterator[Condition]:
    yield "exactly one index odd", lambda hkl: count_odd(hkl) == 1
    yield "exactly two indices odd", lambda hkl: count_odd(hkl) == 2
    yield "no index 4n+2", lambda hkl: count_4n2(hkl) == 0
    yield "exactly one index 4n+2", lambda hkl: count_4n2(hkl) == 1
    yield "exactly two indices 4n+2", lambda hkl: count_4n2(hkl) == 2
    yield "exactly one index 4n", lambda hkl: count_4n(hkl) == 1
    yield "exactly two indices 4n", lambda hkl: count_4n(hkl) == 2
    yield "no zero index", lambda hkl: count_zero(hkl) == 0
    yield "exactly one zero index", lambda hkl: count_zero(hkl) == 1
    yield "exactly two zero indices", lambda hkl: count_zero(hkl) == 2


def _equalities() -> Iterator[Condition]:
    """Equal in size, that is: ``h`` and ``-h`` are equal."""
    yield "two indices equal, the third odd", lambda hkl: (count_equal(hkl) > 0) & (odd_one_out(hkl) % 2 == 1)
    yield "two indices equal, the third even", lambda hkl: odd_one_out(hkl) % 2 == 0
    yield "two indices equal", lambda hkl: count_equal(hkl) > 0
    yield "no two indices equal", lambda hkl: count_equal(hkl) == 0
    yield "all indices equal", lambda hkl: count_equal(hkl) == 3


def _single(axis: int) -> Iterator[Condition]:
    letter = "hkl"[axis]
    yield f"{letter} even", lambda hkl: hkl[:, axis] % 2 == 0
    yield f"{letter} odd", lambda hkl: hkl[:, axis] % 2 == 1
    yield f"{letter} = 0", lambda hkl: hkl[:, axis] == 0
    yield f"{letter} not 0", lambda hkl: hkl[:, axis] != 0
    yield f"{letter} = 3n", lambda hkl: hkl[:, axis] % 3 == 0
    yield f"{letter} not 3n", lambda hkl: hkl[:, axis] % 3 != 0
    yield f"{letter} = 4n", lambda hkl: hkl[:, axis] % 4 == 0
    yield f"{letter} = 4n+2", lambda hkl: hkl[:, axis] % 4 == 2


def _paired(i: int, j: int) -> Iterator[Condition]:
    a, b = "hkl"[i], "hkl"[j]
    yield f"{a}+{b} even", lambda hkl: (hkl[:, i] + hkl[:, j]) % 2 == 0
    yield f"{a}+{b} odd", lambda hkl: (hkl[:, i] + hkl[:, j]) % 2 == 1
    yield f"{a}, {b} even", lambda hkl: (hkl[:, i] % 2 == 0) & (hkl[:, j] % 2 == 0)
    yield f"{a}, {b} odd", lambda hkl: (hkl[:, i] % 2 == 1) & (hkl[:, j] % 2 == 1)
    yield f"{a} or {b} odd", lambda hkl: (hkl[:, i] % 2 == 1) | (hkl[:, j] % 2 == 1)
    yield f"{a} or {b} zero", lambda hkl: (hkl[:, i] == 0) | (hkl[:, j] == 0)
    yield f"{a}, {b} zero", lambda hkl: (hkl[:, i] == 0) & (hkl[:, j] == 0)
    yield f"{a}, {b} equal", lambda hkl: np.abs(hkl[:, i]) == np.abs(hkl[:, j])
    yield f"{a}+{b} = 4n", lambda hkl: (hkl[:, i] + hkl[:, j]) % 4 == 0


def _trigonal() -> Iterator[Condition]:
    """For hexagonal axes; i = -h-k."""
    yield "h-k = 3n", lambda hkl: (hkl[:, 0] - hkl[:, 1]) % 3 == 0
    yield "h-k not 3n", lambda hkl: (hkl[:, 0] - hkl[:, 1]) % 3 != 0
    yield "-h+k+l = 3n", lambda hkl: (hkl[:, 1] - hkl[:, 0] + hkl[:, 2]) % 3 == 0
    yield "-h+k+l not 3n", lambda hkl: (hkl[:, 1] - hkl[:, 0] + hkl[:, 2]) % 3 != 0
    yield "h, k or i zero", lambda hkl: np.prod(_hki(hkl), axis=1) == 0
    yield "two of h, k, i equal", lambda hkl: _two_equal(_hki(hkl))


def _hki(hkl: Indices) -> Indices:
    return np.stack([hkl[:, 0], hkl[:, 1], -hkl[:, 0] - hkl[:, 1]], axis=1)


def _two_equal(indices: Indices) -> Mask:
    return np.asarray((indices == np.roll(indices, 1, axis=1)).any(axis=1))
