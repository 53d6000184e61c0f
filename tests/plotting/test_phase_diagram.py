from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from xtec.core.diagram import Boundary, DiagramPoint, PhaseDiagram
from xtec.core.quantities import Quantity
from xtec.plotting import cluster_color, save_figure
from xtec.plotting.phase_diagram import plot_phase_diagram

NAMES = ("q = (1/2, 1/2, 0)", "q = 0", "q = (1/3, 0, 0)", "q = (1/5, 0, 0)")


def boundary(name: str, t0: float, xc: float, high: float | None = None) -> Boundary:
    x = np.linspace(0, 1.1 * xc, 60)
    tc = t0 * np.clip(1 - x / xc, 0, None) ** 0.5
    band = np.stack([x, tc, 0.97 * tc, 1.03 * tc + 2], axis=1)
    return Boundary(
        name,
        Quantity(t0, t0 - 1.2, t0 + 1.3, "K"),
        Quantity(xc, 0.95 * xc, 1.04 * xc if high is None else high),
        Quantity(0.5, 0.45, 0.56),
        band,
    )


def diagram(n: int = 1, variable: str = "composition", units: str = "", **changes: str) -> PhaseDiagram:
    points, boundaries = [], []
    for k, name in enumerate(NAMES[:n]):
        t0, xc = 138.0 - 30 * k, 0.9 - 0.1 * k
        for x in (0.5, 0.0, 0.2):
            tc = t0 * (1 - x / xc) ** 0.5
            interval = Quantity(tc, tc - 2.0, tc + 3.0, "K")
            points.append(
                DiagramPoint(f"s{x}", x, interval, None, name, kind=changes.get("kind", "second-order"))
            )
        points.append(DiagramPoint("beyond", 0.95, None, 40.0, name))
        boundaries.append(boundary(name, t0, xc))
    return PhaseDiagram(variable, units, "K", points, boundaries)


def line(figure: Figure, gid: str) -> Line2D:
    return next(line for line in figure.axes[0].lines if line.get_gid() == gid)


def xy(drawn: Line2D) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in np.column_stack(drawn.get_data())]


def texts(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text))


@pytest.mark.parametrize("n", [1, 2, 4])
def test_every_transition_is_at_its_place_in_its_boundarys_color(n: int) -> None:
    given = diagram(n)
    figure = plot_phase_diagram(given)
    for number, name in enumerate(NAMES[:n], start=1):
        drawn = line(figure, f"transitions-{number}")
        assert xy(drawn) == [(p.x, p.tc.value) for p in given.points if p.boundary == name and p.tc]
        assert to_hex(str(drawn.get_color())) == cluster_color(number)


def test_error_bars_reach_both_ends_of_the_interval() -> None:
    given = diagram()
    axes = plot_phase_diagram(given).axes[0]
    (container,) = axes.containers
    segments = container[2][0].get_segments()
    ends = [(float(segment[0, 1]), float(segment[1, 1])) for segment in segments]
    np.testing.assert_allclose(ends, [(p.tc.low, p.tc.high) for p in given.points if p.tc])


def test_a_missing_end_has_no_bar() -> None:
    point = DiagramPoint("a", 0.1, Quantity(100.0, None, 104.0, "K"), None, "q")
    axes = plot_phase_diagram(PhaseDiagram("composition", "", "K", [point], [])).axes[0]
    segment = axes.containers[0][2][0].get_segments()[0]
    assert (segment[0, 1], segment[1, 1]) == (100.0, 104.0)


def test_limits_are_arrows_that_point_down_from_the_limit() -> None:
    figure = plot_phase_diagram(diagram(2))
    for number in (1, 2):
        drawn = line(figure, f"limits-{number}")
        assert xy(drawn) == [(0.95, 40.0)]
        marker = drawn.get_marker()
        vertices = marker.vertices
        assert vertices[:, 1].max() == 0
        assert vertices[:, 1].min() < -0.9


def test_the_band_encloses_the_curve_which_ends_at_xc() -> None:
    given = diagram(2)
    figure = plot_phase_diagram(given)
    for number, fitted in enumerate(given.boundaries, start=1):
        band = next(c for c in figure.axes[0].collections if c.get_gid() == f"band-{number}")
        outline = band.get_paths()[0]
        drawn = line(figure, f"boundary-{number}")
        for x, tc in xy(drawn)[1:-1]:
            assert outline.contains_point((x, tc)), (x, tc)
        x, tc, low, high = fitted.band.T
        vertices = np.asarray(outline.vertices)
        for at, bottom, top in zip(x, low, high, strict=True):
            there = vertices[vertices[:, 0] == at, 1]
            assert (there.min(), there.max()) == pytest.approx((bottom, top))
        assert fitted.xc is not None
        assert line(figure, f"xc-{number}").get_xdata() == [fitted.xc.value]
        assert list(line(figure, f"xc-interval-{number}").get_xdata()) == [fitted.xc.low, fitted.xc.high]


def test_an_end_without_upper_bound_runs_to_the_edge() -> None:
    given = diagram()
    open_end = boundary(NAMES[0], 138.0, 0.9)
    assert open_end.xc is not None
    endless = Boundary(NAMES[0], open_end.t0, Quantity(0.9, 0.85, None), open_end.phi, open_end.band)
    figure = plot_phase_diagram(PhaseDiagram("composition", "", "K", given.points, [endless]))
    right = figure.axes[0].get_xlim()[1]
    assert list(line(figure, "xc-interval-1").get_xdata()) == [0.85, right]
    assert "above 0.85" in texts(figure)


def test_a_far_end_does_not_squeeze_the_samples() -> None:
    given = diagram()
    far = boundary(NAMES[0], 138.0, 30.0)
    figure = plot_phase_diagram(PhaseDiagram("composition", "", "K", given.points, [far]))
    right = figure.axes[0].get_xlim()[1]
    assert right < 2
    figure.canvas.draw()
    assert figure.get_tightbbox().x1 <= figure.get_size_inches()[0]


@pytest.mark.parametrize(
    ("variable", "units", "label"),
    [("composition", "", "composition x"), ("magnetic_field", "T", "magnetic field (T)")],
)
def test_axes_are_labelled_with_units(variable: str, units: str, label: str) -> None:
    axes = plot_phase_diagram(diagram(variable=variable, units=units)).axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == (label, "temperature (K)")


def test_temperature_starts_at_zero_and_everything_is_inside() -> None:
    given = diagram(2)
    axes = plot_phase_diagram(given).axes[0]
    bottom, top = axes.get_ylim()
    left, right = axes.get_xlim()
    assert bottom == 0
    for point in given.points:
        assert left < point.x < right
        assert (point.upper_limit or (point.tc and point.tc.high) or 0) < top


def test_parameters_are_written_with_intervals_and_units() -> None:
    written = texts(plot_phase_diagram(diagram(variable="pressure", units="GPa")))
    assert NAMES[0] in written
    assert "138.0 K (136.8–139.3)" in written
    assert "0.900 GPa (0.855–0.936)" in written
    assert "0.50 (0.45–0.56)" in written


@pytest.mark.parametrize("n", [2, 4])
def test_every_boundary_is_named(n: int) -> None:
    written = texts(plot_phase_diagram(diagram(n)))
    for name in NAMES[:n]:
        assert name in written
    assert "upper limit" in written


def test_crossovers_are_open_symbols() -> None:
    figure = plot_phase_diagram(diagram(kind="crossover"))
    assert to_hex(str(line(figure, "crossovers-1").get_markerfacecolor())) == "#ffffff"
    assert "crossover" in texts(figure)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_nothing_is_cut_off(n: int) -> None:
    figure = plot_phase_diagram(diagram(n, variable="magnetic_field", units="T"))
    figure.canvas.draw()
    drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert drawn.x0 >= 0
    assert drawn.y0 >= 0
    assert drawn.x1 <= width
    assert drawn.y1 <= height


@pytest.mark.parametrize("n", [1, 2, 4])
def test_no_transition_is_behind_a_legend(n: int) -> None:
    figure = plot_phase_diagram(diagram(n))
    figure.canvas.draw()
    axes = figure.axes[0]
    legends = [*figure.legends, axes.get_legend()]
    boxes = [legend.get_window_extent() for legend in legends if legend is not None]
    assert boxes
    for number in range(1, n + 1):
        for gid in (f"transitions-{number}", f"limits-{number}"):
            for at in axes.transData.transform(xy(line(figure, gid))):
                assert not any(box.contains(*at) for box in boxes)


def test_limits_alone_can_be_drawn(tmp_path: Path) -> None:
    points = [DiagramPoint(str(x), x, None, 40.0) for x in (0.0, 0.3)]
    empty = Boundary("", None, None, None, np.empty((0, 4)), note="no sample has a transition")
    figure = plot_phase_diagram(PhaseDiagram("composition", "", "K", points, [empty]))
    axes: Axes = figure.axes[0]
    assert xy(line(figure, "limits-1")) == [(0.0, 40.0), (0.3, 40.0)]
    assert axes.get_ylim()[1] > 40
    assert save_figure(figure, tmp_path / "a.png").stat().st_size > 0


def test_nothing_at_all_can_be_drawn(tmp_path: Path) -> None:
    figure = plot_phase_diagram(PhaseDiagram("pressure", "GPa", "K", [], []))
    assert save_figure(figure, tmp_path / "a.png").stat().st_size > 0
