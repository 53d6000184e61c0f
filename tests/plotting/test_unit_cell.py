"""Figures of order inside the unit cell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex

from xtec.core.axes import Axis
from xtec.core.errors import ConfigError
from xtec.core.quantities import Quantity, SampleInfo
from xtec.core.reflections import Contingency, Halo, ReflectionGroup, Reflections, UnitCellFindings
from xtec.plotting import cluster_color, save_figure
from xtec.plotting.unit_cell import plot_halos, plot_unit_cell

X = np.linspace(220.0, 30.0, 20)


def table(classes: int, groups: int, sharp: bool) -> Contingency:
    """Counts of classes by groups; each class in one group if `sharp`, else spread over all."""
    counts = np.zeros((classes, groups), np.int64)
    counts[np.arange(classes), np.arange(classes) % groups] = 1000 + np.arange(classes)
    if not sharp:
        counts[:] = 100
    names = tuple(f"class {k}" for k in range(classes))
    return Contingency(names, tuple(range(1, groups + 1)), counts, 1e-9, 1.0 if sharp else 0.0)


def findings(groups: int = 3, classes: int = 6) -> UnitCellFindings:
    """Groups of which all but the last order, at temperatures 10 K apart."""
    curves = []
    for number in range(1, groups + 1):
        tc = 200.0 - 10 * number
        y = 50.0 * number * (1 + (4 * np.clip(1 - X / tc, 0, None) ** 0.7 if number < groups else 0 * X))
        interval = Quantity(tc, tc - 1, tc + 1, "K") if number < groups else None
        curves.append(ReflectionGroup(number, (number,), interval, y, 0.02 * y))
    none = Reflections(np.empty((0, 3), np.int64), np.empty(0, np.int16), np.empty((0, len(X))))
    return UnitCellFindings(
        run="run",
        sample=SampleInfo("Test"),
        scan=Axis("temperature", X, "K"),
        symmetry="m-3m",
        space_group="",
        reflections=none,
        groups=curves,
        tables={"parity": table(classes, groups, True), "zeros": table(3, groups, False)},
        rules=(),
        forbidden=none,
        halos=(),
        transitions=(),
        superlattice=(),
    )


@pytest.mark.parametrize(("groups", "classes"), [(1, 1), (3, 6), (6, 12), (3, 20)])
def test_counts_of_the_most_telling_classes_and_curves_of_all_groups(
    groups: int, classes: int, tmp_path: Path
) -> None:
    given = findings(groups, classes)
    figure = plot_unit_cell(given.tables.values(), given.groups, given.scan)
    left, right = figure.axes
    rows = [label.get_text() for label in left.get_yticklabels()]
    assert rows == [f"class {k}" for k in range(min(classes, 12))]
    counts = {(round(text.get_position()[0]), round(text.get_position()[1])): text for text in left.texts}
    chosen = given.tables["parity"]
    expected = {(k, c): n for (c, k), n in np.ndenumerate(chosen.counts[:12]) if n}
    assert {place: int(text.get_text().replace(",", "")) for place, text in counts.items()} == expected
    assert [label.get_text().split("\n")[0] for label in left.get_xticklabels()] == [
        f"cluster {k}" for k in range(1, groups + 1)
    ]
    for group in given.groups:
        colour = cluster_color(group.number)
        mine = [line for line in right.lines if to_hex(line.get_color()) == colour]
        drawn = next(line for line in mine if len(line.get_xdata()) == len(X))
        np.testing.assert_array_equal(drawn.get_xdata(), X[::-1])
        np.testing.assert_allclose(drawn.get_ydata(), group.intensity[::-1] / group.intensity.max())
        dotted = [line.get_xdata()[0] for line in mine if line.get_linestyle() == ":"]
        assert dotted == ([] if group.tc is None else [group.tc.value])
    assert right.get_xlabel() == "temperature (K)"
    assert save_figure(figure, tmp_path / "a.png").stat().st_size > 0


def halo(name: str, clusters: int = 3, empty: bool = False, shells: int = 10) -> Halo:
    share = np.random.default_rng(len(name)).dirichlet(np.ones(clusters + 1), shells)
    if empty:
        share[:] = np.eye(1, clusters + 1)
    return Halo(name, 18, 0.025 + 0.05 * np.arange(shells), share)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7])
def test_a_panel_for_each_class_that_has_a_halo(n: int, tmp_path: Path) -> None:
    halos = [halo("c" * (k + 1)) for k in range(n)]
    figure = plot_halos([halo("empty", empty=True), *halos])
    assert len(figure.axes) == n
    for axes, one in zip(figure.axes, halos, strict=True):
        assert axes.get_title("left") == f"{one.name}\n18 positions"
        for label, bars in enumerate(axes.containers[:3], start=1):
            np.testing.assert_allclose([bar.get_height() for bar in bars], one.share[:, label])
            np.testing.assert_allclose(
                [bar.get_y() for bar in bars], one.share[:, 1:label].sum(axis=1), atol=1e-12
            )
            assert {to_hex(bar.get_facecolor()) for bar in bars} == {cluster_color(label)}
        tops = [bar.get_y() + bar.get_height() for bar in axes.containers[3]]
        np.testing.assert_allclose(tops, 1)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["1", "2", "3", "none"]
    save_figure(figure, tmp_path / "a.png")


def test_shells_without_voxels_are_left_empty(tmp_path: Path) -> None:
    one = halo("holes")
    one.share[4] = np.nan
    figure = plot_halos([one])
    for bars in figure.axes[0].containers:
        assert bars[4].get_height() == 0
    save_figure(figure, tmp_path / "a.png")


def test_one_shell_is_drawn_from_zero_to_twice_its_middle() -> None:
    (axes,) = plot_halos([halo("one", shells=1)]).axes
    assert axes.get_xlim() == pytest.approx((0, 0.05))


@pytest.mark.parametrize("halos", [[], [halo("empty", empty=True)]])
def test_no_halo_is_an_error(halos: list[Halo]) -> None:
    with pytest.raises(ConfigError, match="no halo"):
        plot_halos(halos)
