"""Reading past HDF5 gives what HDF5 gives: every storage, any box, any number of threads, and damage."""

from __future__ import annotations

import ctypes
import os
import pickle
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest

from xtec.core.errors import InputError, SeriesNotFoundError
from xtec.io import open_series
from xtec.io.hdf5.chunk_table import SerialOnlyError
from xtec.io.hdf5.decoding import stored
from xtec.io.hdf5.locate import locate
from xtec.io.reading.raw import open_raw
from xtec.io.reading.reader import SeriesReader
from xtec.io.reading.series import PerTemperature, Series, Stacked
from xtec.io.reading.storage import storage_notes

WriteSeries = Callable[..., Path]
SHAPE = (7, 9, 11, 13)
CHUNKS = (2, 4, 5, 6)
RAW: dict[str, dict[str, object]] = {
    "contiguous": {},
    "chunked": {"chunks": CHUNKS},
    "shuffle": {"chunks": (1, 3, 11, 13), "shuffle": True},
    "gzip": {"chunks": CHUNKS, "compression": "gzip"},
    "shuffle+gzip": {"chunks": CHUNKS, "compression": "gzip", "shuffle": True},
    "lz4": {"chunks": CHUNKS, **hdf5plugin.LZ4()},
    "shuffle+lz4": {"chunks": CHUNKS, "shuffle": True, **hdf5plugin.LZ4()},
    "bitshuffle+lz4": {"chunks": CHUNKS, **hdf5plugin.Bitshuffle()},
    "blosc": {"chunks": CHUNKS, **hdf5plugin.Blosc()},
    "blosc zstd": {"chunks": CHUNKS, **hdf5plugin.Blosc("zstd", 3, 2)},
    "one temperature a chunk": {"chunks": (1, 9, 11, 13), **hdf5plugin.Bitshuffle()},
    "all temperatures a chunk": {"chunks": (7, 1, 1, 13)},
    "resizable": {"chunks": CHUNKS, "maxshape": (None, None, 11, 13), "compression": "gzip"},
}
SERIAL: dict[str, dict[str, object]] = {
    "zstd": {"chunks": CHUNKS, **hdf5plugin.Zstd()},
    "lzf": {"chunks": CHUNKS, "compression": "lzf"},
    "fletcher32": {"chunks": CHUNKS, "fletcher32": True},
    "bitshuffle+zstd": {"chunks": CHUNKS, **hdf5plugin.Bitshuffle(cname="zstd")},
}


def counts(*shape: int, dtype: str = "<f4") -> np.ndarray:
    return np.random.default_rng(5).poisson(20, shape).astype(dtype)


def write(folder: Path, values: np.ndarray, name: str = "a.h5", **storage: object) -> Path:
    with h5py.File(folder / name, "w") as file:
        file.create_dataset("x", data=values, **storage)
    return folder / name


def random_box(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[slice, ...]:
    ends = (np.sort(rng.choice(size + 1, 2, replace=False)).tolist() for size in shape)
    return tuple(slice(start, stop) for start, stop in ends)


def box_shape(box: tuple[slice, ...]) -> tuple[int, ...]:
    return tuple(part.stop - part.start for part in box)


def check_boxes(path: Path, values: np.ndarray, n_boxes: int = 60) -> None:
    """Random boxes, into arrays of any strides, and rows in any order along any dimension."""
    dataset = open_raw(locate(path, "x"))
    rng = np.random.default_rng(1)
    whole = tuple(slice(0, size) for size in values.shape)
    native = values.dtype.newbyteorder("=")
    for number in range(n_boxes):
        box = random_box(rng, values.shape) if number else whole
        order = rng.permutation(values.ndim) if number % 3 == 0 else np.arange(values.ndim)
        out = np.zeros([box_shape(box)[i] for i in order], native).transpose(np.argsort(order))
        dataset.read(box, out)
        np.testing.assert_array_equal(out, values[box])
        axis = rng.integers(values.ndim)
        rows = rng.permutation(values.shape[axis])[: rng.integers(1, values.shape[axis] + 1)]
        chosen = np.zeros([*out.shape[:axis], rows.size, *out.shape[axis + 1 :]], native)
        dataset.read((*box[:axis], rows, *box[axis + 1 :]), chosen)
        expected = values[(*box[:axis], slice(None), *box[axis + 1 :])].take(rows, axis)
        np.testing.assert_array_equal(chosen, expected)
    dataset.close()


@pytest.mark.parametrize("storage", RAW)
def test_any_box_of_any_storage(tmp_path: Path, storage: str) -> None:
    values = counts(*SHAPE)
    check_boxes(write(tmp_path, values, **RAW[storage]), values)


@pytest.mark.parametrize("dtype", ["<i2", ">i2", "u2", "<i4", ">f4", "<f8", ">f8", "f2", "u1"])
@pytest.mark.parametrize("storage", ["contiguous", "chunked", "shuffle+gzip", "bitshuffle+lz4", "blosc"])
def test_number_types(tmp_path: Path, dtype: str, storage: str) -> None:
    values = counts(*SHAPE, dtype=dtype)
    check_boxes(write(tmp_path, values, **RAW[storage]), values, 12)


@pytest.mark.parametrize("shape", [(40,), (12, 30), (5, 12, 30)])
@pytest.mark.parametrize("chunked", [False, True])
def test_rank(tmp_path: Path, shape: tuple[int, ...], chunked: bool) -> None:
    values = counts(*shape)
    storage = {"chunks": (4,) * len(shape)} if chunked else {}
    check_boxes(write(tmp_path, values, **storage), values)


@pytest.mark.parametrize(("gap", "span"), [(0, 1), (0, 10**6), (40, 200), (400, 3000), (10**6, 1)])
def test_contiguous_storage_in_calls_of_any_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gap: int, span: int
) -> None:
    monkeypatch.setattr("xtec.io.reading.raw._GAP_BYTES", gap)
    monkeypatch.setattr("xtec.io.reading.raw._SPAN_BYTES", span)
    values = counts(5, 6, 7, 8)
    check_boxes(write(tmp_path, values), values)


@pytest.mark.parametrize("storage", [{}, {"chunks": (3, 4)}, {"chunks": (3, 4), "compression": "gzip"}])
@pytest.mark.parametrize("version", ["earliest", "latest"])
def test_what_was_never_written(tmp_path: Path, storage: dict[str, object], version: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w", libver=version) as file:
        dataset = file.create_dataset("x", (10, 11), ">i4", fillvalue=-7, **storage)
        if storage:
            dataset[3:5, 4:9] = 5
        values = dataset[...]
    assert np.any(values == -7)
    if not storage:
        with pytest.raises(SeriesNotFoundError, match="no intensities written yet"):
            locate(tmp_path / "a.h5", "x")
        return
    check_boxes(tmp_path / "a.h5", values)


@pytest.mark.parametrize("version", ["earliest", "v110", "latest"])
@pytest.mark.parametrize("maxshape", [SHAPE, (None, *SHAPE[1:]), (None, None, *SHAPE[2:])])
def test_every_kind_of_chunk_index(tmp_path: Path, version: str, maxshape: tuple[int | None, ...]) -> None:
    values = counts(*SHAPE)
    with h5py.File(tmp_path / "a.h5", "w", libver=version) as file:
        file.create_dataset("x", data=values, chunks=CHUNKS, maxshape=maxshape, compression="gzip")
    check_boxes(tmp_path / "a.h5", values, 10)


def test_chunks_that_filters_left_alone(tmp_path: Path) -> None:
    values = counts(8, 64)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        dataset = file.create_dataset("x", data=values, chunks=(2, 64), compression="gzip", shuffle=True)
        dataset.id.write_direct_chunk((2, 0), values[2:4].tobytes(), filter_mask=0b11)
        assert dataset.id.get_chunk_info(1).filter_mask == 0b11
        np.testing.assert_array_equal(dataset[...], values)
    check_boxes(tmp_path / "a.h5", values)


class TestThroughHDF5:
    """What cannot be read past HDF5 says so, and is read all the same."""

    @staticmethod
    def assert_reads_alike(path: Path, reason: str, name: str = "entry/data/data") -> None:
        with pytest.raises(SerialOnlyError, match=reason):
            open_raw(locate(path, name))
        series = open_series(path)
        with h5py.File(path) as file:
            values = file[name][...]
        with series.reader() as reader:
            assert not reader.raw
            assert [reason in text for text in reader.obstacles().values()] == [True]
            np.testing.assert_array_equal(reader.read((slice(1, 5), slice(0, 6))), values[:, 1:5, :6])
        assert any(reason in note for note in storage_notes(series))

    @pytest.mark.parametrize("storage", SERIAL)
    def test_filters(self, write_series: WriteSeries, storage: str) -> None:
        kept = {**SERIAL[storage], "chunks": (2, 4, 5)}
        self.assert_reads_alike(write_series(counts(5, 6, 7), **kept), "compression is undone by HDF5 only")

    def test_compact(self, write_series: WriteSeries) -> None:
        values = counts(3, 6, 7)

        def compact(file: h5py.File) -> None:
            del file["entry/data/data"]
            properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            properties.set_layout(h5py.h5d.COMPACT)
            space = h5py.h5s.create_simple(values.shape)
            group = file["entry/data"]
            h5py.h5d.create(group.id, b"data", h5py.h5t.IEEE_F32LE, space, properties)
            group["data"][...] = values

        self.assert_reads_alike(write_series(values, change=compact), "compact")

    def test_external_storage(self, write_series: WriteSeries, tmp_path: Path) -> None:
        values = counts(3, 6, 7)

        def external(file: h5py.File) -> None:
            del file["entry/data/data"]
            place = [(str(tmp_path / "raw.bin"), 0, h5py.h5f.UNLIMITED)]
            file["entry/data"].create_dataset("data", values.shape, "<f4", external=place)[...] = values

        self.assert_reads_alike(write_series(values, change=external), "external raw file")

    @pytest.mark.parametrize("storage", [{}, {"chunks": (1, 2, 4)}])
    def test_user_block(self, write_series: WriteSeries, tmp_path: Path, storage: dict[str, object]) -> None:
        path = write_series(counts(3, 6, 7), name="plain.nxs", **storage)
        with h5py.File(path) as plain, h5py.File(tmp_path / "a.nxs", "w", userblock_size=512) as file:
            plain.copy("entry", file)
        self.assert_reads_alike(tmp_path / "a.nxs", "user block")

    def test_bits_packed_oddly(self, write_series: WriteSeries) -> None:
        def narrow(file: h5py.File) -> None:
            del file["entry/data/data"]
            kind = h5py.h5t.STD_I32LE.copy()
            kind.set_precision(20)
            space = h5py.h5s.create_simple((3, 6, 7))
            h5py.h5d.create(file["entry/data"].id, b"data", kind, space)
            file["entry/data/data"][...] = counts(3, 6, 7)

        self.assert_reads_alike(write_series(counts(3, 6, 7), change=narrow), "converted")

    def test_edge_chunks_without_filters(self, write_series: WriteSeries) -> None:
        maps = Path("/proc/self/maps")
        names = maps.read_text().split() if maps.exists() else []
        libraries = [name for name in names if Path(name).name.startswith("libhdf5-")]
        if not libraries:
            pytest.skip("h5py cannot ask for this, and the library of HDF5 is not found")
        values = counts(3, 6, 7)

        def bare(file: h5py.File) -> None:
            del file["entry/data/data"]
            properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            properties.set_chunk((1, 4, 4))
            properties.set_deflate(4)
            unfiltered = ctypes.CDLL(libraries[0]).H5Pset_chunk_opts
            unfiltered.argtypes = [ctypes.c_int64, ctypes.c_uint]
            assert unfiltered(properties.id, 2) == 0
            space = h5py.h5s.create_simple(values.shape)
            h5py.h5d.create(file["entry/data"].id, b"data", h5py.h5t.IEEE_F32LE, space, properties)
            file["entry/data/data"][...] = values

        self.assert_reads_alike(write_series(values, change=bare), "over the edge")

    def test_a_library_that_is_not_there(
        self, write_series: WriteSeries, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("xtec.io.hdf5.decoding._function", lambda *arguments: None)
        storage = {"chunks": (2, 4, 5), **hdf5plugin.Bitshuffle()}
        self.assert_reads_alike(write_series(counts(5, 6, 7), **storage), "bitshuffle")


ORDERS = [(0, 1, 2, 3), (1, 2, 3, 0), (0, 3, 2, 1), (2, 0, 3, 1)]
NAMES = ("temperature", "Ql", "Qk", "Qh")


def stacked(write_series: WriteSeries, order: tuple[int, ...], **storage: object) -> tuple[Path, np.ndarray]:
    """A series whose dimension `i` is the canonical dimension `order[i]`."""
    values = counts(*SHAPE)
    axes = {NAMES[i]: np.arange(1.0, SHAPE[i] + 1) for i in order}
    return write_series(values.transpose(order), axes, **storage), values


def with_rows(series: Series, rows: tuple[int, ...]) -> Series:
    """Some temperatures of a series, in any order."""
    return replace(series, scan=series.scan[list(rows)], rows=rows)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("storage", ["contiguous", "chunked", "lz4"])
def test_series_in_any_order_cropped(write_series: WriteSeries, order: tuple[int, ...], storage: str) -> None:
    path, values = stacked(write_series, order, **RAW[storage])
    region = {"Ql": (3, 8), "Qk": (2, 11), "Qh": (4, 12)}
    series = with_rows(open_series(path, region=region), (4, 1, 5, 2))
    expected = values[[4, 1, 5, 2], 2:8, 1:11, 3:12]
    rng = np.random.default_rng(2)
    with series.reader() as reader:
        assert reader.raw
        for _ in range(30):
            block, temperatures = random_box(rng, series.shape), random_box(rng, (4,))[0]
            got = reader.read(block, temperatures)
            np.testing.assert_array_equal(got, expected[(temperatures, *block)])
            np.testing.assert_array_equal(series.read(block, temperatures), got)
        assert reader.read((slice(0, 2), slice(0, 2), slice(1, 1))).shape == (4, 2, 2, 0)


def test_reading_into_an_array(write_series: WriteSeries) -> None:
    path, values = stacked(write_series, ORDERS[0], chunks=(1, 4, 5, 6))
    block = (slice(0, 4), slice(5, 10), slice(0, 13))
    with open_series(path).reader() as reader:
        out = np.zeros((20, 7), np.float64).T.reshape(7, 4, 5, 1)[..., np.zeros(13, int)]
        assert reader.read(block, out=out) is out
        np.testing.assert_array_equal(out, values[(slice(None), *block)])
        with pytest.raises(ValueError, match="shape"):
            reader.read(block, out=out[:3])


def test_a_folder_of_files(write_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xtec.io.reading.reader._MAX_OPEN", 2)
    volumes = {f"{t}K": counts(6, 7, 8) + t for t in (30, 50, 70, 90)}
    folder = write_folder(volumes, chunks=(4, 4, 4), **hdf5plugin.Bitshuffle())
    expected = np.stack(list(volumes.values()))
    write(folder / "70K", volumes["70K"], "plain.h5", **hdf5plugin.Zstd(), chunks=(4, 4, 4))
    (folder / "70K" / "transform.nxs").unlink()
    with h5py.File(folder / "70K" / "transform.nxs", "w") as file:
        file.create_group("entry/data")["v"] = h5py.ExternalLink("plain.h5", "/x")
    series = open_series(folder)
    with series.reader() as reader:
        assert list(reader.obstacles()) == [str(folder / "70K" / "plain.h5")]
        for block in series.blocks(1):
            np.testing.assert_array_equal(reader.read(block), expected[(slice(None), *block)])
    with series.crop(temperatures=(30, 60)).reader() as reader:
        assert reader.raw


@pytest.mark.parametrize(
    "storage", ["contiguous", "shuffle+gzip", "bitshuffle+lz4", "blosc", "one temperature a chunk"]
)
def test_eight_threads_at_once(write_series: WriteSeries, storage: str) -> None:
    values = counts(*SHAPE)
    series = open_series(write_series(values, **RAW[storage]))
    rng = np.random.default_rng(3)
    blocks = [random_box(rng, series.shape) for _ in range(400)]
    with series.reader() as reader, ThreadPoolExecutor(8) as pool:
        for block, got in zip(blocks, pool.map(reader.read, blocks), strict=True):
            np.testing.assert_array_equal(got, values[(slice(None), *block)])


def test_each_chunk_is_decoded_once(write_series: WriteSeries, monkeypatch: pytest.MonkeyPatch) -> None:
    values = counts(*SHAPE)
    path = write_series(values, chunks=(3, 4, 5, 6))
    reads: Counter[int] = Counter()
    preadv = os.preadv

    def counted(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        reads[offset] += 1
        return preadv(descriptor, buffers, offset)

    series = with_rows(open_series(path), (0, 2, 4, 6, 5))
    with series.reader() as reader:
        monkeypatch.setattr(os, "preadv", counted)
        got = reader.read((slice(0, 8), slice(0, 5), slice(0, 13)))
    np.testing.assert_array_equal(got, values[[0, 2, 4, 6, 5], :8, :5])
    assert set(reads.values()) == {1}
    assert len(reads) == 3 * 2 * 1 * 3


class TestDamage:
    """Files that change under a reader are named; nothing is made up."""

    @pytest.mark.parametrize("storage", ["contiguous", "chunked", "gzip", "bitshuffle+lz4"])
    def test_cut_short_while_open(self, write_series: WriteSeries, storage: str) -> None:
        path = write_series(counts(*SHAPE), **RAW[storage])
        series = open_series(path)
        block = tuple(slice(0, size) for size in series.shape)
        with series.reader() as reader:
            assert reader.raw
            os.truncate(path, path.stat().st_size // 2)
            with pytest.raises(InputError, match=r"cut short.*\n.*series\.nxs:/?entry/data/data"):
                reader.read(block)

    def test_cut_short_before(self, write_series: WriteSeries) -> None:
        path = write_series(counts(*SHAPE), chunks=CHUNKS)
        series = open_series(path)
        os.truncate(path, path.stat().st_size // 2)
        with series.reader() as reader, pytest.raises(InputError, match=r"truncated.*\n.*series\.nxs"):
            reader.read((slice(0, 1),) * 3)

    @pytest.mark.parametrize("storage", ["gzip", "shuffle+gzip", "lz4", "bitshuffle+lz4", "blosc"])
    def test_a_damaged_chunk(self, write_series: WriteSeries, storage: str) -> None:
        path = write_series(counts(*SHAPE), **RAW[storage])
        with h5py.File(path) as file:
            chunk = file["entry/data/data"].id.get_chunk_info(0)
        with path.open("r+b") as file:
            file.seek(chunk.byte_offset)
            file.write(b"\xff" * chunk.size)
        with open_series(path).reader() as reader:
            assert reader.raw
            with pytest.raises(
                InputError, match=r"chunk at \(0, 0, 0, 0\).*\n.*series\.nxs:/?entry/data/data"
            ):
                reader.read((slice(0, 1),) * 3)

    def test_another_dataset_in_its_place(self, write_series: WriteSeries) -> None:
        series = open_series(write_series(counts(*SHAPE)))
        write_series(counts(3, 4, 5, 6))
        with series.reader() as reader, pytest.raises(InputError, match=r"has changed.*\n.*series\.nxs"):
            reader.read((slice(0, 1),) * 3)

    def test_a_file_that_is_gone(self, write_series: WriteSeries) -> None:
        path = write_series(counts(*SHAPE))
        series = open_series(path)
        path.unlink()
        with series.reader() as reader, pytest.raises(InputError, match=r"no such file\n.*series\.nxs"):
            reader.read((slice(0, 1),) * 3)


def test_files_are_closed(write_series: WriteSeries) -> None:
    series = open_series(write_series(counts(*SHAPE), chunks=CHUNKS))
    path = str(series.inputs[0])

    def held() -> int:
        links = (Path("/proc/self/fd") / name for name in os.listdir("/proc/self/fd"))
        return sum(os.path.realpath(link) == path for link in links)

    if not Path("/proc/self/fd").exists():
        pytest.skip("open files are counted in /proc")
    with series.reader() as reader:
        reader.read((slice(0, 2),) * 3)
        assert held() == 1
    assert held() == 0
    forgotten = SeriesReader(series)
    forgotten.read((slice(0, 2),) * 3)
    del forgotten
    assert held() == 0


def test_a_series_can_be_pickled(write_series: WriteSeries) -> None:
    values = counts(*SHAPE)
    series: Series = pickle.loads(pickle.dumps(open_series(write_series(values, chunks=CHUNKS))))
    with series.reader() as reader:
        np.testing.assert_array_equal(reader.read((slice(0, 2),) * 3), values[:, :2, :2, :2])


class TestVirtual:
    """A virtual dataset of one whole dataset for each temperature is read at its sources."""

    @staticmethod
    def make(
        folder: Path,
        values: np.ndarray,
        *,
        rows: list[int] | None = None,
        dimension: int = 0,
        dtype: str | None = None,
        part: bool = False,
    ) -> Path:
        layout = h5py.VirtualLayout(np.moveaxis(values, 0, dimension).shape, dtype or values.dtype)
        for row in range(len(values)) if rows is None else rows:
            where: list[object] = [slice(None)] * 4
            where[dimension] = row
            volume = values[row]
            if part:
                where[1], volume = slice(0, 2), volume[:2]
            write(folder, volume, f"{row}.h5", chunks=(2, 3, 4), compression="gzip")
            layout[tuple(where)] = h5py.VirtualSource(f"{row}.h5", "x", volume.shape)
        names = list(NAMES[1:])
        names.insert(dimension, "temperature")
        with h5py.File(folder / "virtual.nxs", "w") as file:
            group = file.create_group("entry").create_group("data")
            group.attrs.update({"NX_class": "NXdata", "signal": "data", "axes": names})
            group.create_virtual_dataset("data", layout, fillvalue=-1)
            for name, size in zip(names, layout.shape, strict=True):
                group[name] = np.arange(1.0, size + 1)
        return folder / "virtual.nxs"

    @staticmethod
    def assert_reads_alike(series: Series, values: np.ndarray, raw: bool) -> None:
        with series.reader() as reader:
            assert reader.raw is raw
            np.testing.assert_array_equal(reader.read(tuple(slice(0, size) for size in series.shape)), values)

    @pytest.mark.parametrize("dimension", [0, 1, 3])
    def test_sources_are_read_raw(self, tmp_path: Path, dimension: int) -> None:
        values = counts(4, 5, 6, 7)
        path = self.make(tmp_path, values, dimension=dimension)
        series = open_series(path)
        assert isinstance(series.source, PerTemperature)
        assert [ref.file.name for ref in series.source.refs] == ["0.h5", "1.h5", "2.h5", "3.h5"]
        assert series.inputs == (path,)
        self.assert_reads_alike(series, values, True)
        cropped = open_series(path, temperatures=(2, 3), region={"Qk": (2, 4)})
        self.assert_reads_alike(cropped, values[1:3, :, 1:4], True)

    def test_a_temperature_not_filled(self, tmp_path: Path) -> None:
        values = counts(4, 5, 6, 7)
        series = open_series(self.make(tmp_path, values, rows=[0, 1, 3]))
        assert isinstance(series.source, Stacked)
        values[2] = -1
        self.assert_reads_alike(series, values, False)

    def test_another_type_than_its_sources(self, tmp_path: Path) -> None:
        values = counts(4, 5, 6, 7)
        series = open_series(self.make(tmp_path, values, dtype="<f8"))
        assert isinstance(series.source, Stacked)
        assert series.dtype == np.float64
        self.assert_reads_alike(series, values, False)

    def test_temperatures_filled_in_part(self, tmp_path: Path) -> None:
        values = counts(4, 5, 6, 7)
        series = open_series(self.make(tmp_path, values, part=True))
        values[:, 2:] = -1
        self.assert_reads_alike(series, values, False)


class TestStorageNotes:
    """Each note gives its cost as a number."""

    def test_good_storage(self, write_series: WriteSeries) -> None:
        assert storage_notes(open_series(write_series(counts(4, 8, 16, 16), chunks=(1, 8, 16, 16)))) == []
        assert storage_notes(open_series(write_series(counts(4, 8, 16, 16)))) == []

    def test_few_of_the_temperatures_of_a_chunk(self, write_series: WriteSeries) -> None:
        path = write_series(counts(12, 8, 16), chunks=(12, 8, 16))
        (note,) = storage_notes(open_series(path, temperatures=(20, 40)))
        assert "12 temperatures each" in note
        assert "4.0 times" in note

    def test_a_region_that_cuts_chunks(self, write_series: WriteSeries) -> None:
        axes = {"temperature": np.arange(3.0), "Qk": np.arange(16.0), "Qh": np.arange(16.0)}
        path = write_series(counts(3, 16, 16), axes, chunks=(1, 8, 16))
        (note,) = storage_notes(open_series(path, region={"Qk": (6, 9), "Qh": (0, 7)}))
        assert "8 x 16 voxels" in note
        assert "8.0 times" in note

    def test_small_chunks(self, write_series: WriteSeries) -> None:
        (note,) = storage_notes(open_series(write_series(counts(40, 32, 32), chunks=(1, 1, 32))))
        assert "128 B" in note
        assert "1280 separate reads" in note

    def test_large_chunks(self, write_series: WriteSeries, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("xtec.io.reading.storage._LARGE_BLOCK", 10_000)
        (note,) = storage_notes(open_series(write_series(counts(4, 32, 32), chunks=(1, 32, 32))))
        assert "16.4 kB" in note

    def test_temperature_fastest_and_few_used(self, write_series: WriteSeries) -> None:
        axes = {"Qk": np.arange(6.0), "Qh": np.arange(7.0), "temperature": np.arange(12.0)}
        (note,) = storage_notes(open_series(write_series(counts(6, 7, 12), axes), temperatures=(1, 3)))
        assert "4.0 times" in note


def test_stored_bytes_of_another_size_are_refused() -> None:
    with pytest.raises(InputError):
        stored(np.zeros(3, np.uint8), np.zeros(4, np.uint8))
