"""Symmetry of reciprocal lattices against groups written out by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from xtec.core.axes import Axis
from xtec.core.errors import ConfigError
from xtec.core.quantities import SampleInfo
from xtec.reciprocal import find_space_group, make_lattice

# Signed permutations; and the six-fold axis of a reciprocal lattice with 60 degrees between a* and b*.
CUBIC = {
    tuple(sign * (row == order[i]) for i, sign in enumerate(signs) for row in range(3))
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
}
SIX_FOLD = np.array([[0, -1, 0], [1, 1, 0], [0, 0, 1]])


def lattice_of(symbol, **sample):
    return make_lattice(SampleInfo(**sample), [], None, asked=symbol)


def axes_of(lengths, values=3):
    """Ql, Qk, Qh of reciprocal lengths (a*, b*, c*)."""
    names = ("Ql", "Qk", "Qh")
    return [
        Axis(name, np.arange(float(values)), "r.l.u.", {"scaling_factor": length})
        for name, length in zip(names, lengths[::-1], strict=True)
    ]


def as_set(rows):
    return {tuple(row) for row in np.asarray(rows).reshape(len(rows), -1).tolist()}


def test_cubic_group_is_all_signed_permutations():
    assert as_set(lattice_of("m-3m").rotations) == CUBIC


def test_hexagonal_axes_turn_reflections_as_a_reciprocal_lattice():
    lattice = lattice_of("6/mmm")
    assert tuple(SIX_FOLD.ravel().tolist()) in as_set(lattice.rotations)
    assert len(lattice.rotations) == 24
    # (1 1 0) is no equivalent of (1 0 0), though it is as a direction in the crystal.
    ring = {(1, 0, 0), (0, 1, 0), (-1, 1, 0), (-1, 0, 0), (0, -1, 0), (1, -1, 0)}
    assert as_set(lattice.orbit((1, 0, 0))) == ring
    lengths = {h * h + h * k + k * k for h, k, _ in lattice.orbit((2, 1, 3)).tolist()}
    assert lengths == {7}
    assert len(lattice.orbit((2, 1, 3))) == 24


@pytest.mark.parametrize(
    ("symbol", "laue", "operations"),
    [
        ("Fd-3m", "m-3m", 48),
        ("F d -3 m :2", "m-3m", 48),
        ("227", "m-3m", 48),
        ("Ia-3", "m-3", 24),
        ("m3m", "m-3m", 48),
        ("P6_3/mmc", "6/mmm", 24),
        ("P63", "6/m", 12),
        ("I4/mmm", "4/mmm", 16),
        ("4/m", "4/m", 8),
        ("-3m", "-3m", 12),
        ("-3", "-3", 6),
        ("Pnma", "mmm", 8),
        ("P2_1/c", "2/m", 4),
        ("-1", "-1", 2),
    ],
)
def test_symbols_are_groups_with_inversion(symbol, laue, operations):
    lattice = lattice_of(symbol)
    assert (lattice.laue, len(lattice.rotations)) == (laue, operations)
    group = as_set(lattice.rotations)
    assert tuple((-np.eye(3, dtype=int)).ravel().tolist()) in group
    for a, b in itertools.product(lattice.rotations, repeat=2):
        assert tuple((a @ b).ravel().tolist()) in group


@pytest.mark.parametrize("symbol", ["cubic", "Fd-3q", "7/mmm", "300"])
def test_unknown_symbols_are_refused(symbol):
    with pytest.raises(ConfigError, match="no space group"):
        lattice_of(symbol)
    with pytest.raises(ConfigError, match="try: write it as Fd-3m"):
        make_lattice(SampleInfo(space_group=symbol), [], None)


@pytest.mark.parametrize(
    ("symbol", "cell", "turns"),
    [
        ("2/m", (4, 5, 6, 90, 100, 90), [-1, 1, -1]),
        ("2/m", (4, 5, 6, 90, 90, 100), [-1, -1, 1]),
        ("2/m", (4, 5, 6, 100, 90, 90), [1, -1, -1]),
    ],
)
def test_unique_axis_is_where_the_angle_is_not_right(symbol, cell, turns):
    assert tuple(np.diag(turns).ravel().tolist()) in as_set(lattice_of(symbol, cell=cell).rotations)


def test_rhombohedral_axes_permute_their_indices():
    lattice = lattice_of("-3m", cell=(5, 5, 5, 70, 70, 70))
    assert as_set(lattice.orbit((1, 2, 3))) == {
        tuple(s * i for i in order) for order in itertools.permutations((1, 2, 3)) for s in (1, -1)
    }


def test_what_is_asked_for_goes_before_the_file_and_the_file_before_the_metric():
    sample = SampleInfo(cell=(4, 4, 4, 90, 90, 90), space_group="P4/mmm", laue_group="mmm")
    assert make_lattice(sample, [], None, "6/m").source == "asked for"
    found = make_lattice(sample, [], None)
    assert (found.laue, found.source) == ("4/mmm", "space group of the file")
    found = make_lattice(SampleInfo(cell=sample.cell, laue_group="mmm"), [], None)
    assert (found.laue, found.source) == ("mmm", "Laue group of the file")
    found = make_lattice(SampleInfo(cell=sample.cell), [], None)
    assert (found.laue, found.source) == ("m-3m", "metric of the lattice")
    assert found.cell == sample.cell
    nothing = make_lattice(SampleInfo(), axes_of((None, 1.0, 1.0)), None)
    assert (nothing.laue, nothing.source, nothing.cell) == ("-1", "no lattice in the file", None)
    assert as_set(nothing.orbit((1, 2, 3))) == {(1, 2, 3), (-1, -2, -3)}


@pytest.mark.parametrize("scale", [1.0, 2 * np.pi])
@pytest.mark.parametrize(
    ("lengths", "angles", "laue"),
    [
        ((0.25, 0.25, 0.25), None, "m-3m"),
        ((0.25, 0.25, 0.20), None, "4/mmm"),
        ((0.20, 0.25, 0.25), None, "4/mmm"),
        ((0.25, 0.22, 0.20), [90, 90, 90], "mmm"),
        ((0.25, 0.25, 0.10), [60, 90, 90], "6/mmm"),
        ((0.10, 0.25, 0.25), [90, 90, 60], "6/mmm"),
        ((0.25, 0.22, 0.20), [90, 80, 90], "2/m"),
        ((0.25, 0.22, 0.20), [75, 80, 85], "-1"),
        ((0.25, 0.25, 0.25), [70, 70, 70], "-3m"),
    ],
)
def test_metric_of_the_axes_tells_the_symmetry(lengths, angles, laue, scale):
    axes = axes_of([scale * length for length in lengths])
    lattice = make_lattice(SampleInfo(), axes, None if angles is None else np.array(angles, dtype=float))
    assert (lattice.laue, lattice.source) == (laue, "metric of the lattice")
    # Every operation leaves the lengths of reciprocal lattice vectors as they are.
    a, b, c = lengths
    gamma, beta, alpha = np.cos(np.deg2rad(angles if angles else [90, 90, 90]))
    metric = np.array(
        [
            [a * a, a * b * gamma, a * c * beta],
            [a * b * gamma, b * b, b * c * alpha],
            [a * c * beta, b * c * alpha, c * c],
        ]
    )
    for rotation in lattice.rotations:
        np.testing.assert_allclose(rotation.T @ metric @ rotation, metric, atol=1e-9)


def test_reciprocal_lengths_give_the_cell():
    lattice = make_lattice(SampleInfo(), axes_of((0.25, 0.25, 0.1)), np.array([60.0, 90.0, 90.0]))
    np.testing.assert_allclose(lattice.cell, (8 / np.sqrt(3), 8 / np.sqrt(3), 10, 90, 90, 120))


@pytest.mark.parametrize(
    ("symbol", "q", "star"),
    [
        ("m-3m", (0, 0, 0), [(0, 0, 0)]),
        ("m-3m", (3.5, -0.5, 2), [(0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]),
        ("m-3m", (0.25, 0, 0), [(x, 0, 0) for x in (0.25, -0.25)] + [(0, x, 0) for x in (0.25, -0.25)]
         + [(0, 0, x) for x in (0.25, -0.25)]),
        ("6/mmm", (1 / 3, 1 / 3, 0), [(1 / 3, 1 / 3, 0), (-1 / 3, -1 / 3, 0)]),
        ("6/mmm", (0.5, 0.5, 0), [(0.5, 0, 0), (0, 0.5, 0), (0.5, 0.5, 0)]),
        ("4/mmm", (0.5, 0, 0.2), [(0.5, 0, 0.2), (0, 0.5, 0.2), (0.5, 0, -0.2), (0, 0.5, -0.2)]),
        ("-1", (0.1, 0.2, -0.3), [(0.1, 0.2, -0.3), (-0.1, -0.2, 0.3)]),
    ],
)  # fmt: skip
def test_stars_by_hand(symbol, q, star):
    found = lattice_of(symbol).star(q)
    assert len(found) == len(star)
    assert np.all((found > -0.5) & (found <= 0.5))
    assert as_set(np.round(found, 6) + 0.0) == as_set(np.round(star, 6))


@pytest.mark.parametrize(
    ("symbol", "q", "plainest"),
    [
        ("m-3m", (0, -0.2, 1.3), (0.3, 0.2, 0)),
        ("m-3", (0, -0.2, 1.3), (0.3, 0, 0.2)),
        ("6/mmm", (0.5, 0.5, 0), (0.5, 0, 0)),
        ("6/mmm", (-0.287, 0.287, 0), (0.287, 0, 0)),
        ("-1", (-0.2, 0.1, -0.3), (0.2, -0.1, 0.3)),
    ],
)
def test_representative_is_the_plainest(symbol, q, plainest):
    np.testing.assert_allclose(lattice_of(symbol).representative(q), plainest, atol=1e-12)


def test_tolerance_joins_members_of_a_star():
    lattice = lattice_of("m-3m")
    assert len(lattice.star((0.499, 0.5, 0))) == 12
    assert len(lattice.star((0.499, 0.5, 0), tolerance=0.01)) == 3


def test_settling_finds_the_symmetric_point_nearby_and_no_other():
    lattice = lattice_of("m-3m")
    np.testing.assert_allclose(lattice.settled((0.497, 0.004, -0.002), 0.02), (0.5, 0, 0), atol=1e-9)
    np.testing.assert_allclose(lattice.settled((0.30, 0.31, 0.1), 0.02), (0.305, 0.305, 0.1), atol=1e-9)
    np.testing.assert_allclose(lattice.settled((0.30, 0.36, 0.1), 0.02), (0.30, 0.36, 0.1), atol=1e-9)
    hexagonal = lattice_of("6/mmm")
    np.testing.assert_allclose(hexagonal.settled((0.335, 0.330, 0.5), 0.02), (1 / 3, 1 / 3, 0.5), atol=1e-9)


def test_unmeasured_axis_stays_out():
    star = lattice_of("m-3m").star((0.5, 0.2, np.nan))
    assert np.isnan(star[:, 2]).all()
    assert as_set(np.round(star[:, :2], 6)) == {(0.5, 0.2), (0.2, 0.5), (0.5, -0.2), (-0.2, 0.5)}


def test_point_groups_are_found_as_symmorphic_space_groups():
    assert find_space_group("m-3m").short_name() == "Pm-3m"
    assert find_space_group("Fd-3m").number == 227
