"""Figures of order parameters and of wave vectors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from xtec.core.axes import Axis
from xtec.core.errors import ConfigError
from xtec.core.order import Arm, OrderParameter, Transition, WaveVector
from xtec.core.quantities import Quantity
from xtec.plotting import cluster_color, save_figure
from xtec.plotting.order_parameter import in_words, plot_order_parameters
from xtec.plotting.wave_vectors import plot_wave_vectors


def order_parameter(
    number: int = 1, tc: float = 131.0, branch: str = "", model: bool = True, side: str = "below"
) -> OrderParameter:
    """A curve that follows its model but for errors of one or two standard deviations."""
    x = np.linspace(30, 220, 24)[:: -1 if branch == "cooling" else 1]
    grid = np.linspace(30, 220, 400)
    curve = 1 + 5 * np.clip(1 - grid / tc, 0, None) ** 0.7
    error = 0.05 + 0.01 * np.arange(24) / 24
    deviation = np.where(np.arange(24) % 2, 1.0, -2.0)
    mirror = grid if side == "below" else 250 - grid
    order = np.argsort(mirror)
    y = np.interp(x, mirror[order], curve[order]) + deviation * error
    quantity = Quantity(tc if side == "below" else 250 - tc, tc - 2, tc + 1, "K")
    transition = Transition("second-order", quantity, Quantity(0.352, 0.34, 0.36), Quantity(5.0))
    return OrderParameter(
        clusters=(number,),
        branch=branch,
        scan=Axis("temperature", x, "K") if side == "below" else Axis("magnetic_field", x, "T"),
        intensity=y,
        error=error,
        transitions=(transition,) if model else (),
        reason="an onset",
        model=np.stack([mirror, curve], axis=1) if model else np.empty((0, 2)),
        side=side,
    )


def panels(figure: Figure) -> list[tuple[Axes, Axes]]:
    """Pairs of a curve and its residuals."""
    return list(zip(figure.axes[::2], figure.axes[1::2], strict=True))


def vertical(axes: Axes) -> dict[str, float]:
    """Places of vertical dotted lines, by colour."""
    return {
        to_hex(line.get_color()): line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == ":"
    }


def words(axes: Axes) -> str:
    return "\n".join(text.get_text() for text in axes.texts)


@pytest.mark.parametrize("side", ["below", "above"])
def test_points_model_tc_and_residuals_are_where_they_belong(side: str, tmp_path: Path) -> None:
    one = order_parameter(2, side=side)
    figure = plot_order_parameters([one], ["q = (1/2, 1/2, 0)"])
    ((above, below),) = panels(figure)
    tc = one.transitions[0].tc
    assert vertical(above) == vertical(below) == {cluster_color(1): tc.value}
    band = above.patches[0].get_extents().transformed(above.transData.inverted())
    assert (band.x0, band.x1) == pytest.approx((tc.low, tc.high))
    model = next(line for line in above.lines if len(line.get_xdata()) == 400)
    np.testing.assert_array_equal(np.stack(model.get_data(), axis=1), one.model)
    points = next(
        line for line in above.lines if line.get_linestyle() == "None" and len(line.get_xdata()) == 24
    )
    np.testing.assert_array_equal(points.get_data(), [one.scan.values, one.intensity])
    residual = next(line for line in below.lines if len(line.get_xdata()) == 24)
    np.testing.assert_allclose(residual.get_ydata(), np.where(np.arange(24) % 2, 1.0, -2.0), atol=1e-9)
    low, high = below.get_ylim()
    assert -low == high > 2
    assert above.get_title("left") == "q = (1/2, 1/2, 0)"
    assert below.get_xlabel() == one.scan.label
    assert in_words(tc) in words(above)
    assert in_words(one.transitions[0].beta) in words(above)
    assert save_figure(figure, tmp_path / "a.png").stat().st_size > 0


def test_two_branches_share_a_panel_and_are_told_apart(tmp_path: Path) -> None:
    cooling, warming = order_parameter(tc=120, branch="cooling"), order_parameter(tc=135, branch="warming")
    figure = plot_order_parameters([cooling, warming], ["q, cooling", "q, warming"])
    ((above, _),) = panels(figure)
    assert above.get_title("left") == "q"
    lines = vertical(above)
    assert sorted(lines.values()) == [120, 135]
    assert len(lines) == 2
    assert "cooling: " in words(above)
    assert "warming: " in words(above)
    save_figure(figure, tmp_path / "a.png")


def test_residuals_of_both_branches_fit_into_the_panel() -> None:
    large, small = order_parameter(branch="cooling"), order_parameter(branch="warming")
    large.intensity[3] += 20 * large.error[3]
    ((_, below),) = panels(plot_order_parameters([large, small], ["a", "b"]))
    assert below.get_ylim()[1] > 20


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 12])
def test_one_panel_for_each_order_parameter(n: int, tmp_path: Path) -> None:
    found = [order_parameter(k + 1, 100 + 5 * k) for k in range(n)]
    figure = plot_order_parameters(found, [f"number {k}" for k in range(n)])
    pairs = panels(figure)
    assert [above.get_title("left") for above, _ in pairs] == [f"number {k}" for k in range(n)]
    assert [vertical(above)[cluster_color(k + 1)] for k, (above, _) in enumerate(pairs)] == [
        100 + 5 * k for k in range(n)
    ]
    save_figure(figure, tmp_path / "a.png")


def test_order_parameters_of_the_same_cluster_have_panels_of_their_own() -> None:
    found = [order_parameter(1, 131), order_parameter(1, 91)]
    assert len(panels(plot_order_parameters(found, ["a", "b"]))) == 2


def test_more_than_twelve_are_left_to_the_table() -> None:
    found = [order_parameter(k + 1) for k in range(14)]
    assert len(panels(plot_order_parameters(found, ["x"] * 14))) == 12


def test_a_curve_without_a_model_has_no_residuals(tmp_path: Path) -> None:
    figure = plot_order_parameters([order_parameter(model=False)], ["none"])
    ((above, below),) = panels(figure)
    assert vertical(above) == {}
    assert all(len(line.get_xdata()) == 2 for line in below.lines)
    save_figure(figure, tmp_path / "a.png")


def test_open_intervals_and_jumps_are_drawn(tmp_path: Path) -> None:
    one = order_parameter()
    open_end = Transition("first-order", Quantity(131.0, 129.0, None, "K"), None, Quantity(5.0))
    figure = plot_order_parameters([OrderParameter(**{**vars(one), "transitions": (open_end,)})], ["a"])
    ((above, _),) = panels(figure)
    assert not above.patches
    assert "jump" in words(above)
    assert "β" not in words(above)
    save_figure(figure, tmp_path / "a.png")


@pytest.mark.parametrize(
    ("quantity", "text"),
    [
        (Quantity(130.81, 130.11, 131.14), "$130.81^{+0.33}_{-0.70}$"),
        (Quantity(0.3521, 0.346, 0.3582), "0.3521 ± 0.0061"),
        (Quantity(131.0, 120.0, 142.0), "131 ± 11"),
    ],
)
def test_values_in_words(quantity: Quantity, text: str) -> None:
    assert in_words(quantity) == text


def wave_vector(q: tuple[float, ...], arms: list[tuple[float, ...]], peaks: int = 40) -> WaveVector:
    error = np.full(3, 1e-3)
    return WaveVector(
        (1,),
        np.array(q),
        error,
        ("1/2", "1/2", "0"),
        peaks,
        [Arm(np.array(arm), error, 9, 5) for arm in arms],
        3,
        9,
        9,
    )


ARMS = [(0.5, 0.5, 0.0), (0.5, 0.0, 0.5), (0.0, 0.5, 0.5)]


def positions(seed: int, arms: list[tuple[float, ...]] = ARMS) -> np.ndarray:
    rng = np.random.default_rng(seed)
    places = np.repeat(arms, 30, axis=0) + 0.01 * rng.standard_normal((30 * len(arms), 3))
    return places + rng.integers(-5, 6, places.shape)


@pytest.mark.parametrize(("n_axes", "n_panels"), [(3, 3), (2, 1), (1, 1)])
def test_peaks_and_arms_fold_into_one_zone(n_axes: int, n_panels: int, tmp_path: Path) -> None:
    first, second = positions(0), positions(1, [(0.31, 0.0, 0.0)])
    for places in (first, second):
        places[:, n_axes:] = np.nan
    vectors = [wave_vector((0.5, 0.5, 0), ARMS), wave_vector((0.31, 0, 0), [(0.31, 0, 0), (-0.31, 0, 0)])]
    figure = plot_wave_vectors(vectors, [first, second])
    assert len(figure.axes) == n_panels
    assert len(figure.legends[0].get_texts()) == 2
    for axes in figure.axes:
        clouds = [line for line in axes.lines if line.get_marker() == "."]
        stars = [line for line in axes.lines if line.get_label().startswith("q = ")]
        assert len(clouds) == len(stars) == 2
        for line in (*clouds, *stars):
            for places in line.get_data():
                assert (np.abs(places - 0.25) <= 0.5).all()
        along = ["HKL".index(text[0]) for text in (axes.get_xlabel(), axes.get_ylabel())]
        np.testing.assert_allclose(np.transpose(stars[0].get_data()), np.array(ARMS)[:, along])
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts[0] == "q = (1/2, 1/2, 0): 3 of 3 arms, 40 peaks"
    save_figure(figure, tmp_path / "a.png")


@pytest.mark.parametrize("plot", [plot_order_parameters, plot_wave_vectors])
def test_nothing_to_draw_is_an_error(plot: Callable[..., Figure]) -> None:
    with pytest.raises(ConfigError, match="to draw"):
        plot([], [])
