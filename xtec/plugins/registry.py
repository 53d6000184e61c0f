"""Plugins are entry points of the group ``xtec.SLOT``, of any installed distribution, ours included."""

from __future__ import annotations

import ast
import inspect
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from xtec.core.errors import BackendUnavailableError, ConfigError, XtecError
from xtec.core.types import Float64Array
from xtec.core.wording import offered
from xtec.plugins.protocols import SLOTS
from xtec.plugins.state import Stateful, load_state

_STATE = "state"
"""Option of every plugin: a file of what it learned before."""

_SEED = ("random_state", "seed")
_CALLED = {
    "n_clusters": ("n_clusters", "n_components"),
    "seed": _SEED,
    "temperatures": ("temperatures",),
}
"""What estimators call what they are given."""


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
    options: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        options = ",".join(f"{key}={value}" for key, value in self.options.items())
        return f"{self.name}:{options}" if options else self.name

    @property
    def anywhere(self) -> PluginSpec:
        """The same from whichever folder: the path of a state is absolute."""
        if _STATE not in self.options:
            return self
        return replace(self, options={**self.options, _STATE: os.path.abspath(str(self.options[_STATE]))})


@dataclass(frozen=True)
class Plugin:
    """A plugin that is ready for use.

    Attributes
    ----------
    slot : str
    spec : PluginSpec
    object : object
    distribution, version : str
        What it was installed with.
    seed : int or None
        None where it takes no seed.
    """

    slot: str
    spec: PluginSpec
    object: Any
    distribution: str
    version: str
    seed: int | None = None

    @property
    def has_state(self) -> bool:
        """Whether it was given what it learned before, and need not learn."""
        return _STATE in self.spec.options

    @property
    def record(self) -> dict[str, Any]:
        """Where results came from."""
        learned = self.object.get_state().digest if isinstance(self.object, Stateful) else ""
        return {
            "name": self.spec.name,
            "distribution": self.distribution,
            "version": self.version,
            "options": json.dumps(dict(self.spec.options)),
            "seed": "" if self.seed is None else self.seed,
            "state_sha256": learned,
            "summary": str(getattr(self.object, "summary_", "")),
        }


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


def entries(slot: str) -> list[EntryPoint]:
    """The plugins there are for a slot, by name; none of them is loaded."""
    return sorted(entry_points(group=f"xtec.{slot}"), key=lambda one: one.name)


def names(slot: str) -> list[str]:
    """Their names."""
    return list(dict.fromkeys(one.name for one in entries(slot)))


def find(slot: str, name: str) -> EntryPoint:
    """The entry point of a plugin; it is not loaded.

    Raises
    ------
    BackendUnavailableError
        If there is none of this name, or several.
    """
    found = {one.value: one for one in entries(slot) if one.name == name}
    if not found:
        hint = f"there are: {offered(name, names(slot))}"
        raise BackendUnavailableError(f"{slot}: there is no plugin {name!r}", hint=hint)
    if len(found) > 1:
        owners = ", ".join(f"{one.value} ({owner(one)[0]})" for one in found.values())
        raise BackendUnavailableError(
            f"{slot}: several plugins are called {name!r}: {owners}", hint="uninstall all but one"
        )
    return next(iter(found.values()))


def owner(entry: EntryPoint) -> tuple[str, str]:
    """Distribution and version that a plugin was installed with."""
    return ("", "") if entry.dist is None else (entry.dist.name, entry.dist.version)


def load(slot: str, name: str) -> Callable[..., Any]:
    """What makes a plugin: mostly a class.

    Raises
    ------
    BackendUnavailableError
        If there is no such plugin, or it cannot be loaded.
    """
    entry = find(slot, name)
    try:
        make: Callable[..., Any] = entry.load()
    except Exception as error:  # a plugin is anybody's code: whatever it raises, it is not usable
        extra = next(iter(entry.extras), None) if isinstance(error, ImportError) else None
        raise BackendUnavailableError(
            f"{slot}: the plugin {name!r} ({entry.value.partition(' ')[0]}) cannot be loaded: {error}",
            hint=f"pip install '{owner(entry)[0]}[{extra}]'" if extra else None,
        ) from error
    return make


def open_plugin(
    slot: str,
    spec: PluginSpec,
    *fixed: Any,
    n_clusters: int | None = None,
    seed: int | None = None,
    temperatures: Float64Array | None = None,
    **given: Any,
) -> Plugin:
    """Load a plugin and call it.

    Parameters
    ----------
    slot : str
        ``samplers``, for instance.
    spec : PluginSpec
    n_clusters, seed : int, optional
    temperatures : array, shape (T,), optional
        Handed on under the name that the plugin has for them, if it has one.
    fixed, given
        What every plugin of the slot is called with; options of the user's come after all these.

    Raises
    ------
    BackendUnavailableError
        If there is no such plugin, it cannot be loaded, or it has not the methods of its slot.
    ConfigError
        If it does not take its options, or has no state to be given.
    InputError
        If the file of its state is no state of this plugin.
    """
    make = load(slot, spec.name)
    options = {name: value for name, value in spec.options.items() if name != _STATE}
    own = fitting_options(make, n_clusters=n_clusters, seed=seed, temperatures=temperatures)
    options = {**given, **own, **options}
    try:
        made = make(*fixed, **options)
    except XtecError:
        raise
    except TypeError as error:
        raise ConfigError(f"{slot}: {spec.name} does not take these options: {error}") from error
    except Exception as error:
        raise BackendUnavailableError(f"{slot}: {spec.name} cannot be used: {error!r}") from error
    _check(slot, spec, made)
    seeded = next((options[one] for one in _SEED if one in options), None)
    return Plugin(slot, spec, made, *owner(find(slot, spec.name)), seeded)


def create(slot: str, spec: PluginSpec, *fixed: Any, **given: Any) -> Any:
    """The object of `open_plugin`."""
    return open_plugin(slot, spec, *fixed, **given).object


def _check(slot: str, spec: PluginSpec, made: Any) -> None:
    missing = [name for name in SLOTS[slot].methods if not callable(getattr(made, name, None))]
    if missing:
        raise BackendUnavailableError(
            f"{slot}: {spec.name} has no {', '.join(missing)}",
            hint="xtec plugins check tells what a plugin of a slot must be able to do",
        )
    if _STATE in spec.options:
        if not isinstance(made, Stateful):
            raise ConfigError(f"{slot}: {spec.name} keeps nothing that it learned", hint="leave state= out")
        made.set_state(load_state(spec.name, str(spec.options[_STATE])))


def fitting_options(make: Callable[..., Any], **known: Any) -> dict[str, Any]:
    """What is known of ``n_clusters``, ``seed``, ``temperatures``, under the names a plugin has for them."""
    try:
        takes = inspect.signature(make).parameters
    except (TypeError, ValueError):
        return {}
    named = {what: next((one for one in _CALLED[what] if one in takes), "") for what in known}
    return {named[what]: value for what, value in known.items() if named[what] and value is not None}


def set_number(plugin: Plugin, n_clusters: int) -> None:
    """Tell a clusterer that was made another number of clusters, unless the user has given one.

    As scikit-learn has it, what a constructor is given is an attribute of the same name until `fit`.
    """
    for name in _CALLED["n_clusters"]:
        if hasattr(plugin.object, name) and name not in plugin.spec.options:
            setattr(plugin.object, name, n_clusters)


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return {"true": True, "false": False}.get(text.lower(), text)
