"""Workers that are processes, on this machine or on a cluster: Dask's.

What a worker makes stays in its memory as a future. Should the worker die, Dask makes it again on another,
from the plan it came from: that costs time, not the result.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic
from uuid import uuid4

from distributed import Client, Future, LocalCluster, as_completed
from distributed.scheduler import KilledWorker

from xtec.core.arrays import home
from xtec.core.backend import Cuda, n_cuda_devices, open_cuda
from xtec.core.device import Device, Host, work_on
from xtec.core.errors import BackendUnavailableError
from xtec.core.parallel import n_cores
from xtec.core.resident import lifted
from xtec.core.shards import Item, Other, Outcome
from xtec_pipelines.streaming.local_cluster import ENVIRONMENT, end_cluster, start_cluster

logger = logging.getLogger(__name__)

_TOGETHER = 64
"""Shards that one task works on at most, so that outcomes come home in parts."""

_PATIENCE = 30
"""Seconds to wait for a scheduler to answer."""


class DaskWorkers:
    """Workers of a Dask cluster.

    Parameters
    ----------
    client : distributed.Client
    device : Device, optional
        What each works on; the processor by default.
    """

    def __init__(self, client: Client, device: Device | None = None) -> None:
        self.client = client
        self.device: Device = device or Host()
        self.driver: Device = Host()
        self.n = max(sum(client.nthreads().values()), 1)

    def __enter__(self) -> DaskWorkers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def describe(self) -> dict[str, str]:
        """Device, driver and libraries of one of the workers, for they are alike; and how many there are."""
        if not isinstance(self.device, Cuda):
            return {}
        facts = self.client.run(self.device.describe)
        return {**next(iter(facts.values())), "workers": str(len(facts))}

    def close(self) -> None:
        """Leave the cluster; end it if it is ours."""
        end_cluster(self.client)

    def make(
        self,
        function: Callable[[Any], Item],
        plans: Sequence[Any],
        done: Callable[[int], None] = lambda _: None,
    ) -> DaskShards[Item]:
        """Make a shard of each plan; `done` is told the number of each as it is finished."""
        futures = self._submit(_Made(function, self.device), plans, _name(function))
        numbers = {future.key: number for number, future in enumerate(futures)}
        for future in as_completed(futures, loop=self.client.loop):
            _outcome(future, keep=True)
            done(numbers[future.key])
        return DaskShards(self, futures)

    def _submit(self, function: Callable[[Any], Any], arguments: Sequence[Any], name: str) -> list[Future]:
        futures: list[Future] = self.client.map(function, arguments, key=f"xtec-{name}", pure=False)
        return futures

    def _submit_to(self, worker: str, function: Callable[[Any], Any], shards: list[Future]) -> Future:
        """One task for several shards, on the worker that has them, or on any if it has gone."""
        where = {"workers": [worker], "allow_other_workers": True} if worker else {}
        work = _Each(function, self.device)
        return self.client.submit(work, shards, key=f"xtec-map-{uuid4()}", pure=False, **where)


class DaskShards(Generic[Item]):
    """Shards in the memory of Dask workers."""

    def __init__(self, workers: DaskWorkers, futures: list[Future]) -> None:
        self._workers = workers
        self._futures = futures

    def __len__(self) -> int:
        return len(self._futures)

    def map(self, function: Callable[[Item], Outcome]) -> Iterator[Outcome]:
        """Apply a function to every shard where it is; outcomes come home in order."""
        threads = self._workers.client.nthreads()
        waiting, begun = self._groups(threads), {}
        finished = as_completed(loop=self._workers.client.loop)

        def begin(worker: str) -> None:
            """The next task of a worker: were one to wait there, Dask might take it, and its shards, away."""
            if waiting[worker]:
                group = waiting[worker].pop()
                task = self._workers._submit_to(worker, function, [self._futures[i] for i in group])
                begun[task.key] = worker, group
                finished.add(task)

        for worker in waiting:
            for _ in range(threads.get(worker, self._workers.n)):
                begin(worker)
        outcomes: dict[int, Outcome] = {}
        due = 0
        for task in finished:
            worker, group = begun.pop(task.key)
            begin(worker)
            outcomes.update(zip(group, _outcome(task), strict=True))
            while due in outcomes:
                yield outcomes.pop(due)
                due += 1

    def _groups(self, threads: dict[str, int]) -> dict[str, list[list[int]]]:
        """Shards that one task works on, by worker, the last group first.

        A task for each shard would cost more than an EM step takes. Shards that were lost with their worker
        are made again one by one, wherever there is room.
        """
        there: dict[str, list[int]] = {}
        holders = self._workers.client.who_has(self._futures)
        for number, future in enumerate(self._futures):
            there.setdefault(next(iter(holders[future.key]), ""), []).append(number)
        groups = {}
        for worker, shards in there.items():
            together = min(-(-len(shards) // threads.get(worker, 1)), _TOGETHER) if worker else 1
            starts = range(0, len(shards), together)
            groups[worker] = [shards[start : start + together] for start in starts][::-1]
        return groups

    def derive(self, function: Callable[[Item], Other]) -> DaskShards[Other]:
        """Make every shard into another on the worker that has it."""
        made = self._workers._submit(_Made(function, self._workers.device), self._futures, _name(function))
        self._futures = []
        for future in made:
            _outcome(future, keep=True)
        return DaskShards(self._workers, made)

    def some(self, numbers: Sequence[int]) -> DaskShards[Item]:
        """A few of them, to map over."""
        return DaskShards(self._workers, [self._futures[number] for number in numbers])


@dataclass(frozen=True)
class _Made(Generic[Item]):
    """Makes a shard, on the device that it is worked on."""

    function: Callable[[Any], Item]
    device: Device

    def __call__(self, source: Any) -> Item:
        return work_on(self.device, lambda: lifted(self.function(source), self.device))


@dataclass(frozen=True)
class _Each:
    """Applies a function to several shards; the outcomes come home."""

    function: Callable[[Any], Any]
    device: Device

    def __call__(self, shards: list[Any]) -> list[Any]:
        return [work_on(self.device, partial(self._of, shard)) for shard in shards]

    def _of(self, shard: Any) -> Any:
        return home(self.function(shard))


def _name(function: Callable[[Any], Any]) -> str:
    return type(function).__name__.strip("_").lower()


def _outcome(future: Future, *, keep: bool = False) -> Any:
    """What a task gave (nothing if it is to stay where it is), or the error that it raised."""
    try:
        if not keep:
            return future.result()
        error = future.exception()
    except KilledWorker as killed:
        error = killed
    if isinstance(error, KilledWorker):
        raise BackendUnavailableError(
            "the same work has cost several Dask workers their lives",
            hint="their logs say why; memory usually: more of it a worker, or a lower --memory-limit",
        ) from error
    if error is not None:
        raise error
    return None


def local_processes(
    n: int | None, memory_bytes: int, scratch: Path, device: Device | None = None
) -> DaskWorkers:
    """Worker processes on this machine, one thread each, with equal shares of the memory.

    There is one a core by default; or one a GPU, each with its own.

    Raises
    ------
    BackendUnavailableError
        If they cannot be started.
    """
    if isinstance(device, Cuda):
        return _gpu_processes(n, memory_bytes, scratch, device)
    n = n or n_cores()
    options = {"threads_per_worker": 1, "processes": True}
    return DaskWorkers(start_cluster(LocalCluster, n, memory_bytes, scratch, ENVIRONMENT, **options), device)


def _gpu_processes(n: int | None, memory_bytes: int, scratch: Path, device: Cuda) -> DaskWorkers:
    """One worker process a GPU of this machine."""
    try:
        from dask_cuda import LocalCUDACluster
    except ImportError as error:
        raise BackendUnavailableError(
            "--scheduler processes works on GPUs through dask-cuda, which is not installed",
            hint="pip install dask-cuda, or --scheduler threads for one GPU",
        ) from error
    n = min(n or n_cuda_devices(), n_cuda_devices())
    client = start_cluster(LocalCUDACluster, n, memory_bytes, scratch)
    client.run(open_cuda)
    return DaskWorkers(client, device)


def connect_to(scheduler: str, n: int | None, device: Device | None = None) -> DaskWorkers:
    """A running Dask cluster, by the address of its scheduler or the JSON file the scheduler writes.

    Raises
    ------
    BackendUnavailableError
        If it does not answer, has no workers, or they cannot import this package.
    """
    where = {"scheduler_file": scheduler} if scheduler.endswith(".json") else {"address": scheduler}
    if "scheduler_file" in where:
        _wait_for(Path(scheduler))
    try:
        client = Client(**where, timeout=_PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise BackendUnavailableError(
            f"no Dask scheduler answers at {scheduler} ({error})",
            hint="start one (dask scheduler), or --scheduler threads",
        ) from error
    logger.info("waiting for Dask workers at %s", scheduler)
    try:
        client.wait_for_workers(n or 1, timeout=None if n else _PATIENCE)
        client.submit(_imports).result()
    except (TimeoutError, ImportError) as error:
        client.close()
        lack = "no workers" if isinstance(error, TimeoutError) else "workers that lack xtec-pipeline"
        raise BackendUnavailableError(
            f"the Dask cluster at {scheduler} has {lack}",
            hint="start dask worker in an environment like this one; --workers N waits for so many",
        ) from error
    if isinstance(device, Cuda):
        _require_gpus(client, scheduler)
    return DaskWorkers(client, device)


def _wait_for(file: Path) -> None:
    """A scheduler that has just been started writes its file soon; Dask would wait for it for ever."""
    end = time.monotonic() + _PATIENCE
    while not file.exists():
        if time.monotonic() > end:
            raise BackendUnavailableError(
                "no Dask scheduler has written this file",
                file=file,
                hint="dask scheduler --scheduler-file FILE.json, or --scheduler threads",
            )
        time.sleep(0.1)


def _require_gpus(client: Client, scheduler: str) -> None:
    try:
        client.run(open_cuda)
    except BackendUnavailableError as error:
        client.close()
        raise BackendUnavailableError(
            f"a worker of the Dask cluster at {scheduler} has no GPU ({error.what})", hint=error.hint
        ) from error


def _imports() -> str:
    import xtec_pipelines.streaming.ingest

    return xtec_pipelines.streaming.ingest.__name__
