"""Amounts of memory as people write them."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from xtec.core import memory
from xtec.core.errors import ConfigError, InputError
from xtec.core.memory import available_bytes, format_bytes, is_short_of_memory, limit_bytes, parse_bytes


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


@pytest.mark.parametrize(
    ("error", "short"),
    [
        (MemoryError(), True),
        (OSError(errno.ENOMEM, "no"), True),
        (RuntimeError("can't start new thread"), True),
        (SystemError("<function f at 0x0> returned NULL without setting an exception"), True),
        (SystemError("bad argument to internal function"), False),
        (OSError(errno.ENOSPC, "no"), False),
        (InputError("memory allocation failed"), False),
    ],
)
def test_what_says_that_memory_is_short(error: Exception, short: bool) -> None:
    assert is_short_of_memory(error) == short


def test_there_is_memory() -> None:
    assert available_bytes() > 2**20


@pytest.mark.parametrize(
    ("membership", "controllers", "name"),
    [
        ("0::/slurm/job_7/step_0", "", "memory.max"),
        ("4:memory:/slurm/job_7", "memory", "memory.limit_in_bytes"),
    ],
)
def test_the_least_limit_of_the_groups_above_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, membership: str, controllers: str, name: str
) -> None:
    (tmp_path / "cgroup").write_text(f"9:cpu:/other\n{membership}\n")
    groups = tmp_path / "groups"
    (groups / "slurm/job_7").mkdir(parents=True)
    monkeypatch.setattr(memory, "_MEMBERSHIP", str(tmp_path / "cgroup"))
    monkeypatch.setattr(memory, "_GROUPS", {controllers: (str(groups), name)})
    (tmp_path / name).write_text("1\n")  # above the root: none of ours
    assert limit_bytes() is None
    (groups / "slurm/job_7" / name).write_text("3000000\n")
    (groups / "slurm" / name).write_text("9223372036854771712\n")
    (groups / name).write_text("max\n")
    assert limit_bytes() == 3_000_000
    assert available_bytes() == 3_000_000
    (groups / "slurm" / name).write_text("2000000\n")
    assert limit_bytes() == 2_000_000


def test_without_control_groups_there_is_no_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_MEMBERSHIP", str(tmp_path / "cgroup"))
    assert limit_bytes() is None
    assert available_bytes() > 2**20
