"""What a person sees of the state of their machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from xtec_cli.layout import make_console, show_line

if TYPE_CHECKING:
    from xtec_pipelines.health.diagnosis import Diagnosis

_STATE = 8


def show_diagnoses(found: Sequence[Diagnosis]) -> None:
    """A line each, and below it what can be done."""
    console = make_console()
    wide = max(len(one.name) for one in found)
    for one in found:
        head = f"{one.state:<{_STATE}} {one.name:<{wide}}"
        show_line(console, one.what, head=head, width=len(head))
        if one.hint:
            show_line(console, f"try: {one.hint}", width=len(head))
    count = {state: sum(one.state == state for one in found) for state in ("problem", "note")}
    told = [f"{n} {state}{'s' if n > 1 else ''}" for state, n in count.items() if n]
    show_line(console, ", ".join(told) or "all is well", width=0)
