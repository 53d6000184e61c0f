"""Cubic and hexagonal crystals: metric, stars, equivalent reflections, and what the files say of them."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from xtec.core.errors import ConfigError
from xtec.io.writing.truth import read_truth
from xtec.simulation import (
    Detector,
    Grid,
    Overrides,
    Sample,
    Scattering,
    SeriesSpec,
    SimulatedSeries,
    make_specs,
)
from xtec.simulation.components import PeakLattice
from xtec.simulation.detector import shadows
from xtec.simulation.reflections import reflection_uniform, star
from xtec_pipelines.simulate import SimulateConfig, make_simulate_config, run_simulate

A, C = 5.4, 9.2
HEXAGONAL = Sample(name="X", formula="X", lattice_parameter=A, lattice="hexagonal", c=C)
CUBIC = Sample(name="X", formula="X", lattice_parameter=A)
GENERATORS = {
    "cubic": [
        [[0, 1, 0], [1, 0, 0], [0, 0, 1]],
        [[0, 0, 1], [1, 0, 0], [0, 1, 0]],
        [[-1, 0, 0], [0, 1, 0], [0, 0, 1]],
    ],
    # A sixth of a turn takes a* to b* and b* to b* - a*; the mirrors swap a* and b*, and turn c* over.
    "hexagonal": [
        [[0, -1, 0], [1, 1, 0], [0, 0, 1]],
        [[0, 1, 0], [1, 0, 0], [0, 0, 1]],
        [[1, 0, 0], [0, 1, 0], [0, 0, -1]],
    ],
}
ORDERS = {"cubic": 48, "hexagonal": 24}


def laue_group(lattice: str) -> list[np.ndarray]:
    """All products of the generators, as matrices on (h, k, l)."""
    group = {np.eye(3, dtype=int).tobytes(): np.eye(3, dtype=int)}
    while True:
        products = [np.array(g) @ each for g in GENERATORS[lattice] for each in group.values()]
        grown = {**group, **{each.tobytes(): each for each in products}}
        if len(grown) == len(group):
            assert len(group) == ORDERS[lattice]
            return list(group.values())
        group = grown


def q_lengths(sample: Sample, hkl: np.ndarray) -> np.ndarray:
    """|Q| from the vectors of the direct cell, in 1/angstrom."""
    a, b, c, *angles = sample.cell
    gamma = np.deg2rad(angles[2])
    direct = np.array([[a, 0, 0], [b * np.cos(gamma), b * np.sin(gamma), 0], [0, 0, c]])
    return np.linalg.norm(hkl @ (2 * np.pi * np.linalg.inv(direct).T), axis=-1)


def make_series(sample: Sample, **scattering: object) -> SimulatedSeries:
    grid = Grid(ql=(-1, 1), qk=(-2, 2), qh=(-2, 2), pixels=6, temperatures=(50, 100))
    spec = SeriesSpec(
        grid=grid,
        sample=sample,
        scattering=Scattering(sigma=0.4, tail=0.0, **scattering),
        detector=Detector(counts=0, beam_stop=0, wedge=0, hot_pixels=0),
    )
    return SimulatedSeries(spec)


@pytest.mark.parametrize("sample", [CUBIC, HEXAGONAL], ids=["cubic", "hexagonal"])
def test_lengths_in_reciprocal_space_are_those_of_the_cell(sample: Sample):
    np.testing.assert_allclose(sample.reciprocal_lengths, q_lengths(sample, np.eye(3)))
    cosine = np.cos(np.deg2rad(sample.reciprocal_angles[0]))
    diagonal = sample.reciprocal_lengths[0] * np.sqrt(2 + 2 * cosine)
    assert q_lengths(sample, np.array([1.0, 1.0, 0.0])) == pytest.approx(diagonal)
    lattice = PeakLattice.within(make_series(sample).spec, (0.5, 0.0, 0.25), 1.0)
    np.testing.assert_allclose(lattice.q_length, q_lengths(sample, lattice.hkl), rtol=1e-13)


def test_interplanar_spacings_of_a_hexagonal_crystal():
    h, k, l_index = 2.0, -3.0, 5.0
    inverse_square = 4 / 3 * (h * h + h * k + k * k) / A**2 + l_index**2 / C**2
    x, y, z = HEXAGONAL.cartesian(np.array(h), np.array(k), np.array(l_index))
    length = HEXAGONAL.reciprocal_lengths[0] * np.sqrt(x**2 + y**2 + z**2)
    assert length == pytest.approx(2 * np.pi * np.sqrt(inverse_square))


@pytest.mark.parametrize("sample", [CUBIC, HEXAGONAL], ids=["cubic", "hexagonal"])
def test_background_falls_with_the_length_of_q(sample: Sample):
    series = make_series(sample, bragg_heights=(1e-12, 1e-12))
    ql, qk, qh = series.spec.grid.q
    for plane in (0, 8):
        k, h = np.meshgrid(qk, qh, indexing="ij")
        length = q_lengths(sample, np.stack([h, k, np.full_like(h, ql[plane])], axis=-1))
        expected = 8.0 * (1 + 0.05 * 100 / 300) * (1 + 0.35 * np.exp(-((length / 4) ** 2)))
        np.testing.assert_allclose(series.expected(1, plane), expected, rtol=1e-10)


def test_the_beam_stop_is_a_sphere():
    spec = make_series(HEXAGONAL).spec
    spec = replace(spec, detector=Detector(beam_stop=1.2, wedge=0))
    ql, qk, qh = spec.grid.q
    k, h = np.meshgrid(qk, qh, indexing="ij")
    for plane, along_c in enumerate(ql):
        length = q_lengths(HEXAGONAL, np.stack([h, k, np.full_like(h, along_c)], axis=-1))
        inside = length < 1.2 * HEXAGONAL.reciprocal_lengths[0]
        np.testing.assert_array_equal(shadows(spec, plane).zero, inside)


@pytest.mark.parametrize(
    ("q", "members"),
    [
        ((1 / 2, 1 / 2, 0), {(1 / 2, 1 / 2, 0), (1 / 2, 0, 0), (0, 1 / 2, 0)}),
        ((1 / 3, 1 / 3, 1 / 2), {(1 / 3, 1 / 3, 1 / 2), (2 / 3, 2 / 3, 1 / 2)}),
        (
            (1 / 3, 0, 0),
            {(x, 0, 0) for x in (1 / 3, 2 / 3)}
            | {(0, x, 0) for x in (1 / 3, 2 / 3)}
            | {(1 / 3, 2 / 3, 0), (2 / 3, 1 / 3, 0)},
        ),
        ((0, 0, 1 / 4), {(0, 0, 1 / 4), (0, 0, 3 / 4)}),
        ((0, 0, 0), {(0, 0, 0)}),
    ],
)
def test_hexagonal_stars_by_hand(q: tuple[float, ...], members: set[tuple[float, ...]]):
    found = star(q, "hexagonal")
    assert found[0] == q
    np.testing.assert_allclose(sorted(found), sorted(members), atol=1e-12)


@pytest.mark.parametrize("lattice", ["cubic", "hexagonal"])
@pytest.mark.parametrize("q", [(0.5, 0.0, 0.5), (1 / 3, 1 / 3, 0.25), (0.125, 0.25, 0.3), (0.2, -0.4, 0)])
def test_stars_are_orbits_of_the_laue_group(lattice: str, q: tuple[float, ...]):
    found = np.array(star(q, lattice))
    images = np.array([operation @ np.array(q) for operation in laue_group(lattice)])

    def same(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        difference = one[:, None] - other[None]
        return np.all(np.abs(difference - np.rint(difference)) < 1e-9, axis=-1)

    np.testing.assert_array_equal(same(found, found), np.eye(len(found), dtype=bool))
    assert same(images, found).any(axis=1).all()
    assert same(found, images).any(axis=1).all()


@pytest.mark.parametrize("lattice", ["cubic", "hexagonal"])
@pytest.mark.parametrize("offset", [(0, 0, 0), (1 / 3, 1 / 3, 1 / 2)])
def test_reflections_have_one_strength_exactly_where_they_are_equivalent(
    lattice: str, offset: tuple[float, ...]
):
    nodes = np.array(list(itertools.product(range(-3, 4), repeat=3)), dtype=float) + offset
    operations = np.array(laue_group(lattice))
    images = np.einsum("gij,nj->ngi", operations, nodes)
    strengths = reflection_uniform(images, seed=3, stream=7, lattice=lattice)
    assert np.all(strengths == strengths[:, :1])
    # A class is named by its last image in the order of the (rounded) indices.
    classes = {max(map(tuple, np.round(each, 6))) for each in images}
    assert len(np.unique(strengths[:, 0])) == len(classes)


def test_equivalent_peaks_of_a_hexagonal_crystal_have_one_height():
    series = make_series(HEXAGONAL, diffuse=0.0)
    ql, qk, qh = (list(values) for values in series.spec.grid.q)

    def height(h: int, k: int, along_c: int) -> float:
        return series.component("Bragg", 0, ql.index(along_c))[qk.index(k), qh.index(h)]

    for hkl in ((1, 0, 1), (1, 1, 0), (1, 0, 0)):
        images = {tuple(int(i) for i in each @ np.array(hkl)) for each in laue_group("hexagonal")}
        heights = [height(*each) for each in images]
        assert len(heights) == {1: 12, 0: 6}[hkl[2]]
        np.testing.assert_allclose(heights, heights[0], rtol=1e-6)
    assert height(1, 1, 0) != pytest.approx(height(1, -1, 0), rel=1e-3)


@pytest.mark.parametrize("layout", ["stacked", "nxrefine"])
def test_files_of_a_hexagonal_crystal(tmp_path: Path, layout: str):
    options = {"preset": "tiny", "output": tmp_path / "x", "lattice": "hexagonal", "layout": layout}
    run_simulate(make_simulate_config({**options, "n_temperatures": 2}))
    stacked = layout == "stacked"
    wrapper = tmp_path / "x" if stacked else next((tmp_path / "x").glob("*_30K.nxs"))
    with h5py.File(wrapper) as file:
        data = file["entry/data" if stacked else "entry/transform"]
        assert list(data.attrs["axes"][-3:]) == ["Ql", "Qk", "Qh"]
        np.testing.assert_array_equal(data.attrs["angles"], [60, 90, 90])
        cell = file["entry/sample"]
        a, b, c = (cell[f"unitcell_{name}"][()] for name in "abc")
        assert [cell[f"unitcell_{name}"][()] for name in ("alpha", "beta", "gamma")] == [90, 90, 120]
        assert a == b
        for name, length in (("Qh", a * np.sqrt(0.75)), ("Qk", b * np.sqrt(0.75)), ("Ql", c)):
            assert data[name].attrs["scaling_factor"] == pytest.approx(2 * np.pi / length)
    np.testing.assert_array_equal(read_truth(tmp_path / "x").q, [[0.5, 0.5, 0], [0.5, 0, 0], [0, 0.5, 0]])


def test_a_hexagonal_plane_has_the_angle_between_its_axes(tmp_path: Path):
    overrides = Overrides(lattice="hexagonal", planar=True, n_temperatures=2)
    run_simulate(SimulateConfig(preset="tiny", output=tmp_path / "a.nxs", overrides=overrides))
    with h5py.File(tmp_path / "a.nxs") as file:
        assert file["entry/data"].attrs["angles"] == 60


def test_a_hexagonal_preset_takes_the_star_of_its_own_lattice_and_allows_all_reflections():
    (spec,) = make_specs("cdw", Overrides(lattice="hexagonal", q=(1 / 3, 1 / 3, 1 / 2)))
    assert spec.transitions[0].star == star((1 / 3, 1 / 3, 1 / 2), "hexagonal")
    assert spec.scattering.bragg_rule == "all"
    assert make_specs("cdw", Overrides(lattice="cubic")) == make_specs("cdw")


@pytest.mark.parametrize(
    ("preset", "lattice"), [("iuc", "hexagonal"), ("phase-diagram", "hexagonal"), ("tiny", "trigonal")]
)
def test_lattices_that_do_not_fit_are_refused(preset: str, lattice: str):
    with pytest.raises(ConfigError):
        make_specs(preset, Overrides(lattice=lattice))


@pytest.mark.parametrize(
    "changes",
    [{"lattice": "hexagonal"}, {"c": 5.0}, {"lattice": "hexagonal", "c": 0.0}, {"lattice": "other"}],
)
def test_cells_that_make_no_sense_are_refused(changes: dict[str, object]):
    with pytest.raises(ConfigError):
        replace(CUBIC, **changes)
