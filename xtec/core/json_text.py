"""JSON as its standard has it, of NumPy's values too: numbers that are not finite are null."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np


def json_text(values: Any, *, compact: bool = False) -> str:
    """Text of mappings, sequences, arrays and plain values.

    Parameters
    ----------
    values : mapping, sequence, array, str, int, float, bool or None
    compact : bool
        On one line; otherwise indented.

    Raises
    ------
    TypeError
        For anything else.
    """
    how: dict[str, Any] = {"separators": (",", ":")} if compact else {"indent": 2}
    return json.dumps(_plain(values), allow_nan=False, **how)


def _plain(values: Any) -> Any:
    if isinstance(values, np.generic | np.ndarray):
        values = values.tolist()
    if isinstance(values, Mapping):
        return {name: _plain(value) for name, value in values.items()}
    if isinstance(values, list | tuple):
        return [_plain(value) for value in values]
    return None if isinstance(values, float) and not math.isfinite(values) else values
