"""Manners of the command line: nothing a person can get wrong ends in a traceback, nothing is too wide."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from xtec_cli.groups import SECTIONS
from xtec_cli.main import xtec as group

RunCli = Callable[..., object]
WriteSeries = Callable[..., Path]
Ordering = Callable[..., np.ndarray]

USER_ERRORS = {2, 3, 4, 5}
ENTRY = "from xtec_cli.main import main; main()"
ON_SERIES = ("inspect", "cluster", "select", "stack", "watch", "phase-diagram")
ON_RUNS = ("order-parameter", "unit-cell", "report")
COMMANDS = sorted(group.commands)


@pytest.fixture
def series(write_series: WriteSeries, ordering: Ordering) -> Path:
    return write_series(ordering(), name="data/series.nxs")


def needs_output(command: str) -> bool:
    return command in ("cluster", "select", "stack", "watch", "phase-diagram")


def assert_polite(done: object, about: object) -> None:
    """A message for people, and an exit code that says whose turn it is."""
    assert done.code in USER_ERRORS, (about, done.code, done.stderr)
    assert "Traceback" not in done.stderr, about
    assert "this is a bug" not in done.stderr, (about, done.stderr)
    assert done.stderr.strip(), about
    assert done.stdout == "", about


def bad_inputs(folder: Path) -> list[Path | str]:
    """Things that are no series, each in its own way."""
    folder.mkdir()
    text, empty, garbage, cut, bare = (
        folder / f"{name}.nxs" for name in ("t_1K", "e_2K", "g_3K", "c_4K", "b_5K")
    )
    text.write_text("temperature intensity\n10 3.5\n")
    empty.write_bytes(b"")
    garbage.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(range(256)) * 8)
    with h5py.File(bare, "w") as file:
        file["numbers"] = np.arange(100_000.0)
    cut.write_bytes(bare.read_bytes()[:3000])
    for name in ("nothing", "folder.nxs"):
        (folder / name).mkdir()
    loop = folder / "loop.nxs"
    loop.symlink_to(loop)
    table = folder / "table.npz"
    table.write_bytes(b"PK\x03\x04 no archive")
    given = [folder / "nix.nxs", text, empty, garbage, cut, bare, folder / "nothing", folder / "folder.nxs"]
    return [
        *given,
        loop,
        table,
        folder,
        folder / ("x" * 300),
        "",
        "*.nothing",
        text / "below.nxs",
        "/dev/null",
    ]


@pytest.mark.parametrize("command", [name for name in ON_SERIES if name != "watch"])
def test_what_is_no_series(command: str, tmp_path: Path, run_cli: RunCli) -> None:
    for number, path in enumerate(bad_inputs(tmp_path / "in")):
        output = ("-o", tmp_path / f"out{number}") if needs_output(command) else ()
        assert_polite(run_cli(command, path, *output), (command, path))
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize("command", ON_RUNS)
def test_what_is_no_run(command: str, tmp_path: Path, run_cli: RunCli) -> None:
    broken = [tmp_path / f"run{i}" for i in range(4)]
    for path, (results, summary) in zip(
        broken, (("text", "{}"), ("text", "no json"), ("", '{"clusters": 3}'), ("", "[]")), strict=True
    ):
        path.mkdir()
        (path / "results.nxs").write_text(results)
        (path / "summary.json").write_text(summary)
    with h5py.File(broken[3] / "results.nxs", "w") as file:
        file.attrs["creator"] = "xtec-pipeline"
        file.create_group("entry")
    for path in (*bad_inputs(tmp_path / "in"), *broken):
        assert_polite(run_cli(command, path), (command, path))


@pytest.mark.parametrize("command", ["run", "check"])
def test_what_is_no_recipe(command: str, tmp_path: Path, run_cli: RunCli) -> None:
    texts = ("", "no toml at all", 'command = "nix"', "command = 3", "inputs = 3\noutput = 4", "\x00")
    recipes = [tmp_path / f"{i}.toml" for i in range(len(texts))]
    for path, text in zip(recipes, texts, strict=True):
        path.write_text(text)
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    for path in (*recipes, tmp_path / "bytes.toml", *bad_inputs(tmp_path / "in")):
        done = run_cli(command, path)
        assert done.code in USER_ERRORS, (path, done.stderr)
        assert "this is a bug" not in done.stderr, (path, done.stderr)
        assert (done.stderr + done.stdout).strip()


NONSENSE = {
    "--region": ("nonsense", "H=", "H=1", "H=5:1", "Z=0:1", "H=nan:1", "H=0:0.1,H=0:0.1", "H=90:99", ","),
    "--temperatures": ("warm", "300:10", "1:2:3", "900:901", "nan:nan"),
    "--entry": ("nix", "entry/data/data", "/", "..", "\x01"),
    "--group": ("nix", "data/data", ""),
    "--scan": ("nix", "sample/name", "title"),
    "--reader": ("nix", "npz", ":", "npz:x=1"),
    "--memory-limit": ("lots", "0", "-1GB", "nan"),
}
ON_CLUSTERS = {
    "--clusters": ("0", "-3", "4:2", "1:99", "many", "1e3"),
    "--mode": ("z",),
    "--threshold": ("nix", "", "kl+kl+kl"),
    "--fdr": ("2", "x", "nan"),
    "--min-std": ("-1", "x"),
    "--quantity": ("size", "width-z"),
    "--unit-cell": ("a,b,c", ",,"),
    "--smooth-length": ("-1", "x"),
    "--keep": ("1", "x"),
    "--from": ("nix", "/dev/null", ""),
    "--n-init": ("0", "x"),
    "--seed": ("-1", "1.5"),
    "--max-iter": ("0",),
    "--tol": ("-1",),
    "--workers": ("0", "-1", "x"),
    "--scheduler": ("nix", "nix.json"),
    "--features": ("nix", "pca:x", "pca:n_components=many", ":"),
    "--clusterer": ("nix", "k-means:colour=3"),
    "--novelty": ("nix",),
    "--reference": ("nix",),
    "--writer": ("nix",),
    "--save-after": ("-1", "x"),
}


@pytest.mark.parametrize("command", ["inspect", "stack", "cluster"])
def test_nonsense_in_options(
    command: str, series: Path, tmp_path: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xtec_pipelines.streaming.dask_workers._PATIENCE", 0.2)
    options = {**NONSENSE, **(ON_CLUSTERS if command == "cluster" else {})}
    extra = ("--copy",) if command == "stack" else ("--no-figures",) if command == "cluster" else ()
    for number, (option, values) in enumerate(options.items()):
        for value in values:
            output = ("-o", tmp_path / f"out{number}") if needs_output(command) else ()
            assert_polite(run_cli(command, series, *output, *extra, option, value), (option, value))
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize("command", ["cluster", "select", "stack", "phase-diagram", "simulate"])
def test_where_nothing_can_be_written(command: str, series: Path, tmp_path: Path, run_cli: RunCli) -> None:
    (tmp_path / "file").write_text("mine")
    given = ("tiny",) if command == "simulate" else (series, "--copy") if command == "stack" else (series,)
    for output in ("/proc/nix/run", tmp_path / "file" / "run", tmp_path / ("x" * 300), "/dev/null"):
        assert_polite(run_cli(command, *given, "-o", output), output)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("command", COMMANDS)
def test_mistyped_options(command: str, run_cli: RunCli) -> None:
    for wrong in ("--jsn", "--no-such-option-at-all", "-Z"):
        done = run_cli(command, wrong)
        assert_polite(done, (command, wrong))


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (("clustr",), "cluster"),
        (("order_parameter",), "order-parameter"),
        (("plugins", "lst"), "list"),
        (("plugins", "show", "mixmat"), "mixmate"),
        (("cluster", "x", "-o", "y", "--thresold", "kl"), "--threshold"),
        (("cluster", "SERIES", "-o", "OUT", "--features", "pac"), "pca"),
        (("inspect", "SERIES", "--entry", "entri"), "entry"),
        (("inspect", "SERIES", "--entry", "entry/dta"), "data"),
        (("inspect", "SERIES", "--group", "dat"), "data"),
    ],
)
def test_what_was_meant(
    arguments: tuple[str, ...], meant: str, series: Path, tmp_path: Path, run_cli: RunCli
) -> None:
    places = {"SERIES": str(series), "OUT": str(tmp_path / "out")}
    done = run_cli(*(places.get(one, one) for one in arguments))
    assert_polite(done, arguments)
    assert "mean" in done.stderr
    assert meant in done.stderr.lower().partition("did you mean")[2]


class TestHelp:
    def test_every_command_is_in_one_section(self) -> None:
        listed = [name for names in SECTIONS.values() for name in names]
        assert sorted(listed) == COMMANDS

    def test_sections_and_their_order(self, run_cli: RunCli) -> None:
        shown = run_cli("--help").stdout
        places = [shown.index(f"─ {name} ─") for name in SECTIONS]
        assert places == sorted(places)
        assert shown.index(" unit-cell ") > shown.index("From clusters to physics")

    def test_options_come_in_sections(self, run_cli: RunCli) -> None:
        shown = "─ Input" + run_cli("cluster", "--help").stdout.partition("─ Input")[2]
        order = ["─ Input", "--region", "─ Output", "--force", "─ Mixture", "--n-init", "─ Work", "--resume"]
        places = [shown.index(name) for name in [*order, "─ Options", "--json"]]
        assert places == sorted(places)

    @pytest.mark.parametrize("command", COMMANDS)
    def test_examples(self, command: str, run_cli: RunCli) -> None:
        _, _, text = run_cli(command, "--help").stdout.partition("Usage:")
        assert f"xtec {command}" in text.partition("\n")[2]

    @pytest.mark.parametrize("columns", [60, 80])
    def test_width(self, columns: int, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", str(columns))
        for command in ("", *COMMANDS):
            for line in run_cli(*filter(None, (command,)), "--help").stdout.splitlines():
                assert len(line) <= columns, (command, line)


class TestWidth:
    def test_tables(
        self,
        tmp_path: Path,
        simulate_into: Callable[..., Path],
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """No line is wider than the terminal, and no number is cut in two."""
        from xtec_cli import show, show_findings
        from xtec_pipelines.cluster import run_cluster
        from xtec_pipelines.config import make_config
        from xtec_pipelines.order_parameter import OrderConfig, run_order_parameter
        from xtec_pipelines.unit_cell import UnitCellConfig, run_unit_cell

        monkeypatch.chdir(tmp_path)
        simulate_into(Path("s.nxs"), "tiny")
        run = run_cluster(
            make_config({"inputs": ["s.nxs"], "output": "run", "clusters": "1:4", "figures": False})
        )
        order = run_order_parameter(OrderConfig(run="run", figures=False))
        cell = run_unit_cell(UnitCellConfig(run="run", figures=False))
        for display in (
            lambda: show.show_run(run, Path("run"), {"read": 12.5, "cluster": 3.25}),
            lambda: show.show_selection(run),
            lambda: show_findings.show_order(order, "run", {}),
            lambda: show_findings.show_unit_cell(cell, "run", {}),
        ):
            shown = {}
            for columns in (300, 60, 80):
                monkeypatch.setenv("COLUMNS", str(columns))
                display()
                shown[columns] = capsys.readouterr().out
                assert max(map(len, shown[columns].splitlines())) <= columns
                assert "…" not in shown[columns]
            assert _numbers(shown[300])
            assert _numbers(shown[60]) <= _numbers(shown[300])
            assert _numbers(shown[80]) <= _numbers(shown[300])

    @pytest.mark.parametrize("columns", [60, 80])
    def test_lines(
        self, columns: int, series: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(series.parent)
        monkeypatch.setenv("COLUMNS", str(columns))
        for call in (
            ("inspect", "series.nxs"),
            ("cluster", "series.nxs", "-o", "../run", "--dry-run"),
            ("stack", "series.nxs", "-o", "copy.nxs", "--copy", "--force"),
            ("plugins", "list"),
            ("plugins", "show", "pca"),
        ):
            done = run_cli(*call)
            assert done.code == 0, done.stderr
            assert max(map(len, done.stdout.splitlines())) <= columns, call

    def test_in_a_file_a_line_stays_one(
        self, series: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("COLUMNS", raising=False)
        assert any(len(line) > 80 for line in run_cli("inspect", series).stdout.splitlines())

    def test_no_colour(self, series: Path) -> None:
        environment = {**os.environ, "FORCE_COLOR": "1", "COLUMNS": "80"}
        call = [sys.executable, "-c", ENTRY, "--help"]
        shown = [
            subprocess.run(call, capture_output=True, text=True, env=one, check=True).stdout
            for one in (environment, {**environment, "NO_COLOR": "1"})
        ]
        coloured = ["\x1b[3" in one or ";3" in one for one in shown]
        assert coloured == [True, False]


def _numbers(text: str) -> set[str]:
    """Words that begin with a digit, without times, which differ from run to run."""
    words = re.sub(r"\bin [\d.]+ s( \([^)]*\))?", "", " ".join(text.split())).split()
    return {word.strip("(),;") for word in words if word[:1].isdigit()}


class TestDryRun:
    @pytest.mark.parametrize("command", ["cluster", "select"])
    def test_nothing_is_read_or_written(
        self, command: str, series: Path, tmp_path: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from xtec.io.reading.reader import SeriesReader

        def refuse(*_: object, **__: object) -> None:
            raise AssertionError("voxels were read")

        monkeypatch.setattr(SeriesReader, "read", refuse)
        done = run_cli(command, series, "-o", tmp_path / "run", "--dry-run", "--report")
        assert done.code == 0, done.stderr
        assert "8 x 6 x 12" in done.stdout or "6 x 12 x 13 voxels" in done.stdout
        assert f"{tmp_path / 'run'}: results.nxs" in done.stdout
        shown = json.loads(run_cli(command, series, "-o", tmp_path / "run", "--dry-run", "--json").stdout)
        assert (shown["dry_run"], shown["output"]) == (True, str(tmp_path / "run"))
        assert shown["plan"]["blocks"] >= 1
        assert [path.name for path in tmp_path.iterdir()] == ["data"]

    def test_tells_the_files_that_a_run_writes(self, series: Path, tmp_path: Path, run_cli: RunCli) -> None:
        call = ("cluster", series, "-o", tmp_path / "run", "-k", 2)
        planned = json.loads(run_cli(*call, "--dry-run", "--json").stdout)["files"]
        assert run_cli(*call).code == 0
        assert sorted(path.name for path in (tmp_path / "run").iterdir()) == sorted(planned)

    def test_refuses_what_a_run_would_refuse(self, series: Path, tmp_path: Path, run_cli: RunCli) -> None:
        full = tmp_path / "full"
        full.mkdir()
        (full / "mine").write_text("")
        for options, code in (
            (("-o", full), 2),
            (("-o", series.parent), 2),
            (("-o", tmp_path / "new", "--features", "nix"), 5),
            (("-o", tmp_path / "new", "--backend", "cupy", "--scheduler", "threads"), None),
            (("-o", tmp_path / "new", "--region", "H=90:99"), 3),
            (("-o", tmp_path / "new", "--memory-limit", "1kB"), 2),
        ):
            dry, real = (run_cli("cluster", series, *options, *more) for more in (("--dry-run",), ()))
            if code is not None:
                assert (dry.code, real.code) == (code, code), options
                assert dry.stderr == real.stderr


class TestInterrupted:
    def test_the_command_that_is_named_goes_on(
        self, tmp_path: Path, run_cli: RunCli, interrupted: Callable[[str], str]
    ) -> None:
        assert run_cli("simulate", "tiny", "-o", tmp_path / "s.nxs").code == 0
        call = ("cluster", "s.nxs", "-o", "my run", "-k", "4", "--save-after", "0", "--force", "--no-figures")
        launched = [sys.executable, "-c", interrupted("SIGINT") + ENTRY, *call]
        done = subprocess.run(launched, capture_output=True, text=True, cwd=tmp_path, check=False)
        assert done.returncode == 130, done.stderr
        assert "Traceback" not in done.stderr
        line = done.stderr.splitlines()[-1].strip()
        assert done.stderr.splitlines()[-2] == "interrupted; go on with:"
        assert shlex.split(line)[:4] == ["xtec", "cluster", "s.nxs", "-o"]
        assert "--force" not in line
        again = [sys.executable, "-c", ENTRY, *shlex.split(line)[1:], "-v"]
        finished = subprocess.run(again, capture_output=True, text=True, cwd=tmp_path, check=False)
        assert finished.returncode == 0, finished.stderr
        assert "going on with the run that was interrupted here" in finished.stderr
        assert (tmp_path / "my run" / "summary.json").exists()

    def test_where_nothing_is_left_it_says_so(
        self, series: Path, tmp_path: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from xtec.io.reading.reader import SeriesReader

        def interrupt(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(SeriesReader, "read", interrupt)
        done = run_cli("cluster", series, "-o", tmp_path / "run")
        assert done.code == 130
        assert done.stderr.endswith("interrupted; nothing was left half-written\n")
        assert not (tmp_path / "run").exists()


class TestCompletion:
    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_script(self, shell: str, run_cli: RunCli) -> None:
        done = run_cli("completion", shell)
        assert done.code == 0
        first, *rest = done.stdout.splitlines()
        assert first.startswith("#")
        assert f"xtec completion {shell}" in first
        assert "_XTEC_COMPLETE" in "\n".join(rest)

    def test_bash_takes_it(self) -> None:
        call = [sys.executable, "-c", ENTRY, "completion", "bash"]
        script = subprocess.run(call, capture_output=True, text=True, check=True).stdout
        check = f"{script}\ncomplete -p xtec"
        done = subprocess.run(["bash", "-c", check], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "_xtec_completion" in done.stdout

    @pytest.mark.parametrize("shell", [None, "/bin/tcsh", "/bin/fish"])
    def test_shell_in_use(self, shell: str | None, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
        if shell is None:
            monkeypatch.delenv("SHELL", raising=False)
        else:
            monkeypatch.setenv("SHELL", shell)
        done = run_cli("completion")
        assert done.code == (0 if shell == "/bin/fish" else 2)

    @pytest.mark.parametrize(
        ("line", "offered", "not_offered"),
        [
            ("xtec cl", {"cluster"}, {"inspect"}),
            ("xtec cluster --mode ", {"d", "s", "smooth", "auto"}, set()),
            ("xtec cluster --features p", {"pca"}, {"learned-invariance"}),
            ("xtec cluster --clusterer ", {"k-means", "deep-ensemble"}, {"pca"}),
            ("xtec cluster --threshold k", {"kl", "kl+significance"}, {"none"}),
            ("xtec cluster --thr", {"--threshold"}, {"--tol"}),
            ("xtec plugins sh", {"show"}, {"list"}),
        ],
    )
    def test_values(self, line: str, offered: set[str], not_offered: set[str]) -> None:
        words = line.split() + [""] * line.endswith(" ")
        environment = {
            **os.environ,
            "_XTEC_COMPLETE": "bash_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
        }
        done = subprocess.run(
            [sys.executable, "-c", ENTRY], capture_output=True, text=True, env=environment, check=False
        )
        assert "Traceback" not in done.stderr
        found = {one.partition(",")[2] for one in done.stdout.splitlines()}
        assert offered <= found
        assert not not_offered & found

    def test_inputs_are_files(self) -> None:
        environment = {
            **os.environ,
            "_XTEC_COMPLETE": "bash_complete",
            "COMP_WORDS": "xtec cluster da",
            "COMP_CWORD": "2",
        }
        done = subprocess.run(
            [sys.executable, "-c", ENTRY], capture_output=True, text=True, env=environment, check=False
        )
        assert done.stdout.splitlines() == ["file,da"]
