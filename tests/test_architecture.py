"""What holds for the code as a whole: light imports, small modules and functions, a silent library."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("xtec", "pipelines", "cli", "nexpy_plugin")
MODULES = sorted(path for top in FOLDERS for path in (ROOT / top).rglob("*.py"))
HEAVY = ("dask", "matplotlib", "cupy", "torch", "plotly", "sklearn", "xarray", "h5py", "pydantic")

_LOADED = """
import sys
{statement}
print(*sorted(set(name.partition(".")[0] for name in sys.modules) & set(sys.argv[1:])))
"""


def loaded(statement: str) -> list[str]:
    """Which heavy packages a fresh interpreter has loaded after a statement."""
    call = [sys.executable, "-c", _LOADED.format(statement=statement), *HEAVY]
    done = subprocess.run(call, capture_output=True, text=True, check=True, timeout=600)
    return done.stdout.splitlines()[-1].split()


def test_import_loads_nothing_heavy() -> None:
    assert loaded("import xtec") == []


@pytest.mark.parametrize("arguments", [["--help"], ["cluster", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    statement = f"""
from xtec_cli.main import main
try:
    main({arguments!r})
except SystemExit as end:
    assert end.code == 0
"""
    assert loaded(statement) == []


def test_version_needs_no_heavy_import() -> None:
    assert loaded("import xtec; assert xtec.__version__") == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_size(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 350
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= 70, f"{node.name} has {length} lines"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_one_module_names_cupy(path: Path) -> None:
    if path == ROOT / "xtec" / "core" / "backend.py":
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            assert not any(name.partition(".")[0] in ("cupy", "cupyx") for name in names)
        if isinstance(node, ast.Call) and "import" in ast.unparse(node.func):
            assert "cupy" not in ast.unparse(node)


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if path.relative_to(ROOT).parts[0] != "cli"],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_the_library_neither_prints_nor_exits(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in ("print", "exit", "quit", "sys.exit"), f"line {node.lineno}"
            assert called != "os._exit" or path.name == "guard.py", f"line {node.lineno}"  # a forked copy's
