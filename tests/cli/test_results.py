"""What a run leaves behind, read back with plain h5py, with nexusformat's checker and with silx."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy import ndimage

import xtec
from xtec.core.errors import InputError, OutputError, SeriesNotFoundError
from xtec.io.disk import atomic
from xtec.io.disk.atomic import replacing, write_text

SAMPLES = Path(__file__).resolve().parents[2] / "sample_data"
FOLDER = SAMPLES / "nxrefine"
K = 4
PLOTS = {
    "maxima",
    "trajectories",
    "average_intensity",
    "cluster_map",
    "peaks",
    "peak_shapes",
    "mixture",
    "threshold",
    "noise",
}


def xtec_command(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    program = "from xtec_cli.main import main; main()"
    call = [sys.executable, "-c", program, *(str(argument) for argument in arguments)]
    return subprocess.run(call, capture_output=True, text=True, cwd=cwd, check=False)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated series with a gap of NaN."""
    path = tmp_path_factory.mktemp("tiny") / "tiny.nxs"
    done = xtec_command("simulate", "tiny", "-o", path, "--gap", 0.3)
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(scope="module", params=["s", "d"])
def run(request: pytest.FixtureRequest, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That series clustered in either mode, in a process of its own."""
    folder = tmp_path_factory.mktemp("run") / request.param
    done = xtec_command("cluster", tiny, "-o", folder, "--mode", request.param, "-k", K, "--seed", 3)
    assert done.returncode == 0, done.stderr
    return folder


def mode_of(run: Path) -> str:
    return run.name


class TestFolder:
    def test_holds_exactly_these(self, run: Path) -> None:
        found = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
        figures = {path for path in found if path.startswith("figures/")}
        assert found - figures == {"results.nxs", "summary.json", "run.toml", "run.log"}
        assert len(figures) == 5
        assert all((run / path).read_bytes().startswith(b"\x89PNG") for path in figures)

    def test_recipe_is_resolved(self, tiny: Path, run: Path) -> None:
        recipe = tomllib.loads((run / "run.toml").read_text())
        assert recipe["command"] == "cluster"
        assert recipe["inputs"] == [str(tiny)]
        assert Path(recipe["output"]) == run
        assert (recipe["mode"], recipe["clusters"], recipe["seed"]) == (mode_of(run), K, 3)
        assert recipe["threshold"] == "kl+significance"

    def test_log_tells_the_story(self, run: Path) -> None:
        assert "kept" in (run / "run.log").read_text()


class TestNexus:
    def test_nexusformat_finds_nothing_wrong(self, run: Path) -> None:
        from nexusformat.nexus import nxload
        from nexusformat.nexus.validate import validate_file

        assert validate_file(str(run / "results.nxs")) == (0, 0)
        root = nxload(str(run / "results.nxs"))
        assert root.get_default().nxpath == "/entry/trajectories"
        assert root["entry/cluster_map"].nxsignal.nxname == "cluster_map"
        assert [axis.nxname for axis in root["entry/cluster_map"].nxaxes] == ["Ql", "Qk", "Qh"]

    def test_silx_reads_every_plot(self, run: Path) -> None:
        import silx.io
        from silx.io import nxdata

        with silx.io.open(str(run / "results.nxs")) as file:
            default = nxdata.get_default(file)
            assert default.is_valid
            assert default.signal_name == "cluster_1"
            assert default.auxiliary_signals_names == ["cluster_2", "cluster_3", "cluster_4"]
            assert default.errors is not None
            plots = {
                name: group
                for name, group in file["entry"].items()
                if group.attrs.get("NX_class") == "NXdata"
            }
            assert set(plots) == PLOTS
            for group in plots.values():
                plot = nxdata.NXdata(group)
                assert (plot.is_valid, plot.issues) == (True, []), group.name
                assert None not in plot.axes_dataset_names, group.name

    def test_contents(self, tiny: Path, run: Path) -> None:
        with h5py.File(tiny) as file:
            data = file["entry/data"]
            axes = {name: (data[name][()], dict(data[name].attrs)) for name in ("Ql", "Qk", "Qh")}
            temperature, volume = data["temperature"][()], data["data"][()]
            angles = data.attrs["angles"]
        n_temperatures, shape = len(temperature), volume.shape[1:]
        with h5py.File(run / "results.nxs") as file:
            entry = file["entry"]
            assert entry.attrs["default"] == "trajectories"
            assert entry["sample"].attrs["NX_class"] == "NXsample"
            assert entry["sample/name"].asstr()[()] == "Sr3Rh4Sn13"
            for name in ("trajectories", "average_intensity"):
                group = entry[name]
                np.testing.assert_array_equal(group["temperature"], temperature)
                assert group["temperature"].attrs["units"] == "K"
                for k in range(1, K + 1):
                    assert group[f"cluster_{k}"].shape == (n_temperatures,)
                    assert group[f"cluster_{k}_errors"].shape == (n_temperatures,)
            mapped = entry["cluster_map/cluster_map"]
            assert (mapped.dtype, mapped.shape, mapped.compression) == (np.int16, shape, "gzip")
            assert mapped.chunks is not None
            np.testing.assert_array_equal(entry["cluster_map"].attrs["angles"], angles)
            for name, (values, attributes) in axes.items():
                np.testing.assert_array_equal(entry["cluster_map"][name], values)
                for key in ("units", "scaling_factor", "long_name"):
                    assert key not in attributes or entry["cluster_map"][name].attrs[key] == attributes[key]
            index, label = entry["voxels/index"][()], entry["voxels/label"][()]
            probability = entry["voxels/probability"][()]
            assert index.dtype == np.int64
            assert np.all(np.diff(index) > 0)
            assert sorted(set(label)) == [1, 2, 3, 4]
            assert probability.shape == label.shape
            assert probability.min() >= 1 / K
            assert probability.max() <= 1 + 1e-6
            dense = np.zeros(shape, dtype=np.int16).reshape(-1)
            dense[index] = label
            np.testing.assert_array_equal(mapped[()], dense.reshape(shape))

            counts = {
                name: int(entry[f"threshold/n_{name}"][()]) for name in ("total", "kept", "empty", "nan")
            }
            cutoff = entry["threshold/cutoff"][()]
            rows = volume.reshape(n_temperatures, -1)
            mean = rows.mean(axis=0, dtype=np.float64)
            n_empty, n_nan = np.count_nonzero(mean <= 0), np.count_nonzero(np.isnan(mean))
            assert n_nan > 0
            assert counts == {"total": mean.size, "kept": len(index), "empty": n_empty, "nan": n_nan}
            bright = np.flatnonzero(mean > np.exp(cutoff))
            assert np.isin(bright, index).all()
            dark = np.setdiff1d(index, bright)
            assert 0 < dark.size <= entry["noise/n_significant"][()]
            spread = rows[:, dark].var(axis=0, dtype=np.float64) * n_temperatures / mean[dark]
            assert (spread >= 0.99 * entry["noise/cutoff"][()] * entry["noise/cell_scale"][()].min()).all()

            for k in range(1, K + 1):
                mine = rows[:, index[label == k]].astype(np.float64)
                group = entry["average_intensity"]
                np.testing.assert_allclose(group[f"cluster_{k}"], mine.mean(axis=1), rtol=1e-5)
                error = mine.std(axis=1) / np.sqrt(mine.shape[1])
                np.testing.assert_allclose(group[f"cluster_{k}_errors"], error, rtol=2e-2)

    def test_clustered_curves(self, tiny: Path, run: Path) -> None:
        """Mean and standard deviation of I / mean_T(I) - 1 over the members: peaks in mode s, else voxels."""
        with h5py.File(tiny) as file:
            rows = file["entry/data/data"][()].reshape(file["entry/data/temperature"].size, -1)
        with h5py.File(run / "results.nxs") as file:
            entry = file["entry"]
            if mode_of(run) == "s":
                label = entry["peaks/label"][()]
                members = entry["peaks/intensity"][()] / entry["peaks/size"][()][:, None]
            else:
                label = entry["voxels/label"][()]
                members = rows[:, entry["voxels/index"][()]].T.astype(np.float64)
            rescaled = members / members.mean(axis=1, keepdims=True) - 1
            for k in range(1, K + 1):
                mine = rescaled[label == k]
                stored = entry["trajectories"]
                np.testing.assert_allclose(stored[f"cluster_{k}"], mine.mean(axis=0), atol=1e-5)
                np.testing.assert_allclose(
                    stored[f"cluster_{k}_errors"], mine.std(axis=0), rtol=2e-2, atol=1e-5
                )

    def test_peaks(self, run: Path) -> None:
        with h5py.File(run / "results.nxs") as file:
            entry = file["entry"]
            peaks = {
                name: entry["peaks"][name][()]
                for name in ("label", "size", "centroid", "intensity", "maximum")
            }
            kept, n_temperatures = entry["voxels/index"].size, entry["trajectories/temperature"].size
            axes = [entry["cluster_map"][name][()] for name in ("Ql", "Qk", "Qh")]
            voxels = np.bincount(entry["voxels/label"][()], minlength=K + 1)[1:]
            mapped = entry["cluster_map/cluster_map"][()]
        n_peaks = len(peaks["label"])
        assert peaks["intensity"].shape == peaks["maximum"].shape == (n_peaks, n_temperatures)
        assert peaks["centroid"].shape == (n_peaks, 3)
        assert peaks["size"].sum() == kept
        assert np.all(peaks["maximum"] <= peaks["intensity"] * (1 + 1e-6))
        for column, axis in zip(peaks["centroid"].T, axes, strict=True):
            assert axis.min() - 1e-9 <= column.min() <= column.max() <= axis.max() + 1e-9
        np.testing.assert_array_equal(
            np.bincount(peaks["label"], weights=peaks["size"], minlength=K + 1)[1:], voxels
        )
        if mode_of(run) == "d":
            for k in range(1, K + 1):
                connected, _ = ndimage.label(mapped == k, np.ones((3, 3, 3)))
                sizes = np.bincount(connected.reshape(-1))[1:]
                assert sorted(peaks["size"][peaks["label"] == k]) == sorted(sizes)

    def test_mixture(self, run: Path) -> None:
        with h5py.File(run / "results.nxs") as file:
            mixture, n_temperatures = file["entry/mixture"], file["entry/trajectories/temperature"].size
            assert mixture["weights"].shape == (K,)
            assert mixture["weights"][()].sum() == pytest.approx(1)
            assert mixture["means"].shape == mixture["covariances"].shape == (K, n_temperatures)
            n_items = file["entry/peaks/label" if mode_of(run) == "s" else "entry/voxels/label"].size
            parameters = K - 1 + 2 * K * n_temperatures
            bic = parameters * np.log(n_items) - 2 * n_items * mixture["log_likelihood"][()]
            assert mixture["bic"][()] == pytest.approx(bic)
            assert mixture["n_iter"][()] >= 1
            assert mixture["converged"][()] in (True, False)

    def test_provenance(self, tiny: Path, run: Path) -> None:
        with h5py.File(run / "results.nxs") as file:
            process = file["entry/process"]
            assert process["program"].asstr()[()] == "xtec"
            assert process["version"].asstr()[()] == xtec.__version__
            options = process["parameters"]
            assert options["seed"][()] == 3
            assert options["clusters"][()] == K
            assert options["mode"].asstr()[()] == mode_of(run)
            assert options["backend"].asstr()[()] == "numpy"
            source = process["inputs"]
            assert source["file"].asstr()[()].tolist() == [str(tiny)]
            assert source["path"].asstr()[()].tolist() == ["/entry/data/data"]
            assert source["size"][()].tolist() == [tiny.stat().st_size]
            assert [len(one) for one in source["structure_sha256"].asstr()[()]] == [64]
            assert all(child.attrs["units"] == "s" for child in process["timings"].values())
            assert file.attrs["file_name"] == "results.nxs"


class TestSummary:
    def test_keys_and_types(self, run: Path) -> None:
        summary = json.loads((run / "summary.json").read_text())
        for name in ("n_total", "n_kept", "n_empty", "n_nan", "n_clusters", "seed"):
            assert type(summary[name]) is int, name
        assert set(summary["cutoff"]) == {"value", "low", "high", "units"}
        assert summary["mode"] == mode_of(run)
        assert summary["seed"] == 3
        assert summary["n_clusters"] == K == len(summary["clusters"])
        assert summary["status"]["state"] == "done"
        for number, cluster in enumerate(summary["clusters"], start=1):
            assert cluster["number"] == number
            assert type(cluster["voxels"]) is int
            assert type(cluster["peaks"]) is int
            assert type(cluster["share"]) is float
            assert type(cluster["trend"]) is str
            assert cluster["order_parameter"] in (True, False, None)
        assert sum(cluster["share"] for cluster in summary["clusters"]) == pytest.approx(1)

    def test_agrees_with_the_results(self, run: Path) -> None:
        summary = json.loads((run / "summary.json").read_text())
        with h5py.File(run / "results.nxs") as file:
            label, of_peak = file["entry/voxels/label"][()], file["entry/peaks/label"][()]
            assert summary["cutoff"]["value"] == file["entry/threshold/cutoff"][()]
            assert summary["n_kept"] == file["entry/threshold/n_kept"][()]
        voxels = [cluster["voxels"] for cluster in summary["clusters"]]
        assert voxels == np.bincount(label)[1:].tolist()
        peaks = [cluster["peaks"] for cluster in summary["clusters"]]
        assert peaks == np.bincount(of_peak, minlength=K + 1)[1:].tolist()


class TestOpenRun:
    def test_tree(self, run: Path) -> None:
        tree = xtec.open_run(run)
        assert set(tree.children) == PLOTS | {"voxels"}
        with h5py.File(run / "results.nxs") as file:
            stored = file["entry/cluster_map/cluster_map"][()]
        mapped = tree["cluster_map/cluster_map"]
        assert mapped.dims == ("Ql", "Qk", "Qh")
        np.testing.assert_array_equal(mapped.values, stored)
        np.testing.assert_array_equal(mapped[3, ::2, 5:40:3].values, stored[3, ::2, 5:40:3])
        voxels = tree["voxels"]
        np.testing.assert_array_equal(stored.reshape(-1)[voxels["index"]], voxels["label"])
        assert tree["mixture"]["means"].dims == ("component", "temperature")
        assert tree["mixture"]["weights"].dims == ("component",)
        assert tree["trajectories"]["temperature"].attrs["units"] == "K"
        assert tree["peaks"]["centroid"].dims == ("peak", "axis")
        assert tree["peaks"]["intensity"].dims == ("peak", "temperature")
        assert tree["peak_shapes"]["width"].dims == ("peak", "temperature", "axis")

    def test_the_map_is_lazy(self, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        plain = h5py.Dataset.__getitem__

        def guarded(self: h5py.Dataset, *arguments: object) -> object:
            assert not str(self.name).endswith("cluster_map"), "the map was read"
            return plain(self, *arguments)

        monkeypatch.setattr(h5py.Dataset, "__getitem__", guarded)
        assert xtec.open_run(run)["cluster_map/cluster_map"].chunks is not None

    def test_file_instead_of_folder(self, run: Path) -> None:
        assert xtec.open_run(str(run / "results.nxs"))["voxels"].sizes["voxel"] > 0

    def test_no_results(self, tiny: Path, tmp_path: Path) -> None:
        with pytest.raises(SeriesNotFoundError, match=r"no results here\n.*results\.nxs"):
            xtec.open_run(tmp_path)
        with pytest.raises(InputError, match="not a results file"):
            xtec.open_run(tiny)


def labels(run: Path) -> dict[str, np.ndarray]:
    with h5py.File(run / "results.nxs") as file:
        return {
            name: file["entry"][name][()]
            for name in (
                "voxels/index",
                "voxels/label",
                "voxels/probability",
                "mixture/means",
                "mixture/weights",
            )
        }


def assert_identical(one: Path, other: Path) -> None:
    first, second = labels(one), labels(other)
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name], err_msg=name)


class TestRepeat:
    def test_recipe_repeats_the_run(self, run: Path, tmp_path: Path, run_cli: Callable[..., object]) -> None:
        done = run_cli("run", run / "run.toml", "-o", tmp_path / "again", "-q")
        assert done.code == 0, done.stderr
        assert_identical(run, tmp_path / "again")
        one, other = (
            json.loads((folder / "summary.json").read_text()) for folder in (run, tmp_path / "again")
        )
        assert {**one, "timings": None} == {**other, "timings": None}

    def test_into_the_same_folder_only_by_force(
        self, tiny: Path, tmp_path: Path, run_cli: Callable[..., object]
    ) -> None:
        assert run_cli("cluster", tiny, "-o", tmp_path / "a", "--no-figures").code == 0
        refused = run_cli("run", tmp_path / "a" / "run.toml")
        assert refused.code == 2
        assert "not empty" in refused.stderr
        assert run_cli("run", tmp_path / "a" / "run.toml", "--force").code == 0

    @pytest.mark.parametrize("limit", ["210MB", "225MB", "1GiB"])
    def test_same_seed_same_answer_whatever_the_memory(
        self, tiny: Path, tmp_path: Path, run_cli: Callable[..., object], limit: str
    ) -> None:
        for name, options in (("a", ()), ("b", ("--memory-limit", limit))):
            done = run_cli(
                "cluster", tiny, "-o", tmp_path / name, "--seed", 7, "-k", 3, "--no-figures", *options
            )
            assert done.code == 0, done.stderr
        assert_identical(tmp_path / "a", tmp_path / "b")

    def test_resuming_a_finished_run_does_nothing(
        self, tiny: Path, tmp_path: Path, run_cli: Callable[..., object]
    ) -> None:
        command = ("cluster", tiny, "-o", tmp_path / "a", "-k", 3, "--no-figures", "--resume")
        assert run_cli(*command).code == 0
        written = (tmp_path / "a" / "results.nxs").stat().st_mtime_ns
        again = run_cli(*command)
        assert (again.code, "finished already" in again.stdout) == (0, True)
        assert (tmp_path / "a" / "results.nxs").stat().st_mtime_ns == written
        assert json.loads(run_cli(*command, "--json").stdout)["n_clusters"] == 3

    def test_stacked_and_folder_layout_agree(self, tmp_path: Path, run_cli: Callable[..., object]) -> None:
        for layout, name in (("stacked", "one.nxs"), ("nxrefine", "many")):
            assert run_cli("simulate", "tiny", "-o", tmp_path / name, "--layout", layout).code == 0
            done = run_cli(
                "cluster", tmp_path / name, "-o", tmp_path / f"run_{layout}", "-k", 3, "--no-figures"
            )
            assert done.code == 0, done.stderr
        assert_identical(tmp_path / "run_stacked", tmp_path / "run_nxrefine")


class TestForce:
    def test_nothing_of_the_earlier_run_stays(
        self, tiny: Path, tmp_path: Path, run_cli: Callable[..., object]
    ) -> None:
        folder = tmp_path / "run"
        assert run_cli("cluster", tiny, "-o", folder).code == 0
        (folder / "report.html").write_text("old")
        assert run_cli("cluster", tiny, "-o", folder, "--force", "--no-figures", "-k", 2).code == 0
        assert {path.name for path in folder.rglob("*") if path.is_file()} == {
            "results.nxs",
            "summary.json",
            "run.toml",
            "run.log",
        }
        assert json.loads((folder / "summary.json").read_text())["n_clusters"] == 2


class TestWholeOrNotAtAll:
    def test_a_failed_write_leaves_nothing(self, tmp_path: Path) -> None:
        def fail(path: Path) -> None:
            with replacing(path) as temporary:
                temporary.write_text("half")
                raise OSError(28, "No space left on device")

        with pytest.raises(OutputError, match=r"No space left on device(?s:.*)a\.nxs"):
            fail(tmp_path / "a.nxs")
        assert list(tmp_path.iterdir()) == []

    def test_what_stood_there_stays(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write_text(tmp_path / "a.txt", "first")

        def refuse(*_: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(atomic.os, "replace", refuse)
        with pytest.raises(OutputError):
            write_text(tmp_path / "a.txt", "second")
        assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.txt", "first")]

    def test_an_error_of_the_input_stays_one(self, tmp_path: Path) -> None:
        def fail() -> None:
            with replacing(tmp_path / "a.nxs"):
                raise SeriesNotFoundError("gone", file="input.nxs")

        with pytest.raises(SeriesNotFoundError, match="gone"):
            fail()

    def test_results_that_fail_half_way(
        self, tiny: Path, tmp_path: Path, run_cli: Callable[..., object], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("xtec.io.run.results._write_process", fail)
        done = run_cli("cluster", tiny, "-o", tmp_path / "run")
        assert done.code == 2
        assert "No space left on device" in done.stderr
        assert "results.nxs" in done.stderr
        assert [path for path in (tmp_path / "run").rglob("*") if path.is_file()] == []


class TestDemo:
    def test_from_anywhere(
        self, tmp_path: Path, run_cli: Callable[..., object], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        done = xtec_command("demo", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert all(re.fullmatch(r"\w+: done in .*", line) for line in done.stderr.splitlines())
        assert (tmp_path / "runs" / "demo" / "summary.json").exists()
        assert (tmp_path / "runs" / "demo" / "report.html").exists()
        assert "order parameter" in done.stdout
        monkeypatch.chdir(tmp_path)
        again = run_cli("demo", "--json")
        assert again.code == 0, again.stderr
        assert json.loads(again.stdout)["clusters"][0]["order_parameter"] is True

    def test_never_replaces_anything_else(self, tmp_path: Path, run_cli: Callable[..., object]) -> None:
        (tmp_path / "thesis.tex").write_text("mine")
        done = run_cli("demo", "-o", tmp_path)
        assert done.code == 2
        assert os.listdir(tmp_path) == ["thesis.tex"]

    def test_finds_the_transition_that_was_planted(self, tiny: Path, run: Path) -> None:
        with h5py.File(tiny) as file:
            planted = file["entry/truth/tc"][0]
        summary = json.loads((run / "summary.json").read_text())
        first = summary["clusters"][0]
        assert first["order_parameter"] is True
        assert first["onset"]["value"] == pytest.approx(planted, abs=5)


def test_nxrefine_sample_copies_its_angles_and_axes(tmp_path: Path, run_cli: Callable[..., object]) -> None:
    done = run_cli("cluster", FOLDER, "-o", tmp_path / "run", "-k", 3, "--no-figures")
    assert done.code == 0, done.stderr
    with h5py.File(FOLDER / "Sr3Rh4Sn13_30K.nxs") as wrapper, h5py.File(tmp_path / "run/results.nxs") as file:
        stored, copied = wrapper["entry/transform"], file["entry/cluster_map"]
        np.testing.assert_array_equal(copied.attrs["angles"], stored.attrs["angles"])
        for name in ("Ql", "Qk", "Qh"):
            np.testing.assert_array_equal(copied[name], stored[name])
            assert (
                dict(copied[name].attrs).items()
                >= {
                    key: value
                    for key, value in stored[name].attrs.items()
                    if key in ("units", "scaling_factor")
                }.items()
            )
        assert len(file["entry/process/inputs/file"]) == 6
