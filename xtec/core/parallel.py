"""Both cores busy with blocks, not with each other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


def n_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """BLAS without threads of its own: for many small products, and where blocks have threads already."""
    with _blas().limit(limits=1, user_api="blas"):
        yield


@contextmanager
def block_threads() -> Iterator[Callable[[Callable[[Item], Outcome], Iterable[Item]], Iterable[Outcome]]]:
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
