"""``xtec phase-diagram`` on the bundled compositions, whose boundary is known."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import tomli_w

from xtec.core.errors import SeriesNotFoundError
from xtec.io.run.phase_diagram import open_phase_diagram
from xtec_pipelines.phase_diagram import DiagramFindings, PhaseDiagramConfig, run_phase_diagram

SAMPLES = Path(__file__).resolve().parents[2] / "sample_data"
SERIES = sorted((SAMPLES / "phase_diagram").glob("x*.nxs"))
X = (0.0, 0.2, 0.45, 0.65, 0.8, 0.95)
T0, XC, PHI = 138.0, 0.9, 0.5
FEW = (0, 2, 4)
"""Which of the samples where three will do."""

RunCli = Callable[..., Any]


def boundary(x: float) -> float:
    return T0 * (1 - x / XC) ** PHI


def summary_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "summary.json").read_text())


@pytest.fixture(scope="module")
def from_series(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DiagramFindings]:
    """All six, clustered on the way."""
    folder = tmp_path_factory.mktemp("diagram") / "series"
    config = PhaseDiagramConfig(inputs=tuple(map(str, SERIES)), output=str(folder))
    return folder, run_phase_diagram(config)


@pytest.fixture(scope="module")
def folder(from_series: tuple[Path, DiagramFindings]) -> Path:
    return from_series[0]


@pytest.fixture(scope="module")
def runs(folder: Path) -> list[Path]:
    """The run folders that were left behind on the way."""
    found = sorted((folder / "runs").iterdir())
    assert [path.name for path in found] == [path.stem for path in SERIES]
    return found


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory, runs: list[Path]) -> Path:
    """Three of the runs, through Python."""
    folder = tmp_path_factory.mktemp("few") / "python"
    inputs = tuple(str(runs[i]) for i in FEW)
    run_phase_diagram(PhaseDiagramConfig(inputs=inputs, output=str(folder), figures=False))
    return folder


@pytest.fixture(scope="module")
def joint(tmp_path_factory: pytest.TempPathFactory, runs: list[Path]) -> tuple[Path, DiagramFindings]:
    """All six with clusters that they share."""
    folder = tmp_path_factory.mktemp("joint") / "joint"
    config = PhaseDiagramConfig(inputs=tuple(map(str, runs)), output=str(folder), joint=True)
    return folder, run_phase_diagram(config)


def assert_planted(folder: Path) -> None:
    """Boundary, transitions and the upper limit in summary.json are those of the truth."""
    diagram = summary_of(folder)["phase_diagram"]
    (found,) = diagram["boundaries"]
    for name, planted in (("t0", T0), ("xc", XC), ("phi", PHI)):
        assert found[name]["low"] <= planted <= found[name]["high"], name
    assert found["t0"]["units"] == "K"
    assert found["xc"]["high"] - found["xc"]["low"] < 0.1
    assert [sample["x"] for sample in diagram["samples"]] == list(X)
    for sample in diagram["samples"][:-1]:
        assert sample["tc"]["low"] <= boundary(sample["x"]) <= sample["tc"]["high"]
        assert sample["beta"]["low"] <= 0.35 <= sample["beta"]["high"]
        assert (sample["upper_limit"], sample["kind"]) == (None, "second-order")
        assert sample["boundary"] == "q = (1/2, 1/2, 0)"
    last = diagram["samples"][-1]
    assert last["tc"] is None
    limit = last["upper_limit"]
    assert 20 < limit["value"] == limit["high"] <= 40
    assert limit["units"] == "K"
    assert diagram["variable"] == "composition"


class TestTruth:
    def test_from_series(self, folder: Path) -> None:
        assert_planted(folder)

    def test_from_runs(self, folder: Path, runs: list[Path], tmp_path: Path, run_cli: RunCli) -> None:
        """The same to the last digit, in whatever order they are given."""
        done = run_cli("phase-diagram", *reversed(runs), "-o", tmp_path / "d", "--no-figures", "--json")
        assert done.code == 0, done.stderr
        assert_planted(tmp_path / "d")
        shown = json.loads(done.stdout)
        assert shown.pop("run") == str(tmp_path / "d")
        assert shown == summary_of(tmp_path / "d")
        for name in ("phase_diagram.csv", "boundaries.csv"):
            assert (tmp_path / "d" / name).read_bytes() == (folder / name).read_bytes()
        assert not (tmp_path / "d" / "runs").exists()

    def test_joint(self, joint: tuple[Path, DiagramFindings]) -> None:
        assert_planted(joint[0])

    def test_joint_clusters_mean_the_same_in_every_sample(self, joint: tuple[Path, DiagramFindings]) -> None:
        folder, findings = joint
        assert findings.joint is not None
        means = findings.joint.curves.rescaled_mean
        for sample in findings.samples:
            peaks = sample.run.peaks
            sizes = np.bincount(peaks.label, minlength=len(means) + 1)[1:]
            assert (sizes >= 50).any()
            for number in 1 + np.flatnonzero(sizes >= 50):
                mine = peaks.intensity[peaks.label == number] / peaks.size[peaks.label == number, None]
                curve = (mine / mine.mean(axis=1, keepdims=True) - 1).mean(axis=0)
                away = np.sum((means - curve) ** 2, axis=1)
                assert away.argmin() + 1 == number
        with h5py.File(folder / "phase_diagram.nxs") as file:
            stored = file["entry/joint_peaks/peaks"][()]
            scan = file["entry/joint_clusters/temperature"][()]
        np.testing.assert_array_equal(stored, findings.joint.counts)
        counted = [np.bincount(one.run.peaks.label, minlength=5)[1:] for one in findings.samples]
        np.testing.assert_array_equal(stored, counted)
        np.testing.assert_allclose(scan, np.arange(20, 171, 10))
        assert (folder / "joint_clusters.png").read_bytes().startswith(b"\x89PNG")

    def test_joint_clusters_that_order_hold_no_peaks_where_nothing_orders(
        self, joint: tuple[Path, DiagramFindings]
    ) -> None:
        _, findings = joint
        assert findings.joint is not None
        every = [one for sample in findings.samples for one in sample.order.order_parameters]
        numbers = sorted({number for one in every for number in one.clusters})
        of_ordering = findings.joint.counts[:, np.array(numbers) - 1].sum(axis=1)
        assert (of_ordering[:-1] > 10).all()
        assert of_ordering[-1] <= 0.02 * findings.joint.counts[-1].sum()


class TestFiles:
    def test_nexusformat_finds_nothing_wrong(
        self, folder: Path, joint: tuple[Path, DiagramFindings], nexus_problems: Callable[..., Any]
    ) -> None:
        for one in (folder, joint[0]):
            assert nexus_problems(one / "phase_diagram.nxs") == (0, 0)

    def test_runs_on_the_way_are_valid_too(
        self, runs: list[Path], nexus_problems: Callable[..., Any]
    ) -> None:
        assert nexus_problems(runs[1] / "results.nxs") == (0, 0)

    def test_silx_reads_every_plot(
        self, folder: Path, joint: tuple[Path, DiagramFindings], valid_plots: Callable[[Path], set[str]]
    ) -> None:
        plots = {"points", "boundaries", "boundary_1", "boundary_1_curve"}
        assert valid_plots(folder / "phase_diagram.nxs") == plots
        joined = {"joint_clusters", "joint_peaks"}
        assert valid_plots(joint[0] / "phase_diagram.nxs") == plots | joined

    def test_table_dataset_and_nexus_tell_the_same(self, folder: Path) -> None:
        table = pd.read_csv(folder / "phase_diagram.csv")
        boundaries = pd.read_csv(folder / "boundaries.csv")
        samples = summary_of(folder)["phase_diagram"]["samples"]
        data = open_phase_diagram(folder)
        assert table["sample"].tolist() == data["sample"].values.tolist() == [one["name"] for one in samples]
        np.testing.assert_array_equal(table["composition"], X)
        for name in ("composition", "tc", "tc_low", "tc_high", "upper_limit", "beta"):
            np.testing.assert_allclose(data[name].values, table[name], rtol=1e-8)
        tc = [one["tc"]["value"] if one["tc"] else np.nan for one in samples]
        np.testing.assert_array_equal(data["tc"], tc)
        assert (data["tc"].attrs["units"], data.attrs["variable"]) == ("K", "composition")
        for name in ("t0", "xc_low", "phi_high"):
            np.testing.assert_allclose(data[name].values, boundaries[name], rtol=1e-8)
        curve = data[["curve_x", "curve_tc", "curve_tc_low", "curve_tc_high"]]
        inside = curve["curve_x"] < 0.85
        truth = T0 * (1 - curve["curve_x"] / XC).clip(0) ** PHI
        assert bool(
            ((truth >= curve["curve_tc_low"] - 1) & (truth <= curve["curve_tc_high"] + 1))[inside].all()
        )
        with h5py.File(folder / "phase_diagram.nxs") as file:
            np.testing.assert_array_equal(file["entry/points/tc"], data["tc"])
            np.testing.assert_array_equal(
                file["entry/boundary_1/tc"], [value for value in tc if value == value]
            )

    def test_dataset_by_its_own_file_and_without_one(self, folder: Path, tmp_path: Path) -> None:
        assert open_phase_diagram(folder / "phase_diagram.nc").equals(open_phase_diagram(folder))
        with pytest.raises(SeriesNotFoundError, match="xtec phase-diagram"):
            open_phase_diagram(tmp_path)

    def test_figures(self, folder: Path) -> None:
        assert (folder / "phase_diagram.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (folder / "phase_diagram.svg").read_text()

    def test_summary(self, folder: Path, quantities: Callable[[Any], list[dict[str, Any]]]) -> None:
        summary = summary_of(folder)
        diagram = summary["phase_diagram"]
        assert all(set(one) >= {"name", "x", "tc", "upper_limit"} for one in diagram["samples"])
        assert all(set(one) >= {"t0", "xc", "phi"} for one in diagram["boundaries"])
        assert len(quantities(summary)) == 5 * 2 + 3 + 1  # Tc and beta, the boundary, and one upper limit
        assert (summary["failed"], summary["status"]["state"]) == ({}, "done")

    def test_inputs_are_not_touched(self, folder: Path) -> None:
        assert {path.name for path in SERIES[0].parent.iterdir()} == {path.name for path in SERIES}


class TestRecipes:
    @pytest.mark.parametrize("command", ["run", "phase-diagram"])
    def test_by_hand(
        self, command: str, few: Path, runs: list[Path], tmp_path: Path, run_cli: RunCli
    ) -> None:
        recipe = {
            "command": "phase-diagram",
            "inputs": [str(runs[i]) for i in FEW],
            "output": str(tmp_path / "d"),
            "figures": False,
        }
        (tmp_path / "recipe.toml").write_text(tomli_w.dumps(recipe))
        done = run_cli(command, tmp_path / "recipe.toml")
        assert done.code == 0, done.stderr
        assert (tmp_path / "d" / "phase_diagram.csv").read_bytes() == (few / "phase_diagram.csv").read_bytes()

    @pytest.mark.parametrize("command", ["run", "phase-diagram"])
    def test_the_one_that_was_written(self, command: str, few: Path, tmp_path: Path, run_cli: RunCli) -> None:
        refused = run_cli(command, few / "run.toml")
        assert refused.code == 2
        assert "not empty" in refused.stderr
        done = run_cli(command, few / "run.toml", "-o", tmp_path / "again")
        assert done.code == 0, done.stderr
        assert (tmp_path / "again" / "boundaries.csv").read_bytes() == (few / "boundaries.csv").read_bytes()

    def test_it_is_resolved(self, folder: Path) -> None:
        recipe = tomllib.loads((folder / "run.toml").read_text())
        assert recipe["command"] == "phase-diagram"
        assert recipe["inputs"] == [str(path.resolve()) for path in SERIES]
        assert recipe["output"] == str(folder.resolve())

    def test_with_options_of_clustering(self, tmp_path: Path, run_cli: RunCli) -> None:
        recipe = {
            "command": "phase-diagram",
            "inputs": [str(SERIES[0])],
            "output": str(tmp_path / "d"),
            "figures": False,
            "values": {"x0.00": 0.25},
            "cluster": {"clusters": 3, "mode": "d"},
        }
        (tmp_path / "recipe.toml").write_text(tomli_w.dumps(recipe))
        done = run_cli("run", tmp_path / "recipe.toml")
        assert done.code == 0, done.stderr
        run = summary_of(tmp_path / "d" / "runs" / "x0.00")
        assert (run["n_clusters"], run["mode"]) == (3, "d")
        (sample,) = summary_of(tmp_path / "d")["phase_diagram"]["samples"]
        assert sample["x"] == 0.25
        assert sample["tc"]["low"] <= T0 <= sample["tc"]["high"]

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ('inputs = []\noutput = "d"', "inputs"),
            ('inputs = ["a"]', "output: missing"),
            ('inputs = ["a"]\noutput = "d"\nagaints = "x"', "against?"),
            ('inputs = ["a"]\noutput = "d"\n[values]\na = "much"', "values.a"),
        ],
    )
    def test_refused(self, tmp_path: Path, run_cli: RunCli, text: str, said: str) -> None:
        (tmp_path / "recipe.toml").write_text(f'command = "phase-diagram"\n{text}')
        done = run_cli("run", tmp_path / "recipe.toml")
        assert (done.code, done.stdout) == (2, "")
        assert said in done.stderr
        assert "recipe.toml" in done.stderr

    def test_one_of_cluster_is_refused(self, runs: list[Path], run_cli: RunCli) -> None:
        done = run_cli("phase-diagram", runs[0] / "run.toml")
        assert done.code == 2
        assert "'cluster'" in done.stderr


class TestAbscissa:
    def test_values_by_hand(self, runs: list[Path], tmp_path: Path, run_cli: RunCli) -> None:
        """By path, by name of the run, by name of the sample; what is not named comes from the file."""
        options = ("--value", f"{runs[0]}=3", "--value", "x0.45=2.5", "--no-figures", "--json")
        done = run_cli("phase-diagram", runs[0], runs[2], "-o", tmp_path / "d", *options)
        assert done.code == 0, done.stderr
        samples = json.loads(done.stdout)["phase_diagram"]["samples"]
        assert {one["x"]: round(one["tc"]["value"], -1) for one in samples} == {3.0: 140.0, 2.5: 100.0}

    def test_against_another_variable(self, runs: list[Path], tmp_path: Path, run_cli: RunCli) -> None:
        given = (runs[0], runs[2], "-o", tmp_path / "d", "--against", "pressure", "--no-figures")
        refused = run_cli("phase-diagram", *given)
        assert refused.code == 2
        assert "does not say its pressure; it says composition" in refused.stderr
        values = ("--value", "x0.00=0", "--value", "x0.45=1.5", "--units", "GPa")
        done = run_cli("phase-diagram", *given, *values, "--json")
        assert done.code == 0, done.stderr
        diagram = json.loads(done.stdout)["phase_diagram"]
        assert (diagram["variable"], diagram["units"]) == ("pressure", "GPa")
        assert open_phase_diagram(tmp_path / "d")["pressure"].values.tolist() == [0.0, 1.5]

    def test_condition_and_units_from_the_files(
        self, runs: list[Path], tmp_path: Path, run_cli: RunCli
    ) -> None:
        copies = []
        for number, field in ((0, 1.0), (2, 4.0)):
            copies.append(tmp_path / f"field{field:g}")
            shutil.copytree(runs[number], copies[-1])
            with h5py.File(copies[-1] / "results.nxs", "r+") as file:
                sample = file["entry/sample"]
                sample["magnetic_field"] = field
                sample["magnetic_field"].attrs["units"] = "T"
        done = run_cli(
            "phase-diagram",
            *copies,
            "-o",
            tmp_path / "d",
            "--against",
            "magnetic_field",
            "--no-figures",
            "--json",
        )
        assert done.code == 0, done.stderr
        diagram = json.loads(done.stdout)["phase_diagram"]
        assert (diagram["variable"], diagram["units"]) == ("magnetic_field", "T")
        assert [one["x"] for one in diagram["samples"]] == [1.0, 4.0]

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (("--value", "banana=1"), "no sample named banana"),
            (("--value", "x0.00=much"), "x0.00"),
            (("--value", "0.5"), "NAME=NUMBER"),
            (("--against", "colour"), "does not say its colour"),
            (("-k", "3"), "--clusters"),
            (("--mode", "d", "--threshold", "kl"), "--mode, --threshold"),
            (("--joint", "--mode", "d"), "--mode"),
            (("--symmetry", "nonsense"), "nonsense"),
        ],
    )
    def test_refused(
        self, runs: list[Path], tmp_path: Path, run_cli: RunCli, options: tuple[str, ...], said: str
    ) -> None:
        done = run_cli("phase-diagram", runs[0], runs[2], "-o", tmp_path / "d", *options)
        assert (done.code, done.stdout) == (2, "")
        assert said in done.stderr
        assert not (tmp_path / "d").exists()

    def test_x_that_nobody_says(self, runs: list[Path], tmp_path: Path, run_cli: RunCli) -> None:
        copies = [tmp_path / name for name in ("a", "b")]
        for number, folder in enumerate(copies):
            shutil.copytree(runs[number], folder)
            with h5py.File(folder / "results.nxs", "r+") as file:
                sample = file["entry/sample"]
                for name in [*sample]:
                    if name == "composition" or isinstance(sample[name], h5py.Group):
                        del sample[name]
        done = run_cli("phase-diagram", *copies, "-o", tmp_path / "d")
        assert (done.code, done.stdout) == (2, "")
        assert "against what?" in done.stderr
        assert "--value" in done.stderr

    def test_no_output(self, runs: list[Path], run_cli: RunCli) -> None:
        done = run_cli("phase-diagram", *runs)
        assert done.code == 2
        assert "--output" in done.stderr


class TestBadInputs:
    def test_one_among_good_ones_is_left_out(self, runs: list[Path], tmp_path: Path, run_cli: RunCli) -> None:
        broken = tmp_path / "broken.nxs"
        broken.write_bytes(SERIES[1].read_bytes()[:20_000])
        done = run_cli("phase-diagram", runs[0], broken, runs[2], "-o", tmp_path / "d", "--no-figures")
        assert done.code == 0, done.stderr
        assert "broken.nxs is left out" in done.stderr
        assert "left out" in done.stdout
        summary = summary_of(tmp_path / "d")
        assert list(summary["failed"]) == [str(broken)]
        assert any("broken.nxs" in text for text in summary["status"]["warnings"])
        assert [one["x"] for one in summary["phase_diagram"]["samples"]] == [0.0, 0.45]

    def test_all(self, tmp_path: Path, run_cli: RunCli) -> None:
        (tmp_path / "empty").mkdir()
        done = run_cli("phase-diagram", tmp_path / "empty", tmp_path / "nix.nxs", "-o", tmp_path / "d")
        assert (done.code, done.stdout) == (4, "")
        assert "no sample can be used" in done.stderr
        assert not (tmp_path / "d" / "summary.json").exists()

    def test_the_only_one(self, tmp_path: Path, run_cli: RunCli) -> None:
        done = run_cli("phase-diagram", tmp_path / "nix.nxs", "-o", tmp_path / "d")
        assert (done.code, done.stdout) == (3, "")
        assert "nix.nxs" in done.stderr
