"""What a person sees of plugins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

OURS = "xtec-pipeline"
"""Distribution whose plugins need no mention of where they come from."""

if TYPE_CHECKING:
    from xtec.plugins.testing import Check
    from xtec_pipelines.plugin_list import PluginFacts


def show_list(found: Sequence[PluginFacts]) -> None:
    """By slot, a line each, with what is done without any."""
    from rich.console import Console

    from xtec.plugins import SLOTS

    console = Console(highlight=False)
    wide = max((len(one.name) for one in found), default=0)
    for slot in SLOTS.values():
        console.print(f"{slot.option}: {slot.what}; built in: {slot.builtin}", markup=False)
        for one in found:
            if one.slot == slot.name:
                what = f"cannot be used: {one.hint or one.broken}" if one.broken else one.summary
                source = "" if one.distribution == OURS else f"   [{one.distribution} {one.version}]"
                line = f"  {one.name:<{wide}}  {what}{source}"
                console.print(line, markup=False, no_wrap=True, overflow="ellipsis")


def show_plugin(one: PluginFacts) -> None:
    """What one does, and its options."""
    from rich.console import Console

    console = Console(highlight=False)
    lines = [("does", one.summary), ("slot", one.slot), ("from", f"{one.distribution} {one.version}")]
    lines += [("source", one.source), ("use", f"{one.option} {one.name}[:key=value,...]")]
    lines += [("option", f"{name} = {default}".rstrip(" =")) for name, default in one.options.items()]
    for head, text in lines:
        console.print(f"{head:<8} {text}", soft_wrap=True, markup=False)


def show_checks(name: str, checks: Sequence[Check]) -> None:
    """What holds, and what does not and why."""
    from rich.console import Console

    console = Console(highlight=False)
    for one in checks:
        verdict = "holds" if one.passed else "FAILS"
        reason = f": {one.reason}" if one.reason else ""
        console.print(f"{verdict}  {one.name}{reason}", soft_wrap=True, markup=False)
    held = sum(one.passed for one in checks)
    console.print(f"{name}: {held} of {len(checks)} hold", markup=False)
