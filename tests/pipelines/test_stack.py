"""Stacking per-temperature files: the same values, sources that are really read, nothing left half-made."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import xtec
from xtec.core.errors import ConfigError, InputError, OutputError, SeriesNotFoundError
from xtec.io import OpenOptions, Series, open_series
from xtec.io.reading.series import PerTemperature
from xtec_pipelines.stack import StackConfig, run_stack

WriteFolder = Callable[..., Path]
RNG = np.random.default_rng(5)
SCANS = {"30K": 30.0, "5p5K": 5.5, "100K": 100.0}
RISING = ["5p5K", "30K", "100K"]


def volumes(*shape: int, dtype: str = "f4") -> dict[str, np.ndarray]:
    return {scan: RNG.normal(100, 10, shape).astype(dtype) for scan in SCANS}


ANYWHERE = OpenOptions(allow_external=True)


def stack(source: object, output: Path, **options: Any) -> Path:
    inputs = [str(one) for one in (source if isinstance(source, list) else [source])]
    return run_stack(StackConfig(inputs=inputs, output=str(output), **options)).path


def everything(series: Series) -> np.ndarray:
    return series.read(tuple(slice(0, size) for size in series.shape))


@pytest.fixture
def folder(write_folder: WriteFolder) -> Path:
    return write_folder(volumes(6, 7, 9), SCANS)


@pytest.mark.parametrize("copied", [False, True])
class TestBoth:
    @pytest.mark.parametrize(
        ("shape", "dtype"), [((6, 7, 9), "f4"), ((6, 7, 9), ">f4"), ((7, 9), "f8"), ((9,), "u2")]
    )
    def test_values_are_those_of_the_files(
        self, write_folder: WriteFolder, tmp_path: Path, shape: tuple[int, ...], dtype: str, copied: bool
    ) -> None:
        data = volumes(*shape, dtype=dtype)
        path = stack(write_folder(data, SCANS), tmp_path / "out" / "s.nxs", copied=copied)
        series = open_series(path, options=ANYWHERE)
        np.testing.assert_array_equal(everything(series), [data[scan] for scan in RISING])
        assert series.scan.values.tolist() == [5.5, 30, 100]
        with h5py.File(path) as file:
            signal = file["entry/data/data"]
            assert signal.is_virtual is not copied
            np.testing.assert_array_equal(signal[()], [data[scan] for scan in RISING])

    def test_axes_units_and_sample_come_along(self, folder: Path, tmp_path: Path, copied: bool) -> None:
        with h5py.File(folder / "Test_5p5K.nxs", "r+") as file:
            file["entry/transform"].attrs["angles"] = [90.0, 90.0, 120.0]
            file["entry/transform/Qh"].attrs["scaling_factor"] = 1.5
            file["entry/sample/magnetic_field"] = 2.0
        before, after = open_series(folder), open_series(stack(folder, tmp_path / "s.nxs", copied=copied))
        for old, new in zip([before.scan, *before.axes], [after.scan, *after.axes], strict=True):
            np.testing.assert_array_equal(new.values, old.values)
            assert (new.name, new.units, new.attributes) == (old.name, old.units, old.attributes)
        assert (after.name, after.sample) == (before.name, before.sample)
        np.testing.assert_array_equal(after.angles, before.angles)

    def test_region_and_temperatures(self, folder: Path, tmp_path: Path, copied: bool) -> None:
        part = {"region": "L=-0.3:0,H=-0.4:0.2", "temperatures": "5:50"}
        path = stack(folder, tmp_path / "s.nxs", copied=copied, **part)
        config = StackConfig(inputs=[str(folder)], output="", **part)
        region, temperatures = config.bounds
        expected = open_series(folder, region=region, temperatures=temperatures)
        assert expected.shape == (4, 7, 7)
        series = open_series(path)
        np.testing.assert_array_equal(everything(series), everything(expected))
        assert [axis.values.tolist() for axis in series.axes] == [
            axis.values.tolist() for axis in expected.axes
        ]

    def test_other_order_of_axes(self, write_folder: WriteFolder, tmp_path: Path, copied: bool) -> None:
        axes = {"Qh": np.arange(4.0), "Qk": np.arange(5.0), "Ql": np.arange(6.0)}
        data = volumes(4, 5, 6)
        folder = write_folder(data, SCANS, axes=axes)
        part = open_series(stack(folder, tmp_path / "s.nxs", copied=copied, region="H=1:2,L=3:"))
        assert part.shape == (3, 5, 2)
        expected = [data[scan].transpose(2, 1, 0)[3:, :, 1:3] for scan in RISING]
        np.testing.assert_array_equal(everything(part), expected)

    def test_input_is_left_alone(self, folder: Path, tmp_path: Path, copied: bool) -> None:
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        stack(folder, tmp_path / "s.nxs", copied=copied)
        assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
        assert sorted(path.name for path in tmp_path.iterdir()) == ["cubic", "s.nxs"]

    def test_a_stack_beside_its_temperatures_is_none(
        self, folder: Path, copied: bool, recwarn: pytest.WarningsRecorder
    ) -> None:
        stack(folder, folder / "stacked.nxs", copied=copied)
        assert open_series(folder).n_temperatures == 3

    def test_dropped_temperatures_are_told(self, folder: Path, tmp_path: Path, copied: bool) -> None:
        (folder / "30K" / "transform.nxs").unlink()
        with pytest.raises(InputError, match="30K"):
            stack(folder, tmp_path / "s.nxs", copied=copied)
        path = stack(folder, tmp_path / "s.nxs", copied=copied, skip_bad=True)
        with h5py.File(path) as file:
            assert "30K" in file["entry/process/dropped/temperature_001"].asstr()[()]
        assert open_series(path).scan.values.tolist() == [5.5, 100]

    def test_refusals(self, folder: Path, tmp_path: Path, copied: bool) -> None:
        taken, wrapper = tmp_path / "s.nxs", folder / "Test_30K.nxs"
        taken.write_bytes(b"mine")
        for output, force, what in (
            (taken, False, "exists already"),
            (wrapper, True, "part of the input"),
            (folder / "30K" / "transform.nxs", True, "part of the input"),
            (tmp_path, True, "is a folder"),
            (taken / "s.nxs", True, "cannot write here"),
        ):
            with pytest.raises(OutputError, match=what):
                stack(folder, output, copied=copied, force=force)
        assert taken.read_bytes() == b"mine"
        assert open_series(stack(folder, taken, copied=copied, force=True)).n_temperatures == 3


class TestVirtual:
    def test_reading_sees_through(self, folder: Path, tmp_path: Path) -> None:
        series = open_series(stack(folder, tmp_path / "s.nxs", region="L=-0.3:0"))
        assert isinstance(series.source, PerTemperature)
        assert series.origin == (2, 0, 0)
        with series.reader() as reader:
            assert reader.raw

    def test_moved_with_its_sources_it_works(self, folder: Path, tmp_path: Path) -> None:
        odd = tmp_path / "100%b d%s"
        odd.mkdir()
        folder = Path(shutil.move(folder, odd / "in %d"))
        expected = everything(open_series(folder))
        stack(folder, odd / "s.nxs")
        odd.rename(tmp_path / "moved")
        np.testing.assert_array_equal(everything(open_series(tmp_path / "moved" / "s.nxs")), expected)

    def test_moved_alone_it_is_an_error_and_reads_as_nan(self, folder: Path, tmp_path: Path) -> None:
        path = stack(folder, tmp_path / "s.nxs")
        (tmp_path / "elsewhere").mkdir()
        moved = path.rename(tmp_path / "elsewhere" / "s.nxs")
        with pytest.raises(SeriesNotFoundError, match="which does not exist"):
            open_series(moved)
        with h5py.File(moved) as file:
            assert np.isnan(file["entry/data/data"][()]).all()

    def test_a_source_that_grew_is_an_error(self, folder: Path, tmp_path: Path) -> None:
        path = stack(folder, tmp_path / "s.nxs", region="L=-0.5:0,H=:0")
        with h5py.File(folder / "30K" / "transform.nxs", "r+") as file:
            del file["entry/data/v"]
            file["entry/data/v"] = np.zeros((8, 7, 9), "f4")
        with pytest.raises(InputError, match="expects another shape"):
            open_series(path)

    def test_through_a_linked_folder(self, folder: Path, tmp_path: Path) -> None:
        deep = tmp_path / "a" / "b"
        deep.mkdir(parents=True)
        (deep / "link").symlink_to(folder)
        (tmp_path / "out").symlink_to(deep)
        path = stack(deep / "link", tmp_path / "out" / "s.nxs")
        found = open_series(path, options=ANYWHERE)
        np.testing.assert_array_equal(everything(found), everything(open_series(folder)))

    def test_away_from_its_sources_it_says_what_reads_it(
        self, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        stack(folder, tmp_path / "s.nxs")
        assert caplog.messages == []
        path = stack(folder, tmp_path / "out" / "s.nxs")
        assert "--allow-external" in caplog.text
        with pytest.raises(InputError, match="--allow-external"):
            open_series(path)

    def test_values_are_compared(self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Were HDF5 to find another file under the name, or none, nothing would be written."""
        other = Path(shutil.copytree(folder, tmp_path / "other"))
        with h5py.File(other / "5p5K" / "transform.nxs", "r+") as file:
            file["entry/data/v"][...] = 0
        seen_from = "xtec.io.writing.stack._seen_from"
        monkeypatch.setattr(seen_from, lambda _, file: str(other / file.relative_to(folder)))
        with pytest.raises(OutputError, match=r"does not give the values of .*5p5K"):
            stack(folder, tmp_path / "s.nxs")
        assert not (tmp_path / "s.nxs").exists()
        assert not list(tmp_path.glob(".*"))

    def test_types_that_differ(self, folder: Path, tmp_path: Path) -> None:
        with h5py.File(folder / "30K" / "transform.nxs", "r+") as file:
            values = file["entry/data/v"][()].astype("f8") + 1e-9
            del file["entry/data/v"]
            file["entry/data/v"] = values
        with pytest.raises(InputError, match=r"float64 where .*float32"):
            stack(folder, tmp_path / "s.nxs")
        series = open_series(stack(folder, tmp_path / "s.nxs", copied=True))
        np.testing.assert_array_equal(everything(series)[1], values)

    def test_one_file_is_nothing_to_stack(self, folder: Path, tmp_path: Path) -> None:
        whole = stack(folder, tmp_path / "s.nxs", copied=True)
        with pytest.raises(ConfigError, match="nothing to stack"):
            stack(whole, tmp_path / "t.nxs")
        again = open_series(stack(whole, tmp_path / "t.nxs", copied=True))
        np.testing.assert_array_equal(everything(again), everything(open_series(folder)))

    def test_a_stack_of_a_stack(self, folder: Path, tmp_path: Path) -> None:
        first = stack(folder, tmp_path / "s.nxs", region="L=-0.4:")
        second = open_series(stack(first, tmp_path / "t.nxs", temperatures="6:"))
        first.unlink()
        np.testing.assert_array_equal(everything(second), everything(open_series(folder))[1:, 1:])


class TestCopy:
    @pytest.mark.parametrize("compression", ["none", "gzip", "lz4", "bitshuffle", "blosc"])
    def test_compressions(self, folder: Path, tmp_path: Path, compression: str) -> None:
        options = {"copied": True, "compression": compression, "chunks": "2,3,4,5"}
        series = open_series(stack(folder, tmp_path / "s.nxs", **options))
        assert series.source.refs[0].chunks == (2, 3, 4, 5)
        np.testing.assert_array_equal(everything(series), everything(open_series(folder)))

    def test_blocks_stay_within_memory(
        self, write_folder: WriteFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from xtec.io.reading.reader import SeriesReader

        folder, sizes = write_folder(volumes(60, 70, 90), SCANS), []
        read = SeriesReader.read

        def noted(*given: Any, **more: Any) -> np.ndarray:
            values = read(*given, **more)
            sizes.append(values.nbytes)
            return values

        expected = everything(open_series(folder))
        monkeypatch.setattr(SeriesReader, "read", noted)
        path = stack(folder, tmp_path / "s.nxs", copied=True, memory_limit="3MB")
        assert max(sizes) <= 3_000_000 / 8
        assert sum(sizes) == expected.nbytes
        monkeypatch.undo()
        np.testing.assert_array_equal(everything(open_series(path)), expected)

    def test_chunks_of_the_input_are_kept_where_they_are_good(
        self, write_folder: WriteFolder, tmp_path: Path
    ) -> None:
        big = volumes(40, 60, 70)
        for number, (chunks, kept) in enumerate([((20, 30, 35), (20, 30, 35)), ((2, 3, 4), (8, 60, 64))]):
            folder = write_folder(big, SCANS, folder=f"in{number}", chunks=chunks)
            series = open_series(stack(folder, tmp_path / f"{number}.nxs", copied=True))
            assert series.source.refs[0].chunks == (1, *kept)

    def test_a_damaged_source_leaves_nothing(self, write_folder: WriteFolder, tmp_path: Path) -> None:
        folder = write_folder(volumes(6, 7, 9), SCANS, compression="gzip", chunks=(3, 7, 9))
        target = folder / "30K" / "transform.nxs"
        with h5py.File(target) as file:
            place = file["entry/data/v"].id.get_chunk_info(1)
        with target.open("r+b") as raw:
            raw.seek(place.byte_offset)
            raw.write(b"\0" * place.size)
        with pytest.raises(InputError, match="30K"):
            stack(folder, tmp_path / "s.nxs", copied=True)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["cubic"]

    def test_options_that_do_not_fit(self, folder: Path, tmp_path: Path) -> None:
        from xtec_pipelines.validation import validated

        given = {"inputs": [str(folder)], "output": str(tmp_path / "s.nxs")}
        for options, what in (
            ({"compression": "gzip"}, "--compression is of a copy"),
            ({"chunks": "1,2,3,4"}, "--chunks is of a copy"),
            ({"copied": True, "chunks": "1,2,x,4"}, "chunks"),
            ({"copied": True, "chunks": "1,2"}, "chunks need 4 numbers"),
            ({"copied": True, "compression": "zip"}, "no compression named"),
        ):
            with pytest.raises(ConfigError, match=what):
                run_stack(validated(StackConfig, {**given, **options}))
        assert not (tmp_path / "s.nxs").exists()


def test_xarray_of_a_virtual_stack(folder: Path, tmp_path: Path) -> None:
    lazy = xtec.open_series(stack(folder, tmp_path / "s.nxs"))
    np.testing.assert_array_equal(lazy.values, everything(open_series(folder)))
