"""What the doctor finds wrong: faults are made, and must be named with what to do."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from importlib.metadata import EntryPoint, PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from xtec.core.errors import BackendUnavailableError
from xtec_pipelines.doctor import run_doctor
from xtec_pipelines.health import machine, software
from xtec_pipelines.health.diagnosis import Diagnosis

_DISTRIBUTION_INFO = "Metadata-Version: 2.1\nName: XTEC\nVersion: 0.1.1\n"


def raising(error: Exception) -> Any:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def assert_told(found: Diagnosis, state: str, *words: str) -> None:
    assert found.state == state
    assert found.hint
    for word in words:
        assert word in f"{found.what} {found.hint}"


class TestFolder:
    def test_leaves_nothing_behind(self, tmp_path: Path) -> None:
        checks = (
            machine.check_folder(tmp_path),
            machine.check_speed(tmp_path),
            machine.check_locking(tmp_path),
        )
        assert all(one.state != "problem" for one in checks)
        assert not list(tmp_path.iterdir())

    def test_no_such_folder(self, tmp_path: Path) -> None:
        for path in (tmp_path / "nix", Path(__file__)):
            assert_told(machine.check_folder(path), "problem", str(path), "--folder")

    @pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
    def test_cannot_be_written(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
        error = OSError(code, os.strerror(code))
        monkeypatch.setattr(machine.tempfile, "TemporaryFile", raising(error))
        assert_told(machine.check_folder(tmp_path), "problem", str(tmp_path), os.strerror(code))

    def test_nothing_else_is_tried_there(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("xtec_pipelines.doctor.check_dask", lambda: Diagnosis("Dask", "ok", ""))
        found = {one.name: one for one in run_doctor(tmp_path / "nix")}
        assert found["folder"].state == "problem"
        assert not {"disk speed", "file locking"} & found.keys()
        assert "versions" in found

    def test_full_disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: SimpleNamespace(free=10**6))
        assert_told(machine.check_folder(tmp_path), "note", "1 MB free")
        monkeypatch.setattr(machine.os, "write", raising(OSError(errno.ENOSPC, "No space left on device")))
        assert_told(machine.check_speed(tmp_path), "problem", "No space left")
        assert not list(tmp_path.iterdir())

    def test_slow_disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(machine, "_speeds", lambda _: (2e6, 3e6))
        assert_told(machine.check_speed(tmp_path), "note", "2 MB/s written", "--scratch")

    def test_temporary_files_in_memory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        if not Path("/dev/shm").is_dir():
            pytest.skip("there is no file system in memory here")
        monkeypatch.setattr(machine.tempfile, "gettempdir", lambda: "/dev/shm")
        assert_told(machine.check_tmp(), "note", "/dev/shm on tmpfs", "memory")


class TestLocking:
    def test_works_here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("HDF5_USE_FILE_LOCKING", raising=False)
        assert machine.check_locking(tmp_path).state == "ok"

    @pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK])
    def test_not_supported(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
        monkeypatch.delenv("HDF5_USE_FILE_LOCKING", raising=False)
        monkeypatch.setattr(fcntl, "flock", raising(OSError(code, os.strerror(code))))
        found = machine.check_locking(tmp_path)
        assert_told(found, "note", os.strerror(code), "HDF5_USE_FILE_LOCKING=BEST_EFFORT")

    def test_locks_that_keep_nobody_out(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("HDF5_USE_FILE_LOCKING", raising=False)
        monkeypatch.setattr(fcntl, "flock", lambda *_: None)
        assert_told(machine.check_locking(tmp_path), "note", "keep nobody out")

    def test_switched_off(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HDF5_USE_FILE_LOCKING", "FALSE")
        assert_told(machine.check_locking(tmp_path), "note", "HDF5_USE_FILE_LOCKING=FALSE", "unset")


class TestMemory:
    def test_limit_of_a_container(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(machine, "available_bytes", lambda: 2**33)
        monkeypatch.setattr(machine, "limit_bytes", lambda: 2**33)
        found = machine.check_memory()
        assert found.state == "ok"
        assert "8.59 GB in all" in found.what

    def test_little(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(machine, "available_bytes", lambda: 10**9)
        monkeypatch.setattr(machine, "limit_bytes", lambda: None)
        assert_told(machine.check_memory(), "note", "1 GB")


class TestSoftware:
    def test_missing_package(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def version(name: str) -> str:
            if name == "numba":
                raise PackageNotFoundError(name)
            return "1.0"

        monkeypatch.setattr(software, "version", version)
        assert_told(software.check_versions(), "problem", "not installed: numba", "pip install")

    def test_old_hdf5(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import h5py

        monkeypatch.setattr(h5py.version, "hdf5_version_tuple", (1, 14, 3))
        assert_told(software.check_versions(), "note", "file locking off")

    def test_missing_filter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert software.check_filters().state == "ok"
        monkeypatch.setattr(software, "_has_filter", lambda code: code != 32008)
        found = software.check_filters()
        assert_told(found, "problem", "bitshuffle", "hdf5plugin")
        assert "zstd" not in found.what

    def test_both_distributions(self, tmp_path: Path) -> None:
        """In an environment that really has a distribution of that name."""
        info = tmp_path / "XTEC-0.1.1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(_DISTRIBUTION_INFO, encoding="utf-8")
        script = (
            "from xtec_pipelines.health.software import check_distributions as c; d = c(); print(d.state, d)"
        )
        call = [sys.executable, "-W", "ignore", "-c", script]
        answers = []
        for path in ("", str(tmp_path)):
            environment = {**os.environ, "PYTHONPATH": path}
            done = subprocess.run(call, capture_output=True, text=True, check=True, env=environment)
            answers.append(done.stdout)
        assert answers[0].startswith("ok")
        assert answers[1].startswith("problem")
        assert "pip uninstall xtec xtec-pipeline" in answers[1]

    def test_gpu(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(software, "cupy_is_installed", lambda: False)
        monkeypatch.setattr(software, "_CARD", Path(__file__))
        assert_told(software.check_gpu(), "note", "CuPy is not installed", "xtec-pipeline[gpu]")
        monkeypatch.setattr(software, "cupy_is_installed", lambda: True)
        error = BackendUnavailableError("the driver is too old", hint="a newer one")
        monkeypatch.setattr(software, "open_cuda", raising(error))
        assert_told(software.check_gpu(), "note", "the driver is too old", "a newer one")

    def test_kernels_that_are_not_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import numba

        assert software.check_kernels().state == "ok"
        monkeypatch.setattr(numba, "njit", raising(RuntimeError("no locator available")))
        assert_told(software.check_kernels(), "note", "NUMBA_CACHE_DIR")

    def test_workers_start(self) -> None:
        found = software.check_dask()
        assert found.state == "ok", found

    def test_workers_do_not_start(self, monkeypatch: pytest.MonkeyPatch) -> None:
        error = RuntimeError("Nanny failed to start.")
        monkeypatch.setattr("xtec_pipelines.streaming.dask_workers.local_processes", raising(error))
        assert_told(software.check_dask(), "note", "Nanny failed", "--scheduler threads")

    def test_plugin_of_others_that_does_not_load(self, monkeypatch: pytest.MonkeyPatch) -> None:
        bad = EntryPoint("mine", "no_such_module_xyz:Thing", "xtec.features")
        monkeypatch.setattr("xtec.plugins.registry.entry_points", lambda group: [bad] * (group == bad.group))
        summary, found = software.check_plugins()
        assert summary.what == "0 of 1 can be used"
        assert_told(found, "note", "mine", "no_such_module_xyz")

    def test_plugin_that_lacks_its_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        find = software.importlib.util.find_spec
        monkeypatch.setattr(
            software.importlib.util,
            "find_spec",
            lambda name, *rest: None if name == "torch" else find(name, *rest),
        )
        lacking = [one for one in software.check_plugins() if one.state == "note"]
        assert "plugin mixmate" in [one.name for one in lacking]
        for one in lacking:
            assert_told(one, "note", "torch", "pip install 'xtec-pipeline[learned]'")

    def test_completion(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("SHELL", "/bin/zsh")
        assert "not set up" in software.check_completion().what
        (tmp_path / ".zshrc").write_text('eval "$(xtec completion zsh)"\n')
        assert "~/.zshrc" in software.check_completion().what
