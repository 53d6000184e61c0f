"""Copies of what is in a watched folder: what is to be copied, what there is, what could not be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from xtec.core.errors import InputError, OutputError
from xtec.core.progress import Progress
from xtec.io import OpenOptions
from xtec.io.arriving.mirror import Mirror
from xtec.io.arriving.readiness import Found, Signature
from xtec.io.reading.volume import open_volume

_RETRY = 60.0
"""Seconds after which a file that could not be copied is tried again though it has not changed."""


@dataclass(frozen=True)
class _Failure:
    """A version of a file that could not be copied, why, and when that was tried."""

    version: Signature
    reason: str
    when: float


class Copies:
    """Keeps a mirror up with what is wanted.

    Parameters
    ----------
    mirror : Mirror
    options : OpenOptions
    progress : Progress
    """

    def __init__(self, mirror: Mirror, options: OpenOptions, progress: Progress) -> None:
        self.mirror = mirror
        self._options, self._progress = options, progress
        self._failures: dict[Path, _Failure] = {}

    def renew(self, wanted: Mapping[Path, Found], now: float, complain: Callable[[Path, str], None]) -> None:
        """Copy what there is no copy of, in this version; what fails is tried again after a while.

        Parameters
        ----------
        wanted : mapping of Path to Found
        now : float
            Seconds on a clock that does not go back.
        complain : callable
            Is told, once, of a file that cannot be copied and why.
        """
        self._failures = {path: one for path, one in self._failures.items() if path in wanted}
        for path, found in wanted.items():
            before = self._failures.get(path)
            if self.mirror.version(found.value) == found.signature:
                continue
            if before is not None and before.version == found.signature and now - before.when < _RETRY:
                continue
            try:
                with self._progress.stage("copy"):
                    volume = open_volume(path, self._options, found.volume.data.bounds)
                    self.mirror.take(volume, found.signature)
            except (InputError, OutputError) as error:
                self._failures[path] = _Failure(found.signature, error.what, now)
                if before is None or before.reason != error.what:
                    complain(path, error.what)
            else:
                self._failures.pop(path, None)

    def versions(self, wanted: Mapping[Path, Found]) -> dict[float, Signature]:
        """Which copies there are, by value; of an earlier version until there is one of the last."""
        copies = ((found.value, self.mirror.version(found.value)) for found in wanted.values())
        return {value: version for value, version in copies if version is not None}

    @property
    def failures(self) -> dict[Path, str]:
        """Files that could not be copied, with the reason."""
        return {path: one.reason for path, one in self._failures.items()}
