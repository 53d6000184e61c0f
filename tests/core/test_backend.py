"""Devices: what is missing is named, memory that runs short is lived with, and arrays come home."""

from __future__ import annotations

import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pytest

from xtec.core import grouped
from xtec.core.arrays import array_bytes, home, is_host, like, some_rows
from xtec.core.backend import cupy_is_installed
from xtec.core.device import Device, Host, halving, work_on
from xtec.core.parallel import Memory, Threads
from xtec.core.resident import Resident, lifted
from xtec.core.shards import Record


@dataclass(frozen=True)
class Pair(Record):
    """A record with something that is no array."""

    number: int
    values: Any


class Named(NamedTuple):
    """A tuple with names."""

    values: Any


def test_arrays_come_home_from_everything_that_holds_them(device: Device) -> None:
    here = np.arange(6.0).reshape(2, 3)
    there = device.upload(here)
    held = {"list": [there, 1], "tuple": (there, "text"), "record": Pair(3, there), "named": Named(there)}
    found = home(held)
    for array in (found["list"][0], found["tuple"][0], found["record"].values, found["named"].values):
        assert isinstance(array, np.ndarray)
        np.testing.assert_array_equal(array, here)
    assert found["record"].number == 3
    assert isinstance(found["named"], Named)


def test_what_is_at_home_is_not_touched() -> None:
    pair = Pair(1, np.arange(3))
    assert home(pair) is pair


def test_rows_by_slice_positions_and_mask(device: Device) -> None:
    here = np.arange(12.0).reshape(4, 3)
    there = device.upload(here)
    for which in (slice(1, 3), slice(None, None, 2), np.array([3, 0]), np.array([True, False, True, False])):
        np.testing.assert_array_equal(home(some_rows(there, which)), here[which])
    assert array_bytes(there) == here.nbytes
    assert not is_host(like(here, there))


@pytest.mark.parametrize("elsewhere", [False, True])
def test_groups_are_summed_and_compared(device: Device, elsewhere: bool) -> None:
    rng = np.random.default_rng(0)
    values, group = rng.normal(size=500).astype(np.float32), rng.integers(0, 40, 500)
    group[group == 7] = 8
    place: Callable[[Any], Any] = device.upload if elsewhere else lambda array: array
    counts = home(grouped.counts(place(group), 40))
    sums = home(grouped.sums(place(values), place(group), 40))
    most = home(grouped.maxima(place(values), place(group), 40, -np.inf))
    least = home(grouped.minima(place(values), place(group), 40, np.inf))
    for k in range(40):
        mine = values[group == k].astype(np.float64)
        assert counts[k] == mine.size
        assert sums[k] == pytest.approx(mine.sum(), abs=1e-12)
        assert most[k] == mine.max(initial=-np.inf)
        assert least[k] == mine.min(initial=np.inf)


def test_extremes_of_nothing(device: Device) -> None:
    nothing = device.upload(np.empty(0, np.float32))
    group = device.upload(np.empty(0, np.int64))
    np.testing.assert_array_equal(home(grouped.maxima(nothing, group, 2, -np.inf)), [-np.inf, -np.inf])


class Small(Host):
    """A device that can work on few elements at a time."""

    out_of_memory = (MemoryError,)
    released = 0

    def release(self) -> None:
        """Count how often memory was given back."""
        type(self).released += 1


def test_parts_are_halved_until_they_fit() -> None:
    tried: list[int] = []

    def work(part: slice) -> int:
        tried.append(part.stop - part.start)
        if part.stop - part.start > 3000:
            raise MemoryError
        return part.stop - part.start

    done = list(halving(Small(), 10_000, work))
    assert sum(done) == 10_000
    assert max(done) <= 3000
    assert tried[:3] == [10_000, 5000, 2500]


def test_what_never_fits_is_an_error_and_no_endless_loop() -> None:
    def work(_: slice) -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        list(halving(Small(), 10_000, work))
    with pytest.raises(MemoryError):
        list(halving(Host(), 10, work))  # the processor's memory is not halved


class Counting(Memory):
    """A store that knows what has been put into it."""

    def __init__(self) -> None:
        self.n = 0

    def put(self, item: Any) -> list[Any]:
        """Count."""
        self.n += 1
        assert is_host(item.values)
        return super().put(item)


def records(n: int) -> Iterator[Pair]:
    return (Pair(number, np.full(100, float(number))) for number in range(n))


def test_records_stay_on_the_device_while_they_fit(device: Device) -> None:
    below = Counting()
    store = Resident(device, below, budget=3 * 800)
    with Threads(2, store, device) as threads:
        shards = threads.make(lambda pair: pair, list(records(5)))
        assert below.n == 2
        assert store.on_device == 3 * 800
        seen = list(shards.map(lambda pair: (is_host(pair.values), pair.values)))
        assert not any(at_home for at_home, _ in seen)  # work finds them on the device wherever they rest
        assert [values[0] for _, values in seen] == [0.0, 1.0, 2.0, 3.0, 4.0]
        assert all(isinstance(values, np.ndarray) for _, values in seen)
        doubled = shards.derive(lambda pair: Pair(pair.number, 2 * pair.values))
        assert [values[0] for values in doubled.map(lambda pair: pair.values)] == [0.0, 2.0, 4.0, 6.0, 8.0]
        assert store.on_device <= store.budget


def test_work_is_done_again_with_room_made_for_it() -> None:
    small = Small()
    store = Resident(small, Counting(), budget=10_000)
    with Threads(1, store, small) as threads:
        shards = threads.make(lambda pair: pair, list(records(3)))
        assert store.on_device == 2400

        def work(pair: Pair) -> float:
            if store.on_device > 0:
                raise MemoryError
            return float(pair.values.sum())

        assert list(shards.map(work)) == [0.0, 100.0, 200.0]
        assert store.on_device == 0


class Metered(Host):
    """A device of 2,500 bytes, which are taken by arrays until nobody knows of them."""

    out_of_memory = (MemoryError,)
    alive: ClassVar[list[weakref.ref[Any]]] = []

    def allocate(self, n: int) -> np.ndarray:
        """n bytes, where there is room for them."""
        in_use = sum(array.nbytes for one in self.alive if (array := one()) is not None)
        if in_use + n > 2500:
            raise MemoryError
        made = np.empty(n, np.uint8)
        self.alive.append(weakref.ref(made))
        return made


def test_an_attempt_that_failed_holds_on_to_nothing() -> None:
    device, tried = Metered(), []

    def work() -> int:
        tried.append(1)
        held = [device.allocate(1000), device.allocate(1000)]
        if len(tried) == 1:
            held.append(device.allocate(1000))  # one too many, but only at first
        return len(held)

    assert work_on(device, work, make_room=lambda: len(tried) < 2) == 2
    assert len(tried) == 2
    assert list(halving(device, 4000, lambda part: device.allocate(part.stop - part.start).nbytes)) == [
        2000,
        2000,
    ]


def test_records_that_no_longer_fit_rest_below() -> None:
    class Full(Host):
        out_of_memory = (MemoryError,)

        def upload(self, values: np.ndarray) -> np.ndarray:
            raise MemoryError

    below = Counting()
    store = Resident(Full(), below, budget=10_000)
    handle = store.put(Pair(1, np.ones(100)))
    assert below.n == 1
    assert store.on_device == 0
    assert below.get(handle.resting).values.sum() == 100


def test_a_record_lives_until_the_stream_is_done_with_it() -> None:
    seen: list[str] = []

    class Streamed(Host):
        @contextmanager
        def stream(self) -> Iterator[None]:
            yield
            seen.append("stream done")

    class Copying(Counting):
        def put(self, item: Any) -> list[Any]:
            return super().put(Pair(item.number, item.values.copy()))

    store = Resident(Streamed(), Copying(), budget=10_000)
    handle = store.put(Pair(1, np.ones(100)))
    weakref.finalize(handle.record, seen.append, "record freed")
    seen.clear()

    def work(entry: Any) -> None:
        record = store.get(entry)
        store.make_room()  # as another thread does
        assert record.number == 1

    store.work(work, handle)
    assert seen == ["stream done", "record freed"]


def test_half_of_the_records_leave_at_a_time() -> None:
    store = Resident(Small(), Counting(), budget=10_000)
    for pair in records(4):
        store.put(pair)
    assert store.make_room()
    assert store.on_device == 1600
    assert store.make_room()
    assert store.make_room()
    assert store.on_device == 0
    assert not store.make_room()


def test_lifting_leaves_numbers_alone(device: Device) -> None:
    there = lifted(Pair(3, np.arange(3)), device)
    assert there.number == 3
    assert not is_host(there.values)


FAKES = {
    "no driver": (
        """
from . import cuda
__version__ = "14.2.0"
""",
        0,
        "there is no NVIDIA driver",
        "--gpus all",
    ),
    "no device": (
        """
from . import cuda
__version__ = "14.2.0"
""",
        13000,
        "cudaErrorNoDevice: no CUDA-capable device is detected (driver for CUDA 13.0, CuPy for 12.9)",
        "CUDA_VISIBLE_DEVICES",
    ),
    "old driver": (
        """
from . import cuda
__version__ = "14.2.0"
""",
        11080,
        "(driver for CUDA 11.8, CuPy for 12.9)",
        "a CuPy of the driver's CUDA 11",
    ),
    "broken": (
        'raise ImportError("libcudart.so.12: cannot open shared object file")',
        0,
        "CuPy cannot be imported (libcudart.so.12: cannot open shared object file)",
        "pip install",
    ),
}

CUDA = """
class runtime:
    class CUDARuntimeError(RuntimeError):
        pass
    driverGetVersion = staticmethod(lambda: {driver})
    runtimeGetVersion = staticmethod(lambda: 12090)
    @staticmethod
    def getDeviceCount():
        raise runtime.CUDARuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")
"""


def run_cluster(folder: Path, path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, in which `path` comes first on the import path."""
    series = folder / "series.nxs"
    main = "from xtec_cli.main import main; main()"
    simulated = [sys.executable, "-c", main, "simulate", "tiny", "-o", str(series), "--force"]
    subprocess.run(simulated, check=True, capture_output=True)
    command = ["cluster", str(series), "-o", str(folder / "run"), "--backend", "cupy", *options]
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(path)!r}); {main}", *command],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("case", FAKES)
def test_a_gpu_that_cannot_be_used_is_exit_5_with_the_reason(case: str, tmp_path: Path) -> None:
    source, driver, reason, remedy = FAKES[case]
    package = tmp_path / "path" / "cupy"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(source, encoding="utf-8")
    (package / "cuda.py").write_text(CUDA.format(driver=driver), encoding="utf-8")
    done = run_cluster(tmp_path, tmp_path / "path")
    assert done.returncode == 5, done.stderr
    assert reason in done.stderr
    assert remedy in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_without_cupy_the_line_to_install_it_is_given(tmp_path: Path) -> None:
    if cupy_is_installed():
        pytest.skip("CuPy is installed")
    done = run_cluster(tmp_path, tmp_path)
    assert done.returncode == 5
    assert "CuPy is not installed" in done.stderr
    assert 'pip install "xtec-pipeline[gpu]"' in done.stderr
