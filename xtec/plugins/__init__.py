"""What can be put in place of a built-in: looked up by name when it is asked for."""

from xtec.plugins.protocols import SLOTS, Slot
from xtec.plugins.registry import (
    Plugin,
    PluginSpec,
    create,
    entries,
    find,
    load,
    names,
    open_plugin,
    owner,
    parse_plugin,
    set_number,
)
from xtec.plugins.state import State, Stateful, load_state, pack_state

__all__ = [
    "SLOTS",
    "Plugin",
    "PluginSpec",
    "Slot",
    "State",
    "Stateful",
    "create",
    "entries",
    "find",
    "load",
    "load_state",
    "names",
    "open_plugin",
    "owner",
    "pack_state",
    "parse_plugin",
    "set_number",
]
