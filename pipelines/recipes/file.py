"""Reading a recipe, with everything that is wrong in it at once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel

from xtec.core.errors import ConfigError, XtecError
from xtec_pipelines.config import ClusterConfig
from xtec_pipelines.recipes.commands import REFUSED
from xtec_pipelines.recipes.reader import OWN, make_recipe
from xtec_pipelines.recipes.recipe import Problem, Recipe, RecipeError, Step
from xtec_pipelines.toml_lines import find_lines
from xtec_pipelines.validation import STAND_IN, problems_of, read_text

_SECOND_PASS = ("from_run", "keep", "drop")


def open_recipe(path: Path, **changes: object) -> Recipe:
    """Read a recipe; what is wrong with its values is listed in it.

    Parameters
    ----------
    path : Path
    changes
        Options of its command, over those in the file; see `make_recipe`.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    text = read_text(path)
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return Recipe(path, problems=(_not_toml(text, str(error)),))
    recipe = make_recipe(path, values, find_lines(text), **changes)
    found = [one for job in recipe.jobs for step in job.steps for one in judge(recipe, step)[0]]
    return replace(recipe, problems=in_order([*recipe.problems, *found]))


def load_recipe_file(path: Path, **changes: object) -> Recipe:
    """Read a recipe that has nothing wrong in it; as `open_recipe` else.

    Raises
    ------
    RecipeError
        Names every problem with its line.
    """
    recipe = open_recipe(path, **changes)
    if recipe.problems:
        raise RecipeError(path, recipe.problems)
    return recipe


def in_order(problems: list[Problem]) -> tuple[Problem, ...]:
    """By line; what is common to all samples is said once."""
    once = {(one.line, one.text): one for one in problems}
    return tuple(sorted(once.values(), key=lambda one: one.line))


def judge(recipe: Recipe, step: Step) -> tuple[list[Problem], BaseModel | None]:
    """What is wrong with the options of a command, and its configuration without that.

    Nothing is opened but an earlier run that is named.
    """
    values, found = dict(step.values), list[tuple[tuple[str | int, ...], XtecError]]()
    for name, reason in REFUSED.items():
        if values.pop(name, None) is not None:
            found.append(((name,), ConfigError(f"{name}: {reason}")))
    try:
        values = step.command.complete(values)
    except XtecError as error:
        found.append((("from_run",), error))
        values = {"inputs": [STAND_IN], **{k: v for k, v in values.items() if k not in _SECOND_PASS}}
    kind = step.command.kind
    if "cluster" in kind.model_fields and isinstance(nested := values.get("cluster"), Mapping):
        needed = {"inputs": [STAND_IN], "output": STAND_IN}
        said, _ = problems_of(ClusterConfig, {**nested, **needed})
        found += [(("cluster", *place), ConfigError(text)) for place, text in said]
        values["cluster"] = {} if said else nested
    said, config = problems_of(kind, values, OWN if step.tables[-1] == () else ())
    found += [(place, ConfigError(text)) for place, text in said]
    return [recipe.problem(step.place(place, recipe.lines), error) for place, error in found], config


def _not_toml(text: str, message: str) -> Problem:
    """Where reading ended: `tomllib` says it in its message only."""
    place = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)", message)
    line = int(place[1]) if place and place[1] else text.count("\n") + 1
    what = message if place is None else message.replace(place[0], "")
    return Problem(line, (), ConfigError(f"this is not TOML: {what[:1].lower()}{what[1:]}"))
