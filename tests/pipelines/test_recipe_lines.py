"""Lines of keys in TOML: of documents that another program writes, and of all that TOML allows."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from xtec_pipelines.toml_lines import find_lines, line_of

KEYS = st.text(st.sampled_from("ab.-_ \"'#=[]\\\n\té"), min_size=1, max_size=4)
STRINGS = st.text(st.sampled_from("ab \"'#=[]{},\\\n\té"), max_size=8)
PLAIN = st.one_of(STRINGS, st.integers(-9, 9), st.booleans(), st.floats(-2, 2))
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)


def places(value: Any, place: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every key and element of parsed TOML."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [one for key, each in inner for one in ((*place, key), *places(each, (*place, key)))]


@given(st.dictionaries(KEYS, VALUES, max_size=4), st.booleans())
def test_every_key_is_found(values: dict[str, Any], multiline: bool) -> None:
    text = tomli_w.dumps(values, multiline_strings=multiline)
    assert set(find_lines(text)) == set(places(tomllib.loads(text)))


@given(st.lists(st.tuples(KEYS, PLAIN), min_size=1, max_size=5, unique_by=lambda one: one[0]), st.data())
def test_lines_of_keys(pairs: list[tuple[str, Any]], data: st.DataObject) -> None:
    """Comments and empty lines between keys are counted, whatever is in the values."""
    lines, expected = [], {}
    for key, value in pairs:
        lines += data.draw(st.lists(st.sampled_from(["", "# a = 'b", '  # """ [x]']), max_size=3))
        expected[key,] = len(lines) + 1
        lines.append(f" {json.dumps(key)} = {json.dumps(value)} # end = 1")
    text = "\n".join(lines)
    tomllib.loads(text)
    assert find_lines(text) == expected


ODD = '''
a."b c".'d' = """
x = 1 \\"""
[t]
""" # not = "a key"
list = [ # [
  1, 'two]',
  [
    {k = "}", l = {m = 3}},
  ],
]
day = 1979-05-27 07:32:00
[ t . "u" ]
quotes = """"two""""
lit = \'\'\'
it's\'\'\'\'
[[s.t]]
x = 1
[[s.t]]
x = 2
[s.t.inner]
y = 3
'''


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (("a",), 2),
        (("a", "b c", "d"), 2),
        (("list",), 6),
        (("list", 1), 7),
        (("list", 2), 8),
        (("list", 2, 0, "l", "m"), 9),
        (("day",), 12),
        (("t",), 13),
        (("t", "u", "quotes"), 14),
        (("t", "u", "lit"), 15),
        (("s", "t", 0, "x"), 18),
        (("s", "t", 1), 19),
        (("s", "t", 1, "x"), 20),
        (("s", "t", 1, "inner", "y"), 22),
    ],
)
def test_all_that_toml_allows(place: tuple[str | int, ...], line: int) -> None:
    assert set(places(tomllib.loads(ODD))) == set(find_lines(ODD))
    assert find_lines(ODD)[place] == line


def test_what_is_not_there_is_where_it_would_be() -> None:
    lines = find_lines("a = 1\n[b]\nc = 2\n")
    assert line_of(lines, ("b", "d")) == 2
    assert line_of(lines, ("b", "c", 3)) == 3
    assert line_of(lines, ("d",)) == 1
