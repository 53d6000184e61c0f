"""The notebooks of the documentation: they run from a clean state, and say what is true."""

from __future__ import annotations

import os
import re
import runpy
import sys
from pathlib import Path

import nbformat
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MOST_BYTES = 600_000


def printed(notebook: nbformat.NotebookNode) -> str:
    """Everything that its cells print or show as text."""
    outputs = [one for cell in notebook.cells if cell.cell_type == "code" for one in cell.outputs]
    return "\n".join(one.get("text") or one.get("data", {}).get("text/plain", "") for one in outputs)


def pictures(notebook: nbformat.NotebookNode) -> int:
    """How many figures it shows."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return sum("image/png" in one.get("data", {}) for cell in cells for one in cell.outputs)


def between(text: str, pattern: str) -> tuple[float, float]:
    """Two numbers that a pattern finds."""
    found = re.search(pattern, text)
    assert found, pattern
    return float(found[1]), float(found[2])


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> object:
    """Execute as the documentation says it is done, with this environment's programs first."""
    programs = str(Path(sys.executable).parent)
    monkeypatch.setenv("PATH", os.pathsep.join([programs, os.environ["PATH"]]))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    return runpy.run_path(str(FOLDER / "execute.py"))["executed"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_stored_is_whole_and_names_no_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.encode()) < MOST_BYTES
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [one for cell in code for one in cell.outputs if one.output_type == "error"]
    assert pictures(notebook) >= 2
    assert not re.search(r"/(tmp|home|root|work|Users|var)/", text)


def test_charge_density_wave(run: object) -> None:
    notebook = run(FOLDER / "cdw.ipynb")  # type: ignore[operator]
    text = printed(notebook)
    low, high = between(text, r"Tc +true 131\.0 K +found [\d.]+ K, between ([\d.]+) and ([\d.]+)")
    assert low < 131.0 < high < low + 3
    assert re.search(r"found \(1/2, 1/2, 0\)$", text, re.MULTILINE)
    assert pictures(notebook) == 5


def test_in_operando(run: object) -> None:
    notebook = run(FOLDER / "in-operando.ipynb")  # type: ignore[operator]
    text = printed(notebook)
    assert "settled 14 temperatures, 2 clusters" in text
    low, high = between(text, r"next: [\d.]+ K, because it brackets Tc between ([\d.]+) and ([\d.]+) K")
    assert low < 131.0 < high < low + 10
    tc, above, below = map(float, re.search(r"second-order +([\d.]+) \+([\d.]+) -([\d.]+)", text).groups())  # type: ignore[union-attr]
    assert tc - below < 131.0 < tc + above
