"""Operations of a group in words, what they forbid, and the subgroups they form."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xtec.reciprocal import Lattice
from xtec.reciprocal.lattice import find_space_group

if TYPE_CHECKING:
    from xtec.core.crystallography import gemmi

Mask = NDArray[np.bool_]
Integers = NDArray[np.int64]

_DEN = 24
"""Translations are whole numbers of 24ths, as gemmi has them."""

_ORDERS = {3: 1, -1: 2, 0: 3, 1: 4, 2: 6}
"""Order of a proper rotation by its trace."""

_LETTERS = {(1, 0, 0): "a", (0, 1, 0): "b", (0, 0, 1): "c"}


@dataclass(frozen=True)
class OperationGroup:
    """A space group modulo its lattice translations, or a Laue group.

    Attributes
    ----------
    symbol : str
    rotations : array, shape (G, 3, 3), int
        Acting on columns (x, y, z); the identity first.
    translations : array, shape (G, 3), int
        In 24ths.
    centring : array, shape (c, 3), int
        Lattice translations inside the cell, zero included, in 24ths.
    translations_known : bool
        False for a Laue group: glide planes and screw axes are then not known.
    """

    symbol: str
    rotations: Integers
    translations: Integers
    centring: Integers
    translations_known: bool

    def __len__(self) -> int:
        return len(self.rotations)

    def images(self, hkl: Integers) -> Integers:
        """What operations make of reflections, shape (G, N, 3): (h, k, l) as a row times the rotation."""
        return np.asarray(np.einsum("nj,gji->gni", hkl, self.rotations))

    def forbids(self, hkl: Integers) -> Mask:
        """Which reflections that the centring allows each operation forbids, shape (G, N).

        ``(R|t)`` maps the structure factor of h on that of hR times a phase: where hR = h and h.t is no
        integer it must be zero.
        """
        fixed = (self.images(hkl) == hkl).all(axis=2)
        shifted = (self.translations @ hkl.T) % _DEN != 0
        return np.asarray(fixed & shifted & self.allowed_by_centring(hkl))

    def allowed_by_centring(self, hkl: Integers) -> Mask:
        """Reflections of the lattice, shape (N,)."""
        return np.asarray(((self.centring @ hkl.T) % _DEN == 0).all(axis=0))

    @cached_property
    def laue_class(self) -> Integers:
        """Number of the pair of an operation and its product with inversion, shape (G,)."""
        seen: dict[bytes, int] = {}
        for rotation in self.rotations:
            seen.setdefault(min(rotation.tobytes(), (-rotation).tobytes()), len(seen))
        return np.array([seen[min(r.tobytes(), (-r).tobytes())] for r in self.rotations])

    @cached_property
    def inverse(self) -> Integers:
        """Number of the inverse of each operation, shape (G,)."""
        return np.asarray(np.argmin(_products(self.rotations.tobytes()), axis=1))

    @cached_property
    def triplets(self) -> tuple[str, ...]:
        """As gemmi writes them: ``-y+1/4,x+3/4,z+1/4``."""
        return tuple(self._op(number).triplet() for number in range(len(self)))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """In words: ``4-fold screw axis along c``."""
        pairs = zip(self.rotations, self.translations, strict=True)
        return tuple(_in_words(rotation, shift, self.centring) for rotation, shift in pairs)

    def largest_subgroups(self, broken: Mask) -> list[Mask]:
        """The largest subgroups without any broken operation, each shape (G,); several if equally large."""
        subgroups = _subgroups(self.rotations.tobytes())
        whole = subgroups[~(subgroups & broken).any(axis=1)]
        size = whole.sum(axis=1)
        return list(whole[size == size.max()])

    def name_of(self, members: Mask) -> str:
        """Symbol of a subgroup of the same lattice; of its point group where gemmi has no space group."""
        if members.all():
            return self.symbol
        if not self.translations_known:
            return _point_group(self.rotations[members])
        from xtec.core.crystallography import gemmi

        ops = [self._op(int(number)) for number in np.flatnonzero(members)]
        shifts = [gemmi.Op("x,y,z").translated(list(map(int, shift))) for shift in self.centring]
        found = _identified(gemmi.GroupOps([shift * op for shift in shifts for op in ops]))
        if found:
            return found
        return f"point group {_point_group(self.rotations[members])}"

    def _op(self, number: int) -> gemmi.Op:
        from xtec.core.crystallography import gemmi

        op = gemmi.Op("x,y,z")
        op.rot = (self.rotations[number] * _DEN).tolist()
        op.tran = self.translations[number].tolist()
        return op


def operation_group(lattice: Lattice, space_group: str | None = None) -> OperationGroup:
    """Operations of the high-temperature phase.

    Parameters
    ----------
    lattice : Lattice
        Its Laue group serves where there is no space group.
    space_group : str, optional
        Hermann-Mauguin symbol or number.

    Raises
    ------
    ConfigError
        If there is no such space group.
    """
    if not space_group:
        # Reflections turn as rows by the rotation, and as columns by what Lattice holds.
        rotations = _identity_first(np.asarray(lattice.rotations).transpose(0, 2, 1))
        still = np.zeros((len(rotations), 3), np.int64)
        return OperationGroup(lattice.laue, rotations, still, still[:1], translations_known=False)
    group = find_space_group(space_group, lattice.cell)
    ops = group.operations()
    rotations = np.array([op.rot for op in ops.sym_ops], dtype=np.int64) // _DEN
    order = _order(rotations)
    return OperationGroup(
        symbol=_without_setting(group),
        rotations=rotations[order],
        translations=np.array([op.tran for op in ops.sym_ops], dtype=np.int64)[order] % _DEN,
        centring=np.array(list(ops.cen_ops), dtype=np.int64),
        translations_known=True,
    )


def _identity_first(rotations: Integers) -> Integers:
    return np.asarray(rotations[_order(rotations)], dtype=np.int64)


def _order(rotations: Integers) -> NDArray[np.intp]:
    """The identity, proper rotations, then improper ones; of high order first."""
    keys = []
    for rotation in rotations:
        proper = round(float(np.linalg.det(rotation)))
        turn = _ORDERS[int(np.trace(rotation)) * proper]
        keys.append((turn != 1 or proper != 1, proper < 0, -turn, tuple(-rotation.ravel())))
    return np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.intp)


def _in_words(rotation: Integers, shift: Integers, centring: Integers) -> str:
    """Kind and axis of an operation."""
    proper = round(float(np.linalg.det(rotation)))
    turn = _ORDERS[int(np.trace(rotation)) * proper]
    if turn == 1:
        return "identity" if proper > 0 else "inversion"
    powers = [np.linalg.matrix_power(proper * rotation, k) for k in range(turn)]
    axis = _direction(sum(powers[1:], powers[0]))
    where = _LETTERS.get(tuple(axis), f"[{''.join(map(str, axis))}]")
    reverse = ", reversed" if turn > 2 and _sense(proper * rotation, axis) < 0 else ""
    if proper < 0 and turn > 2:
        return f"{turn}-fold rotoinversion along {where}{reverse}"
    pure = _has_no_shift(rotation, shift, centring, turn)
    if proper < 0:
        return f"{'mirror' if pure else 'glide'} plane normal to {where}"
    return f"{turn}-fold {'rotation' if pure else 'screw axis'} along {where}{reverse}"


def _has_no_shift(rotation: Integers, shift: Integers, centring: Integers, turn: int) -> bool:
    """Whether some lattice translation takes the shift along the axis or plane away."""
    whole = _DEN * np.array(list(product((-1, 0, 1), repeat=3)))
    shifts = shift + (centring[:, None] + whole[None]).reshape(-1, 3)
    along = sum(np.linalg.matrix_power(rotation, k) for k in range(turn))
    return bool((shifts @ np.asarray(along).T == 0).all(axis=1).any())


def _direction(projector: Integers) -> Integers:
    """Lattice direction that a rotation leaves alone; its first component that is not zero is positive."""
    column = projector[:, np.flatnonzero(projector.any(axis=0))[0]]
    column = column // np.gcd.reduce(column)
    return np.asarray(column * np.sign(column[np.flatnonzero(column)[0]]))


def _sense(rotation: Integers, axis: Integers) -> float:
    for probe in np.eye(3):
        volume = float(np.linalg.det(np.array([axis, probe, rotation @ probe])))
        if abs(volume) > 0.1:
            return volume
    return 0.0


@lru_cache(maxsize=16)
def _products(rotations: bytes) -> Integers:
    """Multiplication table, shape (G, G)."""
    matrices = np.frombuffer(rotations, dtype=np.int64).reshape(-1, 3, 3)
    number = {matrix.tobytes(): i for i, matrix in enumerate(matrices)}
    return np.array([[number[(a @ b).tobytes()] for b in matrices] for a in matrices])


@lru_cache(maxsize=16)
def _subgroups(rotations: bytes) -> Mask:
    """All subgroups, shape (S, G): joins of cyclic ones until there are no more."""
    table = _products(rotations)

    def closed(members: Mask) -> Mask:
        while True:
            inside = np.flatnonzero(members)
            wider = members.copy()
            wider[table[np.ix_(inside, inside)]] = True
            if (wider == members).all():
                return members
            members = wider

    cyclic = list({closed(row).tobytes(): closed(row) for row in np.eye(len(table), dtype=np.bool_)}.values())
    found = {members.tobytes(): members for members in cyclic}
    waiting = list(cyclic)
    while waiting:
        members = waiting.pop()
        for other in cyclic:
            if (other & ~members).any():
                join = closed(members | other)
                if join.tobytes() not in found:
                    found[join.tobytes()] = join
                    waiting.append(join)
    return np.array(list(found.values()))


_SETTINGS = (
    ("x,y,z", ""),
    ("x-y,x+y,z", "c"),
    ("y-z,y+z,x", "a"),
    ("z-x,z+x,y", "b"),
    ("y,z,x", "a"),
    ("z,x,y", "b"),
)
"""Changes of axes to what may be a standard setting, and which axis of the cell is then its c."""


def _identified(ops: gemmi.GroupOps) -> str:
    """Symbol of a group of operations, over origins in eighths; empty if gemmi's table has none."""
    from xtec.core.crystallography import gemmi

    for triplet, axis in _SETTINGS:
        # Most are found at the first origin; the others take a fraction of a second.
        for origin in product(range(0, _DEN, 3), repeat=3):
            moved = gemmi.GroupOps([*ops])
            moved.change_basis_forward(gemmi.Op(triplet).translated(list(origin)))
            group = gemmi.find_spacegroup_by_ops(moved)
            if group is not None:
                unique = f", c along {axis}" if group.crystal_system_str() == "tetragonal" and axis else ""
                return _without_setting(group) + unique
    return ""


def _without_setting(group: gemmi.SpaceGroup) -> str:
    symbol = str(group.short_name())
    return f"R{symbol[1:]}" if symbol.startswith("H") else symbol


def _point_group(rotations: Integers) -> str:
    """Symbol of the point group of rotations."""
    from xtec.core.crystallography import gemmi

    counts = _kinds(rotations)
    for group in gemmi.spacegroup_table():
        ops = group.operations()
        other = np.array([op.rot for op in ops.sym_ops], dtype=np.int64) // _DEN
        if len(other) == len(rotations) and _kinds(other) == counts:
            return str(group.point_group_hm())
    return f"of {len(rotations)} operations"


def _kinds(rotations: Integers) -> tuple[tuple[int, int], ...]:
    """Determinants and traces, which tell the point groups apart."""
    determinants = np.rint(np.linalg.det(rotations)).astype(int)
    traces = np.trace(rotations, axis1=1, axis2=2)
    return tuple(sorted(zip(determinants.tolist(), traces.tolist(), strict=True)))
