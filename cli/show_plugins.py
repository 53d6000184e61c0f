"""What a person sees of plugins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from xtec_cli.layout import make_console, show_line

OURS = "xtec-pipeline"
"""Distribution whose plugins need no mention of where they come from."""

if TYPE_CHECKING:
    from xtec.plugins.testing import Check
    from xtec_pipelines.plugin_list import PluginFacts


def show_list(found: Sequence[PluginFacts]) -> None:
    """By slot, a line each, with what is done without any."""
    from xtec.plugins import SLOTS

    console = make_console()
    wide = max((len(one.name) for one in found), default=0)
    for slot in SLOTS.values():
        show_line(console, f"{slot.option}: {slot.what}; built in: {slot.builtin}", width=0)
        for one in found:
            if one.slot == slot.name:
                what = f"cannot be used: {one.hint or one.broken}" if one.broken else one.summary
                source = "" if one.distribution == OURS else f"   [{one.distribution} {one.version}]"
                console.print(
                    f"  {one.name:<{wide}}  {what}{source}", markup=False, no_wrap=True, overflow="ellipsis"
                )


def show_plugin(one: PluginFacts) -> None:
    """What one does, and its options."""
    console = make_console()
    lines = [("does", one.summary), ("slot", one.slot), ("from", f"{one.distribution} {one.version}")]
    lines += [("source", one.source), ("use", f"{one.option} {one.name}[:key=value,...]")]
    lines += [("option", f"{name} = {default}".rstrip(" =")) for name, default in one.options.items()]
    for head, text in lines:
        show_line(console, text, head=head, width=8)


def show_checks(name: str, checks: Sequence[Check]) -> None:
    """What holds, and what does not and why."""
    console = make_console()
    for one in checks:
        verdict = "holds" if one.passed else "FAILS"
        reason = f": {one.reason}" if one.reason else ""
        show_line(console, f"{one.name}{reason}", head=verdict, width=6)
    held = sum(one.passed for one in checks)
    show_line(console, f"{name}: {held} of {len(checks)} hold", width=0)
