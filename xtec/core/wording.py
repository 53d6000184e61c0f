"""Numbers as a person writes them."""

from __future__ import annotations

import math

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
