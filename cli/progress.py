"""Progress on stderr: bars with rates and time to go on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from xtec.core.memory import format_bytes
from xtec.core.progress import Progress
from xtec_cli.settings import Settings

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

_LINE_EVERY = 10.0
"""Seconds between two lines of one stage."""

_WORTH_A_LINE = 5.0
"""Stages that take less are not spoken of."""


@contextmanager
def terminal_progress(settings: Settings) -> Iterator[Progress]:
    """A `Progress` that is shown on stderr, unless the user wants it quiet."""
    if settings.quiet:
        yield Progress()
        return
    if not sys.stderr.isatty():
        yield Progress(_Lines())
        return
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description:<10}"),
        BarColumn(),
        TextColumn("{task.fields[done]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        yield Progress(_Bar(bars))


class _Stage:
    """How far a stage is, in words."""

    def __init__(self, name: str, total: float | None, unit: str) -> None:
        self.name = name
        self.total = total
        self.unit = unit
        self.amount = 0.0
        self.began = time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.began

    @property
    def done(self) -> str:
        """Such as ``1.2 GB of 8 GB, 810 MB/s`` or ``34 iterations``."""
        if not self.amount:
            return ""
        so_far = (
            self._size(self.amount)
            if self.total is None
            else (f"{self._size(self.amount)} of {self._size(self.total)}")
        )
        if self.unit == "B":
            return f"{so_far}, {format_bytes(self.amount / max(self.seconds, 1e-9))}/s"
        return so_far

    @property
    def to_go(self) -> str:
        """Such as ``, 12 s to go``."""
        if not self.amount or self.total is None:
            return ""
        return f", {self.seconds * (self.total / self.amount - 1):.0f} s to go"

    def _size(self, amount: float) -> str:
        return format_bytes(amount) if self.unit == "B" else f"{amount:g} {self.unit}".rstrip()


class _Lines:
    """Lines for a log: one every ten seconds, and one when a stage is over."""

    def start(self, stage: str, total: float | None, unit: str) -> None:
        """A stage begins."""
        self._stage = _Stage(stage, total, unit)
        self._due = _LINE_EVERY

    def advance(self, amount: float) -> None:
        """Say how far it is, now and then."""
        self._stage.amount += amount
        if self._stage.seconds >= self._due:
            self._due += _LINE_EVERY
            sys.stderr.write(f"{self._stage.name}: {self._stage.done}{self._stage.to_go}\n")
            sys.stderr.flush()

    def finish(self) -> None:
        """Say what it took."""
        stage = self._stage
        if stage.seconds >= _WORTH_A_LINE:
            sys.stderr.write(f"{stage.name}: {stage.done or 'done'} in {stage.seconds:.1f} s\n")
            sys.stderr.flush()


class _Bar:
    """One bar, for the stage under way."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._task: TaskID | None = None

    def start(self, stage: str, total: float | None, unit: str) -> None:
        """Show a new bar (without an end where the total is unknown)."""
        self._stage = _Stage(stage, total, unit)
        self._task = self._bars.add_task(stage, total=total, done="")

    def advance(self, amount: float) -> None:
        """Move it."""
        self._stage.amount += amount
        if self._task is not None:
            self._bars.update(self._task, advance=amount, done=self._stage.done)

    def finish(self) -> None:
        """Take it away."""
        if self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None
