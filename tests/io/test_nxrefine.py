"""NXRefine folders and lists of per-temperature files."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

import xtec
from xtec.core.errors import InputError, SeriesNotFoundError
from xtec.io import OpenOptions, open_series
from xtec.io.hdf5.opening import open_hdf5
from xtec.io.nexus.data import value_in_name

WriteFolder = Callable[..., Path]
RNG = np.random.default_rng(5)
SHAPE = (4, 5, 6)
SCANS = ("30K", "100K", "9K", "2p5K")
VALUES = {"30K": 30.0, "100K": 100.0, "9K": 9.0, "2p5K": 2.5}
ORDER = ("2p5K", "9K", "30K", "100K")


@pytest.fixture
def volumes() -> dict[str, np.ndarray]:
    return {scan: RNG.normal(50, 5, SHAPE).astype(np.float32) for scan in SCANS}


def stack(volumes: dict[str, np.ndarray]) -> np.ndarray:
    return np.stack([volumes[scan] for scan in ORDER])


def test_sorted_by_temperature(write_folder: WriteFolder, volumes: dict[str, np.ndarray]) -> None:
    array = xtec.open_series(write_folder(volumes, VALUES))
    assert array.dims == ("temperature", "Ql", "Qk", "Qh")
    np.testing.assert_array_equal(array.temperature, [2.5, 9, 30, 100])
    np.testing.assert_array_equal(array.values, stack(volumes))
    assert array.temperature.attrs["units"] == "K"


def test_sample_group_wins_over_the_name(write_folder: WriteFolder, volumes: dict[str, np.ndarray]) -> None:
    measured = {scan: value + 0.7 for scan, value in VALUES.items()}
    del measured["9K"]
    array = xtec.open_series(write_folder(volumes, measured))
    np.testing.assert_allclose(array.temperature, [3.2, 9, 30.7, 100.7])
    np.testing.assert_array_equal(array.values, stack(volumes))


def test_field_in_the_names(write_folder: WriteFolder, volumes: dict[str, np.ndarray]) -> None:
    scans = dict(zip(("0T", "m2p5T", "7p25T", "1T"), volumes.values(), strict=True))
    array = xtec.open_series(write_folder(scans))
    assert array.dims[0] == "scan"
    assert array.scan.attrs["units"] == "T"
    np.testing.assert_array_equal(array.scan, [-2.5, 0, 1, 7.25])
    np.testing.assert_array_equal(array[0].values, scans["m2p5T"])


@pytest.mark.parametrize(
    ("name", "value", "units"),
    [
        ("Sr3Rh4Sn13_30K", 30, "K"),
        ("X_12p5K", 12.5, "K"),
        ("X_m2p5T", -2.5, "T"),
        ("cubic_15", 15, "K"),
        ("a-300.5K", 300.5, "K"),
        ("12p5K", 12.5, "K"),
    ],
)
def test_value_in_name(name: str, value: float, units: str) -> None:
    found = value_in_name(Path(f"{name}.nxs"))
    assert found is not None
    assert (found.values.tolist(), found.units) == ([value], units)


@pytest.mark.parametrize("name", ["Sr3Rh4Sn13", "transform", "X_30K_masked", "notes2", "cubic"])
def test_no_value_in_name(name: str) -> None:
    assert value_in_name(Path(f"{name}.nxs")) is None


def test_another_scan_variable(write_folder: WriteFolder, volumes: dict[str, np.ndarray]) -> None:
    folder = write_folder(volumes, VALUES)
    for pressure, scan in enumerate(SCANS):
        with h5py.File(folder / f"Test_{scan}.nxs", "r+") as file:
            file["entry/sample/pressure"] = [4.0 - pressure]
            file["entry/sample/pressure"].attrs["units"] = "GPa"
    series = open_series(folder, options=OpenOptions(scan="sample/pressure"))
    assert (series.scan.name, series.scan.units) == ("pressure", "GPa")
    np.testing.assert_array_equal(series.scan.values, [1, 2, 3, 4])
    np.testing.assert_array_equal(series.to_xarray()[3].values, volumes["30K"])
    with pytest.raises(InputError, match=r"no scan value in this file.*\n.*:/entry/sample/stress"):
        open_series(folder / "Test_9K.nxs", options=OpenOptions(scan="sample/stress"))


@pytest.mark.parametrize(
    ("asked", "stored", "factor"),
    [
        (None, ("transform", "masked_transform"), 1),
        ("masked_transform", ("transform", "masked_transform"), 2),
        ("symm_transform", ("transform", "masked_transform", "symm_transform"), 3),
        ("symm_masked_transform", ("transform", "masked_symm_transform"), 2),
        ("masked_symm_transform", ("transform", "symm_masked_transform"), 2),
    ],
)
def test_group(
    write_folder: WriteFolder,
    volumes: dict[str, np.ndarray],
    asked: str | None,
    stored: tuple[str, ...],
    factor: int,
) -> None:
    folder = write_folder(volumes, VALUES, groups=stored)
    np.testing.assert_array_equal(xtec.open_series(folder, group=asked).values, factor * stack(volumes))


def test_group_not_there(write_folder: WriteFolder, volumes: dict[str, np.ndarray]) -> None:
    with pytest.raises(InputError, match=r"no group named symm_transform\n(?s:.*)Test_100K.nxs"):
        xtec.open_series(write_folder(volumes, VALUES), group="symm_transform")


def test_entry_may_be_the_data_group(write_folder: WriteFolder, volumes: dict[str, np.ndarray]) -> None:
    folder = write_folder(volumes, VALUES, groups=("transform", "masked_transform"))
    array = xtec.open_series(folder, entry="entry/masked_transform")
    np.testing.assert_array_equal(array.values, 2 * stack(volumes))
    np.testing.assert_array_equal(array.temperature, [2.5, 9, 30, 100])
    assert array.name == "Test"


def test_reciprocal_axes_in_another_order(write_folder: WriteFolder, volumes: dict[str, np.ndarray]) -> None:
    axes = {"Qh": np.arange(6.0), "Qk": np.arange(5.0), "Ql": np.arange(4.0)}
    turned = {scan: np.ascontiguousarray(volume.transpose()) for scan, volume in volumes.items()}
    array = xtec.open_series(write_folder(turned, VALUES, axes=axes), region="H=1:3,L=2:2")
    np.testing.assert_array_equal(array.values, stack(volumes)[:, 2:3, :, 1:4])


@pytest.mark.parametrize("storage", [{}, {"chunks": (2, 2, 3), "compression": "gzip"}])
def test_region_and_temperatures(
    write_folder: WriteFolder, volumes: dict[str, np.ndarray], storage: dict[str, object]
) -> None:
    folder = write_folder(volumes, VALUES, **storage)
    array = xtec.open_series(folder, region="K=-0.4:-0.2", temperatures="5:50")
    np.testing.assert_array_equal(array.values, stack(volumes)[1:3, :, 1:4])


def test_lists_globs_and_folders_agree(
    write_folder: WriteFolder, volumes: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_folder(volumes, VALUES)
    monkeypatch.chdir(folder.parent)
    files = sorted(folder.glob("*.nxs"), reverse=True)
    for inputs in (
        files,
        [str(file) for file in files],
        "cubic/Test_*.nxs",
        "cubic/Test_*K.nx?",
        "cubic",
        Path("cubic"),
    ):
        np.testing.assert_array_equal(xtec.open_series(inputs).values, stack(volumes))
    np.testing.assert_array_equal(
        xtec.open_series(["cubic/Test_9*", "cubic/Test_30K.nxs"]).temperature, [9, 30]
    )


def test_the_folder_may_move(
    write_folder: WriteFolder, volumes: dict[str, np.ndarray], tmp_path: Path
) -> None:
    shutil.move(write_folder(volumes, VALUES), tmp_path / "elsewhere" / "copy")
    np.testing.assert_array_equal(xtec.open_series(tmp_path / "elsewhere" / "copy").values, stack(volumes))


class TestParent:
    """``SAMPLE_scans.nxs`` is a list; its virtual dataset reads zeros once the folder has moved."""

    @pytest.fixture
    def folder(self, write_folder: WriteFolder, volumes: dict[str, np.ndarray], tmp_path: Path) -> Path:
        gone = tmp_path / "gone"
        layout = h5py.VirtualLayout((4, *SHAPE), np.float32)
        for row, scan in enumerate(ORDER):
            layout[row] = h5py.VirtualSource(str(gone / scan / "transform.nxs"), "entry/data/v", SHAPE)
        folder = write_folder(volumes, VALUES)
        with h5py.File(folder / "Test_scans.nxs", "w") as file:
            group = file.create_group("entry").create_group("transform")
            group.attrs.update({"NX_class": "NXdata", "signal": "data"})
            group.attrs["axes"] = ["temperature", "Ql", "Qk", "Qh"]
            group.create_virtual_dataset("data", layout)
            for name, size in zip(("temperature", "Ql", "Qk", "Qh"), (4, *SHAPE), strict=True):
                group[name] = np.arange(1.0, size + 1)
        return folder

    def test_its_virtual_dataset_is_empty_by_now(self, folder: Path) -> None:
        with h5py.File(folder / "Test_scans.nxs") as file:
            assert not file["entry/transform/data"][...].any()

    def test_passed_over_in_the_folder(self, folder: Path, volumes: dict[str, np.ndarray]) -> None:
        np.testing.assert_array_equal(xtec.open_series(folder).values, stack(volumes))

    def test_points_to_its_folder(self, folder: Path, volumes: dict[str, np.ndarray]) -> None:
        array = xtec.open_series(folder / "Test_scans.nxs")
        np.testing.assert_array_equal(array.values, stack(volumes))
        np.testing.assert_array_equal(array.temperature, [2.5, 9, 30, 100])

    def test_matched_by_a_glob(self, folder: Path, volumes: dict[str, np.ndarray]) -> None:
        np.testing.assert_array_equal(xtec.open_series(f"{folder}/*.nxs").values, stack(volumes))


class TestBad:
    """What cannot be used is named; with `skip_bad` it is left out, and that is recorded."""

    def lose(self, folder: Path) -> str:
        (folder / "9K" / "transform.nxs").unlink()
        return "9K/transform.nxs, which does not exist"

    def cut_short(self, folder: Path) -> str:
        path = folder / "9K" / "transform.nxs"
        path.write_bytes(path.read_bytes()[:700])
        return "cannot open this HDF5 file"

    def empty_target(self, folder: Path) -> str:
        with h5py.File(folder / "9K" / "transform.nxs", "w"):
            return "there is nothing at this path"

    def wrapper_cut_short(self, folder: Path) -> str:
        path = folder / "Test_9K.nxs"
        path.write_bytes(path.read_bytes()[:700])
        return "cannot open this HDF5 file"

    def not_hdf5(self, folder: Path) -> str:
        (folder / "Test_9K.nxs").write_text("still to come")
        return "this is not an HDF5 file"

    def dangling_link(self, folder: Path) -> str:
        (folder / "Test_9K.nxs").unlink()
        (folder / "Test_9K.nxs").symlink_to(folder / "gone.nxs")
        return "not found|no such file|does not exist"

    def not_transformed_yet(self, folder: Path) -> str:
        with h5py.File(folder / "Test_9K.nxs", "r+") as file:
            del file["entry/transform"]
        return "no NXdata in this file"

    def shape(self, folder: Path) -> str:
        with h5py.File(folder / "9K" / "transform.nxs", "w") as file:
            file["entry/data/v"] = np.ones((4, 5, 7))
        with h5py.File(folder / "Test_9K.nxs", "r+") as file:
            del file["entry/transform/Qh"]
            file["entry/transform/Qh"] = np.arange(7.0)
        return r"shape \(4, 5, 7\) where the others have \(4, 5, 6\)"

    def axes(self, folder: Path) -> str:
        with h5py.File(folder / "Test_9K.nxs", "r+") as file:
            file["entry/transform/Qh"][...] += 0.05
        return "the axes differ from those of Test_100K.nxs"

    def axis_length(self, folder: Path) -> str:
        with h5py.File(folder / "9K" / "transform.nxs", "w") as file:
            file["entry/data/v"] = np.ones((4, 5, 9))
        return "6 values where the signal has 9"

    def twice(self, folder: Path) -> str:
        with h5py.File(folder / "Test_9K.nxs", "r+") as file:
            file["entry/sample/temperature"][...] = 100
        return "100 K is there twice: also in Test_100K.nxs"

    def nan_temperature(self, folder: Path) -> str:
        with h5py.File(folder / "Test_9K.nxs", "r+") as file:
            file["entry/sample/temperature"][...] = np.nan
        return "not finite"

    def another_quantity(self, folder: Path) -> str:
        with h5py.File(folder / "Test_9K.nxs", "r+") as file:
            file["entry/sample/temperature"].attrs["units"] = "degC"
        return r"temperature \(degC\) where Test_100K.nxs has temperature \(K\)"

    KINDS = (
        "lose",
        "cut_short",
        "empty_target",
        "wrapper_cut_short",
        "not_hdf5",
        "dangling_link",
        "not_transformed_yet",
        "shape",
        "axes",
        "axis_length",
        "twice",
        "nan_temperature",
        "another_quantity",
    )

    @pytest.mark.parametrize("kind", KINDS)
    def test_named(self, write_folder: WriteFolder, volumes: dict[str, np.ndarray], kind: str) -> None:
        folder = write_folder(volumes, VALUES)
        reason = getattr(self, kind)(folder)
        with pytest.raises(
            InputError,
            match=rf"(?s)1 of 4 temperatures cannot be used\n.*9K.*({reason}).*\n  in: .*9K.*--skip-bad",
        ):
            open_series(folder)

    @pytest.mark.parametrize("kind", KINDS)
    def test_skipped(
        self,
        write_folder: WriteFolder,
        volumes: dict[str, np.ndarray],
        kind: str,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        folder = write_folder(volumes, VALUES)
        getattr(self, kind)(folder)
        series = open_series(folder, options=OpenOptions(skip_bad=True))
        np.testing.assert_array_equal(series.scan.values, [2.5, 30, 100])
        np.testing.assert_array_equal(series.to_xarray().values, stack(volumes)[[0, 2, 3]])
        assert [Path(bad.file).name for bad in series.dropped] == ["Test_9K.nxs"]
        assert "Test_9K.nxs dropped" in caplog.text

    def test_a_stranger_is_passed_over(
        self, write_folder: WriteFolder, volumes: dict[str, np.ndarray], caplog: pytest.LogCaptureFixture
    ) -> None:
        folder = write_folder(volumes, VALUES)
        (folder / "notes.txt").write_text("cooled overnight")
        with h5py.File(folder / "settings.nxs", "w") as file:
            file["entry/x"] = 1
        array = xtec.open_series(folder)
        np.testing.assert_array_equal(array.values, stack(volumes))
        assert "settings.nxs holds no temperature" in caplog.text

    def test_a_temperature_without_a_volume_is_no_stranger(
        self, write_folder: WriteFolder, volumes: dict[str, np.ndarray]
    ) -> None:
        folder = write_folder(volumes, VALUES)
        with h5py.File(folder / "warm.nxs", "w") as file:
            file["entry/sample/temperature"] = 300.0
        with pytest.raises(InputError, match=r"(?s)warm\.nxs.*no NXdata"):
            open_series(folder)

    def test_a_stranger_that_was_named_is_an_error(
        self, write_folder: WriteFolder, volumes: dict[str, np.ndarray]
    ) -> None:
        folder = write_folder(volumes, VALUES)
        with h5py.File(folder / "settings.nxs", "w") as file:
            file["entry/x"] = 1
        with pytest.raises(InputError, match=r"(?s)settings\.nxs.*no NXdata"):
            open_series(sorted(folder.glob("*.nxs")))

    def test_a_folder_without_files(self, tmp_path: Path) -> None:
        with pytest.raises(
            SeriesNotFoundError, match=r"no NeXus or HDF5 files in this folder\n.*\n.*wrappers"
        ):
            open_series(tmp_path)

    def test_several_stacked_series(self, write_folder: WriteFolder, tmp_path: Path) -> None:
        folder = write_folder({"1K": RNG.random((3, 4, 5)), "2K": RNG.random((3, 4, 5))})
        for path in folder.glob("*.nxs"):
            with h5py.File(path, "r+") as file:
                del file["entry/transform/data"]
                file["entry/transform/data"] = np.ones((3, 3, 4, 5))
        with pytest.raises(InputError, match=r"(?s)2 of 2 .*Test_1K\.nxs: this file is a whole series"):
            open_series(folder)

    def test_all_bad(self, write_folder: WriteFolder, volumes: dict[str, np.ndarray]) -> None:
        folder = write_folder(volumes, VALUES)
        for scan in SCANS:
            shutil.rmtree(folder / scan)
        with pytest.raises(InputError, match="4 of 4 temperatures cannot be used"):
            open_series(folder, options=OpenOptions(skip_bad=True))

    def test_one_only(self, write_folder: WriteFolder, volumes: dict[str, np.ndarray]) -> None:
        with pytest.raises(InputError, match=r"one temperature only.*\n(?s:.*)give the folder"):
            open_series(write_folder(volumes, VALUES) / "Test_9K.nxs")

    def test_lost_between_opening_and_reading(
        self, write_folder: WriteFolder, volumes: dict[str, np.ndarray]
    ) -> None:
        folder = write_folder(volumes, VALUES)
        array = xtec.open_series(folder)
        (folder / "30K" / "transform.nxs").unlink()
        with pytest.raises(InputError, match=r"30K/transform\.nxs"):
            array.compute()


def test_inputs_are_not_touched(write_folder: WriteFolder, volumes: dict[str, np.ndarray]) -> None:
    folder = write_folder(volumes, VALUES)

    def state() -> dict[Path, tuple[int, str]]:
        files = [path for path in folder.rglob("*") if path.is_file()]
        return {
            path: (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files
        }

    before = state()
    xtec.open_series(folder).compute()
    assert state() == before


_HOLDER = """
import sys
import h5py
with h5py.File(sys.argv[1], "r+"):
    print("open", flush=True)
    sys.stdin.read()
"""


def test_a_file_open_for_writing_elsewhere_can_be_read(
    write_folder: WriteFolder, volumes: dict[str, np.ndarray], caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_folder(volumes, VALUES)
    held = folder / "30K" / "transform.nxs"
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(held)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(BlockingIOError), h5py.File(held):
            pass
        np.testing.assert_array_equal(xtec.open_series(folder).values, stack(volumes))
        holder.communicate()
    assert holder.returncode == 0
    assert "open for writing elsewhere" in caplog.text
    with open_hdf5(held) as file:
        np.testing.assert_array_equal(file["entry/data/v"][...], volumes["30K"])
