"""Measured series through the command line as a scientist types it, against what the literature says.

The figures of docs/validation.md are held here; see the fixture `validation_data`.
"""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import xtec


def command(*arguments: object) -> tuple[int, str, str]:
    """Exit code and what goes to stdout and stderr."""
    from xtec_cli.main import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0), out.getvalue(), err.getvalue()


def measured(series: Path, run: Path, *options: object) -> dict[str, Any]:
    """Cluster, look for order, and read the summary."""
    for arguments in (
        ("cluster", series, "-o", run, "--no-figures", *options),
        ("order-parameter", run, "--no-figures"),
    ):
        code, _, err = command(*arguments)
        assert code == 0, err
    summary: dict[str, Any] = json.loads((run / "summary.json").read_text())
    return {**summary, "folder": run}


def members(run: dict[str, Any], number: int) -> np.ndarray:
    """Where the voxels of a cluster of a one-dimensional run are."""
    tree = xtec.open_run(run["folder"])
    axis = next(iter(tree["cluster_map"].coords.values())).values
    return axis[tree["voxels/index"].values[tree["voxels/label"].values == number]]


def curve(run: dict[str, Any], number: int) -> tuple[np.ndarray, np.ndarray]:
    """Scan values and mean intensity of a cluster."""
    values = xtec.open_run(run["folder"])[f"average_intensity/cluster_{number}"]
    return values[values.dims[0]].values, values.values


@pytest.fixture(scope="module")
def powder(validation_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return measured(validation_data / "co2sio4-d20.nxs", tmp_path_factory.mktemp("measured") / "co2")


@pytest.fixture(scope="module")
def field(validation_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return measured(
        validation_data / "na2bamnp2o8-d23-field.nxs", tmp_path_factory.mktemp("measured") / "field"
    )


class TestCo2SiO4:
    """Antiferromagnetic below 50 K (Sazonov et al. 2010), which this sensor reads as 51.6 K."""

    def test_one_transition_at_the_neel_temperature(self, powder: dict[str, Any]) -> None:
        (found,) = powder["order_parameters"]
        assert found["kind"] == "second-order"
        assert found["tc"]["value"] == pytest.approx(51.6, abs=2)
        assert found["tc"]["units"] == "K"

    def test_its_cluster_has_the_magnetic_peaks(self, powder: dict[str, Any]) -> None:
        (found,) = powder["order_parameters"]
        assert found["clusters"] == [1]
        there = members(powder, 1)
        for peak in (10.7, 21.05, 22.8, 31.9):
            assert np.sum(np.abs(there - peak) <= 0.3) >= 4
        others = np.concatenate([members(powder, one["number"]) for one in powder["clusters"][1:]])
        assert all(np.sum(np.abs(others - peak) <= 0.2) == 0 for peak in (10.7, 21.05, 22.8, 31.9))

    def test_the_regulating_sensor_reads_lower(self, validation_data: Path, tmp_path: Path) -> None:
        series, scan = validation_data / "co2sio4-d20.nxs", ("--scan", "temperature_regulation")
        (found,) = measured(series, tmp_path / "run", *scan)["order_parameters"]
        assert found["tc"]["value"] == pytest.approx(50.0, abs=2)


class TestField:
    """(1/3, 1/3, L) of Na2BaMn(PO4)2 against field (Biniskos et al. 2025)."""

    def test_the_jump_near_1_2_tesla(self, field: dict[str, Any]) -> None:
        (found,) = field["order_parameters"]
        assert found["side"] == "below"
        assert found["tc"]["units"] == "T"
        assert 1.0 <= found["tc"]["low"] <= 1.4
        assert 1.2 <= found["tc"]["value"] <= 1.6
        low = members(field, found["clusters"][0])
        assert low.min() >= 0.17
        assert low.max() <= 0.195
        assert low.mean() == pytest.approx(0.18, abs=0.005)

    def test_the_peak_that_takes_over(self, field: dict[str, Any]) -> None:
        ordering = set(field["order_parameters"][0]["clusters"])
        taking_over = [
            one["number"]
            for one in field["clusters"]
            if one["number"] not in ordering and abs(members(field, one["number"]).mean() - 0.165) <= 0.005
        ]
        (number,) = taking_over
        values, intensity = curve(field, number)
        assert intensity[(values >= 1.4) & (values <= 4)].min() > 1.5 * intensity[values <= 1].max()

    def test_the_extra_peak_is_there_near_two_tesla_only(self, field: dict[str, Any]) -> None:
        (number,) = (
            one["number"]
            for one in field["clusters"]
            if abs(members(field, one["number"]).mean() - 0.08) <= 0.005 and one["voxels"] < 10
        )
        values, intensity = curve(field, number)
        there = intensity > 0.75 * intensity.max()
        assert there.sum() >= 2
        assert values[there].min() >= 1.8
        assert values[there].max() <= 2.4
        assert intensity[~there].max() < 0.6 * intensity.max()


class TestPairDistribution:
    """G(r) of SrFe2As2, tetragonal above 192 to 198 K, orthorhombic below; G(r) goes below zero."""

    def test_refused_with_what_to_try(self, validation_data: Path, tmp_path: Path) -> None:
        code, _, err = command("cluster", validation_data / "srfe2as2-pdf.nxs", "-o", tmp_path / "run")
        assert code == 3
        assert "--threshold none" in err
        assert "--rescale zscore" in err

    def test_as_the_hint_says_all_clusters_step_at_the_transition(
        self, validation_data: Path, tmp_path: Path
    ) -> None:
        options = ("--threshold", "none", "--rescale", "zscore")
        run = measured(validation_data / "srfe2as2-pdf.nxs", tmp_path / "run", *options)
        tree = xtec.open_run(run["folder"])
        temperature = tree["trajectories"]["temperature"].values
        for number in range(1, 5):
            steps = np.abs(np.diff(tree[f"trajectories/cluster_{number}"].values))
            assert temperature[steps.argmax()] == 192
            assert temperature[steps.argmax() + 1] == 198


class TestInSitu:
    """CuCl2 + Na2Se2 on heating: transformations near scans 60-70, 140 and 165."""

    def test_clusters_change_where_the_powder_transforms(self, validation_data: Path, tmp_path: Path) -> None:
        run = measured(validation_data / "cucl2-na2se2-insitu.nxs", tmp_path / "run")
        assert run["order_parameters"] == []
        tree = xtec.open_run(run["folder"])
        curves = np.stack([tree[f"trajectories/cluster_{k}"].values for k in range(1, 5)])
        steps = np.abs(curves[:, 6:] - curves[:, :-6]).max(axis=0)
        for low, high in ((58, 72), (136, 146), (160, 168)):
            near = steps[low - 3 : high - 2].max()
            assert near > 3 * np.median(steps)
