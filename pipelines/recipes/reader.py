"""Taking a recipe apart: its command, what follows, and the samples, with what is wrong whatever they are."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from xtec.core.errors import ConfigError
from xtec_pipelines.recipes.commands import COMMANDS, FOLLOWING, OUTPUT
from xtec_pipelines.recipes.recipe import LOGS, TABLES, Job, Problem, Recipe, Step
from xtec_pipelines.toml_lines import Place

SAMPLE = "{sample}"
"""Stands for the name of the sample in options."""

_NAME = re.compile(r"[\w(](?:[\w.+=() -]{0,98}[\w)+-])?")
OWN = ("command", "then", "samples", "parallel")
"""What is of the recipe, not of its command."""


def make_recipe(
    path: Path, values: Mapping[str, Any], lines: Mapping[Place, int], **changes: object
) -> Recipe:
    """A recipe of the values in its file; what is wrong with it is listed in it.

    Parameters
    ----------
    path : Path
    values : mapping
    lines : mapping
    changes
        Options of its command, such as `output` and `force`, over those in the file. What is None or False
        changes nothing, nor does what the command has no use for.
    """
    return _Reader(Recipe(path, lines), values, changes).recipe()


class _Reader:
    """Takes the values of a recipe apart, and notes what is wrong with them."""

    def __init__(self, recipe: Recipe, values: Mapping[str, Any], changes: Mapping[str, object]) -> None:
        self.empty = recipe
        self.problems: list[Problem] = []
        self.command = str(values.get("command", "cluster"))
        self.then = self._following(values.get("then", []))
        self.samples = self._tables(values.get("samples", {}))
        self.parallel = values.get("parallel", 1)
        self.common, self.tables = self._apart({k: v for k, v in values.items() if k not in OWN}, ())
        self.changes = changes

    def recipe(self) -> Recipe:
        if not self._own_are_right():
            return replace(self.empty, problems=tuple(self.problems))
        named = self.samples or {"": {}}
        jobs = tuple(self._job(name, options) for name, options in named.items())
        folder = self._folder(jobs)
        self._check_places(jobs, folder)
        return replace(
            self.empty,
            jobs=jobs,
            parallel=min(self.parallel, len(jobs)),
            folder=folder,
            problems=tuple(self.problems),
        )

    def _note(self, place: Place, what: str, hint: str | None = None) -> None:
        self.problems.append(self.empty.problem(place, ConfigError(what, hint=hint)))

    def _own_are_right(self) -> bool:
        """Note what is wrong, and go on without; False if nothing is left to go on with."""
        if self.command not in COMMANDS:
            known = ", ".join(COMMANDS)
            self._note(("command",), f"this recipe is one of {self.command!r}, which is none of {known}")
            return False
        if not isinstance(self.parallel, int) or isinstance(self.parallel, bool) or self.parallel < 1:
            self._note(("parallel",), f"parallel: {self.parallel!r} is not a number of samples", "1 or more")
            self.parallel = 1
        for name in self.samples:
            if not _NAME.fullmatch(name):
                rule = "letters, digits and _ . + = ( ) - within, no path"
                self._note(("samples", name), f"{name!r} cannot be the name of a sample", rule)
        return True

    def _following(self, then: Any) -> list[str]:
        """What follows the command, without what cannot."""
        if not isinstance(then, list):
            self._note(("then",), f"then: {then!r} is not a list", f'["{FOLLOWING[0]}"]')
            return []
        for number, name in enumerate(then):
            if name not in FOLLOWING:
                self._note(
                    ("then", number), f"then: {name!r} does not follow", f"one of {', '.join(FOLLOWING)}"
                )
        if then and self.command in COMMANDS and not COMMANDS[self.command].is_run:
            self._note(("then",), f"then: {self.command} makes no run to go on with", "leave it out")
            return []
        return [name for name in then if name in FOLLOWING]

    def _tables(self, samples: Any) -> dict[str, dict[str, Any]]:
        """The samples that are tables."""
        named = samples if isinstance(samples, dict) else {"": samples}
        for name, one in named.items():
            if not isinstance(one, dict):
                place = ("samples", name) if name else ("samples",)
                self._note(place, "samples: each is a table", '[samples.NAME] with inputs = ["..."]')
        return {name: one for name, one in named.items() if isinstance(one, dict)}

    def _apart(
        self, values: Mapping[str, Any], place: Place
    ) -> tuple[dict[str, Any], dict[str, Mapping[str, Any]]]:
        """Options of the command, and the tables of what follows."""
        tables = {name: values[name] for name in FOLLOWING if isinstance(values.get(name), dict)}
        for name, table in tables.items():
            if name not in self.then:
                self._note((*place, name), f"{name}: is not among those that follow", f'then = ["{name}"]')
            if "run" in table:
                self._note((*place, name, "run"), "run: it is that of this recipe", "leave it out")
        return {name: value for name, value in values.items() if name not in tables}, tables

    def _job(self, name: str, values: Mapping[str, Any]) -> Job:
        place: Place = ("samples", name) if name else ()
        own, own_tables = self._apart(values, place)
        options = {**self.common, **own}
        command = COMMANDS[self.command]
        if self.changes.get(OUTPUT) and OUTPUT not in command.kind.model_fields:
            self._note(("command",), f"{self.command} has no output of its own", "leave -o out")
        known = set(command.kind.model_fields) - (set() if command.resumes else {"resume"})
        options |= {key: value for key, value in self.changes.items() if value and key in known}
        if self.changes.get(OUTPUT) and OUTPUT in own:
            self._note(
                (*place, OUTPUT), "output: this sample has its own, another cannot be given", "leave -o out"
            )
        main = Step(self.command, _filled(options, name), (place, ()) if name else ((),))
        steps = [main]
        for following in self.then:
            table = {**self.tables.get(following, {}), **own_tables.get(following, {})}
            values = {**_filled(table, name), "run": str(main.folder)}
            steps.append(Step(following, values, ((*place, following), (following,), place)))
        return Job(name, tuple(steps))

    def _folder(self, jobs: Sequence[Job]) -> Path:
        """What stands before the name of the sample; else above all runs."""
        folders = [os.path.abspath(folder.parent) for folder in _folders(jobs)]
        option = COMMANDS[self.command].folder or OUTPUT
        template = self.changes.get(OUTPUT) or self.common.get(option)
        if isinstance(template, str) and SAMPLE in template:
            return Path(template.partition(SAMPLE)[0] + "-").parent
        return Path(os.path.relpath(os.path.commonpath(folders))) if folders else Path()

    def _check_places(self, jobs: Sequence[Job], folder: Path) -> None:
        """No two samples in one folder, nor in that of their logs."""
        if not self.samples:
            if SAMPLE in str(jobs[0].steps[0].values.get(OUTPUT)):
                self._note(
                    (OUTPUT,), f"output: {SAMPLE} stands for nothing without samples", "[samples.NAME]"
                )
            return
        taken = {os.path.abspath(folder / name): name for name in (LOGS, *TABLES)}
        for job in jobs:
            step = job.steps[0]
            named = step.values.get(step.command.folder or OUTPUT)
            if not isinstance(named, str) or not _NAME.fullmatch(job.name):
                continue
            path = os.path.abspath(named)
            other = next((taken[one] for one in taken if _share(path, one)), None)
            if other is not None:
                place = step.place((step.command.folder or OUTPUT,), self.empty.lines)
                hint = f'output = "runs/{SAMPLE}"'
                self._note(place, f"output: {job.name} would write where {other} does", hint)
            taken.setdefault(path, job.name)


def _folders(jobs: Sequence[Job]) -> Iterator[Path]:
    for job in jobs:
        if (folder := job.steps[0].folder) is not None:
            yield folder


def _share(path: str, other: str) -> bool:
    return os.path.commonpath([path, other]) in (path, other)


def _filled(value: Any, name: str) -> Any:
    """With the name of the sample wherever it is asked for."""
    if isinstance(value, str):
        return value.replace(SAMPLE, name) if name else value
    if isinstance(value, dict):
        return {key: _filled(one, name) for key, one in value.items()}
    return [_filled(one, name) for one in value] if isinstance(value, list) else value
