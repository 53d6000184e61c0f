"""Plugins are entry points of the group ``xtec.SLOT``, of any installed distribution, ours included."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

from xtec.core.errors import BackendUnavailableError, ConfigError, XtecError


@dataclass(frozen=True)
class PluginSpec:
    """What a person asks for: ``NAME`` or ``NAME:key=value,...``.

    Attributes
    ----------
    name : str
    options : mapping
        Values are numbers, truth values or texts.
    """

    name: str
    options: Mapping[str, Any]


def parse_plugin(text: str) -> PluginSpec:
    """Read ``NAME:key=value,...``.

    Raises
    ------
    ConfigError
        If it is not of that form.
    """
    name, _, rest = text.partition(":")
    options: dict[str, Any] = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        if not (equals and key.strip().isidentifier()):
            raise ConfigError(f"{part!r} is no option of a plugin", hint=f"{name}:key=value,...")
        options[key.strip()] = _value(value.strip())
    if not name.strip():
        raise ConfigError("a plugin has a name", hint="NAME, or NAME:key=value,...")
    return PluginSpec(name.strip(), options)


def names(slot: str) -> list[str]:
    """The plugins there are for a slot; none of them is loaded."""
    return sorted(entry_points(group=f"xtec.{slot}").names)


def create(slot: str, spec: PluginSpec, *fixed: Any, **given: Any) -> Any:
    """Load a plugin and call it.

    Parameters
    ----------
    slot : str
        ``samplers``, for instance.
    spec : PluginSpec
    fixed, given
        What every plugin of the slot is called with; options of the user's come after them.

    Raises
    ------
    BackendUnavailableError
        If there is no such plugin, or it cannot be loaded.
    ConfigError
        If it does not take its options.
    """
    found = list(entry_points(group=f"xtec.{slot}", name=spec.name))
    if not found:
        there = ", ".join(names(slot)) or "none"
        raise BackendUnavailableError(f"{slot}: there is no plugin {spec.name!r}", hint=f"there are: {there}")
    try:
        make = found[0].load()
    except Exception as error:  # a plugin is anybody's code: whatever it raises, it is not usable
        raise BackendUnavailableError(
            f"{slot}: the plugin {spec.name!r} ({found[0].value}) cannot be loaded: {error}"
        ) from error
    try:
        return make(*fixed, **{**given, **spec.options})
    except XtecError:
        raise
    except TypeError as error:
        raise ConfigError(f"{slot}: {spec.name} does not take these options: {error}") from error
    except Exception as error:
        raise BackendUnavailableError(f"{slot}: {spec.name} cannot be used: {error!r}") from error


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return {"true": True, "false": False}.get(text.lower(), text)
