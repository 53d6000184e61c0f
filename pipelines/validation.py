"""Recipes and options as they come, and what is wrong with them in one message."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from xtec.core.errors import ConfigError, InputError, SeriesNotFoundError, XtecError
from xtec_pipelines.toml_lines import Place

Options = TypeVar("Options", bound=BaseModel)


def validated(kind: type[Options], values: Mapping[str, Any]) -> Options:
    """Build any configuration, turning what is wrong with it into one message.

    Raises
    ------
    ConfigError
        Names every field that is wrong, and how.
    """
    try:
        return kind(**values)
    except ValidationError as error:
        problems = "; ".join(_in_words(one, kind) for one in error.errors())
        raise ConfigError(problems) from None


def problems_of(
    kind: type[BaseModel], values: Mapping[str, Any], beside: Sequence[str] = ()
) -> tuple[list[tuple[Place, str]], BaseModel | None]:
    """Everything that is wrong with options, one by one, and the configuration without what is wrong.

    Once it is known which options are wrong each by itself, the others are held against each other without
    them.

    Parameters
    ----------
    kind : type
    values : mapping
    beside : sequence of str
        Other words that may be meant by an unknown option.

    Returns
    -------
    list of (place, text)
        What does not go together has the place of the first option that is spoken of, else none.
    BaseModel or None
        `STAND_IN` is in place of what is needed and not there. None if nothing sensible is left.
    """
    found: dict[tuple[Place, str], None] = {}
    values, wrong = dict(values), set[str]()
    while True:
        config, said = _complaints(kind, values, beside)
        new = [one for one in said if not _named(one[1], wrong)]
        found.update(dict.fromkeys(new))
        blamed = {str(place[0]) for place, _ in new if place}
        wrong |= blamed
        for name in blamed & values.keys():
            del values[name]
        for name in blamed & _NEEDED.keys():
            values[name] = _NEEDED[name]
        if not blamed:
            return list(found), config


STAND_IN = "-"
"""In place of an input, an output or a run that is needed and not there, so that the rest can be judged."""

_NEEDED: dict[str, Any] = {"inputs": (STAND_IN,), "output": STAND_IN, "run": STAND_IN}


def _complaints(
    kind: type[BaseModel], values: Mapping[str, Any], beside: Sequence[str]
) -> tuple[BaseModel | None, list[tuple[Place, str]]]:
    try:
        return kind(**values), []
    except ValidationError as error:
        said = [(one["loc"], _in_words(one, kind, beside)) for one in error.errors()]
        return None, [(place or tuple(_named(text, values.keys())[:1]), text) for place, text in said]


def _named(text: str, options: Iterable[str]) -> list[str]:
    """Which options a message speaks of, in the order in which it does."""
    words = re.findall(r"[a-z]\w*", text.replace("-", "_").lower())
    return sorted(set(options) & set(words), key=words.index)


def _in_words(one: Any, kind: type[BaseModel], beside: Sequence[str] = ()) -> str:
    """One complaint of pydantic in a person's words."""
    original = one.get("ctx", {}).get("error")
    name, value = ".".join(map(str, one["loc"])), one["input"]
    if isinstance(original, XtecError):
        what = (
            original.what if original.what.startswith(f"{name}:") or not name else f"{name}: {original.what}"
        )
        return f"{what} ({original.hint})" if original.hint else what
    if one["type"] == "extra_forbidden":
        close = get_close_matches(name, [*kind.model_fields, *beside], 1)
        return f"{name}: there is no such option" + (f" ({close[0]}?)" if close else "")
    if one["type"] == "missing":
        return f"{name}: missing"
    return f"{name}: {value!r}: {one['msg'][0].lower()}{one['msg'][1:]}"


def read_recipe(path: Path) -> tuple[str, dict[str, Any]]:
    """The command of a recipe, ``cluster`` where it names none, and its other values.

    Raises
    ------
    ConfigError
        If it is not TOML.
    InputError
        If it cannot be read.
    """
    try:
        values = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"this is not TOML: {error}", file=path) from None
    return str(values.pop("command", "cluster")), values


def read_text(path: Path) -> str:
    """A recipe as it is written.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SeriesNotFoundError("no such recipe", file=path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read this recipe ({error})", file=path) from error
