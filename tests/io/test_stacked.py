"""Stacked series: any rank, order, style, type and scan variable, against plain h5py and NumPy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest

import xtec
from xtec.core.errors import AxisError, ConfigError, InputError, SeriesNotFoundError
from xtec.io import OpenOptions, open_series
from xtec.io.reading.series import Series

WriteSeries = Callable[..., Path]
RNG = np.random.default_rng(3)
STORAGE = {
    "contiguous": {},
    "chunked": {"chunks": (2, 2, 3, 2)},
    "gzip": {"compression": "gzip", "shuffle": True, "chunks": (1, 2, 3, 4)},
    "lz4": hdf5plugin.LZ4(),
    "bitshuffle": hdf5plugin.Bitshuffle(),
    "blosc": hdf5plugin.Blosc(),
    "zstd": hdf5plugin.Zstd(),
}


def volume(*shape: int) -> np.ndarray:
    return RNG.normal(100, 10, shape).astype(np.float32)


def everything(series: Series) -> np.ndarray:
    return series.read(tuple(slice(0, size) for size in series.shape))


@pytest.mark.parametrize("shape", [(5, 4, 6, 7), (5, 6, 7), (5, 9)])
def test_rank(write_series: WriteSeries, shape: tuple[int, ...]) -> None:
    data = volume(*shape)
    series = open_series(write_series(data))
    assert series.scan.name == "temperature"
    assert series.scan.units == "K"
    assert [axis.name for axis in series.axes] == ["Ql", "Qk", "Qh"][-len(shape) + 1 :]
    np.testing.assert_array_equal(series.scan.values, [10, 20, 30, 40, 50])
    np.testing.assert_array_equal(everything(series), data)
    assert series.name == "Test"


def test_powder_pattern(write_series: WriteSeries) -> None:
    data = volume(3, 8)
    path = write_series(data, {"temperature": np.array([3.0, 5, 7]), "two_theta": np.arange(8.0)})
    array = xtec.open_series(path)
    assert array.dims == ("temperature", "two_theta")
    np.testing.assert_array_equal(array.values, data)


@pytest.mark.parametrize("name", ["temperature", "Te", "temp", "T"])
@pytest.mark.parametrize("position", [0, 1, 3])
def test_scan_anywhere_under_any_usual_name(write_series: WriteSeries, name: str, position: int) -> None:
    data = volume(5, 4, 6, 7)
    axes = [(q, np.arange(size) * 1.0) for q, size in zip(("Ql", "Qk", "Qh"), (4, 6, 7), strict=True)]
    axes.insert(position, (name, np.arange(5.0) + 1))
    series = open_series(write_series(np.moveaxis(data, 0, position), dict(axes)))
    assert series.scan.name == "temperature"
    np.testing.assert_array_equal(everything(series), data)


def test_another_scan_variable_needs_not_be_first(write_series: WriteSeries) -> None:
    data = volume(6, 9)
    axes = {"Ql": np.arange(9.0), "magnetic_field": np.arange(6.0)}

    def units(file: h5py.File) -> None:
        file["entry/data/magnetic_field"].attrs["units"] = "T"

    series = open_series(write_series(data.T, axes, change=units))
    assert (series.scan.name, series.scan.units) == ("magnetic_field", "T")
    np.testing.assert_array_equal(everything(series), data)


@pytest.mark.parametrize("order", [(0, 3, 2, 1), (0, 2, 3, 1), (3, 2, 1, 0)])
def test_reciprocal_axes_in_another_order(write_series: WriteSeries, order: tuple[int, ...]) -> None:
    data = volume(5, 4, 6, 7)
    names = ("temperature", "Ql", "Qk", "Qh")
    axes = {names[i]: np.arange(data.shape[i]) * 1.0 for i in order}
    array = xtec.open_series(write_series(data.transpose(order), axes))
    assert array.dims == names
    np.testing.assert_array_equal(array.values, data)


@pytest.mark.parametrize("names", [("l", "k", "h"), ("L", "K", "H"), ("ql", "qk", "qh")])
def test_short_names_of_reciprocal_axes(write_series: WriteSeries, names: tuple[str, ...]) -> None:
    data = volume(5, 4, 6, 7)
    stored = {"temperature": np.arange(5.0), names[2]: np.arange(7.0), names[1]: np.arange(6.0)}
    path = write_series(data.transpose(0, 3, 2, 1), {**stored, names[0]: np.arange(4.0)})
    array = xtec.open_series(path, region="H=1:3")
    assert array.dims == ("temperature", "Ql", "Qk", "Qh")
    np.testing.assert_array_equal(array.values, data[..., 1:4])


@pytest.mark.parametrize("axes", ["Te:Ql:Qk:Qh", "Te,Ql,Qk,Qh", "[Te, Ql, Qk, Qh]"])
@pytest.mark.parametrize("marker", [1, "1"])
def test_signal_and_axes_marked_the_old_way(write_series: WriteSeries, axes: str, marker: object) -> None:
    data = volume(5, 4, 6, 7)

    def old_style(file: h5py.File) -> None:
        group = file["entry/data"]
        del group.attrs["signal"], group.attrs["axes"]
        group["data"].attrs["signal"] = marker
        group["data"].attrs["axes"] = axes

    names = {"Te": np.arange(5.0), "Ql": np.arange(4.0), "Qk": np.arange(6.0), "Qh": np.arange(7.0)}
    series = open_series(write_series(data, names, change=old_style))
    assert series.scan.name == "temperature"
    np.testing.assert_array_equal(everything(series), data)


def test_bin_edges_become_centres(write_series: WriteSeries) -> None:
    data = volume(3, 4)
    path = write_series(data, {"temperature": np.arange(1.0, 4), "Qh": np.array([0, 1, 3, 4, 5.0])})
    np.testing.assert_array_equal(open_series(path).axes[0].values, [0.5, 2, 3.5, 4.5])


@pytest.mark.parametrize("dtype", ["<i4", "u2", ">f4", ">i2", "<f8", "f2"])
def test_number_types(write_series: WriteSeries, dtype: str) -> None:
    data = volume(3, 4, 5).astype(dtype)
    series = open_series(write_series(data))
    values = everything(series)
    np.testing.assert_array_equal(values, data)
    half = np.dtype(dtype) == np.float16
    assert values.dtype == (np.float32 if half else np.dtype(dtype).newbyteorder("="))
    assert values.dtype.isnative


def test_another_scan_axis_of_the_same_length(write_series: WriteSeries) -> None:
    def regulation(file: h5py.File) -> None:
        group = file["entry/data"]
        group["temperature_regulation"] = np.array([9.0, 18, 27])
        group["temperature_regulation"].attrs["units"] = "K"
        file["entry/sample/stress"] = np.array([1.0, 2, 4])

    path = write_series(volume(3, 4), change=regulation)
    for name, values in (("temperature_regulation", [9, 18, 27]), ("sample/stress", [1, 2, 4])):
        series = open_series(path, options=OpenOptions(scan=name))
        assert series.scan.name == name.rsplit("/", 1)[-1]
        np.testing.assert_array_equal(series.scan.values, values)
    with pytest.raises(SeriesNotFoundError, match=r"'strain'\n.*series\.nxs:/entry/data"):
        open_series(path, options=OpenOptions(scan="strain"))


@pytest.mark.parametrize("kind", STORAGE)
def test_region_and_temperatures_equal_plain_slices(write_series: WriteSeries, kind: str) -> None:
    data = volume(6, 5, 8, 9)
    path = write_series(data, **STORAGE[kind])
    array = xtec.open_series(path, region="L=-0.4:-0.2,H=-0.1:0.25", temperatures="20:50")
    with h5py.File(path) as file:
        plain = file["entry/data/data"][1:5, 1:4, :, 4:8]
    np.testing.assert_array_equal(array.values, plain)
    np.testing.assert_allclose(array.Ql, [-0.4, -0.3, -0.2])
    np.testing.assert_array_equal(array.temperature, [20, 30, 40, 50])


def test_temperatures_need_not_be_in_order(write_series: WriteSeries) -> None:
    data = volume(5, 3, 4)
    axes = {"temperature": np.array([50.0, 10, 40, 20, 30]), "Qk": np.arange(3.0), "Qh": np.arange(4.0)}
    array = xtec.open_series(write_series(data, axes), temperatures="15:45")
    for temperature, position in ((40, 2), (20, 3), (30, 4)):
        np.testing.assert_array_equal(array.sel(temperature=temperature), data[position])
    assert array.sizes["temperature"] == 3


def test_temperatures_are_found_despite_rounding(write_series: WriteSeries) -> None:
    values = np.array([0.1, 0.1 + 0.2, 0.5])
    path = write_series(volume(3, 4), {"temperature": values, "Qh": np.arange(4.0)})
    assert open_series(path, temperatures=(0.1, 0.3)).scan.values.tolist() == values[:2].tolist()


def test_falling_axes(write_series: WriteSeries) -> None:
    data = volume(3, 4, 5)
    axes = {"temperature": np.array([30.0, 20, 10]), "Qk": -np.arange(4.0), "Qh": np.arange(5.0)}
    array = xtec.open_series(write_series(data, axes), region="K=-2:-1")
    np.testing.assert_array_equal(array.values, data[:, 1:3])


def test_missing_axes_are_counted_in_pixels(write_series: WriteSeries) -> None:
    def without(file: h5py.File) -> None:
        file["entry/data"].attrs["axes"] = ["temperature", ".", ".", "."]

    series = open_series(write_series(volume(3, 4, 5, 6), change=without))
    assert [(axis.name, axis.units) for axis in series.axes] == [
        ("Ql", "pixel"),
        ("Qk", "pixel"),
        ("Qh", "pixel"),
    ]


def test_angles_units_and_scaling_come_along(write_series: WriteSeries) -> None:
    def dress(file: h5py.File) -> None:
        file["entry/data"].attrs["angles"] = [90.0, 90.0, 120.0]
        file["entry/data/Qh"].attrs["scaling_factor"] = 0.87
        file["entry/data/Qh"].attrs["long_name"] = "H (r.l.u.)"

    array = xtec.open_series(write_series(volume(3, 4, 5, 6), change=dress))
    np.testing.assert_array_equal(array.attrs["angles"], [90, 90, 120])
    assert array.Qh.attrs == {"units": "r.l.u.", "scaling_factor": 0.87, "long_name": "H (r.l.u.)"}


def test_entry_and_group_are_taken_as_asked(write_series: WriteSeries) -> None:
    data = volume(3, 4, 5)

    def more(file: h5py.File) -> None:
        file.copy("entry", "other")
        file["other/data/data"][...] = 2 * data
        file.copy("entry/data", "entry/masked")
        file["entry/masked/data"][...] = 3 * data

    path = write_series(data, change=more)
    for factor, options in (
        (1, {}),
        (2, {"entry": "other"}),
        (2, {"entry": "/other/data"}),
        (3, {"group": "masked"}),
    ):
        np.testing.assert_array_equal(xtec.open_series(path, **options).values, factor * data)
    with pytest.raises(SeriesNotFoundError, match=r"(?s)no group named nix\n.*groups here: .*masked"):
        xtec.open_series(path, group="nix")
    with pytest.raises(SeriesNotFoundError, match=r"(?s)no such group\n.*:nix\n.*groups here: entry, other"):
        xtec.open_series(path, entry="nix")


def test_default_plot_is_followed(write_series: WriteSeries) -> None:
    data = volume(3, 4, 5)

    def second(file: h5py.File) -> None:
        file.copy("entry", "raw")
        file["raw/data/data"][...] = 5 * data
        file.attrs["default"] = "raw"

    np.testing.assert_array_equal(xtec.open_series(write_series(data, change=second)).values, 5 * data)


class TestVirtual:
    """A stacked virtual dataset over files of one temperature each."""

    @staticmethod
    def make(folder: Path, data: np.ndarray) -> Path:
        layout = h5py.VirtualLayout(data.shape, data.dtype)
        for row, one in enumerate(data):
            with h5py.File(folder / f"{row}.h5", "w") as file:
                file["v"] = one
            layout[row] = h5py.VirtualSource(f"{row}.h5", "v", one.shape)
        with h5py.File(folder / "virtual.nxs", "w") as file:
            group = file.create_group("entry").create_group("data")
            group.attrs.update({"NX_class": "NXdata", "signal": "data", "axes": ["Te", "Qk", "Qh"]})
            group.create_virtual_dataset("data", layout)
            for name, size in zip(("Te", "Qk", "Qh"), data.shape, strict=True):
                group[name] = np.arange(1.0, size + 1)
        return folder / "virtual.nxs"

    def test_sources_are_read(self, tmp_path: Path) -> None:
        data = volume(3, 4, 5)
        np.testing.assert_array_equal(xtec.open_series(self.make(tmp_path, data)).values, data)

    def test_a_lost_source_is_an_error(self, tmp_path: Path) -> None:
        path = self.make(tmp_path, volume(3, 4, 5))
        (tmp_path / "1.h5").unlink()
        with pytest.raises(
            SeriesNotFoundError, match=r"1\.h5, which does not exist\n.*virtual.nxs:/entry/data"
        ):
            open_series(path)

    def test_a_source_without_the_dataset_is_an_error(self, tmp_path: Path) -> None:
        path = self.make(tmp_path, volume(3, 4, 5))
        with h5py.File(tmp_path / "1.h5", "w") as file:
            file["other"] = 1
        with pytest.raises(SeriesNotFoundError, match=r"1\.h5"):
            open_series(path)

    def test_a_damaged_source_is_an_error(self, tmp_path: Path) -> None:
        path = self.make(tmp_path, volume(3, 4, 5))
        whole = (tmp_path / "1.h5").read_bytes()
        (tmp_path / "1.h5").write_bytes(whole[: len(whole) // 2])
        with pytest.raises(InputError, match=r"1\.h5"):
            open_series(path)


class TestLazy:
    """Opening reads no voxels; what is asked for is what is read."""

    def test_opening_reads_nothing(self, write_series: WriteSeries, monkeypatch: pytest.MonkeyPatch) -> None:
        data = volume(5, 4, 6, 7)
        path = write_series(data, chunks=(1, 2, 3, 7))
        reads: list[object] = []
        read = Series.read

        def counted(self: Series, *arguments: object) -> np.ndarray:
            reads.append(arguments)
            return read(self, *arguments)

        monkeypatch.setattr(Series, "read", counted)
        array = xtec.open_series(path, region="H=-0.3:0")
        part = array.sel(temperature=30).isel(Ql=2)
        assert array.sum().chunks == ()
        assert reads == []
        np.testing.assert_array_equal(part.compute(), data[2, 2, :, 2:6])
        assert reads

    def test_opening_touches_no_dataset_of_intensities(
        self, write_series: WriteSeries, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = write_series(volume(5, 4, 6, 7))
        plain = h5py.Dataset.__getitem__

        def guarded(self: h5py.Dataset, *arguments: object) -> object:
            assert self.ndim < 2, "intensities were read"
            return plain(self, *arguments)

        monkeypatch.setattr(h5py.Dataset, "__getitem__", guarded)
        assert xtec.open_series(path).shape == (5, 4, 6, 7)

    @pytest.mark.parametrize("budget", [1, 5 * 4 * 7 * 4 * 2, 2**30])
    def test_any_dask_chunks_give_the_values(
        self, write_series: WriteSeries, monkeypatch: pytest.MonkeyPatch, budget: int
    ) -> None:
        data = volume(5, 4, 6, 7)
        monkeypatch.setattr("xtec.io.reading.series._DASK_BYTES", budget)
        array = open_series(write_series(data, compression="gzip")).to_xarray()
        np.testing.assert_array_equal(array.compute().values, data)
        np.testing.assert_array_equal(array[::2, ::-1, 1, [0, 3]].compute(), data[::2, ::-1, 1][..., [0, 3]])

    @pytest.mark.parametrize(("size", "partitions"), [(1, 8), (2000, 2), (10**9, 1)])
    def test_any_chunks_give_the_values(
        self, write_series: WriteSeries, monkeypatch: pytest.MonkeyPatch, size: int, partitions: int
    ) -> None:
        data = volume(5, 4, 6, 7)
        monkeypatch.setattr("xtec.io.reading.series._DASK_BYTES", size)
        array = xtec.open_series(write_series(data, chunks=(1, 2, 4, 4), compression="gzip"))
        assert array.data.npartitions == partitions
        np.testing.assert_array_equal(array.compute().values, data)
        np.testing.assert_array_equal(array[::2, ::-1, 1, [0, 3]].compute(), data[::2, ::-1, 1][..., [0, 3]])


class TestUnusable:
    """Each message names file and path."""

    @pytest.mark.parametrize("shape", [(5,), (2, 2, 2, 2, 2)])
    def test_rank(self, write_series: WriteSeries, shape: tuple[int, ...]) -> None:
        axes = {"temperature": np.arange(float(shape[0])), **{f"x{i}": np.arange(2.0) for i in shape[1:]}}
        axes |= {f"y{i}": np.arange(2.0) for i in range(len(shape) - len(axes))}
        with pytest.raises(InputError, match=r"dimensions?\n.*series.nxs:/entry/data/data"):
            open_series(write_series(volume(*shape), axes))

    def test_one_temperature(self, write_series: WriteSeries) -> None:
        with pytest.raises(InputError, match="one temperature only"):
            open_series(write_series(volume(1, 3, 4, 5)))

    def test_duplicate_temperatures(self, write_series: WriteSeries) -> None:
        axes = {"temperature": np.array([10.0, 20, 20]), "Qh": np.arange(4.0)}
        with pytest.raises(InputError, match=r"duplicate values of temperature: 20 K\n.*series.nxs"):
            open_series(write_series(volume(3, 4), axes))

    def test_first_of_each_temperature_on_request(self, write_series: WriteSeries) -> None:
        data = volume(4, 4)
        axes = {"temperature": np.array([10.0, 20, 20, 5]), "Qh": np.arange(4.0)}
        array = xtec.open_series(write_series(data, axes), skip_bad=True)
        np.testing.assert_array_equal(array.values, data[[0, 1, 3]])
        assert ["20 K is there twice: row 2" in text for text in array.attrs["dropped"]] == [True]

    def test_duplicates_outside_the_temperatures_asked_for(self, write_series: WriteSeries) -> None:
        axes = {"temperature": np.array([10.0, 15, 20, 20]), "Qh": np.arange(4.0)}
        series = open_series(write_series(volume(4, 4), axes), temperatures=(0, 16))
        assert series.scan.values.tolist() == [10, 15]

    def test_axis_of_wrong_length(self, write_series: WriteSeries) -> None:
        axes = {"temperature": np.arange(3.0), "Qk": np.arange(7.0), "Qh": np.arange(5.0)}
        with pytest.raises(AxisError, match=r"7 values where the signal has 4\n.*/entry/data/Qk"):
            open_series(write_series(volume(3, 4, 5), axes))

    def test_axis_with_nan(self, write_series: WriteSeries) -> None:
        axes = {"temperature": np.array([1, np.nan, 3]), "Qh": np.arange(5.0)}
        with pytest.raises(AxisError, match=r"1 of 3 values.*not finite\n.*/entry/data/temperature"):
            open_series(write_series(volume(3, 5), axes))

    def test_axis_that_turns(self, write_series: WriteSeries) -> None:
        axes = {"temperature": np.arange(3.0), "Qh": np.array([0.0, 1, 3, 2])}
        with pytest.raises(AxisError, match=r"Qh does not rise or fall steadily"):
            open_series(write_series(volume(3, 4), axes))

    def test_axis_missing(self, write_series: WriteSeries) -> None:
        def without(file: h5py.File) -> None:
            del file["entry/data/Qh"]

        with pytest.raises(SeriesNotFoundError, match=r"axis 'Qh' is missing\n.*series.nxs:/entry/data"):
            open_series(write_series(volume(3, 4), change=without))

    def test_signal_missing(self, write_series: WriteSeries) -> None:
        def without(file: h5py.File) -> None:
            del file["entry/data/data"]

        with pytest.raises(SeriesNotFoundError, match=r"signal 'data' is missing\n.*series.nxs:/entry/data"):
            open_series(write_series(volume(3, 4), change=without))

    def test_text_for_a_signal(self, write_series: WriteSeries) -> None:
        def text(file: h5py.File) -> None:
            del file["entry/data/data"]
            file["entry/data/data"] = ["a", "b"]

        with pytest.raises(InputError, match=r"numbers were expected.*\n.*/entry/data/data"):
            open_series(write_series(volume(3, 4), change=text))

    def test_links_in_a_circle(self, write_series: WriteSeries) -> None:
        def circle(file: h5py.File) -> None:
            del file["entry/data/data"]
            file["entry/data/data"] = h5py.ExternalLink("series.nxs", "/entry/data/data")

        with pytest.raises(InputError, match="circles"):
            open_series(write_series(volume(3, 4), change=circle))

    def test_no_nxdata(self, tmp_path: Path) -> None:
        with h5py.File(tmp_path / "a.nxs", "w") as file:
            file["x"] = np.zeros((3, 4))
        with pytest.raises(SeriesNotFoundError, match=r"no NXdata in this file\n.*a\.nxs"):
            open_series(tmp_path / "a.nxs")

    @pytest.mark.parametrize("temperatures", [(200, 300), (21, 22)])
    def test_no_temperature_in_the_interval(
        self, write_series: WriteSeries, temperatures: tuple[float, float]
    ) -> None:
        with pytest.raises(AxisError, match=r"temperature: nothing between.*\n.*series.nxs\n.*10 to 50 K"):
            open_series(write_series(volume(5, 4)), temperatures=temperatures)

    def test_region_outside(self, write_series: WriteSeries) -> None:
        with pytest.raises(AxisError, match=r"Qh: nothing between 7 and 8"):
            xtec.open_series(write_series(volume(5, 4)), region="H=7:8")

    def test_region_on_an_axis_not_there(self, write_series: WriteSeries) -> None:
        with pytest.raises(ConfigError, match=r"no axis named Ql\n.*series.nxs\n.*the axes are Qh"):
            xtec.open_series(write_series(volume(5, 4)), region="L=0:1")

    def test_not_hdf5(self, tmp_path: Path) -> None:
        for name, content in (("text.nxs", b"temperature, intensity\n"), ("empty.nxs", b"")):
            (tmp_path / name).write_bytes(content)
            with pytest.raises(InputError, match=rf"not an HDF5 file\n.*{name}"):
                open_series(tmp_path / name)

    def test_truncated(self, write_series: WriteSeries) -> None:
        path = write_series(volume(20, 30, 30))
        path.write_bytes(path.read_bytes()[:9000])
        with pytest.raises(
            InputError, match=r"cannot open this HDF5 file.*truncated.*\n.*series.nxs\n.*copy it again"
        ):
            open_series(path)

    def test_damaged_chunk(self, write_series: WriteSeries) -> None:
        path = write_series(volume(4, 30, 30), compression="gzip", chunks=(1, 30, 30))
        with h5py.File(path) as file:
            chunk = file["entry/data/data"].id.get_chunk_info(2)
        content = bytearray(path.read_bytes())
        content[chunk.byte_offset : chunk.byte_offset + chunk.size] = b"\xff" * chunk.size
        path.write_bytes(content)
        array = xtec.open_series(path)
        with pytest.raises(InputError, match=r"cannot read the intensities.*\n.*series.nxs:/entry/data/data"):
            array.compute()

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(SeriesNotFoundError, match=r"no such file\n.*nix\.nxs"):
            open_series(tmp_path / "nix.nxs")
        with pytest.raises(SeriesNotFoundError, match=r"no file matches"):
            open_series(tmp_path / "*.nxs")
