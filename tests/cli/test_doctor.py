"""``xtec doctor``: what is said, and the exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from xtec_pipelines import doctor
from xtec_pipelines.health.diagnosis import Diagnosis

RunCli = Callable[..., object]


@pytest.fixture(autouse=True)
def _no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "check_dask", lambda: Diagnosis("Dask", "ok", "not tried"))


def test_all_is_told(tmp_path: Path, run_cli: RunCli) -> None:
    done = run_cli("doctor", "--folder", tmp_path, "--json")
    checks = {one["name"]: one for one in json.loads(done.stdout)["checks"]}
    for name in (
        *("versions", "import name", "HDF5 filters", "GPU", "folder", "disk speed", "file locking"),
        *("temporary", "memory", "plugins", "terminal", "completion", "Dask", "kernels"),
    ):
        assert checks[name]["what"], name
    assert done.code == (5 if any(one["state"] == "problem" for one in checks.values()) else 0)


@pytest.mark.parametrize(("state", "code"), [("ok", 0), ("note", 0), ("problem", 5)])
def test_exit_code(
    tmp_path: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch, state: str, code: int
) -> None:
    found = [Diagnosis("one", "ok", "well"), Diagnosis("other", state, "what it is", "do that")]
    monkeypatch.setattr(doctor, "run_doctor", lambda _: found)
    done = run_cli("doctor")
    assert done.code == code
    line = next(line for line in done.stdout.splitlines() if "other" in line)
    assert line.split() == [state, "other", "what", "it", "is"]
    assert "try: do that" in done.stdout


def test_unusable_folder(tmp_path: Path, run_cli: RunCli) -> None:
    done = run_cli("doctor", "--folder", tmp_path / "nix")
    assert (done.code, done.stderr) == (5, "")
    assert "nix is no folder that exists" in done.stdout
