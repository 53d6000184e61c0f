from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.patches import StepPatch

from xtec.core.types import BackgroundThreshold, VoxelCounts
from xtec.plotting import plot_threshold, save_figure
from xtec.plotting.threshold import share_below

NOTHING = np.array([])


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    rng = np.random.default_rng(3)
    return np.concatenate([rng.normal(1.0, 0.3, 40_000), 1.6 + rng.exponential(1.0, 4_000)])


@pytest.fixture(scope="module")
def threshold(x: np.ndarray) -> BackgroundThreshold:
    density, edges = np.histogram(x, bins=200, density=True)
    below = x[x <= edges[40]]
    return BackgroundThreshold("kl", edges[40], edges, density, below.mean(), below.std(), credible=True)


@pytest.fixture(scope="module")
def counts(x: np.ndarray, threshold: BackgroundThreshold) -> VoxelCounts:
    return VoxelCounts(x.size + 100, 90, 10, 0, int((x > threshold.cutoff).sum()))


def line(axes: Axes, gid: str) -> np.ndarray:
    return next(np.asarray(found.get_xydata()) for found in axes.lines if found.get_gid() == gid)


def test_gaussian_has_the_share_below_the_cutoff_as_area(
    x: np.ndarray, threshold: BackgroundThreshold, counts: VoxelCounts
) -> None:
    curve = line(plot_threshold(threshold, counts).axes[0], "gaussian")
    area = np.trapezoid(curve[:, 1], curve[:, 0])
    assert area == pytest.approx(np.mean(x <= threshold.cutoff), abs=1e-3)
    assert curve[np.argmax(curve[:, 1]), 0] == pytest.approx(threshold.background_mean, abs=0.02)


@pytest.mark.parametrize("cutoff", [-np.inf, -50.0, 1.2345, 50.0])
def test_share_below_counts_voxels(x: np.ndarray, threshold: BackgroundThreshold, cutoff: float) -> None:
    assert share_below(replace(threshold, cutoff=cutoff)) == pytest.approx(np.mean(x <= cutoff), abs=5e-3)


@pytest.mark.parametrize("place", [-np.inf, 0.0, 37.0, 37.4, 200.0, 1e6])
def test_the_parts_make_up_the_histogram(
    threshold: BackgroundThreshold, counts: VoxelCounts, place: float
) -> None:
    edges = threshold.edges
    cutoff = place if np.isinf(place) else edges[0] + place * (edges[1] - edges[0])
    axes = plot_threshold(replace(threshold, cutoff=cutoff), counts).axes[0]
    area = {}
    for part in axes.patches:
        assert isinstance(part, StepPatch)
        values, part_edges, _ = part.get_data()
        area[part.get_gid()] = np.sum(values * np.diff(part_edges))
    assert sum(area.values()) == pytest.approx(1.0)
    assert area.get("below the cutoff", 0.0) == pytest.approx(share_below(replace(threshold, cutoff=cutoff)))


def test_cutoff_and_kept_share_are_stated(threshold: BackgroundThreshold, counts: VoxelCounts) -> None:
    figure = plot_threshold(threshold, counts)
    np.testing.assert_allclose(line(figure.axes[0], "cutoff")[:, 0], threshold.cutoff)
    title = figure.axes[0].get_title(loc="left")
    share = 100 * counts.n_kept / counts.n_total
    assert f"{threshold.cutoff:.3f}" in title
    assert f"kept {counts.n_kept:,} of {counts.n_total:,} voxels ({share:.3g} %)" in title
    assert "90 empty; 10 not finite" in title
    assert figure.get_suptitle() == ""


def test_incredible_cutoff_is_said_loudly_and_fits_the_page(
    threshold: BackgroundThreshold, counts: VoxelCounts
) -> None:
    figure = plot_threshold(replace(threshold, credible=False), counts)
    assert "NOT CREDIBLE" in figure.get_suptitle()
    figure.canvas.draw()
    box = next(text for text in figure.texts if text.get_gid() == "warning").get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.x1


@pytest.mark.parametrize(("method", "cutoff"), [("none", -np.inf), ("value", 2.0), ("simple", 2.0)])
@pytest.mark.parametrize("empty", [False, True])
def test_other_methods_have_no_gaussian(
    threshold: BackgroundThreshold,
    counts: VoxelCounts,
    method: str,
    cutoff: float,
    empty: bool,
    tmp_path: Path,
) -> None:
    given = BackgroundThreshold(
        method,
        cutoff,
        NOTHING if empty else threshold.edges,
        NOTHING if empty else threshold.density,
        np.nan,
        np.nan,
        credible=True,
    )
    figure = plot_threshold(given, counts)
    assert not [found for axes in figure.axes for found in axes.lines if found.get_gid() == "gaussian"]
    assert ("no threshold" in figure.axes[0].get_title(loc="left")) is (method == "none")
    assert save_figure(figure, tmp_path / "a.png").exists()
