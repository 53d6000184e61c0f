"""``xtec plugins``: which there are, what each does, and whether it does what its slot asks."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from xtec.core.errors import BackendUnavailableError, ConfigError
from xtec.core.wording import did_you_mean, offered
from xtec.plugins import SLOTS, entries, find, load, names, owner, parse_plugin
from xtec.plugins.testing import Check
from xtec.plugins.testing import check as check_made

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PluginFacts:
    """What is known of a plugin.

    Attributes
    ----------
    slot, name : str
    option : str
        Of the command line that takes it.
    source : str
        ``module:object``.
    distribution, version : str
    summary : str
        First sentence of its documentation.
    options : mapping of str to str
        With their defaults.
    broken : str
        Why it cannot be used; empty if it can.
    hint : str
        What may help.
    """

    slot: str
    name: str
    option: str
    source: str
    distribution: str
    version: str
    summary: str
    options: dict[str, str]
    broken: str = ""
    hint: str = ""

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def every_plugin() -> list[PluginFacts]:
    """All of them, by slot and name; a warning for each that cannot be loaded."""
    found = [_facts(slot, entry.name) for slot in SLOTS for entry in entries(slot)]
    for one in found:
        if one.broken:
            logger.warning("%s", one.broken + (f" ({one.hint})" if one.hint else ""))
    return found


def describe(name: str, slot: str | None = None) -> PluginFacts:
    """One of them.

    Raises
    ------
    BackendUnavailableError
        If there is none, or it cannot be loaded.
    ConfigError
        If several slots have one of this name.
    """
    found = _facts(_slot_of(name, slot), name)
    if found.broken:
        raise BackendUnavailableError(found.broken, hint=found.hint or None)
    return found


def check_plugin(text: str, slot: str | None = None) -> list[Check]:
    """Try a plugin out, with options if the text has any.

    Raises
    ------
    BackendUnavailableError
        If there is none, or it cannot be loaded.
    ConfigError
        If several slots have one of this name.
    """
    spec = parse_plugin(text)
    where = _slot_of(spec.name, slot)
    return check_made(where, load(where, spec.name), **spec.options)


def _slot_of(name: str, slot: str | None) -> str:
    if slot is not None:
        if slot not in SLOTS:
            raise ConfigError(f"there is no slot {slot!r}", hint=offered(slot, list(SLOTS)))
        find(slot, name)
        return slot
    there = [one for one in SLOTS if name in names(one)]
    if not there:
        meant = did_you_mean(name, (one for slot in SLOTS for one in names(slot)))
        raise BackendUnavailableError(f"there is no plugin {name!r}", hint=f"xtec plugins list.{meant}")
    if len(there) > 1:
        raise ConfigError(f"{' and '.join(there)} have a plugin {name!r}", hint=f"--slot {there[0]}")
    return there[0]


def _facts(slot: str, name: str) -> PluginFacts:
    broken, hint, make = "", "", None
    try:
        make = load(slot, name)
    except BackendUnavailableError as error:
        broken, hint = error.what, error.hint or ""
    entry = next(one for one in entries(slot) if one.name == name) if broken else find(slot, name)
    return PluginFacts(
        slot,
        name,
        SLOTS[slot].option,
        entry.value.partition(" ")[0],
        *owner(entry),
        "" if make is None else _summary(make),
        {} if make is None else _options(make),
        broken,
        hint,
    )


def _summary(make: Callable[..., Any]) -> str:
    first = (inspect.getdoc(make) or "").partition("\n\n")[0]
    return " ".join(first.split())


def _options(make: Callable[..., Any]) -> dict[str, str]:
    try:
        parameters = inspect.signature(make).parameters.values()
    except (TypeError, ValueError):
        return {}
    named = [one for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    return {one.name: "" if one.default is one.empty else repr(one.default) for one in named}
