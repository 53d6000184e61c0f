"""Times as people write them."""

from __future__ import annotations

from math import isfinite

from xtec.core.errors import ConfigError


def parse_duration(text: str) -> float:
    """Read ``5s``, ``2m``, ``0.2s``, ``2 hours`` or a plain number of seconds.

    Returns
    -------
    float
        Seconds.

    Raises
    ------
    ConfigError
        For anything else.

    Examples
    --------
    >>> parse_duration("2m"), parse_duration("0.2 s"), parse_duration("90")
    (120.0, 0.2, 90.0)
    """
    from dask.utils import parse_timedelta

    # Dask takes a unit alone for one of it.
    if text.strip()[:1].isdigit():
        try:
            seconds = float(parse_timedelta(text))
        except (ValueError, KeyError, OverflowError):
            pass
        else:
            if isfinite(seconds):
                return seconds
    raise ConfigError(f"{text!r} is not a length of time", hint="write it as 5s, 2m or 1.5h")


def format_duration(seconds: float) -> str:
    """A length of time in the unit that suits it.

    Examples
    --------
    >>> format_duration(42.4), format_duration(600), format_duration(5000), format_duration(3e5)
    ('42 s', '10 min', '1.4 h', '3.5 days')
    """
    for unit, size in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size or (unit == "h" and seconds >= size):
            return f"{seconds / size:.2g} {unit}"
    return f"{seconds:.0f} s"
