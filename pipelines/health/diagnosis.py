"""One thing that `xtec doctor` has looked at."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Diagnosis:
    """What was found.

    Attributes
    ----------
    name : str
        What was looked at, in a word or two.
    state : str
        ``ok``; ``note``: worth knowing, nothing needs to be done; ``problem``: something will not work.
    what : str
        What was found, and what it means.
    hint : str
        What to do.
    """

    name: str
    state: Literal["ok", "note", "problem"]
    what: str
    hint: str = ""

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)
