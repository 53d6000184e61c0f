"""Who does the work of a run: threads, processes on this machine, or a Dask cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from xtec.core.device import Device, Host
from xtec.core.errors import ConfigError
from xtec.core.parallel import Store, Threads, one_blas_thread
from xtec.core.resident import Resident
from xtec.core.shards import Workers
from xtec.io.disk.scratch import Scratch
from xtec_pipelines.streaming.devices import resident_bytes


def parse_scheduler(text: str) -> str:
    """Read ``threads``, ``processes``, ``tcp://HOST:PORT`` or the ``FILE.json`` of a Dask scheduler.

    Raises
    ------
    ConfigError
        For anything else.
    """
    if text in ("threads", "processes") or "://" in text or text.endswith(".json"):
        return text
    raise ConfigError(
        f"unknown scheduler {text!r}", hint="threads, processes, tcp://HOST:PORT, or a scheduler's FILE.json"
    )


@contextmanager
def open_workers(
    scheduler: str,
    n: int | None,
    *,
    memory_bytes: int,
    store_bytes: int,
    scratch: Path,
    device: Device | None = None,
) -> Iterator[Workers]:
    """Start workers, and end them with the block.

    Parameters
    ----------
    scheduler : str
        See `parse_scheduler`.
    n : int, optional
        How many; one a core by default, or as many as a cluster has.
    memory_bytes, store_bytes : int
        Memory in all, and how much of it shards may take (of this process).
    scratch : Path
        Folder for what memory cannot hold.
    device : Device, optional
        What each of them works on; the processor by default.

    Raises
    ------
    BackendUnavailableError
        If a cluster cannot be reached, or its workers have no GPU where they are to work on one.
    """
    device = device or Host()
    if scheduler == "threads":
        store: Store = Scratch(scratch, store_bytes)
        if not isinstance(device, Host):
            store = Resident(device, store, resident_bytes(device))
        with one_blas_thread(), Threads(n, store, device) as threads:
            yield threads
        return
    from xtec_pipelines.streaming.dask_workers import connect_to, local_processes

    if scheduler == "processes":
        workers = local_processes(n, memory_bytes, scratch, device)
    else:
        workers = connect_to(scheduler, n, device)
    with workers:
        yield workers
