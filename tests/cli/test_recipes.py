"""Recipes at the command line: checked, run, begun from those that come with the package."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest

RunCli = Callable[..., Any]

SLAB = "L=0:1,K=0:3,H=0:3"

FOLDER = files("xtec_pipelines.recipes")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Paths in recipes are relative to the current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def data(here: Path, simulate_into: Callable[..., Path]) -> Callable[[str], None]:
    """What the recipe of a name reads, small."""

    def make(name: str) -> None:
        if name in ("phase-diagram", "slurm-array"):
            simulate_into(here / "series", "phase-diagram", region="L=0:0,K=0:2,H=0:2")
        elif name == "in-operando":
            folder = here / "nxrefine" / "sr3rh4sn13" / "cubic"
            simulate_into(folder, "cdw", layout="nxrefine", region=SLAB, n_temperatures=8)
        else:
            file = {"cdw": "sr3rh4sn13", "iuc": "cd2re2o7", "srn0-tutorial": "srn0_XTEC"}[name]
            preset, options = ("iuc", {"region": SLAB}) if name == "iuc" else ("tiny", {})
            simulate_into(here / f"{file}.nxs", preset, **options)

    return make


@pytest.mark.parametrize(
    "name", sorted(one.name.removesuffix(".toml") for one in FOLDER.iterdir() if one.name.endswith(".toml"))
)
def test_each_that_comes_with_the_package(
    here: Path, run_cli: RunCli, data: Callable[[str], None], name: str
) -> None:
    """It is listed, copied, and has nothing wrong with it; without its data every input is named."""
    assert any(line.startswith(f"{name} ") for line in run_cli("recipe", "list").stdout.splitlines())
    done = run_cli("recipe", "init", name)
    assert done.code == 0, done.stderr
    assert (here / f"{name}.toml").read_text() == (FOLDER / f"{name}.toml").read_text()
    if name != "in-operando":  # what is watched need not be there
        assert run_cli("check", f"{name}.toml").code == 3
    data(name)
    done = run_cli("check", f"{name}.toml", "--json")
    found = json.loads(done.stdout)
    assert (done.code, found["problems"]) == (0, [])
    assert found["samples"]
    assert not (here / "runs").exists()


class TestRun:
    def test_order_inside_the_unit_cell(
        self, here: Path, run_cli: RunCli, data: Callable[[str], None]
    ) -> None:
        """A command and what follows: one JSON object, and the truth of the simulation in it."""
        data("iuc")
        text = (FOLDER / "iuc.toml").read_text().replace(', "report"]', "]").replace('"auto"', "4")
        head, tail = text.split("[order-parameter]")
        text = f"figures = false\n{head}[order-parameter]\nfigures = false{tail}\nfigures = false"
        (here / "iuc.toml").write_text(text)
        done = run_cli("run", "iuc.toml", "--json")
        assert done.code == 0, done.stderr
        summary = json.loads(done.stdout)
        assert summary["run"] == "runs/cd2re2o7"
        (tc,) = (one["tc"] for one in summary["order_parameters"])
        assert tc["low"] <= 200 <= tc["high"]
        assert "rules" in summary["unit_cell"]
        written = (here / "runs" / "cd2re2o7" / "unit_cell.nxs").stat()
        done = run_cli("run", "iuc.toml", "--resume")
        assert done.code == 0, done.stderr
        assert done.stderr.count("done already") == 3
        assert (here / "runs" / "cd2re2o7" / "unit_cell.nxs").stat() == written
        (here / "iuc.toml").write_text(f"{text}\nseed = 1")
        done = run_cli("run", "iuc.toml", "--resume")
        assert done.stderr.count("done already") == 2
        assert (here / "runs" / "cd2re2o7" / "unit_cell.nxs").stat() != written

    def test_watching(self, here: Path, run_cli: RunCli, data: Callable[[str], None]) -> None:
        data("in-operando")
        text = (FOLDER / "in-operando.toml").read_text()
        for old, new in (("until = 24", "until = 8"), ('"10s"', '"0.1s"'), ('"5s"', "0")):
            assert old in text
            text = text.replace(old, new)
        (here / "in-operando.toml").write_text(f"figures = false\n{text}")
        done = run_cli("run", "in-operando.toml", "--json")
        assert done.code == 0, done.stderr
        assert json.loads((here / "runs" / "live" / "summary.json").read_text())["n_clusters"] == 4

    def test_a_task_of_an_array(self, here: Path, run_cli: RunCli, data: Callable[[str], None]) -> None:
        """The script does one sample; its table is made of what is there."""
        data("slurm-array")
        assert run_cli("recipe", "init", "slurm-array").code == 0
        recipe = here / "slurm-array.toml"
        recipe.write_text(f"figures = false\n{recipe.read_text()}")
        assert run_cli("recipe", "samples", "slurm-array.toml").stdout.split() == ["x0.00", "x0.20", "x0.45"]
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "slurm-array.sh", "slurm-array.toml"],
            env={**os.environ, "SLURM_ARRAY_TASK_ID": "2", "PATH": path},
            check=False,
            capture_output=True,
            text=True,
            timeout=900,
        )
        assert done.returncode == 0, done.stderr
        done = run_cli("run", "slurm-array.toml", "--collect", "--json")
        assert done.code == 4
        states = {one["sample"]: one["state"] for one in json.loads(done.stdout)["samples"]}
        assert states == {"x0.00": "not run", "x0.20": "done before", "x0.45": "not run"}
        assert (here / "runs" / "samples.csv").exists()
        assert "2 samples" not in run_cli("run", "slurm-array.toml", "--collect").stdout

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (("--sample", "nix"), "x0.00, x0.20, x0.45"),
            (("--sample-index", "4"), "1 to 3"),
            (("--sample-index", "0"), "0"),
            (("--sample", "a", "--collect"), "one of them"),
            (("-o", "elsewhere"), "would write where"),
        ],
    )
    def test_refused(self, here: Path, run_cli: RunCli, options: tuple[str, ...], said: str) -> None:
        assert run_cli("recipe", "init", "slurm-array").code == 0
        done = run_cli("run", "slurm-array.toml", *options)
        assert (done.code, done.stdout) == (2, "")
        assert said in done.stderr


class TestCheck:
    def test_says_all_on_stdout(self, here: Path, run_cli: RunCli) -> None:
        (here / "r.toml").write_text('inputs = ["nix.nxs"]\noutput = "run"\nclusterz = 3\nfeatures = "nix"\n')
        done = run_cli("check", "r.toml")
        assert done.code == 2
        assert [line.split(" ")[0] for line in done.stdout.splitlines() if line.startswith("r.toml:")][
            1:
        ] == [
            "r.toml:1:",
            "r.toml:3:",
            "r.toml:4:",
        ]
        found = json.loads(run_cli("check", "r.toml", "--json").stdout)["problems"]
        assert [(one["line"], one["option"]) for one in found] == [
            (1, "inputs.0"),
            (3, "clusterz"),
            (4, "features"),
        ]

    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("inputs = = 3", 2),
            ('inputs = ["nix.nxs"]\noutput = "run"', 3),
            ('command = "watch"\ninputs = ["data"]\noutput = "run"\nfeatures = "nix"\nclusters = 3', 5),
            ('command = "watch"\ninputs = ["data"]\noutput = "run"', 0),
        ],
    )
    def test_exit_codes(self, here: Path, run_cli: RunCli, text: str, code: int) -> None:
        (here / "r.toml").write_text(text)
        assert run_cli("check", "r.toml").code == code
        assert sorted(path.name for path in here.iterdir()) == ["r.toml"]

    def test_no_recipe(self, here: Path, run_cli: RunCli) -> None:
        assert run_cli("check", "nix.toml").code == 3


class TestInit:
    def test_nothing_is_replaced(self, here: Path, run_cli: RunCli) -> None:
        (here / "slurm-array.sh").write_text("mine")
        assert run_cli("recipe", "init", "slurm-array", "-o", "a.toml").code == 2
        assert sorted(path.name for path in here.iterdir()) == ["slurm-array.sh"]
        assert run_cli("recipe", "init", "slurm-array", "-o", "a.toml", "--force").code == 0
        assert (here / "slurm-array.sh").read_text() == (FOLDER / "slurm-array.sh").read_text()
        assert run_cli("recipe", "init", "nix").code == 2

    def test_the_schema_is_beside_it(self, here: Path, run_cli: RunCli) -> None:
        """The first line names a file that is there, and the recipe is valid by it."""
        assert run_cli("recipe", "init", "cdw", "--schema").code == 0
        first = (here / "cdw.toml").read_text().splitlines()[0]
        schema = json.loads((here / first.removeprefix("#:schema ")).read_text())
        assert schema == json.loads(run_cli("recipe", "schema").stdout)
        jsonschema.Draft7Validator.check_schema(schema)
        assert schema["properties"]["command"]["enum"]
        assert run_cli("check", "cdw.toml", "--json").code == 3
