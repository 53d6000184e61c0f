"""Numbers as a person writes them, and names that they may have meant."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from xtec.core.quantities import Quantity


def decimals(quantity: Quantity) -> int:
    """Decimals that an interval allows: two digits of its half-length; three figures without one."""
    half = quantity.error
    if not (math.isfinite(half) and half > 0):
        half = 0.1 * abs(quantity.value) or 1.0
    return int(min(max(1 - math.floor(math.log10(half)), 0), 6))


def plain(quantity: Quantity | None) -> str:
    """``130.8 +0.3 -0.7``, ``0.352 ± 0.006``; ``-`` for None. Ends that are not known are left out."""
    if quantity is None or not math.isfinite(quantity.value):
        return "-"
    digits = decimals(quantity)
    text = f"{quantity.value:.{digits}f}"
    ends = [
        f"{sign}{abs(end - quantity.value):.{digits}f}"
        for sign, end in (("+", quantity.high), ("-", quantity.low))
        if end is not None and math.isfinite(end)
    ]
    if len(ends) == 2 and ends[0][1:] == ends[1][1:]:
        return f"{text} ± {ends[0][1:]}"
    return " ".join([text, *ends])


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """A question to go after a sentence: for the closest of the names there are, if one is close.

    Examples
    --------
    >>> did_you_mean("clustr", ["cluster", "inspect"])
    ' Did you mean cluster?'
    """
    close = get_close_matches(name, list(names), 1)
    return f" Did you mean {close[0]}?" if close else ""


def offered(name: str, names: Sequence[str]) -> str:
    """The names there are, for one that is not; and the closest, if one is close."""
    listed, question = ", ".join(names) or "none", did_you_mean(name, names)
    return f"{listed}.{question}" if question else listed
