"""Dask clusters of this machine, begun and ended so that signals and killed workers do little harm."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
from distributed import Client
from distributed.gc import disable_gc_diagnosis

from xtec.core.errors import BackendUnavailableError
from xtec.core.interrupts import uninterrupted

logger = logging.getLogger(__name__)

ENVIRONMENT = {
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
    "MALLOC_TRIM_THRESHOLD_": str(2**26),
    **{f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS")},
}
"""What workers start with: glibc's thresholds where they would end up by themselves. With those that Dask
sets every block is read into fresh memory, at twice the time."""


def start_cluster(
    kind: Callable[..., Any],
    n: int,
    memory_bytes: int,
    scratch: Path,
    environment: dict[str, str] | None = None,
    **options: Any,
) -> Client:
    """Start processes with equal shares of the memory; Ctrl-C and SIGTERM wait until they are there.

    Parameters
    ----------
    kind : callable
        Dask's class of clusters.
    n, memory_bytes : int
    scratch : Path
    environment : dict, optional
        Variables that they start with.
    **options
        Of that class.

    Raises
    ------
    BackendUnavailableError
        If they cannot be started.
    """
    client = None
    settings = {"distributed.nanny.pre-spawn-environ": environment} if environment else {}
    try:
        # Dask cannot end a cluster that is just being started.
        with uninterrupted(), dask.config.set(settings), _own_environment():
            cluster = kind(
                n_workers=n,
                memory_limit=memory_bytes // n,
                dashboard_address="localhost:0",
                local_directory=str(scratch),
                silence_logs=logging.CRITICAL,  # what matters comes with the outcomes
                **options,
            )
            disable_gc_diagnosis()  # Python drops an interrupt that comes while Dask's callback is called
            client = Client(cluster, set_as_default=False)
    except RuntimeError as error:
        raise BackendUnavailableError(
            f"the worker processes could not be started ({error})",
            hint="again: was one killed? With less memory: fewer --workers, or --scheduler threads",
        ) from error
    except KeyboardInterrupt:
        if client is not None:
            end_cluster(client)
        raise
    return client


def end_cluster(client: Client) -> None:
    """Leave a cluster; end it if it is ours. One that does not end in time takes no result with it."""
    cluster, tornado = client.cluster, logging.getLogger("tornado.application")
    level = tornado.level
    tornado.setLevel(logging.CRITICAL)
    try:
        client.close()
        if cluster is not None:
            cluster.close()
    except TimeoutError:
        logger.warning("Dask's workers have not ended in time: was one killed?")
    finally:
        tornado.setLevel(level)


@contextmanager
def _own_environment() -> Iterator[None]:
    """Dask leaves what its workers are started with in this process's environment, for all its children."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)
