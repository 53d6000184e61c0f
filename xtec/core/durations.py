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
