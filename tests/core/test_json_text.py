"""What is written is JSON by its standard, and holds what it was made of."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xtec.core.json_text import json_text

PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)


def strict(text: str) -> Any:
    """Read by the standard, which has no NaN and no Infinity."""

    def refuse(name: str) -> NoReturn:
        raise AssertionError(name)

    return json.loads(text, parse_constant=refuse)


def without(values: Any) -> Any:
    """The same, None for what is not finite."""
    if isinstance(values, dict):
        return {name: without(value) for name, value in values.items()}
    if isinstance(values, list):
        return [without(value) for value in values]
    return None if isinstance(values, float) and not math.isfinite(values) else values


@given(VALUES, st.booleans())
def test_values_come_back(values: Any, compact: bool) -> None:
    assert strict(json_text(values, compact=compact)) == without(values)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f8", "i2", ">u4", "?"])
def test_arrays_and_their_numbers(dtype: str) -> None:
    array = np.array([[0, 1], [2, 3]], dtype)
    assert strict(json_text({"a": array, "b": array[1, 0], "c": (array[0],)})) == {
        "a": array.tolist(),
        "b": array[1, 0].item(),
        "c": [array[0].tolist()],
    }
    if array.dtype.kind == "f":
        array[0, 0] = np.nan
        assert strict(json_text(array))[0][0] is None


def test_what_json_cannot_hold_is_refused() -> None:
    with pytest.raises(TypeError):
        json_text({"a": object()})
