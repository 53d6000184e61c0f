from pathlib import Path

import numpy as np
import pytest
from matplotlib import rcParams
from matplotlib.figure import Figure

from xtec.core.errors import ConfigError
from xtec.core.palette import hex_to_rgb
from xtec.plotting import cluster_color, figure_style, save_figure
from xtec.plotting.style import cluster_linestyle, cluster_marker, new_figure

# Viénot, Brettel & Mollon, Color Res. Appl. 24, 243 (1999): another model than the palette was chosen with.
VIENOT_DEUTERANOPE = np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]])
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(numbers: range) -> np.ndarray:
    srgb = np.array([hex_to_rgb(cluster_color(number)) for number in numbers])
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def smallest_lab_distance(rgb: np.ndarray) -> float:
    xyz = np.clip(rgb, 0, 1) @ XYZ.T / XYZ.sum(axis=1)
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    lab = np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)
    distance = np.linalg.norm(lab[:, None] - lab[None], axis=2)
    return float(distance[~np.eye(len(lab), dtype=bool)].min())


def test_first_eight_stay_apart_without_green_cones() -> None:
    assert smallest_lab_distance(linear(range(1, 9)) @ VIENOT_DEUTERANOPE.T) > 12
    assert smallest_lab_distance(linear(range(1, 9))) > 25


def test_forty_clusters_are_pairwise_distinct() -> None:
    assert smallest_lab_distance(linear(range(1, 41))) > 5
    assert len({cluster_color(number) for number in range(1, 201)}) == 200


def test_every_color_is_seen_on_white() -> None:
    luminance = linear(range(1, 41)) @ XYZ[1]
    assert (1.05 / (luminance + 0.05)).min() >= 1.95


def test_repeated_colors_differ_in_line_or_marker() -> None:
    looks = {(cluster_color(n), str(cluster_linestyle(n)), cluster_marker(n)) for n in range(1, 513)}
    assert len(looks) == 512


@pytest.mark.parametrize("number", [0, -3])
def test_unclustered_has_no_color(number: int) -> None:
    with pytest.raises(ConfigError, match="start at 1"):
        cluster_color(number)


def test_style_leaves_no_trace() -> None:
    before = dict(rcParams)
    with figure_style():
        assert rcParams["xtick.direction"] == "in"
    assert dict(rcParams) == before


def drawn() -> Figure:
    figure = new_figure(3, 2)
    figure.subplots().plot([0, 1])
    return figure


def test_save_writes_200_dpi_png_and_closes(tmp_path: Path) -> None:
    figure = drawn()
    path = save_figure(figure, str(tmp_path / "curve.png"))
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")) == (600, 400)
    assert [entry.name for entry in tmp_path.iterdir()] == ["curve.png"]
    assert figure.axes == []


def test_failed_save_keeps_the_old_file_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "curve.png"
    target.write_bytes(b"old")

    def half_written(self: Figure, name: Path, **_: object) -> None:
        Path(name).write_bytes(b"half")
        assert target.read_bytes() == b"old"
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", half_written)
    with pytest.raises(OSError, match="disk full"):
        save_figure(drawn(), target)
    assert target.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["curve.png"]


def test_saved_file_has_ordinary_permissions(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    assert save_figure(drawn(), tmp_path / "a.png").stat().st_mode == plain.stat().st_mode
