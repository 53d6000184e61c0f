"""Recipes: one command with its options, what follows on the same run, and the samples it is done for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from xtec.core.errors import ConfigError, XtecError
from xtec_pipelines.recipes.commands import COMMANDS, Command
from xtec_pipelines.toml_lines import Place, line_of

LOGS = "logs"
"""Folder beside the runs for what each of them said."""

TABLES = ("samples.json", "samples.csv")
"""Beside the runs: what became of all."""


@dataclass(frozen=True)
class Problem:
    """What is wrong with a recipe.

    Attributes
    ----------
    line : int
    place : tuple
        Keys from the top of the recipe.
    error : XtecError
    """

    line: int
    place: Place
    error: XtecError

    @property
    def text(self) -> str:
        """What, where and what to try, in one line."""
        what = self.error.what
        where = ":".join(part for part in (self.error.file, self.error.hdf5_path) if part)
        return what + (f": {where}" if where else "") + (f" ({self.error.hint})" if self.error.hint else "")

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"line": self.line, "option": ".".join(map(str, self.place)), "message": self.text}


class RecipeError(ConfigError):
    """A recipe with problems, which are all named."""

    def __init__(self, path: Path, problems: Sequence[Problem]) -> None:
        lines = [f"{path}:{one.line}: {one.text}" for one in problems]
        number = f"{len(lines)} problems" if len(lines) > 1 else "a problem"
        super().__init__("\n  ".join([f"this recipe has {number}:", *lines]))


@dataclass(frozen=True)
class Step:
    """One command of a recipe.

    Attributes
    ----------
    name : str
    values : mapping
        Its options as they stand in the recipe.
    tables : sequence of tuple
        Where in the recipe they may stand, nearest first.
    """

    name: str
    values: Mapping[str, Any]
    tables: tuple[Place, ...] = ((),)

    @property
    def command(self) -> Command:
        """What is known of the command."""
        return COMMANDS[self.name]

    @property
    def folder(self) -> Path | None:
        """Where its summary goes."""
        named = self.values.get(self.command.folder)
        return Path(named) if isinstance(named, str) else None

    def configure(self) -> BaseModel:
        """Its configuration; see `Command.configure`."""
        return self.command.configure(self.values)

    def place(self, option: Place, lines: Mapping[Place, int]) -> Place:
        """Where an option stands; where it does not, its table."""
        table = next((one for one in self.tables if one + option[:1] in lines), self.tables[0])
        return table + option


@dataclass(frozen=True)
class Job:
    """What is done for one sample, or by a recipe without samples.

    Attributes
    ----------
    name : str
        Of the sample; empty without samples.
    steps : tuple of Step
        The command of the recipe, and what follows on its run.
    """

    name: str
    steps: tuple[Step, ...]

    @property
    def place(self) -> Place:
        """Where it stands in the recipe."""
        return ("samples", self.name) if self.name else ()

    def as_recipe(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """A recipe of its own, with more options for its command."""
        main, *following = self.steps
        tables = {one.name: {k: v for k, v in one.values.items() if k != "run"} for one in following}
        return {
            "command": main.name,
            "then": [one.name for one in following],
            "samples": {self.name: {**options, **main.values, **tables}},
        }


@dataclass(frozen=True)
class Recipe:
    """A recipe as it stands in its file.

    Attributes
    ----------
    path : Path
    lines : mapping
        Of all its keys.
    jobs : tuple of Job
    parallel : int
        How many are done at a time.
    folder : Path
        Above the runs of all samples.
    problems : tuple of Problem
        What is wrong with it whatever its commands are.
    """

    path: Path
    lines: Mapping[Place, int] = field(default_factory=dict)
    jobs: tuple[Job, ...] = ()
    parallel: int = 1
    folder: Path = Path()
    problems: tuple[Problem, ...] = ()

    @property
    def has_samples(self) -> bool:
        """Whether it is one of samples."""
        return bool(self.jobs and self.jobs[0].name)

    def problem(self, place: Place, error: XtecError) -> Problem:
        """Something wrong at a place of this recipe."""
        return Problem(line_of(self.lines, place), place, error)

    def only(self, *, name: str | None = None, number: int | None = None) -> Recipe:
        """The same with one of its samples, by name or by number from 1.

        Raises
        ------
        ConfigError
            If there is no such sample.
        """
        if not self.has_samples:
            raise ConfigError("this recipe has no samples", file=self.path, hint="leave --sample out")
        jobs = [job for i, job in enumerate(self.jobs, start=1) if job.name == name or i == number]
        if not jobs:
            there = f"1 to {len(self.jobs)}" if name is None else ", ".join(job.name for job in self.jobs)
            raise ConfigError(f"no sample {name or number}", file=self.path, hint=f"one of: {there}")
        return replace(self, jobs=tuple(jobs))
