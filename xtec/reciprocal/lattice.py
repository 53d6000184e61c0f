"""Symmetry of the reciprocal lattice: Laue group, orbits of reflections, stars of wave vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xtec.core.axes import Q_NAMES, Axis
from xtec.core.errors import ConfigError
from xtec.core.quantities import SampleInfo
from xtec.core.types import Float64Array

if TYPE_CHECKING:
    from xtec.core.crystallography import gemmi

Cell = tuple[float, float, float, float, float, float]

_OBLIQUITY = 0.1
"""Degrees by which a lattice may miss a rotation axis and still have it."""

_HOLOHEDRIES = {2: "-1", 4: "2/m", 8: "mmm", 12: "-3m", 16: "4/mmm", 24: "6/mmm", 48: "m-3m"}
"""Symmetry of a lattice by the number of its operations."""

_SLACK = 1e-9
"""For components such as -0.5000000000000001."""

NO_LATTICE = "no lattice in the file"


@dataclass(frozen=True)
class Lattice:
    """A reciprocal lattice and the operations that map reflections on equivalent ones.

    Attributes
    ----------
    cell : tuple (a, b, c, alpha, beta, gamma) or None
        In angstrom and degrees; from the axes' reciprocal lengths up to a common factor. None if unknown.
    rotations : array, shape (n, 3, 3), int
        Laue group, inversion included, acting on columns (H, K, L): ``rotation @ hkl``.
    laue : str
        Its symbol: ``m-3m``, ``6/mmm``.
    source : str
        Where it comes from, in a phrase.
    """

    cell: Cell | None
    rotations: NDArray[np.int64]
    laue: str
    source: str

    def acting(self, measured: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Operations that mix no measured component of (H, K, L) with one that was not measured."""
        mixing = measured[:, None] != measured[None, :]
        return np.asarray(self.rotations[~(self.rotations[:, mixing] != 0).any(axis=1)])

    def images(self, q: ArrayLike) -> Float64Array:
        """What every operation makes of wave vectors.

        Parameters
        ----------
        q : array, shape (..., 3)
            In r.l.u.; NaN along an axis that was not measured, the same one for all.

        Returns
        -------
        array, shape (n, ..., 3)
            Not folded; operations that mix measured with unmeasured axes are left out.
        """
        points = np.asarray(q, dtype=np.float64)
        measured = np.asarray(np.isfinite(points.reshape(-1, 3)).all(axis=0))
        matrices = self.acting(measured).astype(np.float64)
        turned = np.einsum("nij,...j->n...i", matrices, np.where(measured, points, 0.0))
        return np.where(measured, turned, np.nan)

    def orbit(self, hkl: ArrayLike) -> NDArray[np.int64]:
        """Different reflections equivalent to one, by rising indices; shape (m, 3)."""
        return np.unique(self.rotations @ np.asarray(hkl, dtype=np.int64), axis=0)

    def star(self, q: ArrayLike, tolerance: float = 1e-6) -> Float64Array:
        """Different wave vectors equivalent to one, modulo reciprocal lattice vectors.

        Parameters
        ----------
        q : array, shape (3,)
            In r.l.u.; NaN along axes that were not measured.
        tolerance : float
            Members nearer to each other than this along every axis are one.

        Returns
        -------
        array, shape (m, 3)
            Each component in (-1/2, 1/2]; the representative first.
        """
        images = sorted(folded(self.images(q)).tolist(), key=_plainness)
        members = np.empty((0, 3))
        for image in np.array(images):
            if not (_apart(members, image) <= tolerance).any():
                members = np.vstack([members, image])
        return members

    def representative(self, q: ArrayLike) -> Float64Array:
        """The plainest member of the star, shape (3,).

        It has the fewest negative components, then the most zeros, then the largest H, K and L in that order:
        ``H >= K >= L >= 0`` in a cubic crystal, (1/2, 0, 0) for the M point of a hexagonal one.
        """
        return np.asarray(self.star(q)[0])

    def settled(self, q: ArrayLike, tolerance: ArrayLike) -> Float64Array:
        """The more symmetric wave vector that one lies near to, if there is one.

        Operations that move `q` by no more than the tolerance are taken to leave it where it is: the answer
        is the mean of what they make of it, ``(0.499, 0.002, 0)`` becomes ``(1/2, 0, 0)``.

        Parameters
        ----------
        q : array, shape (3,)
        tolerance : float or array, shape (3,)
            Along each axis, in r.l.u.

        Returns
        -------
        array, shape (3,)
            Components in (-1/2, 1/2].
        """
        point = folded(q)
        for _ in range(4):  # averaging may bring further operations within the tolerance
            moves = self.images(point) - point
            moves -= np.round(moves)
            near = (np.nan_to_num(np.abs(moves)) <= tolerance).all(axis=1)
            point = folded(point + moves[near].mean(axis=0))
        return point


def folded(q: ArrayLike) -> Float64Array:
    """Wave vectors modulo all integer (H, K, L), each component in (-1/2, 1/2]."""
    points = np.asarray(q, dtype=np.float64)
    return np.minimum(points - np.ceil(points - 0.5 - _SLACK), 0.5) + 0.0


def make_lattice(
    sample: SampleInfo, axes: Sequence[Axis], angles: Float64Array | None, asked: str | None = None
) -> Lattice:
    """Lattice of a sample: what the user says, else what the file says, else what its cell allows.

    The symmetry of the cell's metric may be higher than the crystal's: a rhombohedral crystal has 6/mmm for
    its lattice in hexagonal axes, a crystal of Laue group m-3 has m-3m.

    Parameters
    ----------
    sample : SampleInfo
        Its cell, space group or Laue group are used where there are any, in this order of preference.
    axes : sequence of Axis
        Without a cell: their ``scaling_factor`` are a*, b*, c* in 1/angstrom, with or without 2 pi.
    angles : array, shape (len(axes),), optional
        Without a cell: angle in degrees between the other two axes for each axis, as NeXus ``@angles``;
        alpha* for Qh, beta* for Qk, gamma* for Ql. 90 where there are none.
    asked : str, optional
        Space group, Laue group or point group.

    Returns
    -------
    Lattice
        Where nothing is known, with inversion as its only symmetry.

    Raises
    ------
    ConfigError
        If a symbol is no space group or point group.
    """
    cell = sample.cell or _cell_of_axes(axes, angles)
    for symbol, source in (
        (asked, "asked for"),
        (sample.space_group, "space group of the file"),
        (sample.laue_group, "Laue group of the file"),
    ):
        if symbol:
            group = find_space_group(symbol, cell)
            return Lattice(cell, _laue_rotations(group.operations()), group.laue_str(), source)
    if cell is None:
        return Lattice(None, np.stack([np.eye(3), -np.eye(3)]).astype(np.int64), "-1", NO_LATTICE)
    from xtec.core.crystallography import gemmi

    rotations = _laue_rotations(gemmi.find_lattice_symmetry(gemmi.UnitCell(*cell), "P", _OBLIQUITY))
    return Lattice(cell, rotations, _HOLOHEDRIES[len(rotations)], "metric of the lattice")


def find_space_group(symbol: str, cell: Cell | None = None) -> gemmi.SpaceGroup:
    """Space group of a symbol; for a point group, the symmorphic one with a primitive lattice.

    Parameters
    ----------
    symbol : str
        Hermann-Mauguin symbol or number of a space group (``Fd-3m``, ``P6_3/mmc``, ``227``), or symbol of a
        point group (``m-3m``). Whole numbers up to 230 are space groups.
    cell : tuple, optional
        Tells rhombohedral from hexagonal axes, and the unique axis of a monoclinic point group.

    Raises
    ------
    ConfigError
        If there is no such group.
    """
    from xtec.core.crystallography import gemmi

    alpha, beta, gamma = cell[3:] if cell else (0.0, 0.0, 0.0)
    symbol = symbol.replace("_", "")
    point_group = "".join(symbol.split())
    rhombohedral = cell is not None and abs(alpha - gamma) < 0.1 and abs(gamma - 90) > 0.1
    names = [symbol, f"P{point_group}"]
    if point_group in ("-3m", "3m"):
        names.append(f"P{point_group}1")
    if rhombohedral and point_group in ("3", "-3", "32", "3m", "-3m"):
        names = [f"R{point_group}"]
    elif cell and point_group in ("2", "m", "2/m") and abs(beta - 90) < 0.1:
        if abs(gamma - 90) > 0.1:
            names = [f"P 1 1 {point_group}"]
        elif abs(alpha - 90) > 0.1:
            names = [f"P {point_group} 1 1"]
    for name in names:
        group = gemmi.find_spacegroup_by_name(name, alpha, gamma)
        if group is not None:
            return group
    raise ConfigError(
        f"{symbol!r} is no space group or Laue group", hint="write it as Fd-3m, P63/mmc, 227 or m-3m"
    )


def _laue_rotations(operations: gemmi.GroupOps) -> NDArray[np.int64]:
    """Rotations of a group with inversion added, as they act on columns (H, K, L)."""
    symmorphic = operations.derive_symmorphic()
    symmorphic.add_inversion()
    on_xyz = np.array([op.rot for op in symmorphic.sym_ops]) // symmorphic.sym_ops[0].DEN
    # A reflection is a row vector beside the positions' columns.
    return np.unique(on_xyz.transpose(0, 2, 1).astype(np.int64), axis=0)[::-1]


def _cell_of_axes(axes: Sequence[Axis], angles: Float64Array | None) -> Cell | None:
    """Direct cell from reciprocal lengths and angles of the axes; None unless all three have a length."""
    named = {axis.name: i for i, axis in enumerate(axes)}
    order = [named.get(name, -1) for name in Q_NAMES[::-1]]
    if min(order) < 0:
        return None
    lengths = [_length(axes[i]) for i in order]
    between = np.full(len(axes), 90.0) if angles is None else np.ravel(angles)
    if not all(lengths) or between.size != len(axes):
        return None
    from xtec.core.crystallography import gemmi

    cell = gemmi.UnitCell(*lengths, *between[order].tolist()).reciprocal()
    return (cell.a, cell.b, cell.c, cell.alpha, cell.beta, cell.gamma)


def _length(axis: Axis) -> float:
    """Reciprocal length of an axis; 0 where the file has none."""
    try:
        value = float(np.ravel(axis.attributes["scaling_factor"])[0])
    except (KeyError, IndexError, TypeError, ValueError):
        return 0.0
    return value if np.isfinite(value) and value > 0 else 0.0


def _plainness(q: Sequence[float]) -> tuple[float, ...]:
    """Sort key: few negative components, many zeros, large ones first."""
    rounded = [round(float(np.nan_to_num(component)), 6) for component in q]
    return (sum(x < 0 for x in rounded), sum(x != 0 for x in rounded), *(-x for x in rounded))


def _apart(members: Float64Array, image: Float64Array) -> Float64Array:
    """Largest component of the distances, modulo reciprocal lattice vectors; unmeasured axes do not count."""
    away = members - image
    return np.asarray(np.nan_to_num(np.abs(away - np.round(away))).max(axis=1, initial=0.0))
