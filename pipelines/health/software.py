"""What `xtec doctor` looks at of the software: packages, filters, devices, workers, plugins, terminal."""

from __future__ import annotations

import importlib.util
import locale
import os
import platform
import re
import shutil
import sys
import tempfile
from importlib.metadata import EntryPoint, PackageNotFoundError, requires, version
from pathlib import Path

from xtec.compat.distributions import reference_version
from xtec.core.backend import cupy_is_installed, open_cuda
from xtec.core.errors import BackendUnavailableError
from xtec.io.reading.provenance import DISTRIBUTION, program_version
from xtec.plugins import SLOTS, entries, load, owner
from xtec_pipelines.health.diagnosis import Diagnosis

_PACKAGES = ("numpy", "h5py", "hdf5plugin", "numba", "dask")
_LINKS_UNLOCKED = (1, 14, 4)
"""HDF5 from which external links work where locking is off."""

_FILTERS = {
    **{"gzip": 1, "shuffle": 2, "LZ4": 32004, "bitshuffle": 32008},
    **{"Blosc": 32001, "Blosc2": 32026, "zstd": 32015},
}
_CARD = Path("/proc/driver/nvidia/version")
_WORKER_BYTES = 2**29

_SET_UP = {
    "bash": (".bashrc", ".bash_profile", ".bash_completion"),
    "zsh": (".zshrc",),
    "fish": (".config/fish/config.fish", ".config/fish/completions/xtec.fish"),
}
"""Where people have a shell learn completions."""


def check_versions() -> Diagnosis:
    """Of this program, and of what it stands on."""
    found, lost = [f"{DISTRIBUTION} {program_version()}", f"Python {platform.python_version()}"], []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            lost.append(name)
    if lost:
        what = f"not installed: {', '.join(lost)}, which xtec needs"
        return Diagnosis("versions", "problem", what, f"pip install --force-reinstall {DISTRIBUTION}")
    import h5py

    what = ", ".join([*found, f"HDF5 {h5py.version.hdf5_version}"])
    if h5py.version.hdf5_version_tuple[:3] < _LINKS_UNLOCKED:
        what = f"{what}: with file locking off, this HDF5 does not follow links into other files"
        return Diagnosis("versions", "note", what, "pip install --upgrade h5py")
    return Diagnosis("versions", "ok", what)


def check_distributions() -> Diagnosis:
    """Whether another distribution owns the import name too."""
    reference = reference_version()
    if reference is None:
        return Diagnosis("import name", "ok", f"xtec is {DISTRIBUTION}'s alone")
    what = f"xtec {reference} and {DISTRIBUTION} are both installed, and have overwritten files of each other"
    hint = f"pip uninstall xtec {DISTRIBUTION}; pip install {DISTRIBUTION}, which has the other's classes"
    return Diagnosis("import name", "problem", what, hint)


def check_filters() -> Diagnosis:
    """Which compressions of HDF5 files can be read."""
    missing = [name for name, code in _FILTERS.items() if not _has_filter(code)]
    if missing:
        what = f"not there: {', '.join(missing)}; files compressed so cannot be read"
        hint = "pip install --force-reinstall hdf5plugin; unset HDF5_PLUGIN_PATH"
        return Diagnosis("HDF5 filters", "problem", what, hint)
    return Diagnosis("HDF5 filters", "ok", ", ".join(_FILTERS))


def _has_filter(code: int) -> bool:
    import h5py
    import hdf5plugin  # noqa: F401  registers its filters

    return bool(h5py.h5z.filter_avail(code))


def check_kernels() -> Diagnosis:
    """Whether compiled loops are kept from one command to the next."""
    try:
        from xtec.core.compiled import is_kept
    except ImportError as error:
        what = f"Numba cannot be loaded ({error})"
        return Diagnosis("kernels", "problem", what, "pip install --force-reinstall numba numpy")
    if not is_kept():
        what = "no folder for compiled loops can be written: every command compiles them again, for seconds"
        return Diagnosis("kernels", "note", what, "export NUMBA_CACHE_DIR=a folder that you can write")
    return Diagnosis("kernels", "ok", "compiled by Numba, and kept between commands")


def check_gpu() -> Diagnosis:
    """A GPU, or why there is none."""
    if not cupy_is_installed():
        if not _CARD.exists():
            return Diagnosis("GPU", "ok", "none here; the processor does the work")
        what = "an NVIDIA card is here, but CuPy is not installed: the processor does the work"
        return Diagnosis("GPU", "note", what, f"pip install '{DISTRIBUTION}[gpu]' (CUDA 12) or [gpu13]")
    try:
        about = open_cuda().describe()
    except BackendUnavailableError as error:
        return Diagnosis("GPU", "note", f"{error.what}; the processor does the work", error.hint or "")
    keys = ("device", "device_memory", "driver", "cupy")
    return Diagnosis("GPU", "ok", ", ".join(f"CuPy {about[k]}" if k == "cupy" else about[k] for k in keys))


def check_dask() -> Diagnosis:
    """Whether worker processes start, for ``--scheduler processes``."""
    hint = "--scheduler threads, the default, does without"
    try:
        from xtec_pipelines.streaming.dask_workers import local_processes

        with (
            tempfile.TemporaryDirectory(prefix="xtec-doctor-") as scratch,
            local_processes(1, _WORKER_BYTES, Path(scratch)) as workers,
        ):
            process = workers.client.submit(os.getpid).result(timeout=10)
    except (ImportError, OSError, RuntimeError, TimeoutError) as error:
        return Diagnosis("Dask", "note", f"worker processes do not start ({error})", hint)
    if process == os.getpid():
        return Diagnosis("Dask", "note", "workers are no processes of their own", hint)
    return Diagnosis("Dask", "ok", "worker processes start")


def check_plugins() -> list[Diagnosis]:
    """Plugins of others are loaded; of ours only what they need is looked for, for loading takes seconds."""
    found = [(slot, entry) for slot in SLOTS for entry in entries(slot)]
    broken = []
    for slot, entry in found:
        name = f"plugin {entry.name}"
        if owner(entry)[0] == DISTRIBUTION:
            lacking = _lacking(entry)
            if lacking:
                what = f"not installed: {', '.join(lacking)}, which it needs"
                hint = f"pip install '{DISTRIBUTION}[{entry.extras[0]}]'"
                broken.append(Diagnosis(name, "note", what, hint))
            continue
        try:
            load(slot, entry.name)
        except BackendUnavailableError as error:
            broken.append(Diagnosis(name, "note", error.what, error.hint or f"reinstall {owner(entry)[0]}"))
    well = len(found) - len(broken)
    return [Diagnosis("plugins", "ok", f"{well} of {len(found)} can be used"), *broken]


def _lacking(entry: EntryPoint) -> list[str]:
    """Distributions of the extra that a plugin needs which are not installed."""
    lacking = []
    for requirement in requires(DISTRIBUTION) or []:
        name = re.match(r"[\w.-]+", requirement)
        wanted = any(f'extra == "{extra}"' in requirement for extra in entry.extras)
        if wanted and name is not None and importlib.util.find_spec(name[0].replace("-", "_")) is None:
            lacking.append(name[0])
    return lacking


def check_terminal() -> Diagnosis:
    """What output will look like."""
    columns = shutil.get_terminal_size().columns
    colours = "no colours (NO_COLOR)" if os.environ.get("NO_COLOR") else "colours"
    encoding = (sys.stdout.encoding or locale.getpreferredencoding(False)).lower()
    shown = f"{columns} columns, {colours}" if sys.stdout.isatty() else "output goes to a file or a program"
    if encoding.replace("-", "") != "utf8":
        what = f"{shown}; text is written as {encoding}, which lacks characters of tables"
        return Diagnosis("terminal", "note", what, "export PYTHONUTF8=1")
    return Diagnosis("terminal", "ok", f"{shown}, {encoding}")


def check_completion() -> Diagnosis:
    """Whether the shell completes commands and options."""
    shell = Path(os.environ.get("SHELL", "")).name
    if shell not in _SET_UP:
        return Diagnosis("completion", "ok", f"for bash, zsh and fish; this shell is {shell or 'not known'}")
    for name in _SET_UP[shell]:
        try:
            text = (Path.home() / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if "xtec completion" in text or "_XTEC_COMPLETE" in text:
            return Diagnosis("completion", "ok", f"set up for {shell} in ~/{name}")
    return Diagnosis("completion", "ok", f"not set up for {shell}", f"xtec completion {shell}")
