"""The command line: streams, exit codes, messages, and nothing written when it refuses."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

import xtec
from xtec.io.reading.reader import SeriesReader

RunCli = Callable[..., object]
WriteSeries = Callable[..., Path]
WriteFolder = Callable[..., Path]
Ordering = Callable[..., np.ndarray]


@pytest.fixture
def series(write_series: WriteSeries, ordering: Ordering) -> Path:
    """A small series with order below 45 K."""
    return write_series(ordering(), name="data/series.nxs")


@pytest.fixture
def folder(write_folder: WriteFolder, ordering: Ordering) -> Path:
    """The same as an NXRefine folder."""
    volumes = {f"{10 * (t + 1)}K": volume for t, volume in enumerate(ordering())}
    return write_folder(volumes, {scan: float(scan[:-1]) for scan in volumes})


class TestStreams:
    def test_json_is_one_object_on_stdout(self, series: Path, tmp_path: Path, run_cli: RunCli) -> None:
        done = run_cli("cluster", series, "-o", tmp_path / "run", "-k", 3, "--json", "-v", "--no-figures")
        assert done.code == 0, done.stderr
        shown = json.loads(done.stdout)
        assert done.stdout.count("\n") == 1
        assert shown.pop("run") == str(tmp_path / "run")
        stored = json.loads((tmp_path / "run" / "summary.json").read_text())
        assert {**shown, "timings": 0} == {**stored, "timings": 0}
        assert "INFO: " in done.stderr

    def test_json_of_inspect(self, series: Path, run_cli: RunCli) -> None:
        shown = json.loads(run_cli("inspect", series, "--json").stdout)
        assert shown["shape"] == [8, 6, 12, 13]
        assert shown["scan"]["values"] == [10, 20, 30, 40, 50, 60, 70, 80]
        assert [axis["name"] for axis in shown["axes"]] == ["Ql", "Qk", "Qh"]
        assert shown["bytes"] == 8 * 6 * 12 * 13 * 4

    def test_json_of_simulate(self, tmp_path: Path, run_cli: RunCli) -> None:
        shown = json.loads(run_cli("simulate", "tiny", "-o", tmp_path / "a.nxs", "--json").stdout)
        assert shown["written"][0]["path"] == str(tmp_path / "a.nxs")

    def test_errors_leave_stdout_empty(self, tmp_path: Path, run_cli: RunCli) -> None:
        done = run_cli("inspect", tmp_path / "nix.nxs", "--json")
        assert (done.code, done.stdout) == (3, "")

    def test_quiet(self, series: Path, tmp_path: Path, run_cli: RunCli) -> None:
        done = run_cli("cluster", series, "-o", tmp_path / "run", "-q", "-k", 3, "--no-figures")
        assert (done.code, done.stderr) == (0, "")
        before = run_cli("-q", "cluster", series, "-o", tmp_path / "other", "-k", 3, "--no-figures")
        assert (before.code, before.stderr) == (0, "")

    def test_log_file(self, series: Path, tmp_path: Path, run_cli: RunCli) -> None:
        log = tmp_path / "log.txt"
        done = run_cli("cluster", series, "-o", tmp_path / "run", "--log-file", log, "-k", 3, "--no-figures")
        assert done.code == 0, done.stderr
        assert "kept" in log.read_text()

    def test_log_file_that_cannot_be_written(self, series: Path, tmp_path: Path, run_cli: RunCli) -> None:
        done = run_cli("inspect", series, "--log-file", tmp_path / "nix" / "log.txt")
        assert done.code == 2
        assert "cannot write the log" in done.stderr
        assert "nix/log.txt" in done.stderr

    def test_version(self, run_cli: RunCli) -> None:
        done = run_cli("--version")
        assert (done.code, done.stdout) == (0, f"xtec, version {xtec.__version__}\n")

    @pytest.mark.parametrize("command", [(), ("cluster",), ("inspect",), ("run",), ("simulate",), ("demo",)])
    def test_help(self, run_cli: RunCli, command: tuple[str, ...]) -> None:
        for flag in ("-h", "--help"):
            done = run_cli(*command, flag)
            assert done.code == 0
            assert " ".join(("Usage: xtec", *command)) in done.stdout

    def test_no_figures(self, series: Path, tmp_path: Path, run_cli: RunCli) -> None:
        assert run_cli("cluster", series, "-o", tmp_path / "run", "--no-figures", "-k", 3).code == 0
        assert not (tmp_path / "run" / "figures").exists()

    def test_real_process(self, series: Path, tmp_path: Path) -> None:
        call = [sys.executable, "-m", "xtec_cli", "inspect", str(series)]
        call[1:3] = ["-c", "from xtec_cli.main import main; main()"]
        wide = {**os.environ, "COLUMNS": "200"}  # the path is as long as the folder of the tests is
        done = subprocess.run(call, capture_output=True, text=True, cwd=tmp_path, check=False, env=wide)
        assert (done.returncode, done.stderr) == (0, "")
        lines = done.stdout.splitlines()
        for start, content in (
            ("Test", str(series)),
            ("signal", "series.nxs:/entry/data/data"),
            ("temperature", "8: 10 20 30 40 50 60 70 80 K"),
            ("Qh", "13: -0.5 to 0.7 r.l.u., step 0.1"),
            ("stored", "float32, contiguous, uncompressed, 30 kB decompressed"),
            ("plan", "one block of 6 x 12 x 13 voxels"),
        ):
            assert any(line.startswith(start) and content in line for line in lines), (start, done.stdout)

    def test_inspect_reads_no_voxels(
        self, series: Path, folder: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> None:
            raise AssertionError("voxels were read")

        monkeypatch.setattr(SeriesReader, "read", refuse)
        for given in (series, folder):
            assert run_cli("inspect", given).code == 0

    def test_inspect_tells_of_gaps_and_dropped_files(self, folder: Path, run_cli: RunCli) -> None:
        (folder / "40K" / "transform.nxs").unlink()
        refused = run_cli("inspect", folder)
        assert refused.code == 3
        assert "40K/transform.nxs, which does not exist" in refused.stderr
        done = run_cli("inspect", folder, "--skip-bad")
        assert done.code == 0
        assert "Test_40K.nxs left out: the link points to 40K/transform.nxs" in done.stdout

    def test_inspect_of_an_uneven_scan(self, write_series: WriteSeries, run_cli: RunCli) -> None:
        axes = {"temperature": np.array([10.0, 20, 30, 80, 90]), "Qh": np.arange(4.0)}
        done = run_cli("inspect", write_series(np.ones((5, 4)), axes))
        assert "gap in temperature: 30 to 80 K" in done.stdout
        axes = {"temperature": np.cumsum([1.0, *[0.1, 5, 0.1] * 10]), "Qh": np.arange(4.0)}
        done = run_cli("inspect", write_series(np.ones((31, 4)), axes))
        assert "the steps of temperature are uneven: 0.1 to 5 K" in done.stdout


class TestOptions:
    def test_region_temperatures_and_everything_else(
        self, series: Path, tmp_path: Path, run_cli: RunCli
    ) -> None:
        options = ("--region", "K=-0.5:0.5", "--temperatures", "20:70", "--mode", "d", "--rescale", "zscore")
        more = ("--threshold", "1", "--covariance", "shared", "--n-init", 4, "--max-iter", 50, "--tol", 1e-5)
        done = run_cli(
            "cluster", series, "-o", tmp_path / "run", *options, *more, "-k", 2, "--no-figures", "--json"
        )
        assert done.code == 0, done.stderr
        assert json.loads(done.stdout)["n_total"] == 6 * 11 * 13
        with h5py.File(tmp_path / "run" / "results.nxs") as file:
            assert file["entry/cluster_map/cluster_map"].shape == (6, 11, 13)
            np.testing.assert_array_equal(file["entry/trajectories/temperature"], [20, 30, 40, 50, 60, 70])
            assert file["entry/threshold/cutoff"][()] == 1.0
            assert file["entry/mixture/covariance_type"].asstr()[()] == "shared"

    def test_order_is_found(self, series: Path, tmp_path: Path, run_cli: RunCli) -> None:
        done = run_cli(
            "cluster", series, "-o", tmp_path / "run", "-k", 2, "--threshold", "1.5", "--no-figures"
        )
        assert done.code == 0, done.stderr
        on_grid = np.all(np.indices((6, 12, 13)) % 4 == 2, axis=0)
        with h5py.File(tmp_path / "run" / "results.nxs") as file:
            found = file["entry/cluster_map/cluster_map"][()]
        half = np.stack(np.meshgrid(*(np.arange(n) // 2 for n in (6, 12, 13)), indexing="ij")).sum(axis=0)
        np.testing.assert_array_equal(found == 1, on_grid & (half % 4 == 3))
        np.testing.assert_array_equal(found == 2, on_grid & (half % 4 == 1))

    def test_lists_and_globs(self, folder: Path, tmp_path: Path, run_cli: RunCli) -> None:
        for number, given in enumerate(([folder], sorted(folder.glob("*.nxs")), [f"{folder}/*.nxs"])):
            run = tmp_path / f"run{number}"
            assert run_cli("cluster", *given, "-o", run, "-k", 2, "--no-figures").code == 0
        maps = []
        for number in range(3):
            with h5py.File(tmp_path / f"run{number}" / "results.nxs") as file:
                maps.append(file["entry/cluster_map/cluster_map"][()])
        np.testing.assert_array_equal(maps[0], maps[1])
        np.testing.assert_array_equal(maps[0], maps[2])

    def test_skip_bad_says_so_everywhere(self, folder: Path, tmp_path: Path, run_cli: RunCli) -> None:
        path = folder / "30K" / "transform.nxs"
        path.write_bytes(path.read_bytes()[:1500])
        run = tmp_path / "run"
        refused = run_cli("cluster", folder, "-o", run, "-k", 2)
        assert refused.code == 3
        assert "1 of 8 temperatures cannot be used" in refused.stderr
        assert "30K/transform.nxs" in refused.stderr
        assert "--skip-bad" in refused.stderr
        assert not run.exists()
        done = run_cli("cluster", folder, "-o", run, "-k", 2, "--skip-bad", "--no-figures")
        assert done.code == 0, done.stderr
        assert done.stderr.count("Test_30K.nxs dropped: ") == 1
        summary = json.loads((run / "summary.json").read_text())
        assert ["Test_30K.nxs" in text for text in summary["dropped"]] == [True]
        assert any("Test_30K.nxs dropped" in text for text in summary["status"]["warnings"])
        with h5py.File(run / "results.nxs") as file:
            assert "Test_30K.nxs" in file["entry/process/dropped/temperature_001"].asstr()[()]
            np.testing.assert_array_equal(
                file["entry/trajectories/temperature"], [10, 20, 40, 50, 60, 70, 80]
            )

    def test_held_open_elsewhere_is_said_once(self, series: Path, tmp_path: Path, run_cli: RunCli) -> None:
        program = "import sys, h5py; f = h5py.File(sys.argv[1], 'r+'); print(flush=True); sys.stdin.read()"
        with subprocess.Popen(
            [sys.executable, "-c", program, str(series)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as holder:
            assert holder.stdout is not None
            holder.stdout.readline()
            done = run_cli("cluster", series, "-o", tmp_path / "run", "-k", 2, "--no-figures")
            holder.communicate()
        assert done.code == 0, done.stderr
        assert done.stderr.count("open for writing elsewhere") == 1
        summary = json.loads((tmp_path / "run" / "summary.json").read_text())
        assert sum("open for writing" in warning for warning in summary["status"]["warnings"]) == 1

    def test_inputs_are_not_touched(
        self, series: Path, folder: Path, tmp_path: Path, run_cli: RunCli
    ) -> None:
        def state() -> dict[str, object]:
            places = [path for top in (series.parent, folder) for path in [top, *top.rglob("*")]]
            return {
                str(path): (
                    path.stat().st_mtime_ns,
                    hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None,
                )
                for path in places
            }

        before = state()
        for number, given in enumerate((series, folder)):
            assert run_cli("inspect", given).code == 0
            done = run_cli("cluster", given, "-o", tmp_path / f"run{number}", "-k", 2, "--no-figures")
            assert done.code == 0, done.stderr
        assert state() == before

    def test_interrupted(
        self, series: Path, tmp_path: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupt(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(SeriesReader, "read", interrupt)
        done = run_cli("cluster", series, "-o", tmp_path / "run")
        assert done.code == 130
        assert "interrupted" in done.stderr
        assert not (tmp_path / "run").exists()

    def test_a_bug_is_called_one(
        self, series: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            raise ZeroDivisionError("of course")

        monkeypatch.setattr("xtec_pipelines.inspect.open_series", fail)
        done = run_cli("inspect", series)
        assert done.code == 1
        assert "bug in xtec: ZeroDivisionError: of course" in done.stderr
        assert "Traceback" not in done.stderr
        assert "Traceback" in run_cli("inspect", series, "-v").stderr


def volume(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).lognormal(2, 0.5, shape).astype(np.float32)


class BadInput:
    """Writes one kind of unusable input; returns its path and what the message must name besides it."""

    def __init__(self, write_series: WriteSeries, write_folder: WriteFolder) -> None:
        self.series, self.folder = write_series, write_folder

    def not_hdf5(self) -> tuple[Path, str]:
        path = self.series(volume(4, 5, 6))
        path.write_text("T,I\n1,2\n")
        return path, "not an HDF5 file"

    def empty_file(self) -> tuple[Path, str]:
        path = self.series(volume(4, 5, 6))
        path.write_bytes(b"")
        return path, "not an HDF5 file"

    def truncated(self) -> tuple[Path, str]:
        path = self.series(volume(9, 30, 30))
        path.write_bytes(path.read_bytes()[:9000])
        return path, "truncated"

    def missing_file(self) -> tuple[Path, str]:
        path = self.series(volume(4, 5, 6))
        return path.with_name("other.nxs"), "no such file"

    def missing_link_target(self) -> tuple[Path, str]:
        folder = self.folder({f"{t}K": volume(4, 5, 6) for t in (10, 20, 30)})
        (folder / "20K" / "transform.nxs").unlink()
        return folder, "Test_20K.nxs:/entry/transform/data"

    def no_nxdata(self) -> tuple[Path, str]:
        path = self.series(volume(4, 5, 6))
        with h5py.File(path, "w") as file:
            file["entry/x"] = 1
        return path, "no NXdata"

    def one_dimension(self) -> tuple[Path, str]:
        return self.series(volume(4), {"temperature": np.arange(4.0)}), ":/entry/data/data"

    def five_dimensions(self) -> tuple[Path, str]:
        axes = {"temperature": np.arange(4.0), **{f"x{i}": np.arange(3.0) for i in range(4)}}
        return self.series(volume(4, 3, 3, 3, 3), axes), ":/entry/data/data"

    def unequal_shapes(self) -> tuple[Path, str]:
        volumes = {f"{t}K": volume(4, 5, 6 + (t == 20)) for t in (10, 20, 30)}
        folder = self.folder({scan: one for scan, one in volumes.items() if scan != "20K"})
        self.folder({"20K": volumes["20K"]})
        return folder, "Test_20K.nxs:/entry/transform/data"

    def unequal_axes(self) -> tuple[Path, str]:
        folder = self.folder({f"{t}K": volume(4, 5, 6) for t in (10, 20, 30)})
        with h5py.File(folder / "Test_20K.nxs", "r+") as file:
            file["entry/transform/Qk"][...] *= 1.01
        return folder, "Test_20K.nxs:/entry/transform"

    def duplicate_in_folder(self) -> tuple[Path, str]:
        scans = {"10K": 10.0, "20K": 10.0, "30K": 30.0}
        return self.folder({scan: volume(4, 5, 6) for scan in scans}, scans), "Test_20K.nxs:/entry/transform"

    def duplicate_in_stack(self) -> tuple[Path, str]:
        axes = {"temperature": np.array([10.0, 20, 20]), "Qk": np.arange(5.0), "Qh": np.arange(6.0)}
        return self.series(volume(3, 5, 6), axes), ":/entry/data"

    def one_temperature(self) -> tuple[Path, str]:
        return self.series(volume(1, 5, 6, 7)), ":/entry/data"

    def one_temperature_in_folder(self) -> tuple[Path, str]:
        return self.folder({"10K": volume(4, 5, 6)}), "Test_10K.nxs"

    def all_zero(self) -> tuple[Path, str]:
        return self.series(np.zeros((4, 5, 6))), ":/entry/data/data"

    def all_nan(self) -> tuple[Path, str]:
        return self.series(np.full((4, 5, 6), np.nan)), ":/entry/data/data"

    def negative(self) -> tuple[Path, str]:
        data = volume(4, 5, 6)
        data[2, 3, 4] = -2
        return self.series(data), ":/entry/data/data"

    def axis_of_nan(self) -> tuple[Path, str]:
        axes = {"temperature": np.arange(4.0), "Qk": np.full(5, np.nan), "Qh": np.arange(6.0)}
        return self.series(volume(4, 5, 6), axes), ":/entry/data/Qk"

    def axis_of_wrong_length(self) -> tuple[Path, str]:
        axes = {"temperature": np.arange(4.0), "Qk": np.arange(9.0), "Qh": np.arange(6.0)}
        return self.series(volume(4, 5, 6), axes), ":/entry/data/Qk"

    def empty_folder(self) -> tuple[Path, str]:
        path = self.series(volume(4, 5, 6), name="empty/series.nxs")
        path.unlink()
        return path.parent, "no NeXus or HDF5 files"

    def one_value_only(self) -> tuple[Path, str]:
        return self.series(np.full((4, 5, 6), 3.0)), ":/entry/data/data"


BAD_INPUTS = [name for name in vars(BadInput) if not name.startswith("_")]


@pytest.mark.parametrize("kind", BAD_INPUTS)
def test_unusable_input(
    kind: str, write_series: WriteSeries, write_folder: WriteFolder, tmp_path: Path, run_cli: RunCli
) -> None:
    path, named = getattr(BadInput(write_series, write_folder), kind)()
    run = tmp_path / "results" / "run"
    done = run_cli("cluster", path, "-o", run, "-k", 2)
    assert done.code == 3, done.stderr
    assert done.stdout == ""
    assert "error: " in [line[:7] for line in done.stderr.splitlines()]  # after compiling, maybe
    assert named in done.stderr
    assert path.name in done.stderr
    assert "Traceback" not in done.stderr
    assert not run.parent.exists()


class TestRefused:
    """Options that do not fit; nothing is written."""

    @pytest.mark.parametrize(
        ("options", "code", "message"),
        [
            (("--region", "H=7:8"), 3, "Qh: nothing between 7 and 8"),
            (("--region", "Z=0:1"), 2, "no axis named Z"),
            (("--region", "H=1"), 2, "'1' is not an interval"),
            (("--region", "here"), 2, "cannot read 'here'"),
            (("--temperatures", "warm"), 2, "'warm' is not an interval"),
            (("--temperatures", "50:20"), 2, "'50:20' is not an interval"),
            (("--temperatures", "500:600"), 3, "temperature: nothing between 500 and 600"),
            (("--temperatures", "20:20"), 3, "one temperature only"),
            (("--threshold", "kll"), 2, "unknown threshold 'kll'"),
            (("--threshold", "nan"), 2, "threshold"),
            (("--threshold", "40"), 4, "no voxel lies above the cutoff"),
            (("--mode", "x"), 2, "'x' is not one of"),
            (("--rescale", "x"), 2, "'x' is not one of"),
            (("--covariance", "x"), 2, "'x' is not one of"),
            (("--negative", "x"), 2, "'x' is not one of"),
            (("-k", "0"), 2, "not a number of clusters: '0'"),
            (("-k", "many"), 2, "not a number of clusters: 'many'"),
            (("-k", "900"), 2, "900 clusters of"),
            (("--n-init", "0"), 2, "n_init: 0"),
            (("--seed", "-1"), 2, "seed: -1"),
            (("--min-std", "-1"), 2, "min_std: -1"),
            (("--min-std", "99"), 4, "no trajectory varies enough"),
            (("--memory-limit", "lots"), 2, "'lots' is not an amount of memory"),
            (("--group", "masked_transform"), 3, "no group named masked_transform"),
            (("--entry", "nix"), 3, "no such group"),
            (("--scan", "nix"), 3, "no scan variable 'nix'"),
            (("--frobnicate",), 2, "No such option"),
        ],
    )
    def test_option(
        self,
        series: Path,
        tmp_path: Path,
        run_cli: RunCli,
        options: tuple[str, ...],
        code: int,
        message: str,
    ) -> None:
        done = run_cli("cluster", series, "-o", tmp_path / "run", *options)
        assert (done.code, done.stdout) == (code, "")
        assert message in done.stderr
        assert not (tmp_path / "run").exists()

    def test_no_input(self, tmp_path: Path, run_cli: RunCli) -> None:
        assert run_cli("cluster", "-o", tmp_path / "run").code == 2

    def test_no_output(self, series: Path, run_cli: RunCli) -> None:
        assert run_cli("cluster", series).code == 2

    def test_output_below_a_file(self, series: Path, tmp_path: Path, run_cli: RunCli) -> None:
        (tmp_path / "file").write_text("x")
        for output in (tmp_path / "file", tmp_path / "file" / "run"):
            done = run_cli("cluster", series, "-o", output)
            assert done.code == 2
            assert str(tmp_path / "file") in done.stderr
        assert (tmp_path / "file").read_text() == "x"

    def test_output_that_holds_something(self, series: Path, tmp_path: Path, run_cli: RunCli) -> None:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "notes.txt").write_text("x")
        done = run_cli("cluster", series, "-o", tmp_path / "run", "-k", 2)
        assert done.code == 2
        assert "not empty" in done.stderr
        assert "--force" in done.stderr
        assert [path.name for path in (tmp_path / "run").iterdir()] == ["notes.txt"]
        forced = run_cli("cluster", series, "-o", tmp_path / "run", "-k", 2, "--force", "--no-figures")
        assert forced.code == 0, forced.stderr
        assert (tmp_path / "run" / "notes.txt").exists()

    def test_output_among_the_input(self, series: Path, folder: Path, run_cli: RunCli) -> None:
        outputs = (
            (series, series.parent),
            (folder, folder),
            (folder, folder / "run"),
            (folder / "*.nxs", folder),
            (folder, folder / ".." / folder.name / "a" / "b"),
        )
        for given, output in outputs:
            listing = sorted(folder.rglob("*")), sorted(series.parent.rglob("*"))
            done = run_cli("cluster", given, "-o", output, "--force")
            assert done.code == 2
            assert "never put among the input" in done.stderr
            assert (sorted(folder.rglob("*")), sorted(series.parent.rglob("*"))) == listing


class TestRecipes:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (
                'inputs = ["a.nxs"]\noutput = "b"\ncluster = 3',
                "cluster: there is no such option (clusters?)",
            ),
            (
                'inputs = ["a.nxs"]\noutput = "b"\nclusters = "many"',
                "not a number of clusters: 'many'",
            ),
            ('inputs = ["a.nxs"]\noutput = "b"\nthreshold = "x"', "threshold: unknown threshold 'x'"),
            ('inputs = ["a.nxs"]\noutput = "b"\nregion = "x"', "region: cannot read 'x'"),
            ('inputs = []\noutput = "b"', "inputs: "),
            ('output = "b"', "inputs: missing"),
            ('command = "dance"', "this recipe is one of 'dance'"),
            ("this is no recipe", "not TOML"),
        ],
    )
    def test_refused(self, tmp_path: Path, run_cli: RunCli, text: str, message: str) -> None:
        (tmp_path / "recipe.toml").write_text(text)
        done = run_cli("run", tmp_path / "recipe.toml")
        assert done.code == 2
        assert message in done.stderr
        assert "recipe.toml" in done.stderr

    def test_missing(self, tmp_path: Path, run_cli: RunCli) -> None:
        done = run_cli("run", tmp_path / "nix.toml")
        assert done.code == 3
        assert "nix.toml" in done.stderr
        assert run_cli("run", tmp_path).code == 3

    def test_a_recipe_by_hand(self, series: Path, tmp_path: Path, run_cli: RunCli) -> None:
        where = f'inputs = ["{series}"]\noutput = "{tmp_path}/run"\n'
        (tmp_path / "recipe.toml").write_text(f"{where}clusters = 2\nthreshold = 1.5\nfigures = false")
        done = run_cli("run", tmp_path / "recipe.toml", "--json")
        assert done.code == 0, done.stderr
        assert json.loads(done.stdout)["n_clusters"] == 2
