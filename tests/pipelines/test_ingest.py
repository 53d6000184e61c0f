"""One pass over a series keeps exactly the trajectories that a computation in memory keeps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

import h5py
import numpy as np
import pytest

from xtec.core.errors import ConfigError, InputError, NothingToClusterError
from xtec.core.parallel import Threads
from xtec.core.progress import Progress
from xtec.core.types import BackgroundThreshold, VoxelCounts
from xtec.io import Series, open_series
from xtec.io.disk.scratch import Scratch
from xtec.io.reading.reader import SeriesReader
from xtec.preprocess import MaskRules, find_threshold
from xtec_pipelines.streaming.holding import IngestOptions
from xtec_pipelines.streaming.ingest import ingest as ingest_shards
from xtec_pipelines.streaming.plan import ShardPlan
from xtec_pipelines.streaming.readers import close_readers

WriteSeries = Callable[..., Path]
SHAPE = (9, 10, 11, 12)
SIZES = (1, 5000, 30000, 10**9)
"""Bytes of a block: from single chunks to the whole series (47520 float32)."""


def background_and_peaks(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    data = rng.lognormal(2.0, 0.3, SHAPE)
    data[:, rng.random(SHAPE[1:]) < 0.05] *= 50
    data[:, 0, :3] = 0
    data[4, 1, 2, 3:7] = np.nan
    return data.astype(np.float32)


def in_memory(data: np.ndarray, method: str | float) -> tuple[np.ndarray, np.ndarray, float]:
    """Flat index and trajectories of what is kept, and the cutoff."""
    rows = data.reshape(len(data), -1).astype(np.float64)
    mean = rows.mean(axis=0)
    usable = np.flatnonzero(mean > 0)  # no NaN is greater than zero
    log_mean = np.log(mean[usable])
    cutoff = (
        log_mean.mean() + 2 * log_mean.std()
        if method == "simple"
        else find_threshold(log_mean, method).cutoff
    )
    index = usable[log_mean > cutoff]
    return index, data.reshape(len(data), -1)[:, index].T, cutoff


@dataclass(frozen=True)
class Ingested:
    """Everything kept, in one place."""

    index: np.ndarray
    intensity: np.ndarray
    counts: VoxelCounts
    threshold: BackgroundThreshold


def ingest(
    series: Series,
    block_bytes: int = 10**9,
    *,
    blocks_a_shard: int = 1,
    scratch: Scratch | None = None,
    progress: Progress | None = None,
    **options: object,
) -> Ingested:
    """Ingest in two threads, each shard so many blocks of about so many bytes."""
    blocks = series.blocks(block_bytes)
    parts = [blocks[i : i + blocks_a_shard] for i in range(0, len(blocks), blocks_a_shard)]
    plans = [ShardPlan(number, tuple(part)) for number, part in enumerate(parts)]
    try:
        with Threads(2, scratch) as workers:
            kept = ingest_shards(series, IngestOptions(**options), workers, plans, progress)
            whole = kept.gather()
            assert sum(kept.shards.map(attrgetter("index.size"))) == kept.counts.n_kept
            return Ingested(whole.index, whole.intensity, kept.counts, kept.threshold)
    finally:
        close_readers()


def check(kept: Ingested, data: np.ndarray, method: str | float) -> None:
    index, intensity, cutoff = in_memory(data, method)
    np.testing.assert_array_equal(kept.index, index)
    np.testing.assert_array_equal(kept.intensity, intensity)
    assert kept.threshold.cutoff == pytest.approx(cutoff, rel=1e-12)
    assert kept.intensity.dtype == np.float32


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[slice, ...]]:
    """Every block that is read, in order."""
    blocks: list[tuple[slice, ...]] = []
    read = SeriesReader.read

    def counted(self: SeriesReader, block: tuple[slice, ...], **others: object) -> np.ndarray:
        blocks.append(block)
        return read(self, block, **others)

    monkeypatch.setattr(SeriesReader, "read", counted)
    return blocks


@pytest.mark.parametrize("method", ["kl", "simple", 3.0])
@pytest.mark.parametrize("block_bytes", SIZES)
def test_any_block_size_keeps_the_same(
    write_series: WriteSeries, method: str | float, block_bytes: int
) -> None:
    data = background_and_peaks()
    series = open_series(write_series(data, chunks=(2, 3, 4, 5)))
    kept = ingest(series, block_bytes, threshold=method)
    check(kept, data, method)
    counts = kept.counts
    assert (counts.n_total, counts.n_empty, counts.n_nan) == (10 * 11 * 12, 36, 4)
    assert counts.n_kept == len(kept.index) > 30


@pytest.mark.parametrize("method", ["significance", "kl+significance"])
def test_any_block_size_finds_the_same_significant(write_series: WriteSeries, method: str) -> None:
    rng = np.random.default_rng(7)
    mean = rng.gamma(9, 1.2, (30, 31, 32)) * np.where(rng.random((30, 31, 32)) < 0.05, 20, 1)
    orders = rng.random(mean.shape) < 0.05
    curve = np.clip(1 - np.arange(24) / 12, 0, None)[:, None, None, None]
    data = rng.poisson(mean * (1 + np.where(orders, 3.0, 0.0) * curve)).astype(np.float32)
    series = open_series(write_series(data, chunks=(5, 4, 8, 8)))
    whole = ingest(series, threshold=method)
    assert np.mean(np.isin(np.flatnonzero(orders), whole.index)) > 0.5
    for block_bytes, together in ((50_000, 1), (50_000, 9), (400_000, 2)):
        again = ingest(series, block_bytes, blocks_a_shard=together, threshold=method)
        np.testing.assert_array_equal(again.index, whole.index)
        np.testing.assert_array_equal(again.intensity, whole.intensity)
        assert again.threshold.cutoff == whole.threshold.cutoff
        found, expected = again.threshold.significance, whole.threshold.significance
        assert found is not None
        assert expected is not None
        assert (found.cutoff, found.n_significant) == (expected.cutoff, expected.n_significant)


def test_a_survey_too_bright_for_weak_order_costs_a_second_reading(
    write_series: WriteSeries, reads: list[tuple[slice, ...]]
) -> None:
    """The blocks surveyed are much noisier than the rest, whose variation is let go at first."""
    rng = np.random.default_rng(8)
    noise = np.ones(40)
    noise[np.linspace(0, 39, 9).astype(int)[1::2]] = 400.0
    mean = np.full((12, 40, 30, 31), 20.0)
    mean[:6, :, :2, :5] *= 3
    scale = noise[:, None, None]
    data = (rng.poisson(mean / scale) * scale).astype(np.float32)
    series = open_series(write_series(data, chunks=(12, 1, 30, 31)))
    kept = ingest(series, 12 * 30 * 31 * 4, blocks_a_shard=4, threshold="significance")
    assert len(reads) > 4 + 40, "nothing was read again: the case is not the one this test is about"
    whole = ingest(series, threshold="significance")
    np.testing.assert_array_equal(kept.index, whole.index)


def test_too_few_temperatures_for_significance(
    write_series: WriteSeries, caplog: pytest.LogCaptureFixture
) -> None:
    data = background_and_peaks()[:3]
    series = open_series(write_series(data))
    check(ingest(series, threshold="kl+significance"), data, "kl")
    assert "3 temperatures are too few" in caplog.text
    with pytest.raises(ConfigError, match="3 temperatures are too few"):
        ingest(series, threshold="significance")


def test_blocks_of_a_contiguous_file(write_series: WriteSeries) -> None:
    data = background_and_peaks()
    series = open_series(write_series(data))
    check(ingest(series, 1), data, "kl")


def test_cropped_series(write_series: WriteSeries) -> None:
    data = background_and_peaks()
    series = open_series(
        write_series(data, chunks=(3, 4, 4, 5)), region={"Qk": (-0.3, 0.4)}, temperatures=(20, 70)
    )
    for block_bytes in SIZES:
        kept = ingest(series, block_bytes)
        check(kept, np.ascontiguousarray(data[1:7, :, 2:10]), "kl")


def test_no_threshold_keeps_what_is_usable(write_series: WriteSeries) -> None:
    data = background_and_peaks()
    series = open_series(write_series(data, chunks=(2, 3, 4, 5)))
    rows = data.reshape(len(data), -1)
    for block_bytes in SIZES:
        kept = ingest(series, block_bytes, threshold="none")
        np.testing.assert_array_equal(kept.index, np.flatnonzero(rows.sum(axis=0) > 0))
        np.testing.assert_array_equal(kept.intensity, rows[:, kept.index].T)
        assert kept.threshold.cutoff == -np.inf


@pytest.mark.parametrize("dtype", ["<i4", ">f4", "<f8", "u2"])
def test_number_types(write_series: WriteSeries, dtype: str) -> None:
    data = np.nan_to_num(background_and_peaks() * 10).astype(dtype)
    kept = ingest(open_series(write_series(data)))
    np.testing.assert_array_equal(kept.intensity, data.reshape(len(data), -1)[:, kept.index].T.astype("f4"))
    check(kept, data.astype("f4"), "kl")


def test_each_block_is_read_once(write_series: WriteSeries, reads: list[tuple[slice, ...]]) -> None:
    series = open_series(write_series(background_and_peaks(), chunks=(9, 1, 11, 12)))
    ingest(series, 9 * 11 * 12 * 4)
    assert sorted(reads, key=str) == sorted(series.blocks(9 * 11 * 12 * 4), key=str)
    assert len(reads) == 10


def test_a_survey_that_misleads_costs_a_second_reading(
    write_series: WriteSeries, reads: list[tuple[slice, ...]]
) -> None:
    """All blocks that are surveyed are far brighter than the rest."""
    rng = np.random.default_rng(1)
    data = rng.lognormal(2.0, 0.3, (5, 40, 11, 12)).astype(np.float32)
    data[:, rng.random((40, 11, 12)) < 0.05] *= 5
    surveyed = np.linspace(0, 39, 9).astype(int)[1::2]
    data[:, surveyed] *= 1000
    series = open_series(write_series(data, chunks=(5, 1, 11, 12)))
    kept = ingest(series, 5 * 11 * 12 * 4, blocks_a_shard=3)
    assert len(reads) == 4 + 40 + 40, "nothing was read again: the case is not the one this test is about"
    check(kept, data, "kl")


def test_a_survey_keeps_the_same(write_series: WriteSeries, reads: list[tuple[slice, ...]]) -> None:
    rng = np.random.default_rng(2)
    data = rng.lognormal(2.0, 0.3, (5, 64, 11, 12)).astype(np.float32)
    data[:, rng.random((64, 11, 12)) < 0.05] *= 50
    series = open_series(write_series(data, chunks=(5, 1, 11, 12)))
    for method in ("kl", "simple"):
        reads.clear()
        check(ingest(series, 5 * 11 * 12 * 4, blocks_a_shard=5, threshold=method), data, method)
        assert len(reads) == 4 + 64


@pytest.mark.parametrize("budget", [0, 20_000, 10**9])
def test_what_memory_cannot_hold_goes_to_disk(write_series: WriteSeries, tmp_path: Path, budget: int) -> None:
    data = background_and_peaks()
    series = open_series(write_series(data, chunks=(2, 3, 4, 5)))
    scratch = Scratch(tmp_path / "scratch", budget)
    check(ingest(series, 5000, blocks_a_shard=3, scratch=scratch), data, "kl")
    assert (scratch.written > 0) == (budget < 10**9)
    assert scratch.in_memory <= budget


def test_dark_blocks_are_let_go_early(write_series: WriteSeries) -> None:
    data = background_and_peaks()
    series = open_series(write_series(data, chunks=(9, 1, 11, 12)))
    listened: list[float] = []

    class Listener:
        def start(self, stage: str, total: float | None, unit: str) -> None:
            listened.append(total or 0)

        def advance(self, amount: float) -> None:
            listened.append(-amount)

        def finish(self) -> None:
            pass

    ingest(series, 9 * 11 * 12 * 4, progress=Progress(Listener()))
    assert max(listened) == data.nbytes
    assert sum(listened) == 0


class TestMasks:
    """What counts as empty, NaN and negative."""

    @staticmethod
    def data() -> np.ndarray:
        data = background_and_peaks()
        data[2, 5, 5, 5] = -4.0
        data[:, 6, 6, 6] = -1.0
        return data

    def test_negative_is_refused_and_located(self, write_series: WriteSeries) -> None:
        series = open_series(write_series(self.data()))
        with pytest.raises(
            InputError,
            match=r"(?s)negative intensity -4 at temperature = 30, Ql = 0, Qk = 0, Qh = 0;"
            r".*series\.nxs:/entry/data/data\n.*--negative drop",
        ):
            ingest(series)

    def test_negative_is_located_in_the_right_file(
        self, write_folder: Callable[..., Path], tmp_path: Path
    ) -> None:
        volumes = {f"{value}K": np.full((3, 4, 5), 10.0 + value) for value in (10, 20, 30)}
        volumes["20K"][1, 2, 3] = -7
        series = open_series(write_folder(volumes))
        with pytest.raises(
            InputError, match=r"-7 at temperature = 20(?s:.*)/20K/transform\.nxs:/?entry/data/v"
        ):
            ingest(series)

    def test_negative_voxels_dropped_on_request(self, write_series: WriteSeries) -> None:
        series = open_series(write_series(self.data()))
        rules = MaskRules(nowhere_negative=True)
        for block_bytes in SIZES:
            counts = ingest(series, block_bytes, rules=rules, refuse_negative=False).counts
            assert (counts.n_nan, counts.n_empty, counts.n_nonpositive) == (4, 37, 1)

    @pytest.mark.parametrize(
        ("value", "message"),
        [(0, "1320 are empty"), (np.nan, "1320 have a NaN"), (np.inf, "1320 have a NaN")],
    )
    def test_nothing_there(self, write_series: WriteSeries, value: float, message: str) -> None:
        series = open_series(write_series(np.full(SHAPE, value, dtype=np.float32)))
        with pytest.raises(InputError, match=rf"{message}(?s:.*)series\.nxs:/entry/data/data"):
            ingest(series, 5000)

    def test_nothing_above_the_cutoff(self, write_series: WriteSeries) -> None:
        series = open_series(write_series(background_and_peaks()))
        with pytest.raises(NothingToClusterError, match=r"no voxel lies above the cutoff, ln I = 50"):
            ingest(series, threshold=50.0)

    def test_one_intensity_has_no_background(self, write_series: WriteSeries) -> None:
        series = open_series(write_series(np.full(SHAPE, 3, dtype=np.float32)))
        with pytest.raises(InputError, match=r"same mean intensity(?s:.*)series\.nxs(?s:.*)--threshold"):
            ingest(series)


def test_gaps_larger_than_blocks(write_series: WriteSeries) -> None:
    data = background_and_peaks()
    data[:, 3:6] = np.nan
    series = open_series(write_series(data, chunks=(9, 1, 11, 12)))
    kept = ingest(series, 9 * 11 * 12 * 4)
    check(kept, data, "kl")
    assert kept.counts.n_nan == 3 * 11 * 12 + 4


def test_folder_and_stacked_file_agree(write_series: WriteSeries, write_folder: Callable[..., Path]) -> None:
    data = background_and_peaks()
    stacked = open_series(write_series(data))
    folder = open_series(write_folder({f"{10 * (t + 1)}K": one for t, one in enumerate(data)}))
    one, other = (ingest(series, 9000) for series in (stacked, folder))
    np.testing.assert_array_equal(one.index, other.index)
    np.testing.assert_array_equal(one.intensity, other.intensity)


def test_damage_is_found_while_reading(write_series: WriteSeries) -> None:
    path = write_series(background_and_peaks(), compression="gzip", chunks=(1, 10, 11, 12))
    series = open_series(path)
    with h5py.File(path, "r+") as file:
        file["entry/data/data"].id.write_direct_chunk((3, 0, 0, 0), b"not what gzip wrote")
    with pytest.raises(InputError, match=r"cannot read the intensities(?s:.*)series\.nxs:/entry/data/data"):
        ingest(series)
