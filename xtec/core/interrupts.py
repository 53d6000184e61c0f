"""Ctrl-C and requests to end, where they would come amiss."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_REQUESTS = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
"""With an alarm the command line has an interrupt come again that was lost."""


@contextmanager
def uninterrupted() -> Iterator[Callable[[], None]]:
    """Let Ctrl-C and SIGTERM wait until the block has ended: for work that must not be left half-done.

    Yields
    ------
    callable
        Raises KeyboardInterrupt if one waits.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    came: list[int] = []
    numbers = [one for one in _REQUESTS if callable(signal.getsignal(one))]
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in numbers}

    def check() -> None:
        if came:
            raise KeyboardInterrupt

    try:
        yield check
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])
