"""Measured series through the commands of docs/validation.md, whose tables are held here.

See the fixture `validation_data`.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import xtec
from xtec.io.run.clustered import read_clustered
from xtec.reciprocal.displacement import displacements

PAGE = Path(__file__).parents[2] / "docs" / "validation.md"
MAGNETIC = (10.7, 21.05, 22.8, 31.9)


def written(section: str) -> dict[str, float]:
    """The last column of the table of a section of the page."""
    (text,) = (part for part in PAGE.read_text(encoding="utf-8").split("\n## ") if part.startswith(section))
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| ")]
    return {row[0].strip(): float(row[2]) for row in rows if row[0].strip()}


def command(*arguments: object) -> tuple[int, str]:
    """Exit code of a command and what it says on stderr."""
    from xtec_cli.main import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0), err.getvalue()


class Measured:
    """A series clustered and read off."""

    def __init__(self, series: Path, folder: Path, *options: object) -> None:
        for arguments in (("cluster", series, "-o", folder, *options), ("order-parameter", folder)):
            code, err = command(*arguments, "--no-figures")
            assert code == 0, err
        self.folder, self.tree = folder, xtec.open_run(folder)
        self.summary: dict[str, Any] = json.loads((folder / "summary.json").read_text())

    @property
    def order(self) -> dict[str, Any]:
        """The only order parameter."""
        (one,) = self.summary["order_parameters"]
        return dict(one)

    def members(self, number: int) -> np.ndarray:
        """Where the voxels of a cluster are."""
        axis = next(iter(self.tree["cluster_map"].coords.values())).values
        return axis[self.tree["voxels/index"].values[self.tree["voxels/label"].values == number]]

    def compact_at(self, place: float) -> int:
        """The cluster of few voxels around a place."""
        numbers = range(1, len(self.summary["clusters"]) + 1)
        near = [k for k in numbers if np.abs(self.members(k) - place).max() < 0.02]
        (number,) = near
        return number

    def curves(self, group: str) -> np.ndarray:
        """Curves of all clusters, shape (K, T)."""
        numbers = range(1, len(self.summary["clusters"]) + 1)
        return np.stack([self.tree[f"{group}/cluster_{k}"].values for k in numbers])


@pytest.fixture(scope="module")
def powder(validation_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Measured:
    return Measured(validation_data / "co2sio4-d20.nxs", tmp_path_factory.mktemp("measured") / "run")


@pytest.fixture(scope="module")
def field(validation_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Measured:
    series = validation_data / "na2bamnp2o8-d23-field.nxs"
    return Measured(series, tmp_path_factory.mktemp("measured") / "run")


class TestCo2SiO4:
    """Antiferromagnetic below 50 K, which the sensor of the sample reads as 51.6 K; it expands."""

    page = written("Co2SiO4")

    def test_one_transition_at_the_neel_temperature(self, powder: Measured) -> None:
        tc, beta = powder.order["tc"], powder.order["beta"]
        assert powder.order["kind"] == "second-order"
        assert tc["value"] == pytest.approx(51.6, abs=2)
        assert tc["value"] == pytest.approx(self.page["Tc on `temperature` (K)"], abs=0.02)
        assert beta["value"] == pytest.approx(self.page["beta"], abs=0.02)
        assert self.page["transitions between 2 and 500 K"] == 1

    def test_on_the_regulating_sensor(self, validation_data: Path, tmp_path: Path) -> None:
        series = validation_data / "co2sio4-d20.nxs"
        tc = Measured(series, tmp_path / "run", "--scan", "temperature_regulation").order["tc"]
        assert tc["value"] == pytest.approx(50.0, abs=2)
        assert tc["value"] == pytest.approx(self.page["Tc on `temperature_regulation` (K)"], abs=0.1)

    def test_the_magnetic_peaks_are_in_its_cluster(self, powder: Measured) -> None:
        there = powder.members(powder.order["cluster"])
        assert there.size == pytest.approx(self.page["angles in the ordering cluster"], abs=2)
        found = [peak for peak in MAGNETIC if np.sum(np.abs(there - peak) <= 0.3) >= 4]
        assert len(found) == self.page["magnetic peaks in it, of 10.7, 21.05, 22.8 and 31.9 deg"] == 4

    def test_the_other_clusters_that_change_are_moving_peaks(self, powder: Measured) -> None:
        falling, rising = powder.summary["moving_peaks"]
        assert falling["partners"] == [rising["cluster"]]
        assert rising["partners"] == [falling["cluster"]]
        assert self.page["clusters called moving peaks"] == 2
        for one, row in (
            (falling, "falling one opposite the rising"),
            (rising, "rising one opposite the falling"),
        ):
            assert one["reading"] == "peaks move (thermal expansion)"
            assert 100 * one["opposite"] == pytest.approx(self.page[f"share of the {row} one (%)"], abs=2)
            assert one["maxima"] == pytest.approx(self.page["maxima where both are"], abs=2)
            assert 1e6 * one["shift"]["value"] == pytest.approx(self.page["d ln q/dT (10^-6/K)"], abs=0.2)
        intensity = powder.curves("average_intensity")
        assert intensity[falling["cluster"] - 1, -1] < intensity[falling["cluster"] - 1, 0]
        assert intensity[rising["cluster"] - 1, -1] > intensity[rising["cluster"] - 1, 0]

    def test_the_shift_is_that_of_bright_maxima(self, powder: Measured, validation_data: Path) -> None:
        shifts = shifts_of_bright_maxima(validation_data / "co2sio4-d20.nxs")
        assert shifts.size == 5
        assert [shifts.min(), np.median(shifts), shifts.max()] == pytest.approx([-7.5, -6.1, -4.7], abs=0.1)
        value = 1e6 * powder.summary["moving_peaks"][0]["shift"]["value"]
        assert shifts.min() < value < shifts.max()

    def test_what_is_lost_below_it(self, powder: Measured) -> None:
        lost = powder.curves("average_intensity")[1]
        assert lost[100:140].mean() / lost[:20].mean() == pytest.approx(1.08, abs=0.01)


def shifts_of_bright_maxima(series: Path) -> np.ndarray:
    """d ln q/dT in 10^-6/K of the brightest maxima, from parabolas through logarithms, without clusters."""
    with h5py.File(series) as file:
        data = file["entry/data"]
        intensity, temperature, angle = (
            data[name][()].astype(float) for name in ("intensity", "temperature", "two_theta")
        )
    third, order = len(temperature) // 3, np.argsort(temperature, kind="stable")
    low, high = intensity[order[:third]].mean(axis=0), intensity[order[-third:]].mean(axis=0)
    span = temperature[order[-third:]].mean() - temperature[order[:third]].mean()
    mean = intensity.mean(axis=0)
    tops = [i for i in range(5, len(mean) - 5) if mean[i] == mean[i - 5 : i + 6].max() and mean[i] > 1100]

    def sine(curve: np.ndarray, near: int) -> float:
        at = near - 3 + int(curve[near - 3 : near + 4].argmax())
        left, middle, right = np.log(curve[at - 1 : at + 2])
        place = angle[at] + (left - right) / (2 * (left - 2 * middle + right)) * (angle[1] - angle[0])
        return float(np.sin(np.radians(place / 2)))

    return np.array([np.log(sine(high, i) / sine(low, i)) / span * 1e6 for i in tops])


class TestField:
    """(1/3, 1/3, L) of Na2BaMn(PO4)2: a jump near 1.2 T, an extra peak near 2 T."""

    page = written("Na2BaMn(PO4)2")

    def test_the_first_peak_goes(self, field: Measured) -> None:
        onset = field.order["tc"]
        assert field.order["side"] == "below"
        assert onset["units"] == "T"
        assert onset["value"] == pytest.approx(1.2, abs=0.3)
        assert onset["value"] == pytest.approx(self.page["field where the first peak goes (T)"], abs=0.02)
        assert onset["low"] == pytest.approx(self.page["lower end of its interval (T)"], abs=0.02)
        assert onset["high"] == pytest.approx(self.page["upper end of its interval (T)"], abs=0.02)
        (vector,) = field.summary["wave_vectors"]
        assert vector["q"][2] == pytest.approx(self.page["L of the first peak"], abs=0.001)

    def test_as_raw_counts(self, field: Measured, validation_data: Path, tmp_path: Path) -> None:
        series = validation_data / "na2bamnp2o8-d23-field.nxs"
        counted = Measured(series, tmp_path / "run", "--noise", "poisson")
        assert counted.members(1).tolist() == field.members(1).tolist()
        assert counted.order["tc"]["value"] == pytest.approx(field.order["tc"]["value"], abs=0.01)

    def test_another_takes_over(self, field: Measured) -> None:
        number = field.compact_at(0.165)
        centre = field.members(number).mean()
        assert centre == pytest.approx(self.page["L of the peak that takes over"], abs=0.001)
        values = field.tree["trajectories"]["field"].values
        intensity = field.curves("average_intensity")[number - 1]
        assert intensity[(values >= 1.2) & (values <= 4)].min() > 1.5 * intensity[values <= 1].max()

    def test_the_extra_peak(self, field: Measured) -> None:
        number = field.compact_at(0.08)
        centre = field.members(number).mean()
        assert centre == pytest.approx(self.page["L of the extra peak"], abs=0.001)
        values = field.tree["trajectories"]["field"].values
        intensity = field.curves("average_intensity")[number - 1]
        there = values[intensity > 0.75 * intensity.max()]
        assert there.min() == pytest.approx(self.page["first field with the extra peak (T)"])
        assert there.max() == pytest.approx(self.page["last field with the extra peak (T)"])
        (place,) = re.findall(r"^highest at about (\S+) T", field.summary["clusters"][number - 1]["trend"])
        assert float(place) == pytest.approx(self.page["field where it is called highest (T)"])


class TestPairDistribution:
    """G(r) of SrFe2As2, orthorhombic below 192 to 198 K."""

    page = written("SrFe2As2")

    def test_refused_with_what_to_try(self, validation_data: Path, tmp_path: Path) -> None:
        code, err = command("cluster", validation_data / "srfe2as2-pdf.nxs", "-o", tmp_path / "run")
        assert code == 3
        assert "negative intensity -3.0536 at temperature = 150, r = 11.3; its logarithm is wanted" in err
        assert "--threshold none with --rescale zscore" in err

    def test_all_clusters_step_at_the_transition(self, validation_data: Path, tmp_path: Path) -> None:
        options = ("--threshold", "none", "--rescale", "zscore")
        run = Measured(validation_data / "srfe2as2-pdf.nxs", tmp_path / "run", *options)
        temperature = run.tree["trajectories"]["temperature"].values
        largest = np.abs(np.diff(run.curves("trajectories"), axis=1)).argmax(axis=1)
        ends = [
            self.page["lower end of the largest step of all four clusters (K)"],
            self.page["upper end of it (K)"],
        ]
        for at in largest:
            assert temperature[at : at + 2].tolist() == ends == [192, 198]
        onsets = [one["tc"]["value"] for one in run.summary["order_parameters"]]
        for row, at, known in (("lowest", min(onsets), 192), ("highest", max(onsets), 198)):
            assert at == pytest.approx(self.page[f"{row} onset of `order-parameter` (K)"], abs=2)
            assert at == pytest.approx(known, abs=6)  # a step of the scan
        clustered = read_clustered(run.folder)
        assert clustered.voxel_changes is not None
        found = displacements(clustered.map, clustered.voxel_changes, 4)
        explained = 1 - found.left / found.change
        assert 100 * explained[[0, 3]] == pytest.approx([46, 48], abs=2)


class TestInSitu:
    """CuCl2 + Na2Se2 on heating."""

    page = written("CuCl2")

    def test_clusters_change_where_it_transforms(self, validation_data: Path, tmp_path: Path) -> None:
        run = Measured(validation_data / "cucl2-na2se2-insitu.nxs", tmp_path / "run")
        assert len(run.summary["order_parameters"]) == self.page["order parameters"] == 0
        curves = run.curves("trajectories")
        change = np.abs(curves[:, 4:] - curves[:, :-4])
        for low, high, at in ((58, 80, 65), (120, 155, 140), (155, 180, 165)):
            near = change[:, low - 2 : high - 1]
            cluster, scan = np.unravel_index(near.argmax(), near.shape)
            row = f"fastest change of a cluster, scans {low} to {high}"
            assert scan + low == pytest.approx(self.page[row], abs=1)
            assert scan + low == pytest.approx(at, abs=5)
            assert near.max() > 5 * np.median(change[cluster])
