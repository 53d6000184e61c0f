"""Sums and extremes over groups of values, in any array library.

NumPy and CuPy can scatter; the array API standard cannot, so there values are sorted by group first.
"""

from __future__ import annotations

from typing import Any

from xtec.core.arrays import is_host, namespace

_FEW_BINS = 4096
"""CuPy counts into more with a workspace of gigabytes, unless the counts are weighted."""


def counts(group: Any, n_groups: int) -> Any:
    """How many values each group has, shape (n_groups,), int64.

    Parameters
    ----------
    group : array of integers, shape (n,)
        Group of each value, 0..n_groups-1.
    n_groups : int
    """
    xp = namespace(group)
    if is_host(group) or (hasattr(xp, "bincount") and n_groups <= _FEW_BINS):
        return xp.astype(xp.bincount(group, minlength=n_groups), xp.int64)
    if hasattr(xp, "bincount"):
        one = xp.broadcast_to(xp.ones((), dtype=xp.float64), group.shape)
        return xp.astype(xp.bincount(group, weights=one, minlength=n_groups), xp.int64)
    _, starts, stops = _sorted(group, n_groups)
    return stops - starts


def sums(values: Any, group: Any, n_groups: int) -> Any:
    """Sum of the values of each group, shape (n_groups,), float64.

    Parameters
    ----------
    values, group : array, shape (n,)
    n_groups : int
    """
    xp = namespace(values)
    values = xp.astype(values, xp.float64)
    if hasattr(xp, "bincount"):
        return xp.bincount(group, weights=values, minlength=n_groups)
    order, starts, stops = _sorted(group, n_groups)
    upto = xp.cumulative_sum(xp.take(values, order), include_initial=True)
    return xp.take(upto, stops) - xp.take(upto, starts)


def maxima(values: Any, group: Any, n_groups: int, empty: float) -> Any:
    """Largest value of each group, shape (n_groups,), of the values' type; `empty` where there is none."""
    xp = namespace(values)
    largest = xp.full(n_groups, empty, dtype=values.dtype, device=values.device)
    if is_host(values) or (hasattr(xp.maximum, "at") and values.dtype != xp.float64):
        # CuPy's scatter compares float64 in single precision.
        xp.maximum.at(largest, group, values)
        return largest
    if values.size == 0:
        return largest
    by_value = xp.argsort(values, stable=True)
    by_group, starts, stops = _sorted(xp.take(group, by_value), n_groups)
    last = xp.where(stops > starts, stops - 1, xp.zeros_like(stops))
    return xp.where(stops > starts, xp.take(values, xp.take(by_value, xp.take(by_group, last))), largest)


def minima(values: Any, group: Any, n_groups: int, empty: float) -> Any:
    """Smallest value of each group; see `maxima`."""
    return -maxima(-values, group, n_groups, -empty)


def _sorted(group: Any, n_groups: int) -> tuple[Any, Any, Any]:
    """Order that sorts by group, and where each group starts and stops in it."""
    xp = namespace(group)
    order = xp.argsort(group, stable=True)
    rising = xp.take(group, order)
    each = xp.arange(n_groups, dtype=group.dtype, device=group.device)
    starts = xp.astype(xp.searchsorted(rising, each, side="left"), xp.int64)
    return order, starts, xp.astype(xp.searchsorted(rising, each, side="right"), xp.int64)
