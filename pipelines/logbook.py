"""What the library logged during a run, for run.log and for the results."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from xtec.core.errors import OutputError

_FORMAT = logging.Formatter("%(asctime)s %(levelname)-7s %(message)s")


class Once(logging.Filter):
    """Lets each message through once, however many files or blocks give rise to it."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the message is new."""
        message = record.getMessage()
        new = message not in self._seen
        self._seen.add(message)
        return new


class Logbook(logging.Handler):
    """Collects log lines until there is a folder to put them in."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.addFilter(Once())
        self.setFormatter(_FORMAT)
        self.lines: list[str] = []
        self.warnings: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record; warnings also by themselves."""
        self.lines.append(self.format(record))
        if record.levelno >= logging.WARNING:
            self.warnings.append(record.getMessage())


class LogFile(logging.FileHandler):
    """A log on a disk that may be full: what it does not take comes with the next line, or never.

    Parameters
    ----------
    path : Path

    Raises
    ------
    OutputError
        If the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._has_told = False
        try:
            super().__init__(path, encoding="utf-8")
        except OSError as error:
            raise OutputError(f"cannot write the log ({error.strerror})", file=path) from error

    def handleError(self, record: logging.LogRecord) -> None:
        """Say once that a line could not be written; the work that it tells of goes on."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._has_told:
            self._has_told = True
            sys.stderr.write(f"WARNING: cannot write {self.baseFilename} ({error.strerror})\n")

    def close(self) -> None:
        """Without a word on lines that it does not take even now."""
        with suppress(OSError):
            super().close()


@contextmanager
def logbook() -> Iterator[Logbook]:
    """Listen to xtec and xtec_pipelines while the block runs."""
    book = Logbook()
    with _listening(book):
        yield book


@contextmanager
def appended_log(path: Path) -> Iterator[None]:
    """Add to a file what is logged while the block runs, a line at a time.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    handler = LogFile(path)
    handler.setFormatter(_FORMAT)
    try:
        with _listening(handler):
            yield
    finally:
        handler.close()


@contextmanager
def _listening(handler: logging.Handler) -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("xtec", "xtec_pipelines")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(min(logger.level or logging.INFO, logging.INFO))
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
