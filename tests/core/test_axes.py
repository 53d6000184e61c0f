"""Regions, intervals and their selection on axes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xtec.core.axes import Axis, parse_interval, parse_region, select_interval, select_region
from xtec.core.errors import AxisError, ConfigError


def axis(values: object, name: str = "Qh") -> Axis:
    return Axis(name, np.asarray(values, dtype=np.float64), "r.l.u.")


def test_region_names_axes_by_letter_or_in_full() -> None:
    assert parse_region("H=-15:15, k=-10:10,Ql=0:1,two_theta=5:6") == {
        "Qh": (-15, 15),
        "Qk": (-10, 10),
        "Ql": (0, 1),
        "two_theta": (5, 6),
    }


@pytest.mark.parametrize(
    ("text", "interval"),
    [
        ("1:2", (1, 2)),
        (" -1.5 : 2e1 ", (-1.5, 20)),
        (":2", (-np.inf, 2)),
        ("3:", (3, np.inf)),
        ("4:4", (4, 4)),
    ],
)
def test_interval(text: str, interval: tuple[float, float]) -> None:
    assert parse_interval(text, what="x") == interval


@pytest.mark.parametrize("text", ["", "1", "1-2", "2:1", "a:b", "1:2:3", "nan:1", "1:nan"])
def test_what_is_no_interval(text: str) -> None:
    with pytest.raises(ConfigError, match="temperatures"):
        parse_interval(text, what="temperatures")


@pytest.mark.parametrize(
    "text", ["", "H", "=1:2", "H=1:2,", "H=1:2;K=3:4", "H=2:1", "H=1:2,H=3:4", "H=1:2,Qh=1:2"]
)
def test_what_is_no_region(text: str) -> None:
    with pytest.raises(ConfigError, match="region"):
        parse_region(text)


def test_ends_are_inside_despite_rounding() -> None:
    tenths = axis(np.arange(-10, 11) * 0.1)  # holds 0.30000000000000004
    chosen = tenths[select_interval(tenths, (-0.3, 0.3))]
    np.testing.assert_allclose(chosen.values, np.arange(-3, 4) * 0.1, atol=1e-12)


def test_the_slack_is_far_below_a_step() -> None:
    assert select_interval(axis([0, 1, 2, 3]), (1.01, 2.99)) == slice(2, 3)


def test_falling_axis() -> None:
    assert select_interval(axis([3, 2, 1, 0]), (0.5, 2)) == slice(1, 3)


@given(st.integers(1, 50), st.floats(-30, 30), st.floats(0, 30), st.booleans())
def test_selection_is_what_lies_inside(size: int, low: float, width: float, falling: bool) -> None:
    values = np.arange(size) * 0.7 - 11.3
    one = axis(values[::-1] if falling else values)
    inside = (one.values >= low - 0.0007) & (one.values <= low + width + 0.0007)
    if size == 1:
        inside = (one.values >= low) & (one.values <= low + width)
    if inside.any():
        np.testing.assert_array_equal(
            one[select_interval(one, (low, low + width))].values, one.values[inside]
        )
    else:
        with pytest.raises(AxisError):
            select_interval(one, (low, low + width))


def test_nothing_inside_names_the_range() -> None:
    with pytest.raises(AxisError, match=r"Qh: nothing between 7 and 8\n.*in:  a\.nxs\n.*runs from 0 to 3"):
        select_interval(axis([0, 1, 2, 3]), (7, 8), file="a.nxs")


def test_region_takes_unnamed_axes_whole() -> None:
    axes = [axis(range(3), "Ql"), axis(range(4), "Qk"), axis(range(5), "Qh")]
    assert select_region(axes, {"Qk": (1, 2)}) == (slice(0, 3), slice(1, 3), slice(0, 5))


def test_region_on_an_unknown_axis_lists_those_there() -> None:
    with pytest.raises(ConfigError, match=r"no axis named Qz\n.*the axes are Ql, Qk"):
        select_region([axis(range(3), "Ql"), axis(range(4), "Qk")], {"Qz": (0, 1)})


def test_step_and_label() -> None:
    assert axis([0, 0.5, 1]).step == 0.5
    assert axis([3, 2, 1]).step == -1
    assert axis([1]).step == 0
    assert axis([1]).label == "H (r.l.u.)"
    assert Axis("scan", np.zeros(1)).label == "scan"
