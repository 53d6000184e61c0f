"""Progress on a terminal: bars with rates and time to go; nothing on a pipe."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from xtec.core.progress import Progress
from xtec_cli.settings import Settings


@contextmanager
def terminal_progress(settings: Settings) -> Iterator[Progress]:
    """A `Progress` that draws on stderr where that is a terminal, and keeps quiet elsewhere."""
    from rich.console import Console

    console = Console(stderr=True)
    if settings.quiet or not console.is_terminal:
        yield Progress()
        return
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        SpinnerColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Progress as Bars

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=console, transient=True) as bars:
        yield Progress(_Bar(bars))


class _Bar:
    """One bar, for the stage under way."""

    def __init__(self, bars: object) -> None:
        from rich.progress import Progress as Bars

        assert isinstance(bars, Bars)
        self._bars = bars
        self._task = None

    def start(self, stage: str, total: float | None, unit: str) -> None:
        """Show a new bar (without an end where the total is unknown)."""
        self._task = self._bars.add_task(stage, total=total)

    def advance(self, amount: float) -> None:
        """Move it."""
        if self._task is not None:
            self._bars.advance(self._task, amount)

    def finish(self) -> None:
        """Take it away."""
        if self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None
