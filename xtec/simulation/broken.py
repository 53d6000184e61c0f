"""The truth about symmetry: which operations the planted order breaks, as far as intensities can show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from xtec.core.errors import ConfigError
from xtec.core.types import Float64Array
from xtec.simulation.basis import GaussianBasis
from xtec.simulation.components import BraggPeaks, OrderPeaks, PeakLattice
from xtec.simulation.spec import SeriesSpec

if TYPE_CHECKING:
    from xtec.core.crystallography import gemmi

Index = tuple[int, int, int]

LEAST_POSITIONS, LEAST_PAIRS, LEAST_CONTRAST = 2, 6, 0.1
"""Forbidden reflections, or pairs of equivalent ones so far apart, that make a broken operation visible."""


def broken_operations(spec: SeriesSpec, space_group: str, temperature: float) -> dict[str, bool | None]:
    """Whether each operation of the high-temperature space group is broken at a temperature.

    An operation is broken where order inside the unit cell that has set in puts intensity on a reflection
    that the operation forbids, or unlike intensities on two reflections that it makes equivalent. Heights at
    T = 0 without noise say so, of the reflections inside the grid.

    Parameters
    ----------
    spec : SeriesSpec
    space_group : str
        Symbol of the high-temperature phase.
    temperature : float
        In K; on cooling.

    Returns
    -------
    dict
        By triplet. None where the grid has too few reflections that could tell: of a glide plane or screw
        axis those that it forbids, of other operations equivalent ones.

    Raises
    ------
    ConfigError
        If there is no such space group.
    """
    from xtec.core.crystallography import gemmi

    group = gemmi.find_spacegroup_by_name(space_group)
    if group is None:
        raise ConfigError(f"no space group named {space_group!r}", hint="such as Fd-3m")
    ops = group.operations()
    height, every = _heights(spec, temperature)
    lattice = {h for h in every if all(_whole(shift, h) for shift in ops.cen_ops)}
    return {op.triplet(): _broken(op, ops, height, lattice) for op in ops.sym_ops}


def _broken(
    op: gemmi.Op, ops: gemmi.GroupOps, height: dict[Index, float], lattice: set[Index]
) -> bool | None:
    forbidden = {_mate(h) for h in lattice if _image(op, h) == h and not _whole(op.tran, h)}
    pairs = {tuple(sorted((h, _mate(_image(op, h))))) for h in lattice}
    pairs = {(h, other) for h, other in pairs if h in lattice and other in lattice and other != h}
    apart = [abs(height[h] - height[i]) / max(height[h] + height[i], 1e-300) for h, i in pairs]
    appear = len(forbidden) >= LEAST_POSITIONS and any(height[h] > 0 for h in forbidden)
    if appear or sum(contrast > LEAST_CONTRAST for contrast in apart) >= LEAST_PAIRS:
        return True
    if any(contrast > 1e-9 for contrast in apart):
        return None
    return None if (0 < len(forbidden) < LEAST_POSITIONS or len(pairs) < LEAST_PAIRS) else False


def _heights(spec: SeriesSpec, temperature: float) -> tuple[dict[Index, float], set[Index]]:
    """Heights of the order that has set in, and all reflections of the grid, one of each Friedel pair."""
    nodes = PeakLattice.within(spec, (0.0, 0.0, 0.0), 0.0)
    basis = GaussianBasis.spanning(0.1, 0.3)
    total = np.zeros(nodes.hkl.shape[:-1])
    for transition in spec.transitions:
        if temperature < transition.tc and (0.0, 0.0, 0.0) in set(transition.star):
            total = total + OrderPeaks(spec, transition, nodes, basis).heights
    there = _there(spec, nodes, basis)
    index = np.rint(nodes.hkl).astype(int).reshape(-1, 3).tolist()
    height = {_mate((h, k, m)): float(value) for (h, k, m), value in zip(index, total.ravel(), strict=True)}
    every = {_mate((h, k, m)) for (h, k, m), yes in zip(index, there.ravel(), strict=True) if yes}
    return height, every


def _there(spec: SeriesSpec, nodes: PeakLattice, basis: GaussianBasis) -> Float64Array:
    """1 where there is a Bragg peak or order of any transition: 000 is not."""
    masks = [nodes.mask(each.rule) for each in spec.transitions]
    bragg = BraggPeaks(spec, nodes, basis).heights > 0
    return np.asarray(np.any([bragg, *(mask > 0 for mask in masks)], axis=0) & (nodes.q_length > 0))


def _image(op: gemmi.Op, h: Index) -> Index:
    a, b, c = op.apply_to_hkl(list(h))
    return a, b, c


def _whole(shift: list[int], h: Index) -> bool:
    """Whether h.t is an integer; translations are in 24ths."""
    return sum(a * b for a, b in zip(shift, h, strict=True)) % 24 == 0


def _mate(h: Index) -> Index:
    """The same one of h and -h."""
    return max(h, (-h[0], -h[1], -h[2]))
