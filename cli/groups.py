"""Groups of commands: in sections of the help, with the closest name where one is mistyped."""

from __future__ import annotations

from typing import Any

import rich_click as click

from xtec.core.wording import did_you_mean

SECTIONS = {
    "Main job": ("demo", "inspect", "cluster", "select"),
    "From clusters to physics": ("order-parameter", "unit-cell", "phase-diagram", "report"),
    "While an experiment runs": ("watch",),
    "Scripting": ("run", "check", "recipe", "stack", "simulate"),
    "Help": ("doctor", "plugins", "completion"),
}
"""What `xtec --help` lists together; a command named nowhere comes under Commands."""

HELP = {
    "command_groups": {
        "xtec": [{"name": name, "commands": list(commands)} for name, commands in SECTIONS.items()]
    }
}


class Commands(click.RichGroup):
    """A group whose error for a mistyped command names the closest."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """As click does it; no command begins with a dash."""
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            there = self.list_commands(ctx)
            ctx.fail(f"No such command {name!r}.{did_you_mean(name, there)}")
        return super().resolve_command(ctx, args)
