"""What every command shares: verbosity, log file, JSON output."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import rich_click as click

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass
class Settings:
    """Global options, wherever on the line they were given, and the line itself.

    `go_on` is the command that goes on with a run that was interrupted, once one was.
    """

    quiet: bool = False
    verbose: int = 0
    json: bool = False
    log_file: Path | None = None
    arguments: tuple[str, ...] = ()
    go_on: str = ""

    def start_logging(self) -> None:
        """Send log lines to stderr (from the level asked for) and to the log file.

        Raises
        ------
        OutputError
            If the log file cannot be written.
        """
        from xtec_pipelines.logbook import LogFile, Once

        level = (
            logging.ERROR
            if self.quiet
            else (logging.WARNING, logging.INFO, logging.DEBUG)[min(self.verbose, 2)]
        )
        shown = logging.StreamHandler()
        shown.setLevel(level)
        shown.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
        handlers: list[logging.Handler] = [shown]
        if self.log_file is not None:
            to_file = LogFile(self.log_file)
            to_file.setLevel(logging.DEBUG if self.verbose > 1 else logging.INFO)
            to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
            handlers.append(to_file)
        for handler in handlers:
            handler.addFilter(Once())
        root = logging.getLogger()
        for handler in list(root.handlers):
            root.removeHandler(handler)
        for handler in handlers:
            root.addHandler(handler)
        lowest = min(handler.level for handler in handlers)
        for name in ("xtec", "xtec_pipelines"):
            logging.getLogger(name).setLevel(lowest)


def _remember(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """Store a global option in the settings; given after the command it wins over one given before."""
    settings = context.ensure_object(Settings)
    if parameter.name is not None and value not in (None, False, 0):
        setattr(settings, parameter.name, value)
    return value


def global_options(command: Command) -> Command:
    """Add -q, -v, --log-file and --json; the command does not see them."""
    decorators = (
        click.option("-q", "--quiet", is_flag=True, help="Errors and results only."),
        click.option("-v", "--verbose", count=True, help="Say what is done; -vv with tracebacks' details."),
        click.option(
            "--log-file",
            type=click.Path(dir_okay=False, path_type=Path),
            help="Also write the log to a file.",
        ),
        click.option("--json", is_flag=True, help="One JSON object on stdout, everything else on stderr."),
    )
    for decorator in reversed(decorators):
        command = decorator(command)
    for parameter in command.__click_params__[-len(decorators) :]:  # type: ignore[attr-defined]
        parameter.expose_value = False
        parameter.callback = _remember
    return command
