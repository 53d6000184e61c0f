"""What a file says of its sample, and what a run keeps of it; scans that go there and back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from xtec.core.errors import InputError
from xtec.core.quantities import Quantity, SampleInfo
from xtec.io import OpenOptions, open_series
from xtec.io.nexus.sample import read_sample, write_sample_info

WriteSeries = Callable[..., Path]
WriteFolder = Callable[..., Path]
CELL = (9.8, 9.9, 10.1, 90.0, 95.0, 120.0)
LETTERS = ("a", "b", "c", "alpha", "beta", "gamma")


def series(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(100, 10, shape).astype(np.float32)


def conditions(file: h5py.File) -> None:
    sample = file["entry/sample"]
    for name, value, units in (
        ("composition", 0.2, ""),
        ("magnetic_field", 7.0, "T"),
        ("pressure", [1.5], "GPa"),
        ("temperature", 300.0, "K"),
        ("mass", 0.1, "mg"),
        ("density", 5.0, "g/cm^3"),
        ("strain", np.nan, ""),
        ("rotation", np.arange(5.0), "degree"),
        ("number_of_crystals", 3, ""),
    ):
        sample[name] = value
        if units:
            sample[name].attrs["units"] = units
    sample["holder"] = "copper"


def test_conditions_with_their_units(write_series: WriteSeries) -> None:
    """Single numbers that are finite; the scan variable, texts, arrays and the sample's own mass are none."""
    found = open_series(write_series(series(4, 5, 6), change=conditions)).sample.conditions
    assert found == {
        "composition": Quantity(0.2),
        "magnetic_field": Quantity(7.0, units="T"),
        "pressure": Quantity(1.5, units="GPa"),
        "number_of_crystals": Quantity(3.0),
    }


def test_of_another_scan_the_temperature_is_a_condition(write_series: WriteSeries) -> None:
    axes = {"magnetic_field": np.arange(4.0), "Qk": np.arange(5.0), "Qh": np.arange(6.0)}
    found = open_series(write_series(series(4, 5, 6), axes, change=conditions)).sample.conditions
    assert "magnetic_field" not in found
    assert found["temperature"] == Quantity(300.0, units="K")


def test_of_a_folder(write_folder: WriteFolder) -> None:
    volumes = {f"{t}K": volume for t, volume in zip((10, 20, 30), series(3, 4, 5, 6), strict=True)}
    folder = write_folder(volumes, {scan: float(scan[:-1]) for scan in volumes})
    for path in folder.glob("*.nxs"):
        with h5py.File(path, "r+") as file:
            file["entry/sample/pressure"] = 2.0
            file["entry/sample/pressure"].attrs["units"] = "GPa"
    assert open_series(folder).sample.conditions == {"pressure": Quantity(2.0, units="GPa")}


@pytest.mark.parametrize("how", ["one by one", "(6,)", "(1, 6)"])
def test_cell(write_series: WriteSeries, how: str) -> None:
    """``unitcell_a`` and so on as NXRefine writes them, ``unit_cell`` as the standard has it."""

    def change(file: h5py.File) -> None:
        sample = file["entry/sample"]
        if how == "one by one":
            for letter, value in zip(LETTERS, CELL, strict=True):
                sample[f"unitcell_{letter}"] = value
        else:
            sample["unit_cell"] = np.reshape(CELL, (6,) if how == "(6,)" else (1, 6))

    found = open_series(write_series(series(4, 5, 6), change=change)).sample
    assert found.cell == CELL
    assert found.conditions == {}


@pytest.mark.parametrize("values", [CELL[:5], (*CELL[:5], np.nan), (0.0, *CELL[1:])])
def test_a_cell_that_is_none(write_series: WriteSeries, values: tuple[float, ...]) -> None:
    def change(file: h5py.File) -> None:
        file["entry/sample/unit_cell"] = values

    assert open_series(write_series(series(4, 5, 6), change=change)).sample.cell is None


@pytest.mark.parametrize("value", ["Fd-3m", b"Fd-3m", ["Fd-3m"]])
def test_names_and_symmetry(write_series: WriteSeries, value: object) -> None:
    def change(file: h5py.File) -> None:
        sample = file["entry/sample"]
        sample["chemical_formula"], sample["space_group"] = "Cd2 O7 Re2", value
        sample["point_group"] = "m-3m"

    found = open_series(write_series(series(4, 5, 6), change=change)).sample
    assert (found.name, found.formula, found.space_group) == ("Test", "Cd2 O7 Re2", "Fd-3m")
    assert found.laue_group == "m-3m"


def test_without_a_sample(write_series: WriteSeries) -> None:
    def change(file: h5py.File) -> None:
        del file["entry/sample"]

    found = open_series(write_series(series(4, 5, 6), change=change)).sample
    assert (found.cell, found.space_group, found.conditions) == (None, "", {})
    assert read_sample(None) == SampleInfo()


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    sample = SampleInfo(
        name="Test",
        formula="Sr3 Rh4 Sn13",
        cell=CELL,
        space_group="Pm-3n",
        laue_group="m-3m",
        conditions={"composition": Quantity(0.2), "magnetic_field": Quantity(7.0, units="T")},
    )
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        write_sample_info(file.create_group("entry"), sample)
    with h5py.File(tmp_path / "a.nxs") as file:
        assert read_sample(file["entry/sample"]) == sample


def test_what_is_written_is_of_the_standard(tmp_path: Path) -> None:
    from nexusformat.nexus.validate import validate_file

    sample = SampleInfo(
        name="Test",
        cell=CELL,
        space_group="Pm-3n",
        laue_group="m-3m",
        conditions={"composition": Quantity(0.2), "magnetic_field": Quantity(7.0, units="T")},
    )
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        file.attrs["NX_class"] = "NXroot"
        entry = file.create_group("entry")
        entry.attrs["NX_class"] = "NXentry"
        write_sample_info(entry, sample)
    assert validate_file(str(tmp_path / "a.nxs")) == (0, 0)


def opened(write_series: WriteSeries, values: list[float], **options: object) -> np.ndarray:
    """The scan of a stacked series measured at these temperatures; its rows are in order."""
    data = series(len(values), 4, 5)
    axes = {"temperature": np.array(values, dtype=float), "Qk": np.arange(4.0), "Qh": np.arange(5.0)}
    found = open_series(write_series(data, axes), options=OpenOptions(**options))
    everything = found.read(tuple(slice(0, size) for size in found.shape))
    np.testing.assert_array_equal(everything, data[list(found.rows)])
    return found.scan.values


THERE_AND_BACK = [
    [50, 40, 30, 20, 30, 40, 50],
    [20, 30, 40, 50, 40, 30, 20],
    [50, 30, 10, 20, 30, 40],
    [20, 10, 20],
]


@pytest.mark.parametrize("values", THERE_AND_BACK)
def test_a_scan_may_go_there_and_back(write_series: WriteSeries, values: list[float]) -> None:
    np.testing.assert_array_equal(opened(write_series, values), values)


def test_several_cycles(write_series: WriteSeries) -> None:
    leg = np.linspace(300, 10, 16)
    values = [*leg, *leg[-2::-1], *leg[1:], *leg[-2::-1]]
    np.testing.assert_array_equal(opened(write_series, values), values)


@pytest.mark.parametrize(
    ("values", "twice"),
    [
        ([10, 20, 20, 30, 40], "20"),
        ([50, 40, 30, 30, 40, 50], "30"),
        ([10, 20, 30, 40, 40], "40"),
        ([10, 20, 10, 20, 10, 20], "10, 20"),
        ([10, 20, 30, 10, 20, 30], "10, 20, 30"),
    ],
)
def test_values_repeated_by_mistake_are_refused(
    write_series: WriteSeries, values: list[float], twice: str
) -> None:
    """Next to each other, or in a scan that is all turns."""
    with pytest.raises(InputError, match=f"duplicate values of temperature: .*{twice}(?s:.*)--skip-bad"):
        opened(write_series, values)
    kept = opened(write_series, values, skip_bad=True)
    np.testing.assert_array_equal(np.sort(kept), np.unique(values))
