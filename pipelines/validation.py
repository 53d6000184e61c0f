"""Recipes and options as they come, and what is wrong with them in one message."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from xtec.core.errors import ConfigError, InputError, SeriesNotFoundError, XtecError

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
        problems = "; ".join(_problem(one, kind) for one in error.errors())
        raise ConfigError(problems) from None


def _problem(one: Any, kind: type[BaseModel]) -> str:
    """One complaint of pydantic in a person's words."""
    original = one.get("ctx", {}).get("error")
    if isinstance(original, XtecError) and not one["loc"]:
        return f"{original.what} ({original.hint})"
    name, value = ".".join(map(str, one["loc"])), one["input"]
    if one["type"] == "extra_forbidden":
        close = get_close_matches(name, kind.model_fields, 1)
        return f"{name}: there is no such option" + (f" ({close[0]}?)" if close else "")
    if one["type"] == "missing":
        return f"{name}: missing"
    if isinstance(original, XtecError):
        return f"{name}: {original.what} ({original.hint})"
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
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SeriesNotFoundError("no such recipe", file=path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read this recipe ({error})", file=path) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"this is not TOML: {error}", file=path) from None
    return str(values.pop("command", "cluster")), values
