"""The CUDA device on a CuPy that is made of NumPy: how memory is counted, limits kept, and copies ordered.

What CuPy itself does is tested where there is a card, by the fixture `device`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from xtec.core import backend
from xtec.core.backend import Cuda, open_cuda
from xtec.core.device import halving
from xtec.core.errors import BackendUnavailableError

CARD = 10_000


class Pool:
    """Of 10,000 bytes on the card, some used and some cached."""

    def __init__(self) -> None:
        self.limit, self.used, self.cached = 0, 1000, 500

    def get_limit(self) -> int:
        return self.limit

    def set_limit(self, size: int) -> None:
        self.limit = size

    def used_bytes(self) -> int:
        return self.used

    def free_bytes(self) -> int:
        return self.cached

    def total_bytes(self) -> int:
        return self.used + self.cached

    def free_all_blocks(self) -> None:
        self.cached = 0


class Stream:
    """Keeps a list of what is asked of it."""

    def __init__(self, non_blocking: bool) -> None:
        assert non_blocking
        self.waited = 0

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def synchronize(self) -> None:
        self.waited += 1


class OutOfMemoryError(MemoryError):
    """As CuPy's."""


class CompileException(Exception):
    """As CuPy's, which is no RuntimeError."""


class Array(np.ndarray):
    """Takes values from the host."""

    def set(self, values: np.ndarray, stream: Stream) -> None:
        assert values.flags.c_contiguous == self.flags.c_contiguous
        assert values.flags.f_contiguous == self.flags.f_contiguous
        self[...] = values


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """In place of CuPy."""
    pool, current = Pool(), Stream(non_blocking=True)

    class Device:
        mem_info = (CARD - pool.total_bytes(), CARD)

        def __init__(self, number: int) -> None:
            assert number == 0

        def __enter__(self) -> Device:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    runtime = SimpleNamespace(
        driverGetVersion=lambda: 12080,
        runtimeGetVersion=lambda: 12090,
        getDeviceCount=lambda: 1,
        getDevice=lambda: 0,
        getDeviceProperties=lambda _: {"name": b"Card", "totalGlobalMem": 2**30, "major": 9, "minor": 0},
    )
    module = SimpleNamespace(
        __version__="14.2.0",
        arange=np.arange,
        empty=lambda shape, dtype, order: np.empty(shape, dtype, order).view(Array),
        get_default_memory_pool=lambda: pool,
        get_default_pinned_memory_pool=lambda: SimpleNamespace(free_all_blocks=lambda: None),
        cuda=SimpleNamespace(
            Device=Device,
            Stream=Stream,
            get_current_stream=lambda: current,
            memory=SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
            compiler=SimpleNamespace(CompileException=CompileException),
            runtime=runtime,
        ),
        pool=pool,
        current=current,
    )
    monkeypatch.setattr(backend, "_cupy", lambda: module)
    monkeypatch.setattr(backend, "cupy_is_installed", lambda: True)
    with contextlib.suppress(AttributeError):
        del backend._own.streams
    yield module
    with contextlib.suppress(AttributeError):
        del backend._own.streams


def test_a_card_is_opened_and_described(cupy: Any) -> None:
    device = open_cuda()
    assert device == Cuda(0)
    assert device.describe() == {
        "device": "Card",
        "device_memory": "1.0 GiB",
        "compute_capability": "9.0",
        "driver": "CUDA 12.8",
        "cuda": "12.9",
        "cupy": "14.2.0",
    }


@pytest.mark.parametrize(
    "failure", [CompileException("cannot open cuda_fp16.h"), OutOfMemoryError("the card is full")]
)
def test_a_card_on_which_nothing_runs_is_not_taken(cupy: Any, failure: Exception) -> None:
    def fail(_: int) -> None:
        raise failure

    cupy.arange = fail
    with pytest.raises(BackendUnavailableError, match=str(failure)):
        open_cuda()


def test_a_driver_without_devices(cupy: Any) -> None:
    cupy.cuda.runtime.getDeviceCount = lambda: 0
    with pytest.raises(BackendUnavailableError, match="sees no device"):
        open_cuda()


def test_a_share_of_what_is_free_is_taken(cupy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUPY_GPU_MEMORY_LIMIT", raising=False)
    free = open_cuda().free_bytes()
    assert cupy.pool.limit == 0.9 * CARD  # of what is free, and what the pool has already
    assert free == cupy.pool.limit - cupy.pool.used
    cupy.pool.used = 8500
    assert Cuda().free_bytes() == 500


def test_a_limit_of_the_users_is_kept(cupy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUPY_GPU_MEMORY_LIMIT", "3000")
    cupy.pool.limit = 3000  # CuPy reads the variable itself
    assert open_cuda().free_bytes() == 2000
    assert cupy.pool.limit == 3000


@pytest.mark.parametrize("order", ["C", "F"])
def test_an_upload_keeps_the_order_and_waits(cupy: Any, order: str) -> None:
    values = np.asarray(np.arange(12.0).reshape(3, 4), order=order)
    there = Cuda().upload(values)
    np.testing.assert_array_equal(there, values)
    assert there.flags.f_contiguous == values.flags.f_contiguous
    assert cupy.current.waited == 1  # the buffer may be written over from now on
    swapped = Cuda().upload(values.astype(">f4")[:, ::2])
    assert swapped.dtype.isnative
    np.testing.assert_array_equal(swapped, values[:, ::2])


def test_a_thread_waits_for_its_own_stream_even_after_an_error(cupy: Any) -> None:
    with Cuda().stream():
        pass
    stream = backend._own.streams[0]
    with pytest.raises(ValueError, match="on the way"), Cuda().stream():
        raise ValueError("on the way")
    assert backend._own.streams[0] is stream
    assert stream.waited == 2


def test_out_of_memory_halves_the_work_and_empties_the_pool(cupy: Any) -> None:
    def work(part: slice) -> int:
        if part.stop - part.start > 4000:
            raise OutOfMemoryError
        return part.stop - part.start

    assert sum(halving(Cuda(), 10_000, work)) == 10_000
    assert cupy.pool.cached == 0
