"""Reflections of a crystal: which are there, how strong, and the star of a wave vector."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from xtec.core.errors import ConfigError
from xtec.core.types import Float64Array
from xtec.simulation.sample import LatticeSystem

Mask = NDArray[np.bool_]
_KEY_STEPS = 4096
"""Indices are told apart to 1/4096 r.l.u. when strengths are drawn."""


def _count_4n2(hkl: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.asarray(np.sum(hkl % 4 == 2, axis=-1))


def _all_even(hkl: NDArray[np.int64]) -> Mask:
    return np.asarray(np.all(hkl % 2 == 0, axis=-1))


def _everything(hkl: NDArray[np.int64]) -> Mask:
    return np.ones(hkl.shape[:-1], dtype=np.bool_)


def _pm3n(hkl: NDArray[np.int64]) -> Mask:
    """``hhl`` only with l even, and its permutations; this includes ``00l``."""
    size = np.abs(hkl)
    absent = np.zeros(hkl.shape[:-1], dtype=np.bool_)
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        absent |= (size[..., i] == size[..., j]) & (size[..., k] % 2 == 1)
    return ~absent


def _pyrochlore(hkl: NDArray[np.int64]) -> Mask:
    """Sites 16c and 16d of Fd-3m: all odd, all 4n, or all 4n+2."""
    odd = np.all(hkl % 2 == 1, axis=-1)
    return np.asarray(odd | (_all_even(hkl) & np.isin(_count_4n2(hkl), (0, 3))))


def _one_4n2(hkl: NDArray[np.int64]) -> Mask:
    return np.asarray(_all_even(hkl) & (_count_4n2(hkl) == 1))


def _one_4n(hkl: NDArray[np.int64]) -> Mask:
    return np.asarray(_all_even(hkl) & (_count_4n2(hkl) == 2))


def _axis_4n2(hkl: NDArray[np.int64]) -> Mask:
    return np.asarray(_one_4n2(hkl) & (np.sum(hkl == 0, axis=-1) == 2))


RULES: dict[str, Callable[[NDArray[np.int64]], Mask]] = {
    "all": _everything,
    "Pm-3n": _pm3n,
    "Fd-3m 16c 16d": _pyrochlore,
    "all even, one 4n+2": _one_4n2,
    "all even, one 4n": _one_4n,
    "h00, h = 4n+2": _axis_4n2,
    "all even, one 4n+2, not h00": lambda hkl: np.asarray(_one_4n2(hkl) & ~_axis_4n2(hkl)),
}
"""Reflection rules by name; each takes integers (..., 3) and says which reflections take part."""


def reflection_mask(rule: str, hkl: NDArray[np.int64]) -> Mask:
    """Which reflections a named rule lets through.

    Parameters
    ----------
    rule : str
        A key of `RULES`.
    hkl : array, shape (..., 3)
        Integer indices.

    Returns
    -------
    array, shape (...), bool

    Raises
    ------
    ConfigError
        If there is no such rule.
    """
    if rule not in RULES:
        raise ConfigError(f"no reflection rule named {rule!r}", hint=f"one of: {', '.join(RULES)}")
    return RULES[rule](hkl)


def _mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64 (Steele, Lea & Flood 2014): every input bit reaches every output bit."""
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def _orbit_key(q: Float64Array, lattice: LatticeSystem, unique: int | None = None) -> NDArray[np.uint64]:
    """Integers (..., n) that are the same for reflections which the Laue group makes equivalent.

    For m-3m, the sizes of h, k, l in rising order. For 6/mmm those of h, k and i = -(h + k), then of l:
    the three sum to zero, so their sizes fix their signs but for a common one. For 4/mmm with one axis
    `unique`, the sizes of the two other indices in rising order, then its own.
    """
    if unique is not None:
        key = np.asarray(np.rint(np.abs(np.roll(q, 2 - unique, axis=-1)) * _KEY_STEPS), dtype=np.uint64)
        key[..., :2].sort(axis=-1)
        return key
    if lattice == "hexagonal":
        h, k, along_c = np.moveaxis(q, -1, 0)
        q = np.stack([h, k, h + k, along_c], axis=-1)
    key = np.asarray(np.rint(np.abs(q) * _KEY_STEPS), dtype=np.uint64)
    key[..., :3].sort(axis=-1)
    return key


def reflection_uniform(
    q: Float64Array,
    *,
    seed: int,
    stream: int,
    lattice: LatticeSystem = "cubic",
    unique: int | None = None,
) -> Float64Array:
    """A number in [0, 1) for every reflection, the same for all that the Laue group makes equivalent.

    It depends on the indices, the seed and the stream alone, so a larger region keeps the strengths of a
    smaller one.

    Parameters
    ----------
    q : array, shape (..., 3)
        Indices in r.l.u., integer or not.
    seed, stream : int
        Other values give other numbers.
    lattice : str
        ``cubic`` (m-3m) or ``hexagonal`` (6/mmm).
    unique : int, optional
        0, 1 or 2: the Laue group is 4/mmm with its 4-fold axis along a, b or c.

    Returns
    -------
    array, shape (...)
    """
    key = _orbit_key(q, lattice, unique)
    state = _mix(np.full(key.shape[:-1], seed, dtype=np.uint64))
    state = _mix(state ^ np.uint64(stream))
    for column in range(key.shape[-1]):
        state = _mix(state ^ key[..., column])
    return np.asarray((state >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def log_uniform(uniform: Float64Array, interval: tuple[float, float]) -> Float64Array:
    """Stretch numbers in [0, 1) log-uniformly over a positive interval."""
    low, high = interval
    return np.asarray(low * (high / low) ** uniform)


def _equivalents(q: Sequence[float], lattice: LatticeSystem) -> Iterator[tuple[float, float, float]]:
    """What the operations of m-3m or 6/mmm make of `q`, `q` itself first."""
    h, k, along_c = map(float, q)
    if lattice == "cubic":
        for a, b, c in itertools.permutations((h, k, along_c)):
            for signs in itertools.product((1.0, -1.0), repeat=3):
                yield signs[0] * a, signs[1] * b, signs[2] * c
        return
    for sign, sign_c in itertools.product((1.0, -1.0), repeat=2):
        for a, b, _ in itertools.permutations((h, k, -(h + k))):
            yield sign * a, sign * b, sign_c * along_c


def star(q: Sequence[float], lattice: LatticeSystem = "cubic") -> tuple[tuple[float, float, float], ...]:
    """Wave vectors that the Laue group makes of `q`, each once modulo the reciprocal lattice, `q` first.

    Parameters
    ----------
    q : sequence of float
        (h, k, l) in r.l.u.
    lattice : str
        ``cubic`` (m-3m) or ``hexagonal`` (6/mmm).

    Returns
    -------
    tuple of (h, k, l)
        Each index in [0, 1).

    Examples
    --------
    >>> star((0.5, 0.5, 0.0))
    ((0.5, 0.5, 0.0), (0.5, 0.0, 0.5), (0.0, 0.5, 0.5))
    >>> star((0.5, 0.5, 0.0), "hexagonal")
    ((0.5, 0.5, 0.0), (0.5, 0.0, 0.0), (0.0, 0.5, 0.0))
    """
    members: dict[tuple[int, ...], tuple[float, float, float]] = {}
    for h, k, along_c in _equivalents(q, lattice):
        member = h % 1.0, k % 1.0, along_c % 1.0
        members.setdefault(tuple(round(value * _KEY_STEPS) % _KEY_STEPS for value in member), member)
    return tuple(members.values())
