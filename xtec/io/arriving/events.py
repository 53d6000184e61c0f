"""What can be said of the files of a series that is still arriving."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from xtec.io.arriving.readiness import Signature
from xtec.io.hdf5.opening import DatasetRef


class EventKind(StrEnum):
    """What has happened, in the order in which the events of one look come."""

    GONE = "gone"
    BAD = "bad"
    DUPLICATE = "duplicate"
    CHANGED = "changed"
    READY = "ready"
    SEEN = "seen"


@dataclass(frozen=True)
class Event:
    """One thing that has changed since the last look.

    ``gone``, ``bad`` and ``duplicate`` take a temperature that was ready away (if the file was ready);
    ``ready`` and ``changed`` bring one; ``seen`` does neither: a ready temperature that is being written
    anew keeps its place, and is ``changed`` (or ``ready`` with `same_data`) when it is at rest.

    Attributes
    ----------
    kind : EventKind
    path : Path
        The wrapper or plain file; the folder itself, in ``seen``, while it cannot be listed.
    value : float or None
        The temperature, if it is known.
    units : str
    reason : str
        Why the file cannot be read (now); empty for ``ready`` and ``changed``.
    data : DatasetRef or None
        For ``ready`` and ``changed``: where the intensities are.
    signature : Signature or None
        For ``ready`` and ``changed``: what version of the data this is.
    same_data : bool
        For ``ready``: whether this value was last ready with the very same data.
    """

    kind: EventKind
    path: Path
    value: float | None = None
    units: str = ""
    reason: str = ""
    data: DatasetRef | None = None
    signature: Signature | None = None
    same_data: bool = False


@dataclass(frozen=True)
class Status:
    """How all files are: those that are ready with their values, the others with reasons.

    Attributes
    ----------
    ready : mapping of Path to float
        In order of value.
    pending, bad, duplicates, gone : mapping of Path to str
    problem : str
        Why the folder cannot be listed; empty if it can.
    """

    ready: Mapping[Path, float]
    pending: Mapping[Path, str]
    bad: Mapping[Path, str]
    duplicates: Mapping[Path, str]
    gone: Mapping[Path, str]
    problem: str = ""
