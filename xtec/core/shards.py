"""Data too large for one place: pieces that stay where they were made, and work that goes to them.

A series is read in shards, each the work of one thread or one Dask worker. What a shard becomes (its
trajectories, rescaled or labelled) stays in memory, in a scratch folder or on the worker; only small outcomes
(sums, moments, counts) come home. Science is written as functions of one shard and merges of their outcomes,
so it is the same wherever the shards are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Generic, Protocol, TypeVar, cast, runtime_checkable

from xtec.core.arrays import array_bytes, home, is_array
from xtec.core.device import Device

Item = TypeVar("Item")
Item_co = TypeVar("Item_co", covariant=True)
Other = TypeVar("Other")
Outcome = TypeVar("Outcome")


def record_bytes(record: Any) -> int:
    """Memory that the arrays of a dataclass take."""
    values = (getattr(record, field.name) for field in fields(record))
    return sum(array_bytes(value) for value in values if is_array(value))


def deferred(kind: type[Item], load: Callable[[str], Any]) -> Item:
    """A dataclass of this kind whose fields are loaded when first asked for: most work needs one or two."""
    record: Item = object.__new__(_loaded_later(cast(Any, kind)))
    record.__dict__["_load"] = load
    return record


@cache
def _loaded_later(kind: Any) -> Any:
    return type(f"{kind.__name__}Elsewhere", (kind,), {"__getattr__": _load_field})


def _load_field(record: Any, name: str) -> Any:
    if name not in (field.name for field in fields(record)):
        raise AttributeError(name)
    record.__dict__[name] = record.__dict__["_load"](name)
    return record.__dict__[name]


class Record:
    """Base of dataclasses that are shards: Python, and with it Dask, knows how large they are."""

    def __sizeof__(self) -> int:
        return super().__sizeof__() + record_bytes(self)


@runtime_checkable
class Shards(Protocol[Item_co]):
    """Pieces of data, wherever they are. Functions handed in must be picklable for other processes."""

    def __len__(self) -> int:
        """Number of shards."""

    def map(self, function: Callable[[Any], Outcome]) -> Iterator[Outcome]:
        """Apply a function to every shard where it is; the outcomes come home, in order."""

    def derive(self, function: Callable[[Any], Other]) -> Shards[Other]:
        """Make every shard into another that stays where it is.

        The old shards are given up one by one as the new ones are made.
        """

    def some(self, numbers: Sequence[int]) -> Shards[Item_co]:
        """A few of them, to map over."""


class Local(Generic[Item]):
    """Shards in this process, worked on one after the other."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._items = list(items)

    def __len__(self) -> int:
        return len(self._items)

    def map(self, function: Callable[[Item], Outcome]) -> Iterator[Outcome]:
        """Apply a function to every shard, in order; outcomes come home."""
        return (home(function(item)) for item in self._items)

    def derive(self, function: Callable[[Item], Other]) -> Local[Other]:
        """Make every shard into another."""
        return Local(map(function, self._items))

    def some(self, numbers: Sequence[int]) -> Local[Item]:
        """A few of them, to map over."""
        return Local(self._items[number] for number in numbers)


@dataclass(frozen=True)
class PartOf(Generic[Item]):
    """Shards that are a part of other shards, such as the trajectories among what is known of voxels.

    Attributes
    ----------
    whole : Shards
    part : callable
        Takes the part out of a shard; picklable.
    """

    whole: Shards[Any]
    part: Callable[[Any], Item]

    def __len__(self) -> int:
        return len(self.whole)

    def map(self, function: Callable[[Item], Outcome]) -> Iterator[Outcome]:
        """Apply a function to the part of every shard, where it is."""
        return self.whole.map(_OnPart(function, self.part))

    def derive(self, function: Callable[[Item], Other]) -> Shards[Other]:
        """Make the part of every shard into a new shard."""
        return self.whole.derive(_OnPart(function, self.part))

    def some(self, numbers: Sequence[int]) -> PartOf[Item]:
        """The part of a few shards, to map over."""
        return PartOf(self.whole.some(numbers), self.part)


@dataclass(frozen=True)
class _OnPart(Generic[Outcome]):
    function: Callable[[Any], Outcome]
    part: Callable[[Any], Any]

    def __call__(self, item: Any) -> Outcome:
        return self.function(self.part(item))


class Workers(Protocol):
    """Threads of this process, or processes near and far."""

    n: int
    """How many work at the same time."""

    device: Device
    """What each of them works on."""

    driver: Device
    """What this process works on, where something has come home."""

    def describe(self) -> dict[str, str]:
        """Their devices, drivers and libraries."""

    def make(
        self,
        function: Callable[[Any], Item],
        plans: Sequence[Any],
        done: Callable[[int], None] = lambda _: None,
    ) -> Shards[Item]:
        """Make a shard of each plan; `done` is told the number of each as it is finished."""
