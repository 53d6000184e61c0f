"""Amounts of memory as people write them."""

from __future__ import annotations

import pytest

from xtec.core.errors import ConfigError
from xtec.core.memory import available_bytes, format_bytes, parse_bytes


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("8GiB", 8 * 2**30),
        ("500 MB", 500 * 10**6),
        ("2g", 2 * 10**9),
        ("1.5kib", 1536),
        ("4096", 4096),
        ("12 B", 12),
        ("1TiB", 2**40),
    ],
)
def test_amounts(text: str, amount: int) -> None:
    assert parse_bytes(text) == amount


@pytest.mark.parametrize("text", ["", "GiB", "-1GB", "1 PB", "1ib", "8 GiB of it", "1e9", "0", "0GiB"])
def test_what_is_no_amount(text: str) -> None:
    with pytest.raises(ConfigError, match="not an amount of memory"):
        parse_bytes(text)


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0 B"), (999, "999 B"), (486e6, "486 MB"), (1.2e9, "1.2 GB"), (3.4e15, "3.4 PB"), (999.6e6, "1 GB")],
)
def test_shown(amount: float, text: str) -> None:
    assert format_bytes(amount) == text


def test_there_is_memory() -> None:
    assert available_bytes() > 2**20
