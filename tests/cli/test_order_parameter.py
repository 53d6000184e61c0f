"""``xtec order-parameter`` on simulated series whose transition is known: numbers, files, messages."""

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

import xtec
from xtec.io.writing.truth import read_truth
from xtec_pipelines.order_parameter import OrderConfig, run_order_parameter

SERIES = Path(__file__).resolve().parents[2] / "sample_data" / "srn_cdw.nxs"
TC, BETA = 131.0, 0.35
TABLES = ("order_parameter.csv", "order_parameter_curves.csv", "wave_vectors.csv", "peaks.csv")
LETTERS = ("L", "K", "H")
"""Columns of positions in peaks.csv, in the order of the axes of results.nxs."""

RunCli = Callable[..., Any]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, cluster_into: Callable[..., Path]) -> dict[str, Path]:
    """The bundled charge-density wave, clustered in either mode and read off."""
    folders = {mode: tmp_path_factory.mktemp("order") / mode for mode in ("s", "d")}
    for mode, folder in folders.items():
        cluster_into(folder, SERIES, mode=mode)
        run_order_parameter(OrderConfig(run=str(folder), per_peak=True))
    return folders


@pytest.fixture(params=["s", "d"])
def run(request: pytest.FixtureRequest, runs: dict[str, Path]) -> Path:
    return runs[request.param]


@pytest.fixture
def copy(runs: dict[str, Path], tmp_path: Path) -> Path:
    """The run of mode s before anything was read off it."""
    run, folder = runs["s"], tmp_path / "s"
    shutil.copytree(run, folder, ignore=shutil.ignore_patterns("*.csv", "order_parameter.nxs", "figures"))
    summary = json.loads((folder / "summary.json").read_text())
    for name in ("order_parameters", "not_ordering", "wave_vectors", "symmetry", "scan_units"):
        del summary[name]
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


@pytest.fixture(scope="module")
def quiet(
    tmp_path_factory: pytest.TempPathFactory,
    cluster_into: Callable[..., Path],
    simulate_into: Callable[..., Path],
) -> Path:
    """A run of a series in which nothing orders."""
    folder = tmp_path_factory.mktemp("quiet")
    series = simulate_into(folder / "series.nxs", "tiny", no_transition=True)
    return cluster_into(folder / "run", series)


def summary_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "summary.json").read_text())


class TestTruth:
    def test_one_transition_where_it_was_planted(self, run: Path) -> None:
        (found,) = summary_of(run)["order_parameters"]
        assert found["kind"] == "second-order"
        assert found["tc"]["low"] <= TC <= found["tc"]["high"]
        assert found["tc"]["high"] - found["tc"]["low"] < 4
        assert found["beta"]["low"] <= BETA <= found["beta"]["high"]
        assert found["beta"]["high"] - found["beta"]["low"] < 0.05
        assert (found["side"], found["branch"]) == ("below", "")

    def test_wave_vector_and_its_star(self, run: Path) -> None:
        (found,) = summary_of(run)["wave_vectors"]
        np.testing.assert_allclose(found["q"], [0.5, 0.5, 0], atol=0.005)
        assert found["fraction"] == ["1/2", "1/2", "0"]
        assert found["multiplicity"] == len(found["arms"]) == 3
        assert sum(arm["peaks"] for arm in found["arms"]) == found["peaks"]
        star = {tuple(np.abs(np.round(2 * np.array(arm["q"]))) / 2) for arm in found["arms"]}
        assert star == {(0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)}
        off = np.abs(np.array(found["q"]) - [0.5, 0.5, 0]) / found["uncertainty"]
        assert off.max() < 4
        assert 0 < found["zones"] <= found["zones_measured"]

    def test_the_ordering_clusters_are_the_superlattice(self, run: Path) -> None:
        (found,) = summary_of(run)["order_parameters"]
        truth = read_truth(SERIES).mask("superlattice")
        with h5py.File(run / "results.nxs") as file:
            mapped = file["entry/cluster_map/cluster_map"][()]
        chosen = np.isin(mapped, found["clusters"])
        kept = mapped > 0
        both = np.count_nonzero(chosen & truth)
        assert 2 * both / (chosen.sum() + np.count_nonzero(truth & kept)) > 0.9

    def test_clusters_that_differ_in_strength_are_one_order_parameter(self, run: Path) -> None:
        (found,) = summary_of(run)["order_parameters"]
        assert found["cluster"] == found["clusters"][0]
        if run.name == "d":
            assert len(found["clusters"]) == 1
            return
        assert len(found["clusters"]) == 2
        with h5py.File(run / "results.nxs") as file:
            peaks = {name: file["entry/peaks"][name][()] for name in ("label", "intensity", "size")}
        coldest = peaks["intensity"][:, 0] / peaks["size"]
        weak, strong = sorted(np.median(coldest[peaks["label"] == k]) for k in found["clusters"])
        assert strong > 1.5 * weak

    def test_the_curve_is_the_mean_over_the_voxels_of_its_peaks(self, run: Path) -> None:
        (found,) = summary_of(run)["order_parameters"]
        with h5py.File(run / "results.nxs") as file:
            peaks = {name: file["entry/peaks"][name][()] for name in ("label", "intensity", "size")}
        mine = np.isin(peaks["label"], found["clusters"])
        assert found["peaks"] == np.count_nonzero(mine)
        mean = peaks["intensity"][mine].sum(axis=0) / peaks["size"][mine].sum()
        curves = pd.read_csv(run / "order_parameter_curves.csv")
        np.testing.assert_allclose(curves["intensity"], mean, rtol=1e-7)
        assert (np.abs(curves["fit"] - mean) < 5 * curves["error"]).all()

    def test_most_single_peaks_set_in_there_too(self, run: Path) -> None:
        onsets = pd.read_csv(run / "peak_onsets.csv")
        held = (onsets["tc_low"] <= TC) & (onsets["tc_high"] >= TC)
        assert held.mean() > 0.6
        assert onsets["tc"].median() == pytest.approx(TC, abs=10 / 6)
        with h5py.File(run / "results.nxs") as file:
            label = file["entry/peaks/label"][()]
        (found,) = summary_of(run)["order_parameters"]
        assert onsets["peak"].is_unique
        assert np.isin(label[onsets["peak"] - 1], found["clusters"]).all()
        assert len(onsets) > 0.7 * found["peaks"]  # the weakest do not tell both ends

    def test_an_interval_of_a_single_peak_has_a_length(self, run: Path) -> None:
        """Onsets are tried on a grid: the ends of an interval cannot be known better than to a step of it."""
        onsets = pd.read_csv(run / "peak_onsets.csv")
        assert (onsets["tc_high"] > onsets["tc_low"]).all()


class TestFiles:
    def test_nexusformat_finds_nothing_wrong(self, run: Path, nexus_problems: Callable[..., Any]) -> None:
        assert nexus_problems(run / "order_parameter.nxs") == (0, 0)

    def test_silx_reads_every_plot(self, run: Path, valid_plots: Callable[[Path], set[str]]) -> None:
        assert valid_plots(run / "order_parameter.nxs") == {
            *("order_parameter_1", "order_parameter_1_model"),
            *("transitions", "wave_vectors", "arms", "peak_onsets"),
        }

    def test_results_are_as_they_were(self, run: Path, valid_plots: Callable[[Path], set[str]]) -> None:
        assert "peaks" in valid_plots(run / "results.nxs")

    def test_tables_tell_the_same_in_csv_nexus_and_summary(self, run: Path) -> None:
        summary = summary_of(run)
        (found,), (vector,) = summary["order_parameters"], summary["wave_vectors"]
        frame = pd.read_csv(run / "order_parameter.csv")
        vectors = pd.read_csv(run / "wave_vectors.csv")
        for name in ("tc", "beta", "tail"):
            for column, key in ((name, "value"), (f"{name}_low", "low"), (f"{name}_high", "high")):
                assert frame[column].item() == pytest.approx(found[name][key], rel=1e-8)
        assert str(frame["clusters"].item()).split() == [str(number) for number in found["clusters"]]
        assert (frame["peaks"].item(), frame["kind"].item()) == (found["peaks"], found["kind"])
        np.testing.assert_allclose(vectors[["H", "K", "L"]].to_numpy()[0], vector["q"], rtol=1e-7)
        assert vectors["fraction"].item() == "(1/2, 1/2, 0)"
        with h5py.File(run / "order_parameter.nxs") as file:
            stored = file["entry/transitions"]
            assert stored["tc"][0] == found["tc"]["value"]
            assert file["entry/wave_vectors/fraction"].asstr()[0] == "(1/2, 1/2, 0)"
            curves = pd.read_csv(run / "order_parameter_curves.csv")
            curve = file["entry/order_parameter_1"]
            for column, name in (("temperature",) * 2, ("intensity",) * 2, ("error", "intensity_errors")):
                np.testing.assert_allclose(curves[column], curve[name], rtol=1e-8)
            assert curve["temperature"].attrs["units"] == "K"
            np.testing.assert_array_equal(
                file["entry/peak_onsets/peak"], pd.read_csv(run / "peak_onsets.csv")["peak"]
            )

    def test_table_of_peaks_equals_the_results(self, run: Path) -> None:
        table = pd.read_csv(run / "peaks.csv")
        with h5py.File(run / "results.nxs") as file:
            peaks, shapes = file["entry/peaks"], file["entry/peak_shapes"]
            n_peaks, n_temperatures = peaks["intensity"].shape
            assert len(table) == n_peaks * n_temperatures
            np.testing.assert_array_equal(
                table["temperature"].to_numpy().reshape(n_peaks, -1)[0], peaks["temperature"]
            )
            for column, name in (("cluster", "label"), ("voxels", "size"), ("peak", "peak")):
                np.testing.assert_array_equal(table[column], np.repeat(peaks[name][()], n_temperatures))
            for name in ("intensity", "maximum", "spread"):
                np.testing.assert_allclose(table[name], peaks[name][()].reshape(-1), rtol=1e-5)
            for i, letter in enumerate(LETTERS):
                centroid = np.repeat(peaks["centroid"][:, i], n_temperatures)
                np.testing.assert_allclose(table[letter], centroid, rtol=1e-5, atol=1e-12)
                for name in ("displacement", "width", "asymmetry"):
                    full = np.full((n_peaks, n_temperatures), np.nan)
                    full[shapes["peak"][()].astype(int) - 1] = shapes[name][..., i]
                    np.testing.assert_allclose(
                        table[f"{name}_{letter}"], full.reshape(-1), rtol=1e-5, atol=1e-12
                    )

    def test_tables_open_with_the_run(self, run: Path) -> None:
        tree = xtec.open_run(run)
        table = tree["order_parameter/transitions"].to_dataset().to_dataframe()
        written = pd.read_csv(run / "order_parameter.csv")
        assert table["tc"].item() == pytest.approx(written["tc"].item(), rel=1e-8)
        assert table["kind"].item() == "second-order"
        curve = tree["order_parameter/order_parameter_1"]
        assert curve["intensity"].dims == ("temperature",)
        assert set(tree["order_parameter"].children) >= {"transitions", "wave_vectors", "arms", "peak_onsets"}

    def test_figures(self, run: Path) -> None:
        for name in ("order_parameter.png", "wave_vectors.png"):
            assert (run / "figures" / name).read_bytes().startswith(b"\x89PNG")

    def test_summary(self, run: Path, quantities: Callable[[Any], list[dict[str, Any]]]) -> None:
        summary = summary_of(run)
        (found,), (vector,) = summary["order_parameters"], summary["wave_vectors"]
        assert set(found) >= {"cluster", "tc", "beta", "kind"}
        assert set(vector) >= {"cluster", "q", "fraction", "uncertainty", "peaks"}
        assert found["tc"]["units"] == summary["scan_units"] == "K"
        found_quantities = quantities(summary)
        assert all(found[name] in found_quantities for name in ("tc", "beta", "amplitude"))
        others = {one["cluster"] for one in summary["not_ordering"]}
        assert others | set(found["clusters"]) == {1, 2, 3, 4}
        assert all(one["reason"] for one in summary["not_ordering"])
        assert summary["status"]["state"] == "done"
        assert len(summary["clusters"]) == 4


class TestCommand:
    def test_json(self, copy: Path, run_cli: RunCli) -> None:
        done = run_cli("order-parameter", copy, "--json", "--no-figures")
        assert done.code == 0, done.stderr
        assert done.stdout.count("\n") == 1
        shown = json.loads(done.stdout)
        assert shown.pop("run") == str(copy)
        summary = summary_of(copy)
        assert shown == {name: summary[name] for name in shown}
        assert set(shown) >= {"order_parameters", "wave_vectors"}
        assert not (copy / "peak_onsets.csv").exists()
        assert not (copy / "figures").exists()

    def test_twice_the_same(self, copy: Path, runs: dict[str, Path], run_cli: RunCli) -> None:
        """Also after the first, whose numbers must not feed the second."""
        for _ in range(2):
            done = run_cli("order-parameter", copy, "--per-peak", "--no-figures", "-q")
            assert done.code == 0, done.stderr
            for name in (*TABLES, "peak_onsets.csv"):
                assert (copy / name).read_bytes() == (runs["s"] / name).read_bytes(), name
            assert summary_of(copy) == summary_of(runs["s"])

    def test_what_a_person_sees(self, copy: Path, run_cli: RunCli) -> None:
        done = run_cli("order-parameter", copy, "--no-figures")
        assert done.code == 0, done.stderr
        for text in ("second-order", "(1/2, 1/2, 0)", "3 of 3", "m-3m"):
            assert text in done.stdout

    def test_a_symmetry_given_by_hand(self, copy: Path, run_cli: RunCli) -> None:
        done = run_cli("order-parameter", copy, "--symmetry", "mmm", "--no-figures", "--json")
        shown = json.loads(done.stdout)
        assert shown["symmetry"].startswith("mmm")
        stars = [(tuple(vector["fraction"]), vector["multiplicity"]) for vector in shown["wave_vectors"]]
        assert set(stars) == {(("1/2", "1/2", "0"), 1), (("1/2", "0", "1/2"), 1), (("0", "1/2", "1/2"), 1)}

    def test_symmetry_that_there_is_not(self, copy: Path, run_cli: RunCli) -> None:
        before = sorted(copy.iterdir())
        done = run_cli("order-parameter", copy, "--symmetry", "nonsense")
        assert (done.code, done.stdout) == (2, "")
        assert "'nonsense'" in done.stderr
        assert "try: " in done.stderr
        assert sorted(copy.iterdir()) == before

    def test_no_run(self, tmp_path: Path, run_cli: RunCli) -> None:
        (tmp_path / "empty").mkdir()
        for folder in (tmp_path / "empty", tmp_path / "nix", SERIES):
            done = run_cli("order-parameter", folder)
            assert (done.code, done.stdout) == (3, "")
            assert str(folder) in done.stderr
            assert "try: " in done.stderr
        assert list((tmp_path / "empty").iterdir()) == []

    def test_clustering_again_takes_the_findings_away(self, copy: Path, run_cli: RunCli) -> None:
        assert run_cli("order-parameter", copy, "--per-peak").code == 0
        done = run_cli("cluster", SERIES, "-o", copy, "--force", "--no-figures", "-q")
        assert done.code == 0, done.stderr
        left = {path.name for path in copy.rglob("*") if path.is_file()}
        assert left == {"results.nxs", "summary.json", "run.toml", "run.log"}
        assert "order_parameters" not in summary_of(copy)

    def test_results_of_another_program(self, tmp_path: Path, run_cli: RunCli) -> None:
        shutil.copy(SERIES, tmp_path / "results.nxs")
        done = run_cli("order-parameter", tmp_path)
        assert done.code == 3
        assert "not a results file of xtec" in done.stderr

    def test_results_of_an_earlier_version(self, copy: Path, run_cli: RunCli) -> None:
        with h5py.File(copy / "results.nxs", "r+") as file:
            del file["entry/peak_shapes"]
        done = run_cli("order-parameter", copy)
        assert done.code == 3
        assert "/entry/peak_shapes" in done.stderr
        assert "try: " in done.stderr


class TestNothingOrders:
    def test_is_a_finding(self, quiet: Path, tmp_path: Path, run_cli: RunCli) -> None:
        run = shutil.copytree(quiet, tmp_path / "run")
        done = run_cli("order-parameter", run)
        assert done.code == 0
        assert "no cluster behaves like an order parameter" in done.stdout
        summary = summary_of(run)
        assert summary["order_parameters"] == summary["wave_vectors"] == []
        assert {one["cluster"] for one in summary["not_ordering"]} == {1, 2, 3, 4}
        assert not list((run / "figures").glob("*.png"))
        with h5py.File(run / "order_parameter.nxs") as file:
            assert not [name for name in file["entry"] if name.startswith("order_parameter")]

    def test_tables_without_rows_are_readable(self, quiet: Path, tmp_path: Path, run_cli: RunCli) -> None:
        """They have their columns, so that a script over many samples need not know."""
        run = shutil.copytree(quiet, tmp_path / "run")
        assert run_cli("order-parameter", run, "--per-peak", "--no-figures").code == 0
        for name in ("order_parameter.csv", "wave_vectors.csv", "peak_onsets.csv"):
            table = pd.read_csv(run / name)
            assert table.empty
            assert {"tc", "H"} & set(table.columns)
