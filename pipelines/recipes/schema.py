"""JSON schema of recipes, made of the configurations of their commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xtec_pipelines.recipes.commands import COMMANDS, FOLLOWING, REFUSED, Command

_DIALECT = "http://json-schema.org/draft-07/schema#"
"""The one that most editors know."""

Descriptions = Mapping[str, Mapping[str, str]]
"""Of commands and their options; what is said of a command itself has an empty name."""


def recipe_schema(descriptions: Descriptions | None = None) -> dict[str, Any]:
    """The schema: what a recipe may say depends on its command.

    Parameters
    ----------
    descriptions : mapping, optional
        What editors show.

    Returns
    -------
    dict
        Ready for JSON.
    """
    told = descriptions or {}
    options = {name: _options(name, told.get(name, {})) for name in COMMANDS}
    of_series = {k: v for k, v in options["cluster"].items() if k not in ("inputs", "output")}
    options["phase-diagram"]["cluster"] |= _table(of_series)
    branches = [_branch(name, options) for name in COMMANDS]
    return {
        "$schema": _DIALECT,
        "title": "Recipe of xtec",
        "description": "xtec run RECIPE.toml runs it, xtec check RECIPE.toml tells what it would do.",
        "type": "object",
        "properties": {
            "command": {"enum": list(COMMANDS), "default": "cluster", "description": "What is run."}
        },
        "allOf": branches,
    }


def _options(name: str, told: Mapping[str, str]) -> dict[str, Any]:
    """Options of a command as properties."""
    schema = COMMANDS[name].kind.model_json_schema()
    choices = {f"#/$defs/{kind}": about for kind, about in schema.get("$defs", {}).items()}
    properties = {}
    for option, about in schema["properties"].items():
        if option not in REFUSED:
            text = told.get(option, "")
            properties[option] = {**_plain(about, choices), **({"description": text} if text else {})}
    return properties


def _plain(about: Mapping[str, Any], choices: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Without null, which TOML does not have, titles that only repeat the name, and references.

    What stands beside a reference, as descriptions do, does not count in this dialect.
    """
    plain = {key: value for key, value in about.items() if key != "title" and value is not None}
    chosen = choices.get(plain.pop("$ref", ""), {})
    plain |= {key: value for key, value in chosen.items() if key in ("type", "enum")}
    some = [one for one in plain.pop("anyOf", []) if one != {"type": "null"}]
    if len(some) == 1:
        return {**some[0], **plain}
    return {**plain, "anyOf": some} if some else plain


def _branch(name: str, options: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What holds for recipes of one command."""
    command = COMMANDS[name]
    is_this: dict[str, Any] = {"properties": {"command": {"const": name}}}
    if name != "cluster":
        is_this["required"] = ["command"]
    following = {}
    if command.is_run:
        following = {one: _table(options[one], without="run") for one in FOLLOWING}
    sample = {**options[name], **following}
    own: dict[str, Any] = {
        "command": True,
        "parallel": {"type": "integer", "minimum": 1, "default": 1, "description": "Samples at a time."},
        "samples": {
            "type": "object",
            "description": "Each is done by itself, with these options besides those above.",
            "minProperties": 1,
            "additionalProperties": _table(sample),
        },
    }
    if command.is_run:
        own["then"] = {
            "type": "array",
            "items": {"enum": list(FOLLOWING)},
            "description": "What follows on the same run.",
        }
    whole = {**_table({**own, **sample}), **_required(command)}
    return {"if": is_this, "then": whole}


def _table(options: Mapping[str, Any], without: str = "") -> dict[str, Any]:
    properties = {name: about for name, about in options.items() if name != without}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _required(command: Command) -> dict[str, Any]:
    """What must be there, unless each sample says it, or an earlier run does."""
    fields = command.kind.model_fields
    needed = [name for name, about in fields.items() if about.is_required()]
    elsewhere = [{"required": ["samples"]}]
    if "from_run" in fields:
        elsewhere.append({"required": ["from_run", *(name for name in needed if name != "inputs")]})
    return {"anyOf": [{"required": needed}, *elsewhere]}
