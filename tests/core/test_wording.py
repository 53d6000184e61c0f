"""Numbers as a person writes them."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xtec.core.quantities import Quantity
from xtec.core.wording import decimals, plain

LENGTHS = st.floats(1e-4, 1e5)


@pytest.mark.parametrize(
    ("quantity", "text"),
    [
        (Quantity(130.81, 130.11, 131.14), "130.81 +0.33 -0.70"),
        (Quantity(0.3521, 0.346, 0.3582), "0.3521 ± 0.0061"),
        (Quantity(130.8, 110.8, 150.8), "131 ± 20"),
        (Quantity(130.8, 130.8 - 300, 130.8 + 300), "131 ± 300"),
        (Quantity(-142.3, -142.8, -142.1), "-142.30 +0.20 -0.50"),
        (Quantity(130.8), "131"),
        (Quantity(0.352), "0.352"),
        (Quantity(math.nan, 1.0, 2.0), "-"),
        (Quantity(math.inf), "-"),
        (None, "-"),
    ],
)
def test_typical_intervals(quantity: Quantity | None, text: str) -> None:
    assert plain(quantity) == text


@pytest.mark.parametrize(("ends", "sign"), [((130.1, None), "-"), ((None, 131.5), "+")])
def test_an_end_that_is_missing_is_left_out(ends: tuple[float | None, float | None], sign: str) -> None:
    value, end = plain(Quantity(130.8, *ends)).split()
    assert float(value) == pytest.approx(130.8, abs=0.5)
    assert end[0] == sign
    assert float(end[1:]) == pytest.approx(0.7, abs=0.5)


@given(st.floats(-1e5, 1e5), LENGTHS, LENGTHS)
def test_two_digits_of_the_half_length_are_written(value: float, up: float, down: float) -> None:
    quantity = Quantity(value, value - down, value + up)
    digits, written = decimals(quantity), plain(quantity)
    half = quantity.error
    assert digits == next(n for n in range(7) if half * 10**n >= 10 or n == 6)
    ends = [half] if "±" in written else [up, -down]
    numbers = [float(word) for word in re.findall(r"[-+]?\d+\.?\d*", written)]
    assert numbers == pytest.approx([value, *ends], abs=0.51 * 10.0**-digits)


@pytest.mark.parametrize("value", [0.0, 3.0, -250.0, 1e-9, 1e9])
@pytest.mark.parametrize("ends", [(None, None), (0.0, 0.0), (None, 1.0), (-1.0, None)])
def test_any_interval_can_be_written(value: float, ends: tuple[float | None, float | None]) -> None:
    written = plain(Quantity(value, *(None if end is None else value + end for end in ends)))
    assert float(written.split()[0]) == pytest.approx(value, rel=0.01, abs=1e-6)


@pytest.mark.parametrize("end", [math.nan, math.inf])
def test_ends_that_are_no_numbers_are_not_written(end: float) -> None:
    assert plain(Quantity(3.0, -end, end)) == plain(Quantity(3.0))
