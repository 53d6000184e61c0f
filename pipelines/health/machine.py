"""What `xtec doctor` looks at of the machine: disk, file locks, memory."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path

from xtec.core.memory import available_bytes, format_bytes, limit_bytes
from xtec.core.parallel import n_cores
from xtec_pipelines.health.diagnosis import Diagnosis

_TRIED_BYTES = 32 * 2**20
_PIECE = 2**20
_PATIENCE = 1.0
"""Seconds after which the speed of a disk is known well enough."""

_LITTLE_SPACE = 2 * 10**9
_SLOW = 50e6
"""Bytes a second below which reading is what a run waits for."""

_LITTLE_MEMORY = 2 * 2**30
_LOCKING = "HDF5_USE_FILE_LOCKING"


def check_folder(folder: Path) -> Diagnosis:
    """Whether results can be written there, and how much."""
    name, hint = "folder", "another folder with --folder, or -o of the commands"
    if not folder.is_dir():
        return Diagnosis(name, "problem", f"{folder} is no folder that exists", hint)
    try:
        with tempfile.TemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free
    except OSError as error:
        what = f"{folder} cannot be written ({error.strerror}): no run can be kept there"
        return Diagnosis(name, "problem", what, hint)
    what = f"{folder.resolve()} on {_file_system(folder)}, {format_bytes(free)} free"
    if free < _LITTLE_SPACE:
        return Diagnosis(name, "note", f"{what}: a large run may fill it", f"make room, or {hint}")
    return Diagnosis(name, "ok", what)


def check_speed(folder: Path) -> Diagnosis:
    """Roughly how fast the disk is; the file used is gone afterwards."""
    try:
        written, read = _speeds(folder)
    except OSError as error:
        what = f"writing to {folder} fails ({error.strerror})"
        return Diagnosis("disk speed", "problem", what, "make room, or another folder")
    what = f"about {format_bytes(written)}/s written, {format_bytes(read)}/s read"
    if min(written, read) < _SLOW:
        hint = "put RUN, or --scratch, on a local disk"
        return Diagnosis("disk speed", "note", f"{what}: runs that spill to disk will wait for it", hint)
    return Diagnosis("disk speed", "ok", what)


def check_tmp() -> Diagnosis:
    """Whether temporary files take memory."""
    tmp = Path(tempfile.gettempdir())
    kind, free = _file_system(tmp), shutil.disk_usage(tmp).free
    what = f"{tmp} on {kind}, {format_bytes(free)} free"
    if kind in ("tmpfs", "ramfs"):
        what = f"{what}: it is memory, not disk; xtec keeps its scratch files in RUN"
        return Diagnosis("temporary", "note", what, "no --scratch there")
    return Diagnosis("temporary", "ok", what)


def check_locking(folder: Path) -> Diagnosis:
    """Whether file locks, which HDF5 asks for, work there."""
    name, setting = "file locking", os.environ.get(_LOCKING, "")
    trouble = _lock_trouble(folder)
    off = setting.upper() in ("FALSE", "0")
    if off:
        what = f"HDF5 takes no locks ({_LOCKING}={setting}): a file that is being written may be read"
        return Diagnosis(name, "note", what, f"unset {_LOCKING} where locks work")
    if trouble and setting.upper() != "BEST_EFFORT":
        what = f"locks do not work in {folder} ({trouble}): other programs may fail to open files there"
        return Diagnosis(name, "note", f"{what}; xtec reads without", f"export {_LOCKING}=BEST_EFFORT")
    return Diagnosis(name, "ok", f"works in {folder.resolve()}" if not trouble else f"{_LOCKING}={setting}")


def check_memory() -> Diagnosis:
    """Memory and cores that a run may have."""
    free, limit, cores = available_bytes(), limit_bytes(), n_cores()
    what = f"{format_bytes(free)} of memory available, {cores} core{'s' if cores > 1 else ''}"
    if limit is not None:
        what = f"{what}; this job may have {format_bytes(limit)} in all"
    if free < _LITTLE_MEMORY:
        what = f"{what}: little; runs will spill to disk"
        return Diagnosis("memory", "note", what, "end other programs, or a smaller --region")
    return Diagnosis("memory", "ok", what)


def _speeds(folder: Path) -> tuple[float, float]:
    """Bytes a second written to the disk and read back, as far as the system lets that be told."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".xtec-doctor-") as file:
        handle, piece, size = file.fileno(), os.urandom(_PIECE), 0
        began = time.perf_counter()
        while size < _TRIED_BYTES and time.perf_counter() - began < _PATIENCE:
            size += os.write(handle, piece)
        os.fsync(handle)
        written = size / (time.perf_counter() - began)
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        began = time.perf_counter()
        os.lseek(handle, 0, os.SEEK_SET)
        while os.read(handle, _PIECE) and time.perf_counter() - began < _PATIENCE:
            pass
        read = os.lseek(handle, 0, os.SEEK_CUR) / (time.perf_counter() - began)
    return written, read


def _lock_trouble(folder: Path) -> str:
    """Why a second opening of a file is not kept out by the lock of the first; empty if it is."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".xtec-doctor-") as first:
        try:
            fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with open(first.name, "rb") as second:
                fcntl.flock(second, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            kept_out = error.errno in (errno.EWOULDBLOCK, errno.EACCES)
            return "" if kept_out else str(error.strerror)
    return "they keep nobody out"


def _file_system(folder: Path) -> str:
    """Kind of the file system that a folder is on, such as ``ext4`` or ``nfs4``."""
    table, place = Path("/proc/mounts"), folder.resolve()
    if not table.exists():
        return "this disk"
    mounts = [line.split()[1:3] for line in table.read_text(encoding="utf-8").splitlines()]
    over = [(where, kind) for where, kind in mounts if Path(where) in (place, *place.parents)]
    return max(over, key=lambda mount: len(mount[0]))[1] if over else "this disk"
