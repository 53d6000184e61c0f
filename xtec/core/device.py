"""Devices that block kernels work on."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Protocol, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

Outcome = TypeVar("Outcome")

_SMALLEST = 1024
"""Parts are not halved further than this."""


class Device(Protocol):
    """Where block kernels work. May be sent to other processes."""

    @property
    def name(self) -> str:
        """Name of the backend: ``numpy``, ``cupy``."""

    @property
    def out_of_memory(self) -> tuple[type[Exception], ...]:
        """What is raised where its memory does not suffice."""

    def stream(self) -> Any:
        """Context in which one thread works; what it began is done at its end."""

    def buffer(self, n: int, dtype: Any) -> NDArray[Any]:
        """Memory of the host that is quickly uploaded from."""

    def upload(self, values: NDArray[Any]) -> Any:
        """A NumPy array on the device. It may be written over as soon as this returns."""

    def free_bytes(self) -> int:
        """Memory of the device that may still be taken."""

    def release(self) -> None:
        """Give memory back that is cached."""

    def describe(self) -> dict[str, str]:
        """Device, driver and versions of libraries."""


class _Plain:
    """A device with nothing to manage."""

    out_of_memory: ClassVar[tuple[type[Exception], ...]] = ()

    @contextmanager
    def stream(self) -> Iterator[None]:
        """Nothing to wait for."""
        yield

    def buffer(self, n: int, dtype: Any) -> NDArray[Any]:
        """Ordinary memory."""
        return np.empty(n, dtype)

    def free_bytes(self) -> int:
        """Not limited here."""
        return 2**62

    def release(self) -> None:
        """Nothing is cached."""

    def describe(self) -> dict[str, str]:
        """Nothing beyond the environment."""
        return {}


@dataclass(frozen=True)
class Host(_Plain):
    """The processor: NumPy and compiled loops."""

    name: ClassVar[str] = "numpy"

    def upload(self, values: NDArray[Any]) -> NDArray[Any]:
        """The array itself."""
        return values


@dataclass(frozen=True)
class Other(_Plain):
    """Any other library of the array API standard, by its name: every kernel is the plain one.

    Attributes
    ----------
    module : str
        Name of the library, to import.
    device : str
        As that library names it; its default by default.
    """

    module: str
    device: str = ""

    @property
    def name(self) -> str:
        """The library."""
        return self.module

    def upload(self, values: NDArray[Any]) -> Any:
        """The array in that library."""
        xp = importlib.import_module(self.module)
        return xp.asarray(np.array(values), device=xp.Device(self.device) if self.device else None)


def halving(
    device: Device, n: int, work: Callable[[slice], Outcome], size: int | None = None
) -> Iterator[Outcome]:
    """Work on 0..n in parts, one after the other; a part that memory cannot hold is halved and tried again.

    Parameters
    ----------
    device : Device
    n : int
    work : callable
        Is given each part.
    size : int, optional
        Of a part at first.
    """
    start, size = 0, max(min(size or n, n), 1)
    while start < n:
        part = slice(start, min(start + size, n))
        fits, made = attempt(device, partial(work, part))
        if fits:
            yield made
            start = part.stop
        elif size // 2 < _SMALLEST:
            device.release()
            yield work(part)
            start = part.stop
        else:
            device.release()
            size = (part.stop - start + 1) // 2


def attempt(device: Device, work: Callable[[], Outcome]) -> tuple[bool, Any]:
    """Whether the memory of a device sufficed, and what came out.

    Where it did not, nothing of the attempt is held on to: an exception would keep all its arrays.
    """
    try:
        return True, work()
    except device.out_of_memory:
        return False, None


def work_on(
    device: Device, work: Callable[[], Outcome], make_room: Callable[[], bool] = lambda: False
) -> Outcome:
    """Work in a stream of this thread; again with more room where memory was short.

    Parameters
    ----------
    device : Device
    work : callable
    make_room : callable
        Frees memory of the device, and says whether there was any to free.
    """
    with device.stream():
        fits, made = attempt(device, work)
        while not fits:
            more = make_room()
            device.release()
            fits, made = attempt(device, work) if more else (True, work())
        return cast(Outcome, made)
