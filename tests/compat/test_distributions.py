"""Both distributions in one environment are warned of; the adapters import nothing heavy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

STATEMENT = """
import sys
from xtec.Preprocessing import Mask_Zeros
from xtec.GMM import GMM
print(*{"cupy", "torch", "matplotlib", "dask", "plotly", "h5py"} & set(sys.modules))
"""


def run(statement: str, path: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(path)}
    call = [sys.executable, "-c", statement]
    return subprocess.run(call, capture_output=True, text=True, check=True, env=environment, timeout=600)


def test_the_reference_beside_us_is_warned_of_once(tmp_path: Path) -> None:
    info = tmp_path / "XTEC-0.1.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: XTEC\nVersion: 0.1.1\n", encoding="utf-8")
    done = run(STATEMENT, tmp_path)
    assert done.stderr.count("UserWarning") == 1
    assert "xtec 0.1.1 and xtec-pipeline are both installed" in done.stderr
    assert "pip uninstall" in done.stderr


@pytest.mark.parametrize("module", ["Preprocessing", "GMM"])
def test_alone_there_is_no_warning(module: str, tmp_path: Path) -> None:
    assert run(f"import xtec.{module}", tmp_path).stderr == ""


def test_nothing_heavy_is_loaded(tmp_path: Path) -> None:
    assert run(STATEMENT, tmp_path).stdout.strip() == ""
