"""Where block kernels work: the processor, or a GPU. The only module that names CuPy."""

from __future__ import annotations

import importlib
import importlib.util
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from xtec.core.arrays import library_of
from xtec.core.device import Device, Host, Other
from xtec.core.errors import BackendUnavailableError

INSTALL = 'pip install "xtec-pipeline[gpu]" (CUDA 12) or "xtec-pipeline[gpu13]" (CUDA 13)'

_SHARE = 0.9
"""Share of the free memory of a card that is taken, where CUPY_GPU_MEMORY_LIMIT does not say."""


@dataclass(frozen=True)
class Cuda:
    """A CUDA device, through CuPy.

    Attributes
    ----------
    number : int
        Among those this process sees.
    """

    number: int = 0
    name: ClassVar[str] = "cupy"

    @property
    def out_of_memory(self) -> tuple[type[Exception], ...]:
        """CuPy's own error is a MemoryError, and sorting raises the plain one."""
        return (MemoryError,)

    @contextmanager
    def stream(self) -> Iterator[None]:
        """A stream for each thread, so that copies of one overlap with kernels of another."""
        cupy = _cupy()
        with cupy.cuda.Device(self.number):
            if not hasattr(_own, "streams"):
                _own.streams = {}
            if self.number not in _own.streams:
                _own.streams[self.number] = cupy.cuda.Stream(non_blocking=True)
            with _own.streams[self.number] as stream:
                try:
                    yield
                finally:
                    stream.synchronize()

    def buffer(self, n: int, dtype: Any) -> NDArray[Any]:
        """Pinned memory; ordinary memory where no more can be pinned."""
        cupy = _cupy()
        try:
            pinned: NDArray[Any] = importlib.import_module("cupyx").empty_pinned(n, dtype)
        except (cupy.cuda.runtime.CUDARuntimeError, MemoryError):
            return np.empty(n, dtype)
        return pinned

    def upload(self, values: NDArray[Any]) -> Any:
        """Copy in this thread's stream, in the memory order that the array has."""
        cupy = _cupy()
        order: Literal["C", "F"] = "F" if values.flags.f_contiguous and not values.flags.c_contiguous else "C"
        values = np.asarray(values, values.dtype.newbyteorder("="), order=order)
        there = cupy.empty(values.shape, values.dtype, order=order)
        stream = cupy.cuda.get_current_stream()
        there.set(values, stream=stream)
        stream.synchronize()
        return there

    def free_bytes(self) -> int:
        """What the card has free, and what CuPy's pool has cached; within the pool's limit."""
        cupy = _cupy()
        with cupy.cuda.Device(self.number) as device:
            pool = cupy.get_default_memory_pool()
            free = int(device.mem_info[0]) + int(pool.free_bytes())
            limit = int(pool.get_limit())
            return min(free, limit - int(pool.used_bytes())) if limit else free

    def limit_pool(self) -> None:
        """Leave some of the card's memory to others, unless CUPY_GPU_MEMORY_LIMIT says how much."""
        cupy = _cupy()
        with cupy.cuda.Device(self.number) as device:
            pool = cupy.get_default_memory_pool()
            if pool.get_limit() == 0 and "CUPY_GPU_MEMORY_LIMIT" not in os.environ:
                pool.set_limit(size=int(_SHARE * (device.mem_info[0] + pool.total_bytes())))

    def release(self) -> None:
        """Empty CuPy's pools, that of pinned memory too."""
        cupy = _cupy()
        with cupy.cuda.Device(self.number):
            cupy.get_default_memory_pool().free_all_blocks()
        cupy.get_default_pinned_memory_pool().free_all_blocks()

    def describe(self) -> dict[str, str]:
        """Device, its memory, driver, CUDA and CuPy."""
        cupy = _cupy()
        runtime = cupy.cuda.runtime
        found = runtime.getDeviceProperties(self.number)
        return {
            "device": found["name"].decode(),
            "device_memory": f"{found['totalGlobalMem'] / 2**30:.1f} GiB",
            "compute_capability": f"{found['major']}.{found['minor']}",
            "driver": f"CUDA {_dotted(runtime.driverGetVersion())}",
            "cuda": _dotted(runtime.runtimeGetVersion()),
            "cupy": cupy.__version__,
        }


_own = threading.local()


def _dotted(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"


@cache
def _cupy() -> Any:
    return importlib.import_module("cupy")


def cupy_is_installed() -> bool:
    """Whether CuPy could be imported; it is not."""
    return importlib.util.find_spec("cupy") is not None


def open_cuda() -> Cuda:
    """The CUDA device of this process.

    Raises
    ------
    BackendUnavailableError
        With what is missing: CuPy, a driver, a device, or a CUDA that fits the driver.
    """
    if not cupy_is_installed():
        raise BackendUnavailableError("no GPU can be used: CuPy is not installed", hint=INSTALL)
    try:
        cupy = _cupy()
    except (ImportError, OSError, RuntimeError) as error:
        raise BackendUnavailableError(
            f"no GPU can be used: CuPy cannot be imported ({_first_line(error)})",
            hint=f"one CuPy of the driver's CUDA version only: {INSTALL}",
        ) from error
    runtime = cupy.cuda.runtime
    try:
        driver, cuda = int(runtime.driverGetVersion()), int(runtime.runtimeGetVersion())
    except (RuntimeError, ImportError, OSError) as error:
        raise BackendUnavailableError(
            f"no GPU can be used: CUDA's libraries do not answer ({_first_line(error)})", hint=INSTALL
        ) from error
    if driver == 0:
        raise BackendUnavailableError(
            "no GPU can be used: there is no NVIDIA driver on this machine",
            hint="a node with a GPU (nvidia-smi lists it), a container started with --gpus all, "
            "or --backend numpy",
        )
    try:
        count = int(runtime.getDeviceCount())
    except RuntimeError as error:
        raise _not_usable(driver, cuda, error) from error
    if count == 0:
        raise BackendUnavailableError(
            "no GPU can be used: the driver sees no device",
            hint="CUDA_VISIBLE_DEVICES and the job's share of GPUs, or --backend numpy",
        )
    device = Cuda(int(runtime.getDevice()))
    failures = (RuntimeError, ImportError, OSError, MemoryError, cupy.cuda.compiler.CompileException)
    try:
        with device.stream():
            int(cupy.arange(2).sum())  # compiles a kernel and runs it
    except failures as error:
        raise _not_usable(driver, cuda, error) from error
    device.limit_pool()
    return device


def _not_usable(driver: int, cuda: int, error: Exception) -> BackendUnavailableError:
    versions = f"driver for CUDA {_dotted(driver)}, CuPy for {_dotted(cuda)}"
    older = driver // 1000 < cuda // 1000
    return BackendUnavailableError(
        f"no GPU can be used: {_first_line(error)} ({versions})",
        hint=f"a CuPy of the driver's CUDA {driver // 1000}: {INSTALL}"
        if older
        else f"CUDA_VISIBLE_DEVICES; CUDA's libraries of CuPy's version: {INSTALL}",
    )


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip(" =")]
    return lines[0] if lines else type(error).__name__


def n_cuda_devices() -> int:
    """Devices this process sees; 0 without CuPy."""
    return int(_cupy().cuda.runtime.getDeviceCount()) if cupy_is_installed() else 0


def device_of(array: Any) -> Device:
    """Where an array is."""
    if isinstance(array, np.ndarray):
        return Host()
    library = library_of(array)
    return Cuda(int(array.device.id)) if library == "cupy" else Other(library)


Launch = Callable[[int, int, Sequence[Any]], None]
"""Starts a kernel: blocks, threads a block, arguments."""


def raw_kernel(source: str, name: str, options: Sequence[str], *, shared_bytes: int = 0) -> Launch:
    """A CUDA kernel, compiled when it is first used; `shared_bytes` is what a block shares besides."""
    return _raw_kernel(source, name, tuple(options), shared_bytes)


@cache
def _raw_kernel(source: str, name: str, options: tuple[str, ...], shared_bytes: int) -> Launch:
    kernel = _cupy().RawKernel(source, name, options=options)

    def launch(grid: int, block: int, arguments: Sequence[Any]) -> None:
        kernel((grid,), (block,), tuple(arguments), shared_mem=shared_bytes)

    return launch


def n_multiprocessors(array: Any) -> int:
    """Of the card that an array is on."""
    return _n_multiprocessors(int(array.device.id))


@cache
def _n_multiprocessors(number: int) -> int:
    return int(_cupy().cuda.Device(number).attributes["MultiProcessorCount"])
