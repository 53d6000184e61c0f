"""Shards on a device: they stay there while they fit, and rest in memory or files where they do not."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar, cast

from xtec.core.arrays import home, is_host
from xtec.core.device import Device
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
        if not fits:
            return _Entry(None, type(item), self.below.put(home(item)))
        with self.device.stream():
            entry = _Entry(lifted(item, self.device), type(item), size=size)
        with self._lock:
            self._entries[id(entry)] = entry
        return entry

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
        """Apply a function in a stream of this thread; again without other records if room is short."""
        with self.device.stream():
            try:
                return function(item)
            except self.device.out_of_memory:
                self.make_room()
                return function(item)

    def make_room(self) -> None:
        """Have every record rest below the device from now on."""
        with self._lock:
            entries, self._entries = list(self._entries.values()), {}
            self.budget = 0
            logger.info("the device is short of memory: %d shards rest in host memory", len(entries))
            for entry in entries:
                entry.resting = self.below.put(home(entry.record))
                self.on_device -= entry.size
                entry.record, entry.size = None, 0
        self.device.release()
