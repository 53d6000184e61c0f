"""Broken operations against planted truth, closed forms and gemmi."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import pandas as pd
import pytest

from xtec.core.axes import Axis
from xtec.core.errors import ConfigError
from xtec.core.quantities import SampleInfo
from xtec.core.reflections import BrokenSymmetry
from xtec.io.run.clustered import read_clustered
from xtec.learned.symmetry_breaking import (
    BreakingOptions,
    MeasuredPeaks,
    find_broken_operations,
    symmetrise,
)
from xtec.learned.symmetry_operations import OperationGroup, operation_group
from xtec.plotting.broken_symmetry import plot_broken_symmetry
from xtec.reciprocal import make_lattice
from xtec.simulation import Overrides, Transition, broken_operations, make_specs
from xtec_pipelines.cluster import run_cluster
from xtec_pipelines.config import make_config
from xtec_pipelines.findings.broken_symmetry import broken_symmetry, strongest_peaks
from xtec_pipelines.simulate import SimulateConfig, run_simulate

SERIES = Path(__file__).resolve().parents[2] / "sample_data" / "cro_iuc.nxs"
CUBIC = make_lattice(SampleInfo(cell=(10.0, 10.0, 10.0, 90.0, 90.0, 90.0)), (), None)
SCAN = Axis("temperature", np.linspace(20.0, 290.0, 28), "K")
TC = 165.0
REGION = (np.full(3, -5), np.full(3, 5))


def group_of(symbol: str = "") -> OperationGroup:
    return operation_group(CUBIC, symbol or None)


def nodes(size: int = 5) -> np.ndarray:
    hkl = np.array(list(product(range(-size, size + 1), repeat=3)))
    return hkl[hkl.any(axis=1) & (hkl[:, 2] >= 0)]


def strengths(hkl: np.ndarray, rng: np.random.Generator, unique: int | None = None) -> np.ndarray:
    """Log-uniform numbers 300 to 3000, alike for what m-3m makes equivalent, or 4/mmm of a unique axis."""
    key = np.abs(hkl)
    if unique is None:
        key = np.sort(key, axis=1)
    else:
        others = [i for i in range(3) if i != unique]
        key = np.concatenate([np.sort(key[:, others], axis=1), key[:, [unique]]], axis=1)
    _, number = np.unique(key, axis=0, return_inverse=True)
    return np.asarray(300 * 10 ** rng.uniform(size=number.max() + 1)[number.ravel()])


def peaks(hkl: np.ndarray, expected: np.ndarray, rng: np.random.Generator) -> MeasuredPeaks:
    """Counted once for heights and once for sums over ten voxels."""
    height = rng.poisson(expected).astype(float)
    total = rng.poisson(10 * expected).astype(float)
    return MeasuredPeaks(
        hkl=hkl,
        height=height,
        height_variance=np.maximum(height, 1.0),
        intensity=total,
        intensity_variance=np.maximum(total, 1.0),
        voxels=np.full(len(hkl), 10.0),
    )


def pattern(seed: int, unique: int | None, order: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Cubic strengths that fall slowly, half of them with an order of lower symmetry below Tc."""
    rng = np.random.default_rng(seed)
    hkl = nodes()
    growth = np.clip(1 - SCAN.values / TC, 0, None) ** 0.5
    basis = strengths(hkl, rng)[:, None] * (1 - SCAN.values / 1500)
    ordered = (hkl.sum(axis=1) % 2 == 0)[:, None] * strengths(hkl, rng, unique)[:, None] * growth
    return hkl, 5.0 + basis + order * ordered


class TestOperations:
    @pytest.mark.parametrize("symbol", ["Fd-3m", "Pm-3n", "I41/amd", "Ia-3d", "Pnma", "P212121"])
    def test_what_they_forbid_and_where_they_take_reflections_as_gemmi_has_it(self, symbol: str) -> None:
        group, hkl = group_of(symbol), nodes(6)
        ops = gemmi.find_spacegroup_by_name(symbol).operations()
        absent = ops.systematic_absences(hkl.astype(np.int32))
        lattice = group.allowed_by_centring(hkl)
        np.testing.assert_array_equal(group.forbids(hkl).any(axis=0), absent & lattice)
        assert not lattice[~absent].sum() < (~absent).sum()
        some = hkl[::37]
        images = group.images(some)
        for number, triplet in enumerate(group.triplets):
            op = gemmi.Op(triplet)
            np.testing.assert_array_equal(images[number], [op.apply_to_hkl(h) for h in some.tolist()])

    def test_names_of_well_known_ones(self) -> None:
        names = group_of("Fd-3m").names
        kinds = pd.Series([name.split(" along ")[0].split(" normal ")[0] for name in names[1:-1]])
        # International Tables A, No. 227: F 4_1/d -3 2/m.
        assert dict(kinds.value_counts()) == {
            "3-fold rotation": 8,
            "3-fold rotoinversion": 8,
            "2-fold rotation": 9,
            "4-fold screw axis": 6,
            "4-fold rotoinversion": 6,
            "mirror plane": 6,
            "glide plane": 3,
        }
        assert (names[0], names[-1]) == ("identity", "inversion")
        assert "glide plane normal to a" in names

    @pytest.mark.parametrize(
        ("lost", "symbol", "left"),
        [
            (("glide", "screw"), "Fd-3m", ["F-43m"]),
            (("glide",), "Fd-3m", ["F-43m", "F4132"]),
            (("4-fold", "mirror", "2-fold rotation along ["), "Fd-3m", ["Fd-3"]),
            (("3-fold", "along a", "along b", "normal to a"), "Pm-3n", ["P42", "Pccm", "P42/m"]),
            (("inversion",), "Pm-3n", ["P-43n", "P4232"]),
        ],
    )
    def test_the_largest_subgroup_left(self, lost: tuple[str, ...], symbol: str, left: list[str]) -> None:
        group = group_of(symbol)
        broken = np.array([any(word in name.split(", ")[0] for word in lost) for name in group.names])
        found = group.largest_subgroups(broken)
        assert {group.name_of(members) for members in found} <= set(left)
        assert all(not (members & broken).any() and members[0] for members in found)

    def test_all_subgroups_of_the_cube(self) -> None:
        """m-3m has 98 subgroups; its largest ones without a mirror are closed."""
        from xtec.learned.symmetry_operations import _subgroups

        group = group_of()
        rotations = {r.tobytes() for r in group.rotations}
        assert len(rotations) == 48
        subgroups = _subgroups(group.rotations.tobytes())
        assert len(subgroups) == 98
        for members in subgroups[::9]:
            inside = group.rotations[members]
            made = {(a @ b).tobytes() for a in inside for b in inside}
            assert made == {r.tobytes() for r in inside}


class TestEquivalents:
    @pytest.mark.parametrize("seed", range(40, 46))
    def test_exactly_the_operations_that_move_the_unique_axis(self, seed: int) -> None:
        unique = seed % 3
        hkl, expected = pattern(seed, unique)
        group = group_of()
        found = find_broken_operations(
            peaks(hkl, expected, np.random.default_rng(seed + 1)), SCAN, group, REGION
        )
        moved = np.abs(group.rotations[:, unique, unique]) != 1
        np.testing.assert_array_equal(found.broken, np.outer(SCAN.values < TC, moved))
        letter = "abc"[unique]
        assert {*found.subgroup} == {"m-3m", "4/mmm"}
        ((below, above, after, before),) = found.changes
        assert (below < TC < above, after, before) == (True, "4/mmm", "m-3m")
        holding = [n for n, kept in zip(found.names, ~moved, strict=True) if kept and "4-fold" in n]
        assert all(f"along {letter}" in name for name in holding)

    def test_order_that_keeps_the_group_rarely_breaks_anything(self) -> None:
        """Intervals hold for all operations and temperatures together in 19 of 20 series."""
        wrong = 0
        for seed in range(60, 70):
            hkl, expected = pattern(seed, None)
            measured = peaks(hkl, expected, np.random.default_rng(seed))
            found = find_broken_operations(measured, SCAN, group_of(), REGION)
            wrong += bool(found.broken.any())
            assert found.broken.mean() < 0.01
        assert wrong <= 2

    def test_a_peak_that_is_cut_breaks_nothing(self) -> None:
        hkl, expected = pattern(3, None)
        expected[17, :14] *= 0.4
        found = find_broken_operations(
            peaks(hkl, expected, np.random.default_rng(3)), SCAN, group_of(), REGION
        )
        assert not found.broken.any()
        assert np.nanmin(found.weights[:14]) < 0.97

    def test_weights_are_the_contrast_of_a_pattern_and_its_copy(self) -> None:
        """Intensities (1 +- a) m of each pair: a weight of (1 - a) / (1 + a)."""
        rng = np.random.default_rng(0)
        hkl = nodes()
        contrast = 0.3
        longer = np.sign(np.abs(hkl[:, 0]) - np.abs(hkl[:, 1]))
        base = 1e6 * strengths(hkl, rng)[:, None] * np.ones(28)
        below = np.where(SCAN.values < TC, 2.0 * (1 + contrast * longer[:, None]), 1.0)
        # Twice as much below Tc, all of it as change would be: the symmetric phase is hardly there.
        expected = np.where(SCAN.values < TC, 1.0, 1e-3) * base * below
        expected[longer == 0] = base[longer == 0]
        found = find_broken_operations(peaks(hkl, expected, rng), SCAN, group_of(), REGION)
        turn = found.names.index("4-fold rotation along c")
        share = np.mean(longer != 0)
        cold = found.weights[SCAN.values < TC, turn]
        assert share > 0.7
        expected_weight = (1 - contrast) / (1 + contrast)
        np.testing.assert_allclose(cold, expected_weight, atol=0.06)
        assert found.low[0, turn] <= cold[0] <= found.high[0, turn] < 1

    def test_plain_comparisons_are_what_they_say(self) -> None:
        hkl, expected = pattern(5, 2)
        measured = peaks(hkl[hkl[:, 2] > 0], expected[hkl[:, 2] > 0], np.random.default_rng(5))
        found = find_broken_operations(measured, SCAN, group_of(), REGION)
        turn = found.names.index("4-fold rotation along c")
        place = {tuple(h): i for i, h in enumerate(measured.hkl.tolist())}
        first, second = [], []
        for (h, k, m), i in place.items():
            if (-k, h, m) in place:
                first.append(measured.height[i])
                second.append(measured.height[place[-k, h, m]])
        a, b = np.array(first), np.array(second)
        disagreement = np.abs(a - b).sum(axis=0) / (a + b).sum(axis=0)
        np.testing.assert_allclose(found.disagreement[:, turn], disagreement, rtol=0.03)
        correlation = [np.corrcoef(a[:, t], b[:, t])[0, 1] for t in range(28)]
        np.testing.assert_allclose(found.correlation[:, turn], correlation, atol=0.01)


class TestSymmetrise:
    def test_mean_over_measured_equivalents(self) -> None:
        group, hkl = group_of("Pm-3n"), nodes(3)
        rng = np.random.default_rng(1)
        values = rng.uniform(size=(len(hkl), 4))
        values[::11] = np.nan
        turned = symmetrise(hkl, values, group)
        place = {tuple(h): i for i, h in enumerate(hkl.tolist())}
        for i in range(0, len(hkl), 23):
            images = [tuple((np.array(hkl[i]) @ r).tolist()) for r in group.rotations]
            rows = np.array([values[place[h]] for h in images if h in place])
            np.testing.assert_allclose(turned[i], np.nanmean(rows, axis=0))

    def test_a_subgroup_leaves_what_it_does_not_relate(self) -> None:
        group = group_of()
        hkl, expected = pattern(8, 2)
        holds = np.abs(group.rotations[:, 2, 2]) == 1
        np.testing.assert_allclose(symmetrise(hkl, expected, group, holds), expected)
        assert not np.allclose(symmetrise(hkl, expected, group), expected, rtol=0.02)

    def test_what_is_no_subgroup_is_refused(self) -> None:
        group = group_of()
        holds = np.zeros(48, bool)
        holds[[0, 5]] = True
        with pytest.raises(ConfigError, match="subgroup"):
            symmetrise(nodes(2), np.ones((len(nodes(2)), 1)), group, holds)


class TestTruth:
    def test_what_the_preset_plants(self) -> None:
        """4n+2 reflections: h00 needs the 4_1 axes, 0kl the d glides; 00l is but one in this region."""
        (spec,) = make_specs("iuc")
        names = dict(zip(group_of("Fd-3m").triplets, group_of("Fd-3m").names, strict=True))
        cold, between, hot = (broken_operations(spec, "Fd-3m", t) for t in (40.0, 150.0, 250.0))
        broken = {names[triplet].removesuffix(", reversed") for triplet, value in cold.items() if value}
        assert broken == {
            *(f"glide plane normal to {axis}" for axis in "abc"),
            "4-fold screw axis along a",
            "4-fold screw axis along b",
        }
        # The order below 113 K puts nothing on a reflection that an operation forbids.
        assert cold == between
        assert not any(hot.values())

    def test_equal_domains_look_cubic_and_unequal_ones_do_not(self) -> None:
        names = dict(zip(group_of("Fd-3m").triplets, group_of("Fd-3m").names, strict=True))
        for domains, axes in (((1, 1, 1), ""), ((2, 1, 1), "a"), ((1, 1, 3), "c")):
            (spec,) = make_specs("iuc", Overrides(domains=domains))
            broken = broken_operations(spec, "Fd-3m", 40.0)
            threefold = {value for triplet, value in broken.items() if "3-fold" in names[triplet]}
            assert (True in threefold) == bool(axes)

    @pytest.mark.parametrize("domains", [(1.0, 1.0), (0.0, 0.0, 0.0), (-1.0, 1.0, 1.0)])
    def test_nonsense_domains_are_refused(self, domains: Any) -> None:
        with pytest.raises(ConfigError, match="domains"):
            Transition(name="x", tc=1.0, beta=0.3, star=((0, 0, 0),), domains=domains)


def found_in(folder: Path, overrides: Overrides) -> tuple[BrokenSymmetry, np.ndarray, np.ndarray]:
    """The preset `iuc` simulated, clustered and analysed; planted truth and where it is known, (T, G)."""
    run_simulate(SimulateConfig(preset="iuc", output=folder / "a.nxs", overrides=overrides))
    run_cluster(
        make_config({"inputs": [str(folder / "a.nxs")], "output": str(folder / "run"), "figures": False})
    )
    run = read_clustered(folder / "run")
    hkl, at = strongest_peaks(run, run.peaks.label, 0.25)
    lattice = make_lattice(run.sample, run.map.axes, run.map.angles, "Fd-3m")
    found = broken_symmetry(run, hkl, at, lattice, "Fd-3m")
    (spec,) = make_specs("iuc", overrides)
    rows = [broken_operations(spec, "Fd-3m", float(t)) for t in found.scan.values]
    truth = np.array([[row[triplet] is True for triplet in found.triplets] for row in rows])
    known = np.array([[row[triplet] is not None for triplet in found.triplets] for row in rows])
    return found, truth, known


@pytest.mark.parametrize("seed", range(401, 411))
def test_planted_operations_are_found_exactly(seed: int, tmp_path: Path) -> None:
    found, truth, known = found_in(tmp_path, Overrides(seed=seed, n_temperatures=8, pixels=6))
    x = found.scan.values
    # Just below Tc the weakest reflections, of 20 counts at T = 0, are not out of the noise yet.
    told = (x < 0.85 * 200) | (x >= 200)
    np.testing.assert_array_equal((found.broken & known)[told], (truth & known)[told])
    assert {found.subgroup[t] for t in np.flatnonzero(x < 170)} == {"F-43m"}
    assert {found.subgroup[t] for t in np.flatnonzero(x > 200)} == {"Fd-3m"}
    assert any("4-fold screw axis along c" in line for line in found.unseen)


def test_domains_of_unequal_volume_show_the_tetragonal_group(tmp_path: Path) -> None:
    """Few tell of what mixes L in this thin slab: none may be invented, and all with many pairs be found."""
    overrides = Overrides(seed=421, n_temperatures=8, pixels=6, domains=(0.7, 0.15, 0.15), counts=4.0)
    found, truth, known = found_in(tmp_path, overrides)
    cold = found.scan.values < 100
    assert not (found.broken & ~truth & known).any()
    many = found.pairs > 60
    assert (found.broken | ~truth)[np.ix_(cold, many)].all()
    assert any(truth[0] & many & ["rotoinversion along c" in name for name in found.names])
    assert all("c along a" in found.subgroup[t] for t in np.flatnonzero(cold))


class TestRefused:
    def test_options(self) -> None:
        for options in ({"n_reference": 0}, {"n_bootstrap": 3}, {"margin": 1.0}, {"margin": -0.1}):
            with pytest.raises(ConfigError):
                BreakingOptions(**options)

    def test_temperatures_and_reflections(self) -> None:
        hkl, expected = pattern(1, None)
        measured = peaks(hkl, expected, np.random.default_rng(1))
        with pytest.raises(ConfigError, match="temperatures"):
            find_broken_operations(measured, SCAN, group_of(), REGION, BreakingOptions(n_reference=28))
        with pytest.raises(ConfigError, match="stands out"):
            find_broken_operations(
                peaks(hkl, np.full_like(expected, 5.0), np.random.default_rng(1)), SCAN, group_of(), REGION
            )


def test_figure_marks_what_is_broken_and_where() -> None:
    hkl, expected = pattern(44, 2)
    found = find_broken_operations(peaks(hkl, expected, np.random.default_rng(0)), SCAN, group_of(), REGION)
    figure = plot_broken_symmetry(found)
    (axes,) = figure.axes
    words = [text.get_text() for text in axes.texts]
    assert words == ["4/mmm", "m-3m"]
    labels = axes.get_legend_handles_labels()[1]
    kinds = {name.split(" along ")[0].split(" normal ")[0] for name in np.array(found.names)[found.broken[0]]}
    assert kinds == {
        label.split(",")[0].split(" along")[0].split("\n")[0].split(" normal")[0] for label in labels[2:]
    }


def test_command(tmp_path: Path, run_cli: Callable[..., Any]) -> None:
    folder = tmp_path / "run"
    assert run_cli("cluster", SERIES, "-o", folder, "-k", 4, "--no-figures").code == 0
    done = run_cli("unit-cell", folder, "--space-group", "Fd-3m", "--broken-symmetry")
    assert done.code == 0, done.stderr
    assert "Fd-3m -> F-43m" in done.stdout
    assert "glide plane normal to c" in done.stdout
    assert "not seen: " in done.stdout
    block = json.loads((folder / "summary.json").read_text())["unit_cell"]["broken_symmetry"]
    ((change),) = block["changes"]
    assert (change["from"], change["to"]) == ("Fd-3m", "F-43m")
    assert change["below"] < 200 <= change["above"]
    table = pd.read_csv(folder / "broken_symmetry.csv")
    assert len(table) == 48 * table["temperature"].nunique()
    assert ((table["weight"].dropna() >= 0) & (table["weight"].dropna() <= 1)).all()
    broken = set(table.loc[table["broken"], "name"])
    assert broken == {one["name"] for one in block["broken"]}
    assert (folder / "figures" / "broken_symmetry.png").read_bytes().startswith(b"\x89PNG")
