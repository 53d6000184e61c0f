"""Every command that the documentation names is one that the program takes; those of the tutorial are run."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from glob import glob
from pathlib import Path
from typing import Any

import click
import pytest

from xtec_cli.main import xtec
from xtec_cli.settings import Settings
from xtec_pipelines.recipes.commands import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("docs/learned/*.md")])


def commands_of(page: Path) -> list[str]:
    """Lines of code that begin with ``xtec``, as they would be typed."""
    lines = (line.strip().removeprefix("$ ") for line in page.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line.startswith("xtec ") and "$SLURM" not in line]


RUN_AS_THEY_STAND = ("order-parameter", "unit-cell", "phase-diagram", "nxrefine", "learned/symmetry-breaking")
"""Pages with commands on the bundled series."""

_PLACEHOLDER = re.compile(r"\b[A-Z]{3,}[0-9]?\b")

LINES = [
    pytest.param(line, id=f"{page.stem}: {line}")
    for page in PAGES
    for line in dict.fromkeys(commands_of(page))
]


def test_the_documentation_has_commands() -> None:
    assert len(LINES) > 60
    named = {line.values[0].split()[1] for line in LINES}
    assert set(xtec.commands) - named == set()


@pytest.mark.parametrize("line", LINES)
def test_the_program_takes_it(line: str) -> None:
    arguments = [word for word in shlex.split(line, comments=True)[1:] if word != "&"]
    asked: click.Command = xtec
    path = []
    while isinstance(asked, click.Group) and arguments:
        path.append(arguments.pop(0))
        asked = asked.commands[path[-1]]
    # A command keeps the first help option it is asked for, so it must be asked as in the program.
    context = asked.make_context(path[-1], arguments, obj=Settings(), **xtec.context_settings)
    command = COMMANDS.get(" ".join(path))
    if command is None or command.kind.__name__ == "PhaseDiagramConfig":
        return
    given = {
        name: value
        for name, value in context.params.items()
        if name in command.kind.model_fields and value not in (None, ())
    }
    if "from_run" in given:
        given.setdefault("inputs", ("INPUT",))
    command.kind(**given)


def go_where_samples_are(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "sample_data").symlink_to(ROOT / "sample_data")
    monkeypatch.chdir(folder)


def run_page(page: Path, run_cli: Callable[..., Any]) -> None:
    """Run what stands there, as far as it names files and no placeholders."""
    for line in commands_of(page):
        if _PLACEHOLDER.search(line):
            continue
        words = shlex.split(line, comments=True)[1:]
        arguments = [name for word in words for name in (sorted(glob(word)) if "*" in word else [word])]
        done = run_cli(*arguments)
        assert done.code == 0, (line, done.stderr)


def test_the_tutorial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_cli: Callable[..., Any]) -> None:
    go_where_samples_are(tmp_path, monkeypatch)
    run_page(ROOT / "docs" / "tutorial.md", run_cli)
    found = json.loads(Path("runs/srn/summary.json").read_text())
    (order,) = found["order_parameters"]
    assert order["tc"]["low"] < 131 < order["tc"]["high"]
    assert order["beta"]["low"] < 0.35 < order["beta"]["high"]
    assert found["wave_vectors"][0]["fraction"] == ["1/2", "1/2", "0"]
    assert Path("runs/srn/report.html").stat().st_size < 10_000_000
    rules = json.loads(Path("runs/iuc/summary.json").read_text())["unit_cell"]["rules"]
    assert {rule["rule"] for rule in rules} >= {
        "all even, exactly one index 4n+2",
        "all even, exactly two indices 4n+2 (one 4n)",
    }
    samples = json.loads(Path("runs/diagram/summary.json").read_text())["phase_diagram"]["samples"]
    truth = {0.0: 138.0, 0.45: 97.6, 0.65: 72.7}
    assert {one["x"] for one in samples} == truth.keys()
    for one in samples:
        assert one["tc"]["value"] == pytest.approx(truth[one["x"]], abs=1.5)


@pytest.mark.slow
@pytest.mark.parametrize("name", RUN_AS_THEY_STAND)
def test_pages_on_bundled_series(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_cli: Callable[..., Any]
) -> None:
    go_where_samples_are(tmp_path, monkeypatch)
    if name == "learned/symmetry-breaking":
        run_cli("cluster", "sample_data/cro_iuc.nxs", "-o", "runs/iuc", "--mode", "d", "--no-figures")
    run_page(ROOT / "docs" / f"{name}.md", run_cli)
    assert list(tmp_path.rglob("summary.json"))
