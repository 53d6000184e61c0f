from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from xtec.core.axes import Axis
from xtec.core.errors import ConfigError
from xtec.core.types import ClusterMap
from xtec.plotting import cluster_color, plot_qmap, save_figure
from xtec.plotting.lattice import LatticePlane, cell_edges, in_plane_angle
from xtec.plotting.qmap import choose_planes
from xtec.plotting.style import DPI, EMPTY

NAMES = ("Ql", "Qk", "Qh")


def axis(name: str, low: float, high: float, n: int, scale: float | None = None) -> Axis:
    return Axis(name, np.linspace(low, high, n), "r.l.u.", {} if scale is None else {"scaling_factor": scale})


def make_map(labels: np.ndarray, axes: list[Axis], angles: list[float] | None = None) -> ClusterMap:
    flat = np.flatnonzero(labels)
    label = labels.ravel()[flat].astype(np.int16)
    return ClusterMap(axes, flat.astype(np.int64), label, None if angles is None else np.array(angles))


def render(figure: Figure, dpi: int = DPI) -> np.ndarray:
    figure.set_dpi(dpi)
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3] / 255  # type: ignore[attr-defined]


def pixel(picture: np.ndarray, axes: Axes, plane: LatticePlane, h: float, k: float) -> np.ndarray:
    x, y = plane.transform(axes).transform((h, k))
    return picture[picture.shape[0] - 1 - int(y), int(x)]


def hexagonal(angle: float) -> tuple[ClusterMap, LatticePlane]:
    axes = [axis("Ql", 0, 1, 3, 0.7), axis("Qk", -3, 3, 61, 1.1), axis("Qh", -4, 4, 81, 1.1)]
    labels = np.zeros((3, 61, 81), dtype=np.int16)
    labels[1, 40, 60] = 1  # K = 1, H = 2
    labels[1, 5:8, 10:13] = 2  # around K = -2.4, H = -2.9
    labels[1, 50, 20] = 3  # K = 2, H = -2
    return make_map(labels, axes, [angle, 90, 90]), LatticePlane(axes[2], axes[1], angle)


@pytest.mark.parametrize("angle", [60.0, 90.0, 104.5, 120.0])
def test_colors_are_found_at_their_hkl(angle: float) -> None:
    cluster_map, plane = hexagonal(angle)
    figure = plot_qmap(cluster_map, planes=[0.5])
    picture = render(figure)
    axes = figure.axes[0]
    assert axes.get_title() == "L = 0.50 (r.l.u.)"
    for h, k, number in ((2, 1, 1), (-2.9, -2.4, 2), (-2, 2, 3)):
        color = pixel(picture, axes, plane, h, k)
        np.testing.assert_allclose(color, to_rgb(cluster_color(number)), atol=0.01)
    np.testing.assert_allclose(pixel(picture, axes, plane, 0.05, 0.05), to_rgb(EMPTY), atol=0.01)


@pytest.mark.parametrize("angle", [60.0, 90.0, 120.0])
def test_distances_on_paper_are_those_of_the_lattice(angle: float) -> None:
    axes = [axis("Ql", 0, 0.1, 2, 0.7), axis("Qk", -3, 3, 31, 1.3), axis("Qh", -4, 4, 41, 0.9)]
    labels = np.zeros((2, 31, 41), dtype=np.int16)
    labels[0, 3, 3] = 1
    figure = plot_qmap(make_map(labels, axes, [angle, 85, 95]), planes=[0.0])
    render(figure)
    plane = LatticePlane(axes[2], axes[1], angle)
    hk = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [-2.0, 1.0], [3.0, -2.0]])
    spots = plane.transform(figure.axes[0]).transform(np.vstack([[0.0, 0.0], hk]))
    on_paper = np.linalg.norm(spots[1:] - spots[0], axis=1)
    a, b = 0.9, 1.3
    length = np.sqrt(
        (a * hk[:, 0]) ** 2 + (b * hk[:, 1]) ** 2 + 2 * a * b * hk.prod(axis=1) * np.cos(np.deg2rad(angle))
    )
    np.testing.assert_allclose(on_paper / on_paper[0], length / length[0], rtol=1e-6)
    assert spots[2, 1] > spots[0, 1]


def test_cartesian_of_a_hexagonal_plane() -> None:
    plane = LatticePlane(axis("Qh", -1, 1, 3, 2.0), axis("Qk", -1, 1, 3, 2.0), 60.0)
    assert plane.sheared
    np.testing.assert_allclose(
        plane.cartesian.transform([[1, 0], [0, 1], [-1, 1]]), [[2, 0], [1, 3**0.5], [-1, 3**0.5]]
    )


def test_sheared_ticks_are_written_beside_their_hkl() -> None:
    cluster_map, plane = hexagonal(60.0)
    figure = plot_qmap(cluster_map, planes=[0.5])
    picture = render(figure)
    axes = figure.axes[0]
    boxes = [(text.get_text(), text.get_window_extent()) for text in axes.texts]
    assert {"H (r.l.u.)", "K (r.l.u.)"} <= {text for text, _ in boxes}
    h_low, k_low = plane.corners[0]
    found = {"H": 0, "K": 0}
    for text, box in boxes:
        assert min(box.x0, box.y0) >= 0
        assert box.x1 <= picture.shape[1]
        if text[0] in "HK":
            continue
        value = float(text.replace("\N{MINUS SIGN}", "-"))
        below = plane.transform(axes).transform((value, k_low))
        beside = plane.transform(axes).transform((h_low, value))
        at_h = abs(0.5 * (box.x0 + box.x1) - below[0]) < 2 and 0 < below[1] - box.y1 < 0.2 * DPI
        at_k = abs(0.5 * (box.y0 + box.y1) - beside[1]) < 4 and 0 < beside[0] - box.x1 < 0.2 * DPI
        assert at_h != at_k
        found["H" if at_h else "K"] += 1
    assert min(found.values()) >= 3


def test_angles_follow_the_axes_as_nexusformat_permutes_them() -> None:
    nexus = pytest.importorskip("nexusformat.nexus")
    gamma, beta, alpha = 62.0, 81.0, 97.0
    fields = [
        nexus.NXfield(np.arange(n, dtype=float), name=name) for name, n in zip(NAMES, (3, 4, 5), strict=True)
    ]
    data = nexus.NXdata(nexus.NXfield(np.zeros((3, 4, 5)), name="v"), fields)
    data.nxangles = [gamma, beta, alpha]
    between = {
        frozenset(("Qh", "Qk")): gamma,
        frozenset(("Qh", "Ql")): beta,
        frozenset(("Qk", "Ql")): alpha,
    }
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0], [1, 0, 2]):
        turned = data.transpose(order)
        axes = [axis(NAMES[i], 0, 1, 3) for i in order]
        for dropped in range(3):
            in_plane = frozenset(found.name for i, found in enumerate(axes) if i != dropped)
            assert in_plane_angle(axes, np.array(turned.nxangles), dropped) == between[in_plane]


def test_angle_of_a_two_dimensional_map() -> None:
    kh, lh = [axis("Qk", 0, 1, 3), axis("Qh", 0, 1, 3)], [axis("Ql", 0, 1, 3), axis("Qh", 0, 1, 3)]
    assert in_plane_angle(kh, np.array([60.0])) == 60.0
    assert in_plane_angle(kh, np.array([60.0, 80.0, 70.0])) == 60.0
    assert in_plane_angle(lh, np.array([60.0, 80.0, 70.0])) == 80.0
    assert in_plane_angle(kh, np.array([60.0, 80.0])) == 90.0
    assert in_plane_angle(kh, np.array([np.nan])) == 90.0
    assert in_plane_angle(kh, None) == 90.0


@pytest.mark.parametrize("angle", [60.0, 90.0])
@pytest.mark.parametrize("dpi", [100, 200])
def test_single_voxels_survive(angle: float, dpi: int) -> None:
    rng = np.random.default_rng(5)
    labels = np.zeros((8, 400, 600), dtype=np.int16)
    axes = [axis("Ql", 0, 1, 8), axis("Qk", -10, 10, 400), axis("Qh", -15, 15, 600)]
    spots = np.stack([rng.integers(8, 392, 40), rng.integers(8, 592, 40)], axis=1)
    numbers = 1 + np.arange(40) % 4
    labels[2, spots[:, 0], spots[:, 1]] = numbers
    labels[[0, 4, 6], 30, 30] = 1
    figure = plot_qmap(make_map(labels, axes, [angle, 90, 90]))
    picture = render(figure, dpi)
    shown = next(found for found in figure.axes if found.get_title().startswith("L = 0.29"))
    plane = LatticePlane(axes[2], axes[1], angle)
    assert len(figure.axes) == 4
    for (row, column), number in zip(spots, numbers, strict=True):
        color = pixel(picture, shown, plane, axes[2].values[column], axes[1].values[row])
        np.testing.assert_allclose(color, to_rgb(cluster_color(int(number))), atol=0.15)


def test_scattered_voxels_do_not_pass_for_a_cloud() -> None:
    labels = np.where(np.random.default_rng(1).random((300, 300)) < 0.1, 1, 0)
    figure = plot_qmap(make_map(labels, [axis("Qk", -3, 3, 300), axis("Qh", -3, 3, 300)]))
    picture = render(figure)
    box = figure.axes[0].get_window_extent()
    height = picture.shape[0]
    inside = picture[
        height - int(box.y1) + 20 : height - int(box.y0) - 20, int(box.x0) + 20 : int(box.x1) - 20
    ]
    colored = np.linalg.norm(inside - to_rgb(cluster_color(1)), axis=-1) < 0.2
    assert 0.08 < colored.mean() < 0.2


def test_planes_shown_are_the_fullest_and_every_cluster_is_seen() -> None:
    labels = np.zeros((21, 30, 30), dtype=np.int16)
    labels[[0, 1, 19, 20]] = 2
    labels[0, :3] = 0
    labels[9:12, 5:9, 5:9] = 1
    labels[10, 20, 20] = 1
    labels[4, 1, 1] = 3
    cluster_map = make_map(labels, [axis(name, 0, 1, n) for name, n in zip(NAMES, (21, 30, 30), strict=True)])
    assert choose_planes(cluster_map) == [1, 4, 10, 20]
    titles = [axes.get_title() for axes in plot_qmap(cluster_map).axes]
    assert titles == [f"L = {value} (r.l.u.)" for value in ("0.05", "0.20", "0.50", "1.00")]


def test_planes_are_read_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster_map, _ = hexagonal(60.0)
    asked: list[tuple[int, int]] = []
    slab = ClusterMap.slab

    def watched(self: ClusterMap, start: int, stop: int) -> np.ndarray:
        asked.append((start, stop))
        return slab(self, start, stop)

    monkeypatch.setattr(ClusterMap, "slab", watched)
    plot_qmap(cluster_map, planes=[0.0, 0.52])
    assert asked == [(0, 1), (1, 2)]


@pytest.mark.parametrize("values", [np.linspace(3, -3, 31), np.array([-3, -2.5, -1, 0, 0.2, 0.4, 3.0])])
def test_falling_and_uneven_axes(values: np.ndarray) -> None:
    qk, qh = Axis("Qk", values, "r.l.u."), axis("Qh", -3, 3, 31)
    labels = np.zeros((len(values), 31), dtype=np.int16)
    labels[1, 10], labels[4, 20] = 1, 2
    figure = plot_qmap(make_map(labels, [qk, qh]))
    picture, plane = render(figure), LatticePlane(qh, qk)
    for row, column, number in ((1, 10, 1), (4, 20, 2)):
        color = pixel(picture, figure.axes[0], plane, qh.values[column], values[row])
        np.testing.assert_allclose(color, to_rgb(cluster_color(number)), atol=0.01)


def test_plane_of_another_axis_has_its_own_angle() -> None:
    labels = np.zeros((11, 1, 21), dtype=np.int16)
    labels[5, 0, 4] = 1
    axes = [axis("Ql", -1, 1, 11), axis("Qk", 0.5, 0.5, 1), axis("Qh", -2, 2, 21)]
    figure = plot_qmap(make_map(labels, axes, [90, 70, 90]))
    assert figure.axes[0].get_title() == "K = 0.50 (r.l.u.)"
    plane = LatticePlane(axes[2], axes[0], 70.0)
    color = pixel(render(figure), figure.axes[0], plane, axes[2].values[4], 0.0)
    np.testing.assert_allclose(color, to_rgb(cluster_color(1)), atol=0.01)


def test_one_dimensional_map_is_a_strip_per_cluster() -> None:
    labels = np.zeros(600, dtype=np.int16)
    labels[100], labels[300:310] = 1, 4
    two_theta = Axis("two_theta", np.linspace(5, 120, 600), "deg")
    figure = plot_qmap(make_map(labels, [two_theta]))
    axes = figure.axes[0]
    picture = render(figure)
    assert axes.get_xlabel() == "two theta (deg)"
    for x, place, number in ((two_theta.values[100], 0, 1), (two_theta.values[305], 1, 4)):
        column, row = axes.transData.transform((x, place))
        color = picture[picture.shape[0] - 1 - int(row), int(column)]
        np.testing.assert_allclose(color, to_rgb(cluster_color(number)), atol=0.01)


def test_legend_counts_the_voxels_of_each_cluster() -> None:
    cluster_map, _ = hexagonal(60.0)
    figure = plot_qmap(cluster_map, planes=[0.5])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["1  (1)", "2  (9)", "3  (1)"]


def test_planes_outside_or_without_a_third_axis_are_refused() -> None:
    cluster_map, _ = hexagonal(60.0)
    with pytest.raises(ConfigError, match="no plane at Ql = 7"):
        plot_qmap(cluster_map, planes=[7.0])
    flat = make_map(np.eye(4, dtype=np.int16), [axis("Qk", 0, 1, 4), axis("Qh", 0, 1, 4)])
    with pytest.raises(ConfigError, match="3-D map only"):
        plot_qmap(flat, planes=[0.0])


@pytest.mark.parametrize("shape", [(5,), (5, 6), (3, 5, 6), (1, 1, 6), (1, 1, 1), (2, 1, 1)])
@pytest.mark.parametrize("filled", [False, True])
def test_any_shape_can_be_saved(shape: tuple[int, ...], filled: bool, tmp_path: Path) -> None:
    axes = [axis(name, 0, 1, n) for name, n in zip(NAMES[-len(shape) :], shape, strict=True)]
    labels = np.full(shape, int(filled), dtype=np.int16)
    assert save_figure(plot_qmap(make_map(labels, axes)), tmp_path / "a.png").exists()


def test_scaling_factors_count_only_together() -> None:
    with_one = LatticePlane(axis("Qh", 0, 1, 3, 0.8), axis("Qk", 0, 1, 3))
    assert with_one.units == (1.0, 1.0)
    unlike = LatticePlane(Axis("two_theta", np.arange(3.0), "deg"), axis("Qk", 0, 1, 3))
    assert unlike.units is None


def test_cell_edges_lie_between_the_centres() -> None:
    np.testing.assert_allclose(cell_edges(np.array([0.0, 1.0, 3.0])), [-0.5, 0.5, 2.0, 4.0])
    np.testing.assert_allclose(cell_edges(np.array([2.0])), [1.5, 2.5])
