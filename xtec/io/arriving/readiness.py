"""Whether one file of a series that is still arriving can be read, once it is at rest."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

import h5py
import numpy as np

from xtec.core.errors import InputError, SeriesNotFoundError
from xtec.io.disk.stamps import Stamps
from xtec.io.hdf5.guard import fatality
from xtec.io.hdf5.links import Bounds, member
from xtec.io.hdf5.locate import read_values
from xtec.io.hdf5.opening import open_hdf5, read_text
from xtec.io.nexus.data import NexusData, find_data
from xtec.io.reading.volume import OpenOptions, Volume, is_stranger, open_volume

_DAMAGE = (OSError, LookupError, RuntimeError, ValueError, TypeError, AttributeError, MemoryError)
"""What h5py raises on a file whose bytes are wrong."""


class State(StrEnum):
    """How far a file is."""

    WAITING = "waiting"
    MISSING = "missing"
    BAD = "bad"
    FOREIGN = "foreign"
    READABLE = "readable"


@dataclass(frozen=True)
class Signature:
    """What tells one version of a temperature's data from another; plain values, to be kept in a file.

    Attributes
    ----------
    file : str
        The file that holds the intensities.
    path : str
        The dataset inside it.
    size, mtime_ns, inode : int
        Of that file.
    end_time : str
        When NXRefine ended combining it; empty where that is not recorded.
    """

    file: str
    path: str
    size: int
    mtime_ns: int
    inode: int
    end_time: str = ""


@dataclass(frozen=True, eq=False)
class Found:
    """A temperature that can be read."""

    volume: Volume
    signature: Signature

    @property
    def value(self) -> float:
        """The temperature."""
        return self.volume.value

    @property
    def amount(self) -> str:
        """Value and units."""
        return f"{self.value:g} {self.volume.scan.units}".rstrip()


@dataclass(frozen=True)
class Outcome:
    """What is known of a file.

    Attributes
    ----------
    state : State
    reason : str
        Why it is not readable.
    found : Found or None
        What was found, if it is.
    retry : bool
        Whether to try again though the file stays as it is.
    targets : tuple of Path or None
        Files to watch from now on: where its links lead.
    """

    state: State
    reason: str = ""
    found: Found | None = None
    retry: bool = False
    targets: tuple[Path, ...] | None = None


def examine(
    path: Path,
    options: OpenOptions,
    targets: tuple[Path, ...],
    stamps: Stamps,
    within: Path | None = None,
) -> Outcome:
    """Open a file that is at rest and say what it is; never raises for what is in the file.

    Parameters
    ----------
    path : Path
    options : OpenOptions
    targets : tuple of Path
        The files it was known to link to. Others are not opened: they may be half-written.
    stamps : Stamps
        The status of all these.
    within : Path, optional
        The folder that is watched, in which links may lead; by default the file's.
    """
    bounds = options.bounds([path] if within is None else [within])
    look = partial(_examine, path, options, targets, stamps, bounds)
    harm = fatality(look)
    if harm is not None:
        return Outcome(State.BAD, f"damaged: {harm}")
    try:
        return look()
    except _DAMAGE as error:
        return _refused(path, options, error)


def lost(targets: tuple[Path, ...], stamps: Stamps) -> Outcome:
    """What to say when a file that a link leads to is not there."""
    target = targets[stamps.targets.index(None)]
    return Outcome(State.MISSING, f"the link points to {target}, which is not there")


def _examine(
    path: Path, options: OpenOptions, targets: tuple[Path, ...], stamps: Stamps, bounds: Bounds
) -> Outcome:
    data = find_data(path, entry=options.entry, group=options.group, bounds=bounds)
    with open_hdf5(path) as file:
        first = _link_target(file, data)
        unfinished, end_time = _combined(file, data)
    if unfinished:
        return Outcome(State.WAITING, unfinished)
    if targets[:1] != first:
        return _rest_first(first)
    if None in stamps.targets:
        return lost(targets, stamps)
    if not all(stamp is None or stamp.regular for stamp in stamps.targets):
        return Outcome(State.BAD, "the link points to what is not a file")
    volume = open_volume(path, options, bounds)
    file_with_data = volume.signal.file
    if file_with_data not in (path, *targets):
        return _rest_first((*targets, file_with_data))
    _check_grid(volume)
    assert stamps.data is not None
    signature = Signature(str(file_with_data), volume.signal.path, *stamps.data.content, end_time)
    return Outcome(State.READABLE, found=Found(volume, signature))


def _rest_first(targets: tuple[Path, ...]) -> Outcome:
    return Outcome(State.WAITING, "its data are not at rest yet", retry=True, targets=targets)


def _refused(path: Path, options: OpenOptions, error: Exception) -> Outcome:
    cause = error.__cause__ if isinstance(error, InputError) else error
    reason = error.what if isinstance(error, InputError) else f"damaged: {error}"
    if isinstance(cause, OSError) and cause.errno is not None:
        return Outcome(State.WAITING, reason, retry=True)
    if not isinstance(error, SeriesNotFoundError):
        return Outcome(State.BAD, reason)
    try:
        foreign = is_stranger(path, options)
    except _DAMAGE:
        foreign = False
    return Outcome(State.FOREIGN) if foreign else Outcome(State.WAITING, reason)


def _link_target(file: h5py.File, data: NexusData) -> tuple[Path, ...]:
    link = file.get(data.signal, getlink=True)
    if not isinstance(link, h5py.ExternalLink):
        return ()
    target = data.file.parent / link.filename
    data.bounds.check(target, data.file, data.signal)
    return (target,)


def _combined(file: h5py.File, data: NexusData) -> tuple[str, str]:
    """Why NXRefine has not done with the data (empty if it has, or says nothing), and when it had."""
    task = "nxmasked_combine" if "masked" in data.path else "nxcombine"
    place: h5py.Group = file[data.entry]
    while True:
        for name in (f"nxworkflow/{task}", task):
            record = member(place, name, data.bounds)
            if isinstance(record, h5py.Group):
                return _ended(record, task, data.bounds)
        if place.name == "/":
            return "", ""
        place = place.parent


def _ended(record: h5py.Group, task: str, bounds: Bounds) -> tuple[str, str]:
    end = member(record, "end_time", bounds)
    if isinstance(end, h5py.Dataset):
        return "", read_text(read_values(end, bounds))
    # Older versions put their records into the entry, at the end, and without any times.
    finished = not record.parent.name.endswith("nxworkflow") and "start_time" not in record
    return ("" if finished else f"{task} has no end time"), ""


def _check_grid(volume: Volume) -> None:
    for axis in volume.axes:
        steps = np.diff(axis.values)
        if not (np.all(steps > 0) or np.all(steps < 0)):
            raise InputError(f"{axis.name} does not rise or fall steadily")
