"""``xtec unit-cell`` on the bundled series with two transitions inside the unit cell."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from xtec_pipelines.unit_cell import UnitCellConfig, run_unit_cell

SERIES = Path(__file__).resolve().parents[2] / "sample_data" / "cro_iuc.nxs"
EXPRESSION = "h%4==2 and k%4==0 and l%4==0"
PLANTED = {200.0: 1, 113.0: 2}
"""Indices 4n+2 among all-even ones, by transition temperature."""

RunCli = Callable[..., Any]


def indices_4n2(hkl: np.ndarray) -> np.ndarray:
    """How many indices are 4n+2 where all are even, else -1."""
    return np.where((hkl % 2 == 0).all(axis=1), (hkl % 4 == 2).sum(axis=1), -1)


def fd3m_allows(h: int, k: int, l: int) -> bool:  # noqa: E741
    """International Tables A, No. 227, general conditions."""
    if len({h % 2, k % 2, l % 2}) > 1:
        return False
    for one, other, third in ((h, k, l), (k, l, h), (l, h, k)):
        if one == 0 and (other % 2 or third % 2 or (other + third) % 4):
            return False
        if one == other == 0 and third % 4:
            return False
    return True


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, cluster_into: Callable[..., Path]) -> dict[str, Path]:
    """The series clustered in either mode and read off."""
    folders = {mode: tmp_path_factory.mktemp("cell") / mode for mode in ("s", "d")}
    for mode, folder in folders.items():
        cluster_into(folder, SERIES, mode=mode, clusters=4)
        run_unit_cell(UnitCellConfig(run=str(folder), space_group="Fd-3m", classes=(EXPRESSION,)))
    return folders


@pytest.fixture(params=["s", "d"])
def run(request: pytest.FixtureRequest, runs: dict[str, Path]) -> Path:
    return runs[request.param]


def summary_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "summary.json").read_text())


class TestTruth:
    def test_a_rule_for_each_transition(self, run: Path) -> None:
        rules = [rule for rule in summary_of(run)["unit_cell"]["rules"] if rule["tc"]]
        words = {
            tc: rule["rule"]
            for rule in rules
            for tc in PLANTED
            if rule["tc"]["low"] <= tc <= rule["tc"]["high"]
        }
        assert words == {
            200.0: "all even, exactly one index 4n+2",
            113.0: "all even, exactly two indices 4n+2 (one 4n)",
        }
        for rule in rules:
            assert (rule["purity"], rule["exceptions"]) == (1.0, [])
            assert rule["matched"] == rule["reflections"] > 30
            assert rule["significance"] < 1e-4

    def test_both_transitions_and_no_superlattice(self, run: Path) -> None:
        summary = summary_of(run)
        transitions = summary["unit_cell"]["transitions"]
        assert len(transitions) == 2
        for tc in PLANTED:
            assert sum(one["low"] <= tc <= one["high"] for one in transitions) == 1
        assert all(one["high"] - one["low"] < 10 for one in transitions)
        assert summary["unit_cell"]["superlattice"] == []

    def test_reflections_of_a_group_obey_its_planted_rule(self, run: Path) -> None:
        table = pd.read_csv(run / "reflections.csv")
        rules = pd.read_csv(run / "selection_rules.csv").set_index("group")
        hkl = table[["H", "K", "L"]].to_numpy()
        assert len(np.unique(hkl, axis=0)) == len(hkl)
        for tc, number in PLANTED.items():
            group = rules.index[(rules["tc_low"] <= tc) & (rules["tc_high"] >= tc)].item()
            np.testing.assert_array_equal(table["group"] == group, indices_4n2(hkl) == number)
            mine = table[table["group"] == group]
            assert (mine["intensity_low"] > mine["intensity_high"]).all()

    def test_forbidden_reflections_are_truly_absent_in_the_space_group(self, run: Path) -> None:
        table = pd.read_csv(run / "reflections.csv")
        hkl = table[["H", "K", "L"]].to_numpy().tolist()
        absent = np.array([not fd3m_allows(*one) for one in hkl])
        np.testing.assert_array_equal(table["forbidden"], absent)
        found = summary_of(run)["unit_cell"]
        assert found["space_group"] == "Fd-3m"
        assert sorted(found["forbidden"]) == sorted(
            one for one, gone in zip(hkl, absent, strict=True) if gone
        )
        assert len(found["forbidden"]) > 20

    def test_classes_share_out_all_reflections(self, run: Path) -> None:
        """By a scheme of ours, and by an expression, against plain counting."""
        table = pd.read_csv(run / "reflections.csv")
        hkl = table[["H", "K", "L"]].to_numpy()
        classes = summary_of(run)["unit_cell"]["classes"]
        assert set(classes) == {"4n+2", "parity", "zeros", "space-group", EXPRESSION}
        for scheme in classes.values():
            assert np.sum(scheme["counts"]) == len(table)
            np.testing.assert_array_equal(
                np.sum(scheme["counts"], axis=0), np.bincount(table["group"])[1:].tolist()
            )
            assert 0 <= scheme["cramers_v"] <= 1
            assert 0 <= scheme["p_value"] <= 1
        assert classes["4n+2"]["p_value"] < 1e-20
        obeys = (hkl[:, 0] % 4 == 2) & (hkl[:, 1] % 4 == 0) & (hkl[:, 2] % 4 == 0)
        n_groups = int(table["group"].max())
        expected = [
            np.bincount(table["group"][which], minlength=n_groups + 1)[1:].tolist()
            for which in (obeys, ~obeys)
        ]
        assert sorted(classes[EXPRESSION]["counts"]) == sorted(expected)

    def test_halos_where_voxels_have_labels_of_their_own(self, run: Path) -> None:
        if run.name == "s":
            assert not (run / "halos.csv").exists()
            assert not (run / "figures" / "halos.png").exists()
            return
        table = pd.read_csv(run / "halos.csv")
        assert ((table["share"] >= 0) & (table["share"] <= 1)).all()
        total = table.groupby(["class", "distance"])["share"].sum()
        np.testing.assert_allclose(total, 1.0, rtol=1e-6)
        assert set(table["cluster"]) == {0, 1, 2, 3, 4}
        with h5py.File(run / "results.nxs") as file:
            ordering = summary_of(run)["unit_cell"]["rules"][0]["cluster"]
            assert file["entry/process/outcome/mode"].asstr()[()] == "d"
        nearest = table[table["distance"] == table["distance"].min()].set_index(["class", "cluster"])["share"]
        assert nearest["all even, one index 4n+2", ordering] > 0.5
        assert nearest["all odd", ordering] < 0.1


class TestFiles:
    def test_nexusformat_finds_nothing_wrong(self, run: Path, nexus_problems: Callable[..., Any]) -> None:
        assert nexus_problems(run / "unit_cell.nxs") == (0, 0)

    def test_silx_reads_every_plot(self, run: Path, valid_plots: Callable[[Path], set[str]]) -> None:
        halos = {"halos"} if run.name == "d" else set()
        assert valid_plots(run / "unit_cell.nxs") == {"curves", "rules", "classes", "reflections"} | halos

    def test_tables_tell_the_same_in_csv_and_nexus(self, run: Path) -> None:
        with h5py.File(run / "unit_cell.nxs") as file:
            for group, name in (
                ("rules", "selection_rules.csv"),
                ("classes", "reflection_classes.csv"),
                ("reflections", "reflections.csv"),
            ):
                table = pd.read_csv(run / name)
                for column in table:
                    stored = file["entry"][group][column]
                    if stored.dtype.kind in "if":
                        np.testing.assert_allclose(stored, table[column], rtol=1e-6)
            groups = [
                name for name in file["entry/curves"] if name.startswith("group") and name[-1].isdigit()
            ]
            assert len(groups) == len(pd.read_csv(run / "selection_rules.csv"))

    def test_figures_and_peaks(self, run: Path) -> None:
        assert (run / "figures" / "unit_cell.png").read_bytes().startswith(b"\x89PNG")
        assert {"H", "K", "L", "intensity"} < set(pd.read_csv(run / "peaks.csv", nrows=5).columns)

    def test_summary(self, run: Path, quantities: Callable[[Any], list[dict[str, Any]]]) -> None:
        summary = summary_of(run)
        for rule in summary["unit_cell"]["rules"]:
            assert set(rule) >= {"cluster", "rule", "purity", "reflections"}
        found = quantities(summary)
        assert all(one in found for one in summary["unit_cell"]["transitions"])
        assert all(one["units"] == "K" for one in summary["unit_cell"]["transitions"])


class TestCommand:
    @pytest.fixture
    def copy(self, runs: dict[str, Path], tmp_path: Path) -> Path:
        """The run of mode s with what `xtec cluster` wrote only."""
        run, folder = runs["s"], tmp_path / "s"
        shutil.copytree(run, folder, ignore=shutil.ignore_patterns("*.csv", "unit_cell.nxs", "figures"))
        return folder

    def test_json_and_what_it_leaves(self, copy: Path, runs: dict[str, Path], run_cli: RunCli) -> None:
        done = run_cli(
            "unit-cell", copy, "--space-group", "Fd-3m", "--class", EXPRESSION, "--json", "--no-figures"
        )
        assert done.code == 0, done.stderr
        shown = json.loads(done.stdout)
        assert shown.pop("run") == str(copy)
        assert shown["unit_cell"] == summary_of(copy)["unit_cell"] == summary_of(runs["s"])["unit_cell"]
        for name in ("selection_rules.csv", "reflection_classes.csv", "reflections.csv", "peaks.csv"):
            assert (copy / name).read_bytes() == (runs["s"] / name).read_bytes()

    def test_without_a_space_group_nothing_is_forbidden(self, copy: Path, run_cli: RunCli) -> None:
        done = run_cli("unit-cell", copy, "--no-figures")
        assert done.code == 0, done.stderr
        assert "all even, exactly one index 4n+2" in done.stdout
        assert "forbidden in" not in done.stdout
        assert "--mode d" in done.stdout
        found = summary_of(copy)["unit_cell"]
        assert (found["space_group"], found["forbidden"]) == ("", [])
        assert "space-group" not in found["classes"]

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (("--class", "__import__('os')"), "condition on h, k, l"),
            (("--class", "open('owned', 'w') == 1"), "condition on h, k, l"),
            (("--class", "x > 1"), "'x'"),
            (("--class", "h %"), "condition on h, k, l"),
            (("--space-group", "nonsense"), "'nonsense'"),
        ],
    )
    def test_refused(
        self,
        copy: Path,
        run_cli: RunCli,
        monkeypatch: pytest.MonkeyPatch,
        options: tuple[str, ...],
        said: str,
    ) -> None:
        monkeypatch.chdir(copy)
        before, listing = summary_of(copy), sorted(copy.rglob("*"))
        done = run_cli("unit-cell", copy, *options)
        assert (done.code, done.stdout) == (2, "")
        assert said in done.stderr
        assert "try: " in done.stderr
        assert (summary_of(copy), sorted(copy.rglob("*"))) == (before, listing)

    def test_no_run(self, tmp_path: Path, run_cli: RunCli) -> None:
        done = run_cli("unit-cell", tmp_path)
        assert (done.code, done.stdout) == (3, "")
        assert "xtec cluster" in done.stderr


def test_a_powder_has_no_reflection_classes(
    validation_data: Path, tmp_path: Path, cluster_into: Callable[..., Path], run_cli: RunCli
) -> None:
    run = cluster_into(tmp_path / "run", validation_data / "co2sio4-d20.nxs", clusters=6)
    done = run_cli("unit-cell", run)
    assert (done.code, done.stdout) == (2, "")
    assert "two_theta" in done.stderr
    assert "try: " in done.stderr
    assert "order-parameter" in done.stderr
    assert not (run / "unit_cell.nxs").exists()
