"""Classes of reflections by their indices, and how clusters fall into them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from xtec.core.errors import ConfigError
from xtec.core.reflections import Contingency
from xtec.reciprocal.conditions import parse_condition
from xtec.reciprocal.lattice import Lattice, find_space_group

Mask = NDArray[np.bool_]
Indices = NDArray[np.integer]

SCHEMES = ("parity", "4n+2", "zeros", "space-group", "expression")
"""Ways to classify reflections."""

_ZEROS = ("no zero index", "one zero index", "two zero indices", "three zero indices")


def all_even(hkl: Indices) -> Mask:
    """Whether h, k and l are even; shape (N,) for (N, 3)."""
    return np.asarray((hkl % 2 == 0).all(axis=1))


def all_odd(hkl: Indices) -> Mask:
    """Whether h, k and l are odd."""
    return np.asarray((hkl % 2 == 1).all(axis=1))


def mixed_parity(hkl: Indices) -> Mask:
    """Whether some indices are even and some odd."""
    return ~all_even(hkl) & ~all_odd(hkl)


def count_4n2(hkl: Indices) -> NDArray[np.int64]:
    """How many of h, k, l are 4n+2."""
    return np.asarray((hkl % 4 == 2).sum(axis=1))


def count_4n(hkl: Indices) -> NDArray[np.int64]:
    """How many of h, k, l are 4n, zero included."""
    return np.asarray((hkl % 4 == 0).sum(axis=1))


def count_odd(hkl: Indices) -> NDArray[np.int64]:
    """How many of h, k, l are odd."""
    return np.asarray((hkl % 2).sum(axis=1))


def count_zero(hkl: Indices) -> NDArray[np.int64]:
    """How many of h, k, l are zero."""
    return np.asarray((hkl == 0).sum(axis=1))


def count_equal(hkl: Indices) -> NDArray[np.int64]:
    """How many pairs of |h|, |k|, |l| are equal: 0, 1 or 3."""
    size = np.abs(hkl)
    return np.asarray((size == np.roll(size, 1, axis=1)).sum(axis=1))


def odd_one_out(hkl: Indices) -> NDArray[np.int64]:
    """|l| of reflections ``hhl`` in any order (``hhh`` too); -1 where no two indices are equal in size."""
    size = np.abs(hkl)
    third = np.full(len(hkl), -1)
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        third = np.where(size[:, i] == size[:, j], size[:, k], third)
    return np.asarray(third)


def absent(hkl: Indices, space_group: str) -> Mask:
    """Whether a space group forbids reflections.

    Parameters
    ----------
    hkl : array, shape (N, 3), int
    space_group : str
        Hermann-Mauguin symbol or number.

    Returns
    -------
    array, shape (N,), bool

    Raises
    ------
    ConfigError
        If there is no such space group.
    """
    operations = find_space_group(space_group).operations()
    return np.asarray(operations.systematic_absences(np.ascontiguousarray(hkl, dtype=np.int32)), dtype=bool)


def short_symbol(space_group: str) -> str:
    """Symbol of a space group without blanks and setting: ``Fd-3m``, ``P63/mmc``, ``R-3m``."""
    symbol = find_space_group(space_group).short_name()
    return f"R{symbol[1:]}" if symbol.startswith("H") else symbol


def classify(
    hkl: Indices,
    scheme: str,
    lattice: Lattice | None = None,
    space_group: str | None = None,
    expression: str | None = None,
) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Sort reflections into classes that share none.

    Parameters
    ----------
    hkl : array, shape (N, 3), int
    scheme : str
        ``parity``: which indices are even, up to what the lattice makes equivalent.
        ``4n+2``: those all even by the number of indices 4n+2, the others by parity; not for hexagonal axes,
        where equivalent reflections differ in that number.
        ``zeros``: number of indices that are zero.
        ``space-group``: allowed or forbidden in `space_group`.
        ``expression``: whether `expression` holds, see `parse_condition`.
    lattice : Lattice, optional
        Without one, no two indices are equivalent.
    space_group, expression : str, optional
        For the schemes that need them.

    Returns
    -------
    names : tuple of str
        Classes that have a reflection.
    number : array, shape (N,), int
        Place in `names` of each reflection's class.

    Raises
    ------
    ConfigError
        If there is no such scheme, it lacks what it needs, or that cannot be read.
    """
    if scheme == "parity":
        return _occurring(*_parity(hkl, lattice))
    if scheme == "4n+2":
        return _occurring(*_by_4n2(hkl, lattice))
    if scheme == "zeros":
        return _occurring(_ZEROS, count_zero(hkl))
    if scheme == "space-group":
        if not space_group:
            raise ConfigError("reflection classes by space group need a space group", hint="name one: Fd-3m")
        symbol = short_symbol(space_group)
        return _occurring([f"allowed in {symbol}", f"forbidden in {symbol}"], absent(hkl, space_group))
    if scheme == "expression":
        if not expression:
            raise ConfigError(
                "reflection classes by expression need one", hint='such as "(h + k + l) % 2 == 0"'
            )
        holds = parse_condition(expression)(hkl)
        return _occurring([expression.strip(), f"not ({expression.strip()})"], ~holds)
    raise ConfigError(f"no reflection classes named {scheme!r}", hint=f"one of: {', '.join(SCHEMES)}")


def contingency(
    number: NDArray[np.integer], names: Sequence[str], label: NDArray[np.integer], clusters: Sequence[int]
) -> Contingency:
    """Classes of reflections against clusters.

    Parameters
    ----------
    number : array, shape (N,)
        Place in `names` of each reflection's class.
    names : sequence of str
    label : array, shape (N,)
        Cluster of each reflection; those of clusters that are not asked for do not count.
    clusters : sequence of int

    Returns
    -------
    Contingency
        With the p-value of Pearson's chi-square over classes and clusters that have reflections, 1 where only
        one has. It takes reflections to be independent; symmetry-equivalent ones are not.
    """
    counts = np.zeros((len(names), len(clusters)), dtype=np.int64)
    for column, cluster in enumerate(clusters):
        counts[:, column] = np.bincount(number[label == cluster], minlength=len(names))
    table = counts[counts.any(axis=1)][:, counts.any(axis=0)]
    p_value, strength = 1.0, 0.0
    if min(table.shape) > 1:
        from scipy.stats import chi2_contingency

        outcome = chi2_contingency(table, correction=False)
        p_value = float(outcome.pvalue)
        strength = float(np.sqrt(outcome.statistic / (table.sum() * (min(table.shape) - 1))))
    return Contingency(tuple(names), tuple(clusters), counts, p_value, min(strength, 1.0))


def _occurring(
    names: Sequence[str], number: NDArray[np.integer] | Mask
) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Leave out classes that have no reflection."""
    there, place = np.unique(number, return_inverse=True)
    return tuple(names[int(i)] for i in there), np.asarray(place.ravel(), dtype=np.int64)


def _by_4n2(hkl: Indices, lattice: Lattice | None) -> tuple[list[str], NDArray[np.int64]]:
    even = [
        "all even, no index 4n+2",
        "all even, one index 4n+2",
        "all even, two indices 4n+2 (one 4n)",
        "all even, three indices 4n+2",
    ]
    parities, number = _parity(hkl, lattice)
    return even + parities, np.where(all_even(hkl), count_4n2(hkl), number + len(even))


def _parity(hkl: Indices, lattice: Lattice | None) -> tuple[list[str], NDArray[np.int64]]:
    """Patterns of even and odd, one for all that the lattice makes equivalent."""
    patterns = np.array(list(product((0, 1), repeat=3)))
    rotations = np.eye(3, dtype=np.int64)[None] if lattice is None else lattice.rotations
    binary = np.array([4, 2, 1])
    orbits = [tuple(np.unique((rotations @ pattern) % 2 @ binary).tolist()) for pattern in patterns]
    different = sorted(set(orbits), key=lambda orbit: (orbit != (0,), orbit != (7,), orbit))
    place = np.array([different.index(orbit) for orbit in orbits])
    names = [_parity_name(patterns[list(orbit)]) for orbit in different]
    return names, np.asarray(place[(hkl % 2) @ binary], dtype=np.int64)


def _parity_name(patterns: Indices) -> str:
    """Equivalent patterns in words: ``two even, one odd``, ``h or k odd, l even``."""
    odd = patterns.sum(axis=1)
    if odd.max() == 0:
        return "all even"
    if odd.min() == 3:
        return "all odd"
    if len(patterns) == 3 and (odd == odd[0]).all():
        return "two even, one odd" if odd[0] == 1 else "one even, two odd"
    same = (patterns == patterns[0]).all(axis=0)
    words = []
    free = [letter for letter, fixed in zip("hkl", same, strict=True) if not fixed]
    if len(free) == 2:
        words.append(
            f"{free[0]} or {free[1]} odd" if len(patterns) == 3 else f"one of {free[0]}, {free[1]} odd"
        )
    elif free:
        return " or ".join(", ".join(_even_or_odd(pattern, "hkl")) for pattern in patterns)
    fixed_letters = "".join(letter for letter, fixed in zip("hkl", same, strict=True) if fixed)
    return ", ".join(words + _even_or_odd(patterns[0][same], fixed_letters))


def _even_or_odd(pattern: Indices, letters: str) -> list[str]:
    return [f"{letter} {'odd' if odd else 'even'}" for letter, odd in zip(letters, pattern, strict=True)]
