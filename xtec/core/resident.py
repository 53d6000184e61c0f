"""Shards on a device: they stay there while they fit, and rest in memory or files where they do not."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar, cast

from xtec.core.arrays import home, is_host
from xtec.core.device import Device, attempt, work_on
from xtec.core.parallel import Handle, Store
from xtec.core.shards import Item, deferred, record_bytes

logger = logging.getLogger(__name__)

Outcome = TypeVar("Outcome")


def lifted(record: Item, device: Device) -> Item:
    """A record (a dataclass) with all its arrays on a device."""
    values = {field.name: getattr(record, field.name) for field in fields(cast(Any, record))}
    moved = {name: new for name, old in values.items() if (new := _up(old, device)) is not old}
    return cast(Item, replace(cast(Any, record), **moved)) if moved else record


def _up(value: Any, device: Device) -> Any:
    return device.upload(value) if is_host(value) and value.ndim else value


@dataclass
class _Entry:
    """A record on the device, or the handle of the store that it rests in."""

    record: Any
    kind: type
    resting: Handle = None
    size: int = 0


class Resident:
    """A store of records (dataclasses of arrays) that are worked on by a device.

    Parameters
    ----------
    device : Device
    below : Store
        Where records rest that the device has no room for.
    budget : int
        Bytes of records on the device.

    Attributes
    ----------
    on_device : int
        Bytes of records there now.
    """

    def __init__(self, device: Device, below: Store, budget: int) -> None:
        self.device = device
        self.below = below
        self.budget = budget
        self.on_device = 0
        self._entries: dict[int, _Entry] = {}
        self._lock = threading.RLock()

    def put(self, item: Any) -> _Entry:
        """Take a record in."""
        size = record_bytes(item)
        with self._lock:
            fits = self.on_device + size <= self.budget
            self.on_device += size if fits else 0
        if fits:
            with self.device.stream():
                fits, there = attempt(self.device, lambda: lifted(item, self.device))
            if fits:
                entry = _Entry(there, type(item), size=size)
                with self._lock:
                    self._entries[id(entry)] = entry
                return entry
            with self._lock:
                self.on_device -= size
        return _Entry(None, type(item), self.below.put(home(item)))

    def get(self, handle: _Entry) -> Any:
        """The record on the device; of one that rests elsewhere each field when it is asked for."""
        with self._lock:
            if handle.record is not None:
                return handle.record
        resting = self.below.get(handle.resting)
        return deferred(handle.kind, lambda name: _up(getattr(resting, name), self.device))

    def drop(self, handle: _Entry) -> None:
        """Forget a record."""
        with self._lock:
            self._entries.pop(id(handle), None)
            self.on_device -= handle.size
        if handle.record is None:
            self.below.drop(handle.resting)
        handle.record, handle.size = None, 0

    def work(self, function: Callable[[Any], Outcome], item: Any) -> Outcome:
        """Apply a function in a stream of this thread; with fewer records beside it if room is short."""
        held = getattr(item, "record", None)  # not freed before the stream is done, whoever makes room
        made = work_on(self.device, lambda: function(item), self.make_room)
        del held
        return made

    def make_room(self) -> bool:
        """Keep half as much on the device from now on; whether anything had to go."""
        with self._lock:
            self.budget = self.on_device // 2
            moved = 0
            while self.on_device > self.budget and self._entries:
                _, entry = self._entries.popitem()
                entry.resting = self.below.put(home(entry.record))
                self.on_device -= entry.size
                entry.record, entry.size = None, 0
                moved += 1
        if moved:
            logger.info("the device is short of memory: %d more shards rest below it", moved)
        return moved > 0
