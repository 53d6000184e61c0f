"""One file of a series that is still arriving: looked at often, opened only when it has come to rest."""

from __future__ import annotations

import logging
from pathlib import Path

from xtec.io.arriving.readiness import Outcome, State, examine, lost
from xtec.io.disk.stamps import Stamps, take_stamps
from xtec.io.reading.volume import SUFFIXES, OpenOptions

logger = logging.getLogger(__name__)

LOCK_EXPIRY = 8 * 3600.0
"""Seconds after which NeXpy, too, takes a lock for one that was left behind."""


class WatchedFile:
    """A wrapper, with the file its link leads to, or a plain file.

    Parameters
    ----------
    path : Path
    options : OpenOptions
    rest : float
        Seconds without a change after which a file counts as written.
    within : Path, optional
        The folder that is watched, in which links may lead; by default the file's.
    """

    def __init__(self, path: Path, options: OpenOptions, rest: float, within: Path | None = None) -> None:
        self._path, self._options, self._rest, self._within = path, options, rest, within
        self._targets: tuple[Path, ...] = ()
        self._seen: Stamps | None = None
        self._since = 0.0
        self._judged: Stamps | None = None
        self._outcome = Outcome(State.WAITING)

    def look(self, now: float) -> Outcome:
        """How far the file is.

        What was found stays so while only the file around it is being changed.

        Parameters
        ----------
        now : float
            Seconds on any clock.
        """
        try:
            stamps = take_stamps(self._path, self._targets)
        except OSError as error:
            return self._unknown(error)
        at_rest = self._at_rest(stamps, now)
        if stamps == self._judged:
            return self._outcome
        if stamps.wrapper is None:
            return Outcome(State.MISSING, "the file is not there")
        if not stamps.wrapper.regular:
            known = self._path.suffix in SUFFIXES
            return Outcome(State.BAD, "not a file") if known else Outcome(State.FOREIGN)
        locked = bool(stamps.locks) and now - self._since < LOCK_EXPIRY
        if at_rest and not locked:
            return self._judge(stamps)
        if None in stamps.targets:
            return lost(self._targets, stamps)
        if self._untouched(stamps):
            return self._outcome
        return Outcome(State.WAITING, f"locked: {stamps.locks[0].name}" if locked else "not at rest yet")

    def _at_rest(self, stamps: Stamps, now: float) -> bool:
        # Ages of files are of no use: clocks of file servers differ, and clocks are put right.
        if stamps != self._seen:
            self._seen, self._since = stamps, now
            return False
        self._since = min(self._since, now)
        return now - self._since >= self._rest

    def _judge(self, stamps: Stamps) -> Outcome:
        outcome = examine(self._path, self._options, self._targets, stamps, self._within)
        if outcome.targets is not None:
            self._targets = outcome.targets
        elif self._changed_since(stamps):
            outcome = Outcome(State.WAITING, "not at rest yet", retry=True)
        if outcome.state is State.FOREIGN:
            logger.info("%s holds no temperature of the series; passed over", self._path)
        self._outcome = outcome
        self._judged = None if outcome.retry else stamps
        return outcome

    def _changed_since(self, stamps: Stamps) -> bool:
        """Whether the files changed while they were read; opening one also renews what NFS remembers."""
        try:
            return take_stamps(self._path, self._targets) != stamps
        except OSError:
            return True

    def _untouched(self, stamps: Stamps) -> bool:
        """Whether the data are as they were when they were found."""
        if self._outcome.found is None or self._judged is None:
            return False
        before, after = self._judged.data, stamps.data
        return before is not None and after is not None and before.content == after.content

    def _unknown(self, error: OSError) -> Outcome:
        """A file system that gives no answer says nothing against what was found."""
        if self._outcome.found is not None:
            return self._outcome
        return Outcome(State.WAITING, f"cannot be looked at: {error.strerror or error}")
