"""Threads that share work on shards, and what they made: in memory, or wherever a store puts it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any, Generic, Protocol, TypeVar

from xtec.core.arrays import home
from xtec.core.device import Device, Host
from xtec.core.shards import Item, Other, Outcome

Handle = Any
Task = TypeVar("Task")


def n_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """BLAS without threads of its own: for many small products, and where blocks have threads already."""
    with _blas().limit(limits=1, user_api="blas"):
        yield


@contextmanager
def block_threads() -> Iterator[Callable[[Callable[[Task], Outcome], Iterable[Task]], Iterable[Outcome]]]:
    """A `map` that works on blocks in threads, one a core, and yields outcomes in order.

    Meanwhile BLAS runs single-threaded: its own threads gain nothing on products as narrow as a block's, and
    wait for each other when the machine is busy.
    """
    with one_blas_thread(), ThreadPoolExecutor(n_cores()) as pool:
        yield pool.map


@cache
def _blas() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


class Store(Protocol):
    """Where shards are between uses."""

    def put(self, item: Any) -> Handle:
        """Take an item in."""

    def get(self, handle: Handle) -> Any:
        """The item again."""

    def drop(self, handle: Handle) -> None:
        """Forget it."""

    def work(self, function: Callable[[Any], Outcome], item: Any) -> Outcome:
        """Apply a function to an item as what it is kept on has it."""


class Memory:
    """All shards in memory."""

    def put(self, item: Any) -> list[Any]:
        """Take an item in."""
        return [item]

    def get(self, handle: list[Any]) -> Any:
        """The item again."""
        return handle[0]

    def drop(self, handle: list[Any]) -> None:
        """Forget it."""
        handle.clear()

    def work(self, function: Callable[[Any], Outcome], item: Any) -> Outcome:
        """Apply a function."""
        return function(item)


class Threads:
    """Workers that are threads of this process.

    Parameters
    ----------
    n : int, optional
        How many; one a core by default.
    store : Store, optional
        Where their shards are kept; in memory by default.
    device : Device, optional
        What they work on; the processor by default.
    """

    def __init__(
        self, n: int | None = None, store: Store | None = None, device: Device | None = None
    ) -> None:
        self.n = n or n_cores()
        self.device = self.driver = device or Host()
        self.store: Store = store or Memory()
        self._pool = ThreadPoolExecutor(self.n)

    def __enter__(self) -> Threads:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def describe(self) -> dict[str, str]:
        """Device, driver and libraries."""
        return self.device.describe()

    def close(self) -> None:
        """Let what has begun come to its end, and nothing else."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def make(
        self,
        function: Callable[[Any], Item],
        plans: Sequence[Any],
        done: Callable[[int], None] = lambda _: None,
    ) -> ThreadShards[Item]:
        """Make a shard of each plan; `done` is told the number of each in turn."""
        handles = []
        store = self.store

        def made(plan: Any) -> Handle:
            return store.put(store.work(function, plan))

        for number, handle in enumerate(self._run(made, plans)):
            handles.append(handle)
            done(number)
        return ThreadShards(self, handles)

    def _run(self, function: Callable[[Any], Outcome], tasks: Sequence[Any]) -> Iterator[Outcome]:
        """Outcomes in order; after a failure nothing more is begun."""
        if len(tasks) == 1:
            yield function(tasks[0])
            return
        futures = [self._pool.submit(function, task) for task in tasks][::-1]
        try:
            while futures:
                yield futures.pop().result()
        finally:
            for future in futures:
                future.cancel()


class ThreadShards(Generic[Item]):
    """Shards in the store of threads of this process."""

    def __init__(self, workers: Threads, handles: list[Handle]) -> None:
        self._workers = workers
        self._handles = handles

    def __len__(self) -> int:
        return len(self._handles)

    def map(self, function: Callable[[Item], Outcome]) -> Iterator[Outcome]:
        """Apply a function to every shard; outcomes in order, at home."""
        store = self._workers.store

        def outcome(handle: Handle) -> Outcome:
            return store.work(lambda handle: home(function(store.get(handle))), handle)

        return self._workers._run(outcome, self._handles)

    def derive(self, function: Callable[[Item], Other]) -> ThreadShards[Other]:
        """Make every shard into another; the old one is given up."""
        store = self._workers.store

        def replace(handle: Handle) -> Handle:
            made = store.work(lambda handle: function(store.get(handle)), handle)
            store.drop(handle)
            return store.put(made)

        made = list(self._workers._run(replace, self._handles))
        self._handles = []
        return ThreadShards(self._workers, made)

    def some(self, numbers: Sequence[int]) -> ThreadShards[Item]:
        """A few of them, to map over."""
        return ThreadShards(self._workers, [self._handles[number] for number in numbers])
