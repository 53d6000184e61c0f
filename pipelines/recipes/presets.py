"""Recipes that come with the package, to begin with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from xtec.core.errors import ConfigError, OutputError
from xtec.io.disk.atomic import write_text

SCHEMA = "recipe.schema.json"
"""Beside a recipe, for editors; it says so itself in its first line."""


def presets() -> dict[str, str]:
    """Name and first line of each."""
    found = {}
    for item in sorted(_folder().iterdir(), key=lambda one: one.name):
        if item.name.endswith(".toml"):
            first = item.read_text(encoding="utf-8").partition("\n")[0]
            found[item.name.removesuffix(".toml")] = first.lstrip("# ")
    return found


def write_preset(
    name: str, path: Path, *, schema: Mapping[str, Any] | None = None, force: bool = False
) -> list[Path]:
    """Copy a recipe, and the script that goes with it if there is one.

    Parameters
    ----------
    name : str
    path : Path
        Where the recipe goes.
    schema : mapping, optional
        Written beside it.
    force : bool
        Replace what is there.

    Returns
    -------
    list of Path
        What was written, the recipe first.

    Raises
    ------
    ConfigError
        If there is no such recipe.
    OutputError
        If something is there, or cannot be written.
    """
    if name not in presets():
        raise ConfigError(f"no recipe {name!r} to begin with", hint=f"one of: {', '.join(presets())}")
    text = (_folder() / f"{name}.toml").read_text(encoding="utf-8")
    contents = {path: text}
    script = _folder() / f"{name}.sh"
    if script.is_file():
        contents[path.with_name(script.name)] = script.read_text(encoding="utf-8")
    if schema is not None:
        contents[path] = f"#:schema ./{SCHEMA}\n{text}"
        contents[path.with_name(SCHEMA)] = json.dumps(schema, indent=2) + "\n"
    there = [one for one in contents if one.exists() and one.name != SCHEMA]
    if there and not force:
        raise OutputError("this is there already", file=there[0], hint="--force, or another name with -o")
    for place, content in contents.items():
        write_text(place, content)
    return list(contents)


def _folder() -> Traversable:
    return files("xtec_pipelines.recipes")
