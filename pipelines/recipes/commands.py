"""Which commands a recipe can be one of, and what each takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from pydantic import BaseModel

from xtec_pipelines.config import ClusterConfig, inherited
from xtec_pipelines.validation import validated

OUTPUT, RUN = "output", "run"


@dataclass(frozen=True)
class Command:
    """A command that recipes know.

    Parameters
    ----------
    source : str
        Its configuration, ``module:class`` of this package. The command line shows it with the function
        ``run_and_show`` of its own module for the command.
    folder : str
        Option that names the folder it writes its summary into; empty if there is none.
    is_run : bool
        Whether that is a run, with which others can go on.
    resumes : bool
        Whether the configuration can be told to go on with what was interrupted.
    """

    source: str
    folder: str = ""
    is_run: bool = False
    resumes: bool = False

    @property
    def kind(self) -> type[BaseModel]:
        """The class of its configuration."""
        module, _, name = self.source.partition(":")
        kind: type[BaseModel] = getattr(import_module(f"xtec_pipelines.{module}"), name)
        return kind

    @property
    def follows(self) -> bool:
        """Whether it goes on with a run, and so can stand in ``then``."""
        return self.folder == RUN

    def complete(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Options with those that an earlier run stands for.

        Raises
        ------
        InputError
            If there is no such run.
        """
        return inherited(dict(values)) if issubclass(self.kind, ClusterConfig) else dict(values)

    def configure(self, values: Mapping[str, Any]) -> BaseModel:
        """The configuration.

        Raises
        ------
        ConfigError
            Names everything that is wrong with the options.
        InputError
            If an earlier run that is gone on from is not there.
        """
        return validated(self.kind, self.complete(values))


COMMANDS = {
    "inspect": Command("config:InputConfig"),
    "cluster": Command("config:ClusterConfig", OUTPUT, is_run=True, resumes=True),
    "select": Command("config:SelectConfig", OUTPUT, is_run=True, resumes=True),
    "watch": Command("watching.config:WatchConfig", OUTPUT, is_run=True),
    "order-parameter": Command("order_parameter:OrderConfig", RUN, is_run=True),
    "unit-cell": Command("unit_cell:UnitCellConfig", RUN, is_run=True),
    "report": Command("report:ReportConfig", RUN, is_run=True),
    "phase-diagram": Command("phase_diagram:PhaseDiagramConfig", OUTPUT),
    "stack": Command("stack:StackConfig"),
}

FOLLOWING = tuple(name for name, command in COMMANDS.items() if command.follows)
"""Commands that can stand in ``then``."""

REFUSED = dict.fromkeys(
    ("on_update", "on_update_limit"), "a recipe runs no programs; xtec watch --on-update does"
)
"""Options of commands that are none of a recipe."""
