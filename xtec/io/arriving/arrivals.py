"""A folder in which the temperatures of a series arrive, looked at again and again."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from math import inf
from pathlib import Path

from xtec.core.errors import ConfigError
from xtec.io.arriving.claims import Claims
from xtec.io.arriving.events import Event, EventKind, Status
from xtec.io.arriving.readiness import Found, Outcome, Signature, State
from xtec.io.arriving.watched_file import WatchedFile
from xtec.io.reading.volume import SUFFIXES, OpenOptions

__all__ = ["Event", "EventKind", "Signature", "Status", "WatchedFolder"]

_Verdict = tuple[EventKind, str]


class WatchedFolder:
    """The per-temperature files of a folder, as they come, change and go.

    Parameters
    ----------
    path : Path
        An NXRefine sample folder, or any folder; it need not exist yet.
    pattern : str, optional
        Files to look at, relative to the folder, such as ``*/*hkli.nxs``; by default the NeXus and HDF5
        files in it.
    options : OpenOptions, optional
        Entry, group and scan variable.
    rest : float
        Seconds for which files must not change before they are opened.
    known : mapping of float to Signature, optional
        Temperatures that were read before, in an earlier session say: they become ready with `same_data`.

    Raises
    ------
    ConfigError
        If the pattern is not one for this folder.
    """

    def __init__(
        self,
        path: str | Path,
        pattern: str | None = None,
        *,
        options: OpenOptions | None = None,
        rest: float = 5.0,
        known: Mapping[float, Signature] | None = None,
    ) -> None:
        self.path, self.pattern, self.rest = Path(path), pattern, rest
        self.options = options or OpenOptions()
        _check_pattern(pattern)
        self._files: dict[Path, WatchedFile] = {}
        self._outcomes: dict[Path, Outcome] = {}
        self._verdicts: dict[Path, _Verdict] = {}
        self._held: dict[Path, Found] = {}
        self._claims = Claims()
        self._known = dict(known or {})
        self._looks = 0
        self._problem = ""

    def look(self, now: float) -> list[Event]:
        """What has changed since the last look; departures come before arrivals, each in order of value.

        Nothing that is in the folder, or happens to it, makes this raise.

        Parameters
        ----------
        now : float
            Seconds on any clock; it may be put forward or back.
        """
        self._looks += 1
        try:
            listed = self._list()
        except OSError as error:
            return self._not_listed(error)
        self._problem = ""
        self._files = {path: self._files.get(path) or self._watch(path) for path in listed}
        outcomes = {path: file.look(now) for path, file in self._files.items()}
        if outcomes == self._outcomes:
            return []
        before, self._outcomes = self._outcomes, outcomes
        self._claims.renew(self._looks, self._claimed())
        events = list(self._departures(path for path in before if path not in outcomes))
        for path, outcome in outcomes.items():
            events += (
                self._refuse(path, outcome) if outcome.found is None else self._admit(path, outcome.found)
            )
        return sorted(events, key=_order)

    def held(self) -> dict[Path, Found]:
        """What was found and not taken away since, in order of value: ready, or being written anew."""
        return dict(sorted(self._held.items(), key=lambda item: item[1].value))

    def paths(self) -> list[Path]:
        """Files that are ready, in order of value: what `open_series` takes."""
        return list(self.status().ready)

    def status(self) -> Status:
        """How all files are after the last look."""

        def those(kind: EventKind) -> dict[Path, str]:
            return {path: reason for path, (one, reason) in sorted(self._verdicts.items()) if one is kind}

        ready = {path: self._held[path].value for path in those(EventKind.READY)}
        return Status(
            ready=dict(sorted(ready.items(), key=lambda item: item[1])),
            pending=those(EventKind.SEEN),
            bad=those(EventKind.BAD),
            duplicates=those(EventKind.DUPLICATE),
            gone=those(EventKind.GONE),
            problem=self._problem,
        )

    def _watch(self, path: Path) -> WatchedFile:
        return WatchedFile(path, self.options, self.rest, self.path)

    def _list(self) -> list[Path]:
        try:
            # Path.glob says nothing of a folder that it may not read.
            with os.scandir(self.path) as entries:
                found = [Path(entry) for entry in entries] if self.pattern is None else []
        except (FileNotFoundError, NotADirectoryError):
            return []
        if self.pattern is None:
            found = [path for path in found if path.suffix in SUFFIXES]
        else:
            found = list(self.path.glob(self.pattern))
        return sorted(path for path in found if not _is_other(path))

    def _not_listed(self, error: OSError) -> list[Event]:
        """All stays as it was: a folder that gives no answer says nothing of its files."""
        before, self._problem = self._problem, f"cannot be listed: {error.strerror or error}"
        return [] if self._problem == before else [Event(EventKind.SEEN, self.path, reason=self._problem)]

    def _claimed(self) -> dict[Path, Found]:
        """Files that have a value: readable ones, and ready ones that are being written anew."""
        claimed: dict[Path, Found] = {}
        for path, outcome in self._outcomes.items():
            found = self._held.get(path) if outcome.state is State.WAITING else outcome.found
            if found is not None:
                claimed[path] = found
        return claimed

    def _departures(self, vanished: Iterable[Path]) -> Iterator[Event]:
        for path in vanished:
            found = self._held.pop(path, None)
            if found is not None:
                yield from self._tell(path, EventKind.GONE, "the file is not there", found)
            elif self._was(path) is not EventKind.GONE:
                self._verdicts.pop(path, None)

    def _refuse(self, path: Path, outcome: Outcome) -> Iterator[Event]:
        """A file that cannot be read now."""
        found = self._held.get(path)
        if outcome.state is State.FOREIGN and found is None:
            self._verdicts.pop(path, None)
            return
        kind = {State.BAD: EventKind.BAD, State.FOREIGN: EventKind.GONE}.get(outcome.state, EventKind.SEEN)
        if outcome.state is State.MISSING and (found is not None or self._was(path) is EventKind.GONE):
            kind = EventKind.GONE
        if kind is not EventKind.SEEN:
            self._held.pop(path, None)
        yield from self._tell(path, kind, outcome.reason, found)

    def _admit(self, path: Path, found: Found) -> Iterator[Event]:
        """A file that can be read, if its grid and its value are right."""
        before = self._held.pop(path, None)
        if before is not None and before.value != found.value:
            yield from self._tell(path, EventKind.GONE, f"the file now has {found.amount}", before)
            before = None
        kind, reason = self._claims.verdict(found)
        if kind is not EventKind.READY:
            yield from self._tell(path, kind, reason, found)
            return
        same = self._known.get(found.value) == found.signature
        self._held[path], self._known[found.value] = found, found.signature
        if before is not None and before.signature != found.signature:
            yield from self._bring(path, EventKind.CHANGED, found)
        elif self._was(path) is not EventKind.READY:
            yield from self._bring(path, EventKind.READY, found, same_data=same)

    def _was(self, path: Path) -> EventKind | None:
        return self._verdicts.get(path, (None, ""))[0]

    def _tell(self, path: Path, kind: EventKind, reason: str, found: Found | None) -> Iterator[Event]:
        """The event of a file that is not ready, unless it was told before."""
        if self._verdicts.get(path) == (kind, reason):
            return
        self._verdicts[path] = kind, reason
        value, units = (None, "") if found is None else (found.value, found.volume.scan.units)
        yield Event(kind, path, value, units, reason)

    def _bring(
        self, path: Path, kind: EventKind, found: Found, *, same_data: bool = False
    ) -> Iterator[Event]:
        self._verdicts[path] = EventKind.READY, ""
        yield Event(
            kind,
            path,
            found.value,
            found.volume.scan.units,
            data=found.volume.signal,
            signature=found.signature,
            same_data=same_data,
        )


def _check_pattern(pattern: str | None) -> None:
    try:
        if pattern is not None:
            next(Path(os.devnull).glob(pattern), None)
    except (ValueError, IndexError, NotImplementedError) as error:
        raise ConfigError(
            f"{pattern!r} is no pattern for files in a folder ({error})", hint="write it as *.nxs"
        ) from None


def _is_other(path: Path) -> bool:
    """What a folder holds beside data: hidden files, locks, and the parent that NXRefine keeps."""
    return path.name.startswith(".") or path.suffix == ".lock" or path.stem.endswith("_scans")


def _order(event: Event) -> tuple[int, float, Path]:
    value = inf if event.value is None else event.value
    return list(EventKind).index(event.kind), value, event.path
