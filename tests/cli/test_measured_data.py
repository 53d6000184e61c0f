"""Measured series with transitions known from the literature; see the fixture `validation_data`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

import xtec

RunCli = Callable[..., object]
MAGNETIC = (10.7, 21.05, 22.8, 31.9)
"""two_theta of magnetic reflections of Co2SiO4, gone above T_N = 50 K (51-52 K on the sample's sensor)."""


def clusters_of(run: Path) -> list[tuple[dict[str, object], np.ndarray, np.ndarray]]:
    """Summary, member positions and average intensity of each cluster."""
    summary = json.loads((run / "summary.json").read_text())
    tree = xtec.open_run(run)
    position = next(iter(tree["cluster_map"].coords.values())).values[tree["voxels"]["index"].values]
    label = tree["voxels"]["label"].values
    return [
        (
            cluster,
            position[label == cluster["number"]],
            tree[f"average_intensity/cluster_{cluster['number']}"].values,
        )
        for cluster in summary["clusters"]
    ]


class TestCo2SiO4:
    @pytest.fixture
    def powder(self, validation_data: Path) -> Path:
        return validation_data / "co2sio4-d20.nxs"

    def test_bright_magnetic_peaks(self, powder: Path, tmp_path: Path, run_cli: RunCli) -> None:
        options = ("-k", 6, "--threshold", "kl", "--no-figures")
        done = run_cli("cluster", powder, "-o", tmp_path / "run", *options)
        assert done.code == 0, done.stderr
        magnetic = [
            cluster
            for cluster, members, _ in clusters_of(tmp_path / "run")
            if np.all(np.min(np.abs(members[:, None] - [10.7, 22.8]), axis=1) <= 0.5)
        ]
        assert len(magnetic) == 1
        assert magnetic[0]["order_parameter"] is True
        assert magnetic[0]["onset"]["value"] == pytest.approx(51, abs=2)
        assert magnetic[0]["onset"]["units"] == "K"

    def test_all_magnetic_peaks_are_significant_and_of_one_cluster(
        self, powder: Path, tmp_path: Path, run_cli: RunCli
    ) -> None:
        done = run_cli("cluster", powder, "-o", tmp_path / "run", "-k", 6, "--no-figures")
        assert done.code == 0, done.stderr
        magnetic = [
            (cluster, members)
            for cluster, members, _ in clusters_of(tmp_path / "run")
            if all(np.min(np.abs(members - peak)) <= 0.1 for peak in MAGNETIC)
        ]
        assert len(magnetic) == 1
        cluster, members = magnetic[0]
        assert all(np.sum(np.abs(members - peak) <= 0.3) >= 5 for peak in MAGNETIC)
        assert cluster["order_parameter"] is True
        assert cluster["onset"]["value"] == pytest.approx(51, abs=2)

    def test_weak_magnetic_peaks_without_a_threshold(
        self, powder: Path, tmp_path: Path, run_cli: RunCli
    ) -> None:
        options = ("-k", 6, "--threshold", "none", "--no-figures")
        done = run_cli("cluster", powder, "-o", tmp_path / "run", *options)
        assert done.code == 0, done.stderr
        with h5py.File(powder) as file:
            temperature = file["entry/data/temperature"][()]
        above = (temperature > 60) & (temperature <= 300)
        found = [
            (cluster, curve)
            for cluster, members, curve in clusters_of(tmp_path / "run")
            if all(np.min(np.abs(members - peak)) <= 0.3 for peak in MAGNETIC)
            and np.all(np.abs(curve[above] / curve[above].mean() - 1) <= 0.05)
        ]
        assert len(found) == 1
        cluster, curve = found[0]
        assert cluster["order_parameter"] is True
        assert cluster["onset"]["value"] == pytest.approx(51, abs=2)
        assert curve[temperature < 10].mean() > 1.2 * curve[above].mean()

    @pytest.mark.parametrize("more", [(), ("--skip-bad",)])
    def test_the_regulation_sensor_reads_lower(
        self, powder: Path, tmp_path: Path, run_cli: RunCli, more: tuple[str, ...]
    ) -> None:
        """It reads 50.002 K twice, before and after a lower value; --skip-bad drops the second."""
        options = ("-k", 6, "--scan", "temperature_regulation", "--no-figures", *more)
        done = run_cli("cluster", powder, "-o", tmp_path / "run", *options)
        assert done.code == 0, done.stderr
        with h5py.File(powder) as file:
            regulation = file["entry/data/temperature_regulation"][()]
        with h5py.File(tmp_path / "run" / "results.nxs") as file:
            used = file["entry/trajectories/temperature_regulation"][()]
        first = np.unique(regulation, return_index=True)[1]
        np.testing.assert_array_equal(used, regulation[np.sort(first)] if more else regulation)
        ordering = [one for one, *_ in clusters_of(tmp_path / "run") if one["order_parameter"]]
        assert len(ordering) == 1
        assert ordering[0]["onset"]["value"] == pytest.approx(50, abs=1)


class TestPairDistribution:
    def test_negative_values_have_no_logarithm(
        self, validation_data: Path, tmp_path: Path, run_cli: RunCli
    ) -> None:
        done = run_cli("cluster", validation_data / "srfe2as2-pdf.nxs", "-o", tmp_path / "run")
        assert done.code == 3
        assert "negative intensity" in done.stderr
        assert "srfe2as2-pdf.nxs:/entry/data/intensity" in done.stderr
        assert not (tmp_path / "run").exists()

    def test_step(self, validation_data: Path, tmp_path: Path, run_cli: RunCli) -> None:
        options = ("--threshold", "none", "--rescale", "zscore", "--no-figures")
        done = run_cli("cluster", validation_data / "srfe2as2-pdf.nxs", "-o", tmp_path / "run", *options)
        assert done.code == 0, done.stderr
        onsets = [one["onset"]["value"] for one, *_ in clusters_of(tmp_path / "run") if one["onset"]]
        assert any(190 <= onset <= 200 for onset in onsets)


def test_field_scan_opens_as_one(validation_data: Path) -> None:
    array = xtec.open_series(validation_data / "na2bamnp2o8-d23-field.nxs")
    assert array.dims == ("field", "Ql")
    assert array.field.attrs["units"] == "T"
    with h5py.File(validation_data / "na2bamnp2o8-d23-field.nxs") as file:
        np.testing.assert_array_equal(array.values, file["entry/data/intensity"][()])
