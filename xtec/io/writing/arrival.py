"""Put scans into an NXRefine folder the way they come at a beamline: slowly, locked, not always whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import h5py
import numpy as np

from xtec.io.writing.series import block_steps

_EXPOSURE = 16
"""How many times fewer counts a poor measurement has."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep NXRefine's lock beside a file that is being written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f"{path.name}.lock")
    lock.touch()
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def write_slowly(source: Path, path: Path, pause: Callable[[], None], *, share: float = 1.0) -> None:
    """Copy a file under a lock, with a pause half-way; an earlier one is deleted first, as cctw does.

    Parameters
    ----------
    source, path : Path
    pause : callable
    share : float
        How much of the file to write; less than 1 leaves it truncated.
    """
    size = int(source.stat().st_size * share)
    with locked(path), source.open("rb") as whole:
        path.unlink(missing_ok=True)
        with ExitStack() as undo, path.open("wb") as file:
            undo.callback(path.unlink)
            _copy(whole, file, size // 2)
            file.flush()
            pause()
            _copy(whole, file, size - size // 2)
            undo.pop_all()


def _copy(source: BinaryIO, target: BinaryIO, size: int) -> None:
    while size > 0 and (block := source.read(min(size, 2**24))):
        size -= target.write(block)


def record_work(wrapper: Path, start_time: str, end_time: str | None) -> None:
    """Write into a wrapper when the transforms were combined; None for an end that never came."""
    with h5py.File(wrapper, "r+") as file:
        process = file["entry/nxworkflow/nxcombine"]
        for name, time in (("start_time", start_time), ("end_time", end_time)):
            process.pop(name, None)
            if time is not None:
                process[name] = time


def link_to(wrapper: Path, target: str) -> None:
    """Let the transform of a wrapper be in another file, named relative to the wrapper."""
    with h5py.File(wrapper, "r+") as file:
        del file["entry/transform/data"]
        file["entry/transform/data"] = h5py.ExternalLink(target, "/entry/data/v")


def measure_badly(path: Path, rng: np.random.Generator) -> None:
    """Make the intensities of a transform file what a much shorter exposure would have given."""
    with h5py.File(path, "r+") as file:
        signal = file["entry/data/v"]
        for planes in block_steps(signal.shape[0], 1, signal[0].nbytes):
            counts = np.clip(signal[planes] / _EXPOSURE, 0, None)
            measured = np.isfinite(counts)
            counts[measured] = rng.poisson(counts[measured]) * float(_EXPOSURE)
            signal[planes] = counts
