"""Scans that turn round, and those that only seem to."""

from __future__ import annotations

import numpy as np
import pytest

from xtec.order_parameter.branches import branches

DOWN, UP = np.linspace(300, 20, 15), np.linspace(20, 300, 20)


def jitter(values: np.ndarray, size: float, seed: int = 0) -> np.ndarray:
    return values + np.random.default_rng(seed).uniform(-size, size, len(values))


@pytest.mark.parametrize(
    "values",
    [
        UP,
        DOWN,
        np.repeat(UP, 3),
        jitter(UP, 20),
        np.full(20, 100.0),
        np.array([5.0]),
        np.array([300.0, 20.0]),
        np.r_[DOWN, UP[:5]],
        np.r_[UP[:7], UP[5::-1]],
        np.random.default_rng(0).permutation(UP),
    ],
    ids=["up", "down", "holds", "jitter", "steady", "one", "two", "short-end", "short", "shuffled"],
)
def test_scans_that_do_not_turn_are_one_branch(values: np.ndarray) -> None:
    ((name, rows),) = branches(values)
    assert name == ""
    np.testing.assert_array_equal(rows, np.arange(len(values)))


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("size", [0.0, 2.0])
def test_cooling_then_warming(size: float, seed: int) -> None:
    found = branches(jitter(np.r_[DOWN, UP[1:]], size, seed))
    assert [name for name, _ in found] == ["cooling", "warming"]
    np.testing.assert_array_equal(found[0][1], np.arange(15))
    np.testing.assert_array_equal(found[1][1], np.arange(14, 34))


def test_branches_of_a_kind_are_numbered() -> None:
    found = branches(np.r_[DOWN, UP[1:], DOWN[1:]])
    assert [name for name, _ in found] == ["cooling 1", "warming", "cooling 2"]
    ends = [(rows[0], rows[-1]) for _, rows in found]
    assert ends == [(0, 14), (14, 33), (33, 47)]


def test_a_hold_at_the_turn_belongs_to_one_of_the_branches() -> None:
    values = np.r_[DOWN, np.full(6, 20.0), UP[1:]]
    found = branches(values)
    assert [name for name, _ in found] == ["cooling", "warming"]
    np.testing.assert_array_equal(
        np.unique(np.concatenate([rows for _, rows in found])), np.arange(len(values))
    )


@pytest.mark.parametrize("factor", [-1.0, 1e-3])
def test_any_scan_variable_turns(factor: float) -> None:
    values = factor * np.r_[DOWN, UP[1:]]
    names = [name for name, _ in branches(values)]
    assert names == (["cooling", "warming"] if factor > 0 else ["warming", "cooling"])
