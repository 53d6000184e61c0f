from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from xtec.core.axes import Axis
from xtec.core.errors import ConfigError
from xtec.core.types import ClusterCurves
from xtec.plotting import cluster_color, plot_average_intensity, plot_trajectories, save_figure


def curves(n_clusters: int, temperatures: np.ndarray | None = None) -> ClusterCurves:
    t = np.arange(30.0, 301.0, 15.0) if temperatures is None else temperatures
    rng = np.random.default_rng(n_clusters)
    order = np.sqrt(np.clip(1 - t / 130, 0, None))
    intensity = rng.uniform(50, 5000, (n_clusters, 1)) * (1 + rng.uniform(0, 5, (n_clusters, 1)) * order)
    rescaled = intensity / intensity.mean(axis=1, keepdims=True) - 1
    return ClusterCurves(
        Axis("temperature", t, "K"), rescaled, 0.1 + 0.2 * np.abs(rescaled), intensity, 0.02 * intensity
    )


def lines(figure: Figure) -> dict[int, Line2D]:
    found = {}
    for axes in figure.axes:
        for line in axes.lines:
            if str(line.get_gid()).startswith("cluster-"):
                found[int(str(line.get_gid()).removeprefix("cluster-"))] = line
    return found


@pytest.mark.parametrize("n_clusters", [1, 4, 12])
def test_lines_are_the_curves_in_the_clusters_color(n_clusters: int) -> None:
    given = curves(n_clusters)
    for plot, expected in (
        (plot_trajectories, given.rescaled_mean),
        (plot_average_intensity, given.intensity_mean),
    ):
        drawn = lines(plot(given))
        assert sorted(drawn) == list(range(1, n_clusters + 1))
        for number, line in drawn.items():
            np.testing.assert_array_equal(line.get_xdata(), given.scan.values)
            np.testing.assert_array_equal(line.get_ydata(), expected[number - 1])
            assert to_hex(line.get_color()) == cluster_color(number)


def test_band_is_one_standard_deviation() -> None:
    given = curves(3)
    axes = plot_trajectories(given).axes[0]
    band = next(c for c in axes.collections if c.get_gid() == "band-2")
    assert isinstance(band, PolyCollection)
    vertices = band.get_paths()[0].vertices
    for x, mean, std in zip(given.scan.values, given.rescaled_mean[1], given.rescaled_std[1], strict=True):
        at = vertices[vertices[:, 0] == x, 1]
        assert (at.min(), at.max()) == pytest.approx((mean - std, mean + std))


def test_unsorted_scan_is_drawn_in_order_of_its_values() -> None:
    shuffled = np.array([200.0, 30.0, 110.0, 60.0, 290.0])
    given = curves(2, shuffled)
    line = lines(plot_trajectories(given))[1]
    order = np.argsort(shuffled)
    np.testing.assert_array_equal(line.get_xdata(), shuffled[order])
    np.testing.assert_array_equal(line.get_ydata(), given.rescaled_mean[0, order])


@pytest.mark.parametrize("n_clusters", [2, 10])
def test_a_value_measured_twice_gives_points_without_a_line(n_clusters: int) -> None:
    given = curves(n_clusters, np.array([10.0, 20.0, 30.0, 20.0, 10.0]))
    for plot in (plot_trajectories, plot_average_intensity):
        for line in lines(plot(given)).values():
            assert line.get_linestyle() == "None"
            assert line.get_marker() != "none"


def test_intensity_axis_is_logarithmic_only_above_zero() -> None:
    given = curves(3)
    assert plot_average_intensity(given).axes[0].get_yscale() == "log"
    given.intensity_mean[1, 4] = 0.0
    assert plot_average_intensity(given).axes[0].get_yscale() == "linear"


def test_errors_larger_than_the_average_do_not_set_the_log_scale() -> None:
    given = curves(2)
    given.intensity_error[:] = 1.5 * given.intensity_mean
    axes = plot_average_intensity(given).axes[0]
    low, high = axes.get_ylim()
    assert 0 < low < given.intensity_mean.min()
    assert low > 0.5 * given.intensity_mean.min()
    assert high > (given.intensity_mean + given.intensity_error).max()
    bars = next(c for c in axes.collections if c.get_gid() == "bars-1")
    assert isinstance(bars, LineCollection)
    np.testing.assert_allclose(
        [segment[:, 1] for segment in bars.get_segments()],
        np.stack([-0.5 * given.intensity_mean[0], 2.5 * given.intensity_mean[0]], axis=1),
    )


def test_legend_names_clusters_and_axis_the_scan() -> None:
    figure = plot_trajectories(curves(3), ["7 voxels", "8 voxels", "9 voxels"])
    assert [text.get_text().split(maxsplit=1) for text in figure.legends[0].get_texts()] == [
        ["1", "7 voxels"],
        ["2", "8 voxels"],
        ["3", "9 voxels"],
    ]
    assert figure.axes[0].get_xlabel() == "temperature (K)"


def test_wrong_number_of_labels_is_refused() -> None:
    with pytest.raises(ConfigError, match="2 labels for 3 clusters"):
        plot_trajectories(curves(3), ["a", "b"])


@pytest.mark.parametrize("n_clusters", [0, 1, 8, 9, 40])
def test_any_number_of_clusters_can_be_saved(n_clusters: int, tmp_path: Path) -> None:
    assert save_figure(plot_trajectories(curves(n_clusters)), tmp_path / "a.png").stat().st_size > 0


def test_one_temperature_and_nan_are_drawn(tmp_path: Path) -> None:
    given = curves(2, np.array([30.0]))
    given.rescaled_std[0] = np.nan
    given.intensity_error[1] = np.nan
    plots = {plot_trajectories: given.rescaled_mean, plot_average_intensity: given.intensity_mean}
    for number, (plot, expected) in enumerate(plots.items()):
        figure = plot(given)
        assert save_figure(figure, tmp_path / f"{number}.png").stat().st_size > 0
        for k, line in lines(figure).items():
            np.testing.assert_array_equal(line.get_ydata(), expected[k - 1])
