"""What can be put in place of a built-in: looked up by name when it is asked for."""

from xtec.plugins.registry import PluginSpec, create, names, parse_plugin

__all__ = ["PluginSpec", "create", "names", "parse_plugin"]
