"""Files of simulated series: layout, truth, storage, refusal, and the samples that come with the project."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import h5py
import numpy as np
import pytest

from xtec.core.errors import ConfigError, InputError, OutputError, SeriesNotFoundError
from xtec.io.writing.series import COMPRESSIONS, Storage, write_stacked
from xtec.io.writing.truth import read_truth
from xtec.simulation import COMPOSITIONS, Overrides, SimulatedSeries, make_specs
from xtec_pipelines.simulate import Layout, SimulateConfig, make_simulate_config, run_simulate

SAMPLES = Path(__file__).resolve().parents[2] / "sample_data"
TINY = make_specs("tiny")[0]
SMALL = Overrides(n_temperatures=3, region={"Qh": (-1, 1), "Qk": (0, 1)})


def simulate(path: Path, **options: object) -> Path:
    config = make_simulate_config({"preset": "tiny", "output": path, **options})
    (written,) = run_simulate(config)
    assert written.path == path
    return path


def test_stacked_file(tmp_path: Path):
    path = simulate(tmp_path / "a.nxs")
    series = SimulatedSeries(TINY)
    with h5py.File(path) as file:
        assert file.attrs["default"] == "entry"
        assert file["entry"].attrs["default"] == "data"
        assert "simulated" in file["entry/title"].asstr()[()]
        data = file["entry/data"]
        assert data.attrs["signal"] == "data"
        assert list(data.attrs["axes"]) == ["temperature", "Ql", "Qk", "Qh"]
        np.testing.assert_array_equal(data.attrs["angles"], [90, 90, 90])
        assert data["temperature"].attrs["units"] == "K"
        assert data["Qh"].attrs["long_name"] == "H (r.l.u.)"
        assert data["Qh"].attrs["scaling_factor"] == pytest.approx(2 * np.pi / 9.8)
        assert data["data"].dtype == np.float32
        np.testing.assert_array_equal(data["data"][...], series.block(slice(None), slice(None)))
        assert file["entry/sample/name"].asstr()[()] == "Sr3Rh4Sn13"
        assert file["entry/truth"].attrs["NX_class"] == "NXcollection"
    truth = read_truth(path)
    assert truth.names == ("background", "superlattice", "Bragg", "thermal diffuse")
    assert (truth.tc, truth.beta) == ([131.0], [0.35])
    np.testing.assert_array_equal(truth.q, [[0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    np.testing.assert_array_equal(truth.labels, series.labels(slice(None)))
    assert truth.mask("superlattice").sum() > 0
    with pytest.raises(InputError):
        truth.mask("nothing")


def test_labels_name_the_strongest_component():
    series = SimulatedSeries(TINY)
    plane = 0
    means = {
        name: np.mean([series.component(name, t, plane) for t in range(series.shape[0])], axis=0)
        for name in ("superlattice", "Bragg", "thermal diffuse")
    }
    labels = series.labels(slice(plane, plane + 1))[0]
    for number, name in enumerate(means, start=1):
        there = labels == number
        assert all(np.all(means[name][there] >= other[there]) for other in means.values())


def test_one_plane_has_no_l_axis(tmp_path: Path):
    path = simulate(tmp_path / "a.nxs", planar=True)
    with h5py.File(path) as file:
        assert list(file["entry/data"].attrs["axes"]) == ["temperature", "Qk", "Qh"]
        assert file["entry/data/data"].shape == (12, 41, 41)
    assert read_truth(path).labels.shape == (41, 41)
    with pytest.raises(ConfigError):
        simulate(tmp_path / "folder", planar=True, layout="nxrefine")


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_compressions(tmp_path: Path, compression: str):
    config = SimulateConfig(
        preset="tiny",
        output=tmp_path / "a.nxs",
        overrides=SMALL,
        compression=compression,
        chunks=(2, 3, 4, 5),
    )
    run_simulate(config)
    series = SimulatedSeries(*make_specs("tiny", SMALL))
    with h5py.File(config.output) as file:
        data = file["entry/data/data"]
        assert data.chunks == (2, 3, 4, 5)
        assert (data.id.get_create_plist().get_nfilters() > 0) == (compression != "none")
        np.testing.assert_array_equal(data[...], series.block(slice(None), slice(None)))


def test_nxrefine_folder(tmp_path: Path):
    folder = tmp_path / "SrRhSn"
    config = SimulateConfig(preset="tiny", output=folder, overrides=SMALL, layout=Layout.NXREFINE)
    run_simulate(config)
    series = SimulatedSeries(*make_specs("tiny", SMALL))
    names = ["Sr3Rh4Sn13_125K.nxs", "Sr3Rh4Sn13_220K.nxs", "Sr3Rh4Sn13_30K.nxs"]
    assert sorted(path.name for path in folder.glob("*.nxs")) == names
    moved = folder.rename(tmp_path / "elsewhere")
    with h5py.File(moved / "Sr3Rh4Sn13_125K.nxs") as file:
        transform = file["entry/transform"]
        link = transform.get("data", getlink=True)
        assert (link.filename, link.path) == ("125K/transform.nxs", "/entry/data/v")
        assert list(transform.attrs["axes"]) == ["Ql", "Qk", "Qh"]
        assert transform["data"].compression is None
        np.testing.assert_array_equal(transform["data"][...], series.block(slice(1, 2), slice(None))[0])
        assert file["entry/sample/temperature"][()] == 125.0
        assert file["entry/sample/temperature"].attrs["units"] == "K"
    np.testing.assert_array_equal(read_truth(moved).labels, series.labels(slice(None)))


def test_what_is_there_is_not_replaced_unasked(tmp_path: Path):
    path = simulate(tmp_path / "a.nxs")
    before = path.read_bytes()
    with pytest.raises(OutputError):
        simulate(path)
    simulate(path, force=True)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["a.nxs"]


def test_a_folder_with_measured_files_is_never_replaced(tmp_path: Path):
    folder = simulate(tmp_path / "folder", layout="nxrefine", n_temperatures=2)
    simulate(folder, layout="nxrefine", n_temperatures=2, force=True)
    with h5py.File(folder / "measured.nxs", "w") as file:
        file.attrs["creator"] = "NXRefine"
    with pytest.raises(OutputError):
        simulate(folder, layout="nxrefine", force=True)
    assert (folder / "measured.nxs").exists()


def test_the_writer_asks_for_one_row_of_chunks_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class Watched(SimulatedSeries):
        largest = 0

        def block(self, temperatures: slice, planes: slice) -> np.ndarray:
            values = super().block(temperatures, planes)
            self.largest = max(self.largest, values.nbytes)
            return values

    monkeypatch.setattr("xtec.io.writing.series._BLOCK_BYTES", 1)
    series = Watched(TINY)
    write_stacked(tmp_path / "a.nxs", series, Storage(chunks=(2, 3, 8, 8)))
    _, _, n_k, n_h = series.shape
    assert series.largest == 2 * 3 * n_k * n_h * 4


def test_phase_diagram(tmp_path: Path):
    overrides = Overrides(region={"Qh": (0, 1), "Qk": (0, 1)}, n_temperatures=3)
    written = run_simulate(
        SimulateConfig(preset="phase-diagram", output=tmp_path / "series", overrides=overrides)
    )
    assert [each.composition for each in written] == list(COMPOSITIONS)
    for each in written:
        truth = read_truth(each.path)
        with h5py.File(each.path) as file:
            x = file["entry/sample/composition"][()]
        if x >= 0.9:
            assert truth.tc == []
        else:
            assert truth.tc == [pytest.approx(138 * (1 - x / 0.9) ** 0.5)]


def test_order_inside_the_unit_cell_has_a_label_for_each_class(tmp_path: Path):
    overrides = Overrides(
        region={"Qh": (-4, 4), "Qk": (-4, 4)}, pixels=4, n_temperatures=5, third_transition=True
    )
    (written,) = run_simulate(SimulateConfig(preset="iuc", output=tmp_path / "a.nxs", overrides=overrides))
    truth = read_truth(written.path)
    assert truth.tc == [200.0, 113.0, 100.0]
    np.testing.assert_array_equal(truth.q, [[0, 0, 0]])
    assert all(truth.mask(name).any() for name in truth.transitions)


def test_truth_of_what_has_none(tmp_path: Path):
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        file.create_group("entry")
    (tmp_path / "b.nxs").write_text("no HDF5")
    with pytest.raises(InputError, match="no truth"):
        read_truth(tmp_path / "a.nxs")
    with pytest.raises(InputError):
        read_truth(tmp_path / "b.nxs")
    with pytest.raises(InputError):
        read_truth(tmp_path)
    with pytest.raises(SeriesNotFoundError):
        read_truth(tmp_path / "c.nxs")


@pytest.mark.parametrize(
    "options",
    [{"q": "1/2,1/2"}, {"q": "a,b,c"}, {"beta": "1/0"}, {"chunks": "0,1,1,1"}, {"chunks": "4,4"}],
)
def test_unreadable_options_are_refused(tmp_path: Path, options: dict[str, str]):
    with pytest.raises(ConfigError):
        simulate(tmp_path / "a.nxs", n_temperatures=2, **options)
    assert not list(tmp_path.iterdir())


def test_sample_files_are_those_of_the_readme():
    listed = {
        name: digest
        for digest, name in re.findall(r"^([0-9a-f]{64})  (\S+)$", (SAMPLES / "README.md").read_text(), re.M)
    }
    present = {
        path.relative_to(SAMPLES).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in SAMPLES.rglob("*.nxs")
    }
    assert listed == present
