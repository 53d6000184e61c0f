"""Where in the zone planted voxels are found."""

from __future__ import annotations

import numpy as np
import pytest

from xtec.core.axes import Axis
from xtec.reciprocal import zone_position

NAMES = ("Ql", "Qk", "Qh")


def grid_axes(spans, pixels=20, names=NAMES, units="r.l.u.", descending=()):
    """Axes from low to high, in the order of `names`, `pixels` to the r.l.u."""
    axes = []
    for name, (low, high) in zip(names, spans, strict=True):
        values = np.linspace(low, high, round((high - low) * pixels) + 1)
        axes.append(Axis(name, values[::-1] if name in descending else values, units))
    return axes


def plant(axes, q, width=0.04, radius=0.1):
    """Voxels within `radius` of +q or -q of every lattice point, their weights a Gaussian of `width`.

    `q` in the order of the axes.
    """
    position = np.stack(np.meshgrid(*(axis.values for axis in axes), indexing="ij"), axis=-1)
    distance = np.full(position.shape[:-1], np.inf)
    for sign in (1, -1):
        away = position - sign * np.array(q)
        distance = np.minimum(distance, np.linalg.norm(away - np.round(away), axis=-1))
    index = np.flatnonzero(distance <= radius + 1e-9)
    return index, np.exp(-0.5 * (distance.reshape(-1)[index] / width) ** 2)


CUBE = [(-1.0, 1.0), (-2.0, 2.0), (-2.0, 2.0)]


@pytest.mark.parametrize(
    ("hkl", "offset", "text"),
    [
        ((1 / 2, 1 / 2, 0), (0.5, 0.5, 0), "(1/2, 1/2, 0)"),
        ((1 / 3, 1 / 3, 0), (1 / 3, 1 / 3, 0), "(1/3, 1/3, 0)"),
        ((2 / 3, 1 / 3, 0), (1 / 3, 1 / 3, 0), "(1/3, 1/3, 0)"),
        ((0, 0, 1 / 2), (0, 0, 0.5), "(0, 0, 1/2)"),
        ((1 / 4, 0, 1 / 2), (0.25, 0, 0.5), "(1/4, 0, 1/2)"),
        ((0.28, 0, 0), (0.28, 0, 0), "(0.28, 0, 0)"),
        ((0, 0.28, 0), (0, 0.28, 0), "(0, 0.28, 0)"),
        ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "(1/2, 1/2, 1/2)"),
        ((0, 0, 0), (0, 0, 0), "(0, 0, 0)"),
    ],
)
@pytest.mark.parametrize("pixels", [20, 12])
@pytest.mark.parametrize("descending", [(), ("Qh",), NAMES])
def test_planted_order_is_found(hkl, offset, text, pixels, descending):
    axes = grid_axes(CUBE, pixels, descending=descending)
    found = zone_position(axes, *plant(axes, hkl[::-1]))
    np.testing.assert_allclose(found.offset, offset, atol=0.012)
    assert found.text == text
    assert found.is_bragg == (not any(offset))


@pytest.mark.parametrize(
    ("names", "q", "text"),
    [
        (("Qk", "Qh"), (0.5, 0.0), "(0, 1/2, ?)"),
        (("Ql", "Qh"), (1 / 3, 0.5), "(1/2, ?, 1/3)"),
        (("Qh",), (1 / 3,), "(1/3, ?, ?)"),
        (("Ql",), (0.28,), "(?, ?, 0.28)"),
        (("Ql",), (0.0,), "(?, ?, 0)"),
    ],
)
def test_fewer_axes_are_told_in_the_order_h_k_l(names, q, text):
    axes = grid_axes([(-2.0, 3.0)] * len(names), names=names)
    found = zone_position(axes, *plant(axes, q))
    assert found.text == text
    assert found.is_bragg == (not any(q))


@pytest.mark.parametrize("q", [0.12, 0.16, 0.2])
def test_satellites_near_a_lattice_point_are_no_bragg_peaks(q):
    axes = grid_axes(CUBE, 25)
    found = zone_position(axes, *plant(axes, (0.0, 0.0, q), width=0.02, radius=0.05))
    assert not found.is_bragg
    np.testing.assert_allclose(found.offset, (q, 0, 0), atol=0.012)


def test_one_plane_of_half_order():
    axes = [Axis("Ql", np.array([0.5]), "r.l.u."), *grid_axes(CUBE[1:], names=NAMES[1:])]
    found = zone_position(axes, *plant(axes, (0.5, 0.0, 0.5)))
    assert found.text == "(1/2, 0, 1/2)"


def test_intensity_decides_between_places():
    axes = grid_axes([(-2.0, 2.0)] * 2, names=("Qk", "Qh"))
    (strong, heavy), (weak, light) = plant(axes, (0.5, 0.5)), plant(axes, (0.0, 0.25))
    index, weight = np.concatenate([strong, weak]), np.concatenate([10 * heavy, light])
    assert zone_position(axes, index, weight).text == "(1/2, 1/2, ?)"
    weight = np.concatenate([heavy, 10 * light])
    assert zone_position(axes, index, weight).text == "(1/4, 0, ?)"


@pytest.mark.parametrize(
    "axes",
    [
        grid_axes([(0.0, 2.0)] * 2, names=("two_theta", "Qh")),
        grid_axes([(0.0, 2.0)] * 2, names=("Qk", "Qh"), units="pixel"),
        grid_axes([(10.0, 30.0)], names=("two_theta",), units="deg"),
    ],
    ids=["an angle among them", "pixels", "angle"],
)
def test_axes_that_have_no_zone_have_no_place_in_it(axes):
    assert zone_position(axes, np.arange(5), np.ones(5)) is None


def test_no_voxels_are_nowhere():
    assert zone_position(grid_axes(CUBE), np.empty(0, dtype=np.int64), np.empty(0)) is None
