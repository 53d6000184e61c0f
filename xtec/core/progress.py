"""How long-running steps tell how far they are, without knowing who listens."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

logger = logging.getLogger(__name__)

Advance = Callable[[float], None]
"""Report that so much more is done."""


class Listener(Protocol):
    """Someone who shows progress, such as a terminal."""

    def start(self, stage: str, total: float | None, unit: str) -> None:
        """A stage begins; `total` in `unit`, None if unknown."""

    def advance(self, amount: float) -> None:
        """So much more of the stage is done."""

    def finish(self) -> None:
        """The stage has ended."""


class Progress:
    """Times the stages of a run and passes them on to a listener.

    Attributes
    ----------
    seconds : dict
        Wall time of each stage finished so far.
    """

    def __init__(self, listener: Listener | None = None) -> None:
        self._listener = listener
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str, total: float | None = None, unit: str = "") -> Iterator[Advance]:
        """Time a stage; yields a function that reports how much more is done."""
        began = time.perf_counter()
        if self._listener is not None:
            self._listener.start(name, total, unit)
        try:
            yield self._listener.advance if self._listener is not None else _ignore
        finally:
            seconds = time.perf_counter() - began
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds
            logger.info("%s: %.2f s", name, seconds)
            if self._listener is not None:
                self._listener.finish()


def _ignore(_amount: float) -> None:
    """Nobody listens."""
