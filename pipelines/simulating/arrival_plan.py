"""When which temperature of a simulated series arrives, and what goes wrong with it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from xtec.core.errors import ConfigError


class Order(StrEnum):
    """In which order the temperatures come."""

    RISING = "rising"
    FALLING = "falling"
    RANDOM = "random"


class Fault(StrEnum):
    """What goes wrong, each with a temperature of its own."""

    TRUNCATED = "truncated"
    DUPLICATE = "duplicate"
    VANISH = "vanish"
    UNFINISHED = "unfinished"
    REWRITTEN = "rewritten"


class Action(StrEnum):
    """What is done with a temperature."""

    ARRIVE = "arrives"
    ARRIVE_TRUNCATED = "arrives truncated"
    ARRIVE_UNFINISHED = "arrives unfinished"
    ARRIVE_POOR = "arrives with few counts"
    REPAIR = "is repaired"
    DUPLICATE = "comes again"
    VANISH = "vanishes"
    VANISH_FOR_GOOD = "vanishes for good"
    RETURN = "comes back"
    REWRITE = "is rewritten with all counts"


@dataclass(frozen=True, order=True)
class Planned:
    """One thing to do.

    Attributes
    ----------
    tick : int
        When, in intervals.
    index : int
        Which temperature, counted from the lowest.
    action : Action
    """

    tick: int
    index: int
    action: Action


def plan_arrivals(n: int, order: Order, faults: Collection[Fault], seed: int) -> list[Planned]:
    """What to do with `n` temperatures, in order of time.

    Raises
    ------
    ConfigError
        If there are fewer temperatures than faults.
    """
    if len(faults) > n:
        raise ConfigError(f"{len(faults)} faults need as many temperatures, and there are {n}")
    rng = np.random.default_rng(seed)
    indices = {
        Order.RISING: np.arange(n),
        Order.FALLING: np.arange(n)[::-1],
        Order.RANDOM: rng.permutation(n),
    }[order]
    ticks = rng.choice(n, len(faults), replace=False)
    faulty = {int(tick): fault for tick, fault in zip(ticks, sorted(faults), strict=True)}
    planned: list[Planned] = []
    for tick, index in enumerate(indices):
        story = _story(faulty[tick], bool(rng.integers(2))) if tick in faulty else [(0, Action.ARRIVE)]
        planned += [Planned(tick + delay, int(index), action) for delay, action in story]
    return sorted(planned)


def _story(fault: Fault, for_good: bool) -> list[tuple[int, Action]]:
    """What happens to a temperature, and how many intervals after its arrival."""
    if fault is Fault.TRUNCATED:
        return [(0, Action.ARRIVE_TRUNCATED), (2, Action.REPAIR)]
    if fault is Fault.DUPLICATE:
        return [(0, Action.ARRIVE), (1, Action.DUPLICATE)]
    if fault is Fault.UNFINISHED:
        return [(0, Action.ARRIVE_UNFINISHED)]
    if fault is Fault.REWRITTEN:
        return [(0, Action.ARRIVE_POOR), (3, Action.REWRITE)]
    if for_good:
        return [(0, Action.ARRIVE), (2, Action.VANISH_FOR_GOOD)]
    return [(0, Action.ARRIVE), (2, Action.VANISH), (4, Action.RETURN)]
