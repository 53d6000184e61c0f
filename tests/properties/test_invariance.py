"""What must not change the clusters of a series does not.

Where the arithmetic is the same the answer is the same bit for bit: in another unit that is a power of two,
in another type that holds the numbers, and after an interruption. Elsewhere sums are taken in another order,
so log-likelihoods agree to rounding and labels wherever they are sure.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import strategies as st

from xtec.core.errors import ConfigError, NothingToClusterError
from xtec.io.reading.reader import SeriesReader
from xtec_pipelines.cluster import run_cluster
from xtec_pipelines.clustering import journal
from xtec_pipelines.config import make_config

QUICK = settings(max_examples=1, derandomize=True, deadline=None, database=None, phases=(Phase.generate,))
MANY = settings(
    phases=(Phase.generate,),
    max_examples=int(os.environ.get("XTEC_EXAMPLES", "50")),
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)

SURE = 0.9
"""Labels that are less probable may change with rounding."""


@dataclass(frozen=True)
class Problem:
    """A series with truth, in whole numbers below 2^15, and how to cluster it."""

    data: np.ndarray
    mode: str
    rescale: str
    threshold: str

    def changed(self, data: np.ndarray) -> Problem:
        return replace(self, data=data)


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Blobs of voxels that order or fade slowly, on a background with counting noise."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(8, 16))
    shape = tuple(draw(st.integers(low, high)) for low, high in ((3, 8), (8, 16), (8, 16)))
    t = np.linspace(0, 1, n)
    order = 1 + 20 * np.clip(1 - t / draw(st.floats(0.4, 0.8)), 0, None) ** 0.6
    slow = 20 * np.exp(-0.3 * t)
    mean = np.full((n, *shape), 50.0)
    blobs = rng.integers(0, shape, (6, 3))
    for number, centre in enumerate(blobs):
        near = (np.abs(np.indices(shape).T - centre).max(axis=-1) <= 1).T
        mean[:, near] = 50 * (order if number % 2 else slow)[:, None]
    return Problem(
        rng.poisson(mean).astype(np.float32),
        draw(st.sampled_from(("d", "s"))),
        draw(st.sampled_from(("mean", "zscore", "log-mean"))),
        draw(st.sampled_from(("kl", "kl+significance", "simple"))),
    )


@dataclass(frozen=True)
class Answer:
    """What a run found."""

    map: np.ndarray
    probability: np.ndarray
    curves: np.ndarray
    log_likelihood: float
    n_kept: int


def write(path: Path, data: np.ndarray, values: np.ndarray | None = None, **storage: object) -> Path:
    """A stacked series."""
    axes = {"temperature": 10.0 * np.arange(1, len(data) + 1) if values is None else values}
    axes |= {
        name: np.arange(size) / 10 for name, size in zip(("Ql", "Qk", "Qh"), data.shape[1:], strict=True)
    }
    with h5py.File(path, "w") as file:
        group = file.create_group("entry/data")
        file["entry"].attrs["NX_class"], group.attrs["NX_class"] = "NXentry", "NXdata"
        group.attrs["signal"], group.attrs["axes"] = "data", list(axes)
        group.create_dataset("data", data=data, **storage)
        for name, axis in axes.items():
            group[name] = axis
            group[name].attrs["units"] = "K" if name == "temperature" else "r.l.u."
    return path


def options(problem: Problem, path: Path, output: Path, **others: object) -> dict[str, object]:
    """Of one run."""
    return {
        **{"inputs": [str(path)], "output": str(output), "clusters": 2, "figures": False},
        **{"mode": problem.mode, "rescale": problem.rescale, "threshold": problem.threshold},
        **{"memory_limit": "1GiB", "save_after": 0, "negative": "drop", **others},
    }


def answer(output: Path) -> Answer:
    """Read what a run wrote."""
    with h5py.File(output / "results.nxs") as file:
        entry = file["entry"]
        voxels = entry["voxels"]
        labels = np.asarray(entry["cluster_map/cluster_map"])
        probability = np.zeros(labels.size)
        probability[voxels["index"][()]] = voxels["probability"][()]
        curves = [entry[f"average_intensity/cluster_{k}"][()] for k in (1, 2)]
        return Answer(
            labels,
            probability.reshape(labels.shape),
            np.array(curves),
            float(entry["mixture/log_likelihood"][()]),
            int(entry["threshold/n_kept"][()]),
        )


def solved(
    problem: Problem,
    values: np.ndarray | None = None,
    storage: dict[str, object] | None = None,
    **others: object,
) -> Answer:
    """Cluster a series in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "series.nxs", problem.data, values, **(storage or {}))
        run_cluster(make_config(options(problem, path, Path(folder) / "run", **others)))
        return answer(Path(folder) / "run")


@contextmanager
def small_blocks(block: int, shard: int) -> Iterator[None]:
    """Series are read in blocks of so many bytes, and worked on in shards."""
    with (
        patch("xtec_pipelines.streaming.plan._BLOCK_BYTES", block),
        patch("xtec_pipelines.streaming.plan._SHARD_BYTES", (shard, shard)),
    ):
        yield


@contextmanager
def interrupted(at: str, after: int) -> Iterator[None]:
    """Ctrl+C after so many readings of a block, or after so many states of the mixture are saved."""
    count = 0

    def stopping(method: object) -> object:
        def called(*arguments: object, **named: object) -> object:
            nonlocal count
            count += 1
            if count > after:
                raise KeyboardInterrupt
            return method(*arguments, **named)  # type: ignore[operator]

        return called

    if at == "reading":
        with patch.object(SeriesReader, "read", stopping(SeriesReader.read)):
            yield
    else:
        with patch.object(journal, "_try_to_save", stopping(journal._try_to_save)):
            yield


Change = Callable[[Problem, Answer, st.DataObject], None]


def require_same(one: Answer, other: Answer) -> None:
    assert one.n_kept == other.n_kept
    np.testing.assert_array_equal(one.map, other.map)
    np.testing.assert_array_equal(one.probability, other.probability)
    assert one.log_likelihood == other.log_likelihood


def require_alike(one: Answer, other: Answer) -> None:
    assert one.n_kept == other.n_kept
    assert other.log_likelihood == pytest.approx(one.log_likelihood, abs=2e-4)
    sure = (one.probability > SURE) & (other.probability > SURE)
    np.testing.assert_array_equal(one.map[sure], other.map[sure])
    np.testing.assert_array_equal(one.map > 0, other.map > 0)


def workers(problem: Problem, before: Answer, data: st.DataObject) -> None:
    with small_blocks(4096, 8192):
        require_alike(before, solved(problem, workers=data.draw(st.integers(1, 4))))


def blocks(problem: Problem, before: Answer, data: st.DataObject) -> None:
    block = data.draw(st.integers(600, 20_000))
    with small_blocks(block, block * data.draw(st.integers(1, 5))):
        require_alike(before, solved(problem))


def chunks(problem: Problem, before: Answer, data: st.DataObject) -> None:
    size = tuple(data.draw(st.integers(1, n)) for n in problem.data.shape)
    storage = {"chunks": size, "compression": data.draw(st.sampled_from((None, "gzip", "lzf")))}
    with small_blocks(2048, 8192):
        require_alike(before, solved(problem, storage=storage))


def memory(problem: Problem, before: Answer, data: st.DataObject) -> None:
    """Next to none for what is held: shards go to scratch files."""
    with small_blocks(2048, 8192):
        limit = f"{data.draw(st.integers(213, 230))}MB"
        require_alike(before, solved(problem, memory_limit=limit, workers=1))


def voxels_permuted(problem: Problem, before: Answer, data: st.DataObject) -> None:
    problem = replace(problem, mode="d", threshold="kl")
    before, t = solved(problem), len(problem.data)
    shape = problem.data.shape
    mixed = np.random.default_rng(data.draw(st.integers(0, 99))).permutation(before.map.size)
    after = solved(problem.changed(problem.data.reshape(t, -1)[:, mixed].reshape(shape)))
    back = np.argsort(mixed)
    unmixed = replace(
        after,
        map=after.map.ravel()[back].reshape(shape[1:]),
        probability=after.probability.ravel()[back].reshape(shape[1:]),
    )
    require_alike(before, unmixed)


def mirrored(problem: Problem, before: Answer, data: st.DataObject) -> None:
    axes = data.draw(st.lists(st.integers(0, 2), min_size=1, unique=True))
    after = solved(problem.changed(np.flip(problem.data, [a + 1 for a in axes])))
    require_alike(
        before, replace(after, map=np.flip(after.map, axes), probability=np.flip(after.probability, axes))
    )


def power_of_two(problem: Problem, before: Answer, data: st.DataObject) -> None:
    power = data.draw(st.integers(-80, 60))
    after = solved(problem.changed(problem.data * np.float32(2.0**power)))
    # Logarithms of multiples are rounded anew.
    (require_alike if problem.rescale == "log-mean" else require_same)(before, after)
    np.testing.assert_array_equal(after.curves, before.curves * 2.0**power)


def any_unit(problem: Problem, before: Answer, data: st.DataObject) -> None:
    factor = data.draw(st.floats(1e-6, 1e6))
    after = solved(problem.changed(problem.data.astype(np.float64) * factor))
    require_alike(before, after)
    assert after.curves == pytest.approx(before.curves * factor, rel=1e-4)


def reversed_scan(problem: Problem, before: Answer, data: st.DataObject) -> None:
    values = 10.0 * np.arange(1, len(problem.data) + 1)[::-1]
    require_alike(before, solved(problem.changed(problem.data[::-1]), values))


def other_type(problem: Problem, before: Answer, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from((">f4", "<f8", ">f8", "<i2", ">u2", "<i4", "<u4", "<i8", ">u8")))
    require_same(before, solved(problem.changed(problem.data.astype(kind))))


def resumed(problem: Problem, before: Answer, data: st.DataObject) -> None:
    """Interrupted anywhere, again and again, and gone on from: as if nothing had been."""
    with tempfile.TemporaryDirectory() as folder, small_blocks(4096, 8192):
        before = solved(problem)
        path, output = write(Path(folder) / "series.nxs", problem.data), Path(folder) / "run"
        config = options(problem, path, output)
        for _ in range(data.draw(st.integers(1, 3))):
            at, after = data.draw(st.sampled_from(("reading", "saving"))), data.draw(st.integers(0, 25))
            try:
                with interrupted(at, after):
                    run_cluster(make_config({**config, "resume": not (output / "summary.json").exists()}))
            except KeyboardInterrupt:
                assert not (output / "results.nxs").exists()
            if (output / "summary.json").exists():
                break
        else:
            run_cluster(make_config({**config, "resume": True}))
        require_same(before, answer(output))


CHANGES: tuple[Change, ...] = (
    *(workers, blocks, chunks, memory, voxels_permuted, mirrored),
    *(power_of_two, any_unit, reversed_scan, other_type, resumed),
)


def check(change: Change, problem: Problem, data: st.DataObject) -> None:
    try:
        before = solved(problem)
    except (NothingToClusterError, ConfigError):
        reject()  # nothing is left, or fewer peaks than clusters
    change(problem, before, data)


@pytest.mark.parametrize("change", CHANGES)
def test_clusters_stay(change: Change) -> None:
    QUICK(given(problems(), st.data())(lambda problem, data: check(change, problem, data)))()


@pytest.mark.campaign
@pytest.mark.parametrize("change", CHANGES)
def test_clusters_stay_in_many_series(change: Change) -> None:
    MANY(given(problems(), st.data())(lambda problem, data: check(change, problem, data)))()
