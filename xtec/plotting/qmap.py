"""Where in reciprocal space each cluster lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray
from scipy import ndimage

from xtec.core.axes import Axis
from xtec.core.errors import ConfigError
from xtec.core.palette import cluster_color
from xtec.core.types import ClusterMap
from xtec.plotting.lattice import LatticePlane, cell_edges, in_plane_angle
from xtec.plotting.paint import Labels, paint, rectangles
from xtec.plotting.style import DPI, EMPTY, MUTED, figure_style, new_figure, ticks_inward

MOST_PLANES = 4


@dataclass(frozen=True)
class _Panel:
    title: str
    labels: Labels


def plot_qmap(cluster_map: ClusterMap, *, planes: Sequence[float] | None = None) -> Figure:
    """The map of cluster labels, in r.l.u. at the lattice's true lengths and angle.

    A 3-D map is shown as planes along its slowest axis, a 2-D map whole, a 1-D map as one row a cluster.
    Lengths are scaled by each axis's ``scaling_factor`` and the axes drawn at the angle given by
    `ClusterMap.angles`, of which entry i is the angle between the two axes other than i (see
    `xtec.plotting.lattice.in_plane_angle`). Lone voxels are never lost to the resolution: what would be
    smaller than a dot is drawn as a dot, unless there are too many.

    Parameters
    ----------
    cluster_map : ClusterMap
        In-plane axes of length 1 are left out of the picture and named in the title.
    planes : sequence of float, optional
        Coordinates along the slowest axis of a 3-D map, the nearest plane is taken. By default up to four
        where clustered voxels are most numerous, each showing clusters that those before it do not.

    Raises
    ------
    ConfigError
        If a plane lies outside the axis, or planes are asked of a map that has none.
    """
    squeezed, fixed = _without_single(cluster_map)
    n_dim = len(squeezed.axes)
    if n_dim not in (1, 2, 3):
        raise ConfigError(f"a map of {n_dim} dimensions cannot be drawn", hint="use 1, 2 or 3")
    if planes is not None and n_dim != 3:
        raise ConfigError(f"planes can be chosen in a 3-D map only, this one has {n_dim}")
    with figure_style():
        if n_dim == 1:
            return _strip(squeezed, fixed)
        if n_dim == 2:
            panels = [_Panel(fixed, squeezed.slab(0, squeezed.shape[0]))]
        else:
            slow = squeezed.axes[0]
            chosen = choose_planes(squeezed) if planes is None else _nearest(slow, planes)
            panels = [
                _Panel(", ".join(filter(None, [_place(slow, i), fixed])), squeezed.slab(i, i + 1)[0])
                for i in chosen
            ]
        y, x = squeezed.axes[-2:]
        plane = LatticePlane(x, y, in_plane_angle(squeezed.axes, squeezed.angles))
        return _draw_panels(plane, panels, _cluster_sizes(squeezed))


def choose_planes(cluster_map: ClusterMap, most: int = MOST_PLANES) -> list[int]:
    """Planes of the slowest axis worth a picture, in order along it.

    The first has the most clustered voxels. Each further one has the most voxels of the clusters not yet
    shown well (with half the voxels of their best plane), or, with all shown, of any cluster, away from the
    planes chosen already. Among equals the one in the middle of a filled range is taken.
    """
    counts = _counts(cluster_map)
    total = counts.sum(axis=1)
    away = max(1, len(counts) // 8)
    around = total.astype(np.float64)
    for _ in range(2):
        around = ndimage.uniform_filter1d(around, 2 * away + 1, mode="mirror")
    middle_first = around / (around.max() + 1.0)
    left = total > 0
    chosen: list[int] = []
    shown = np.zeros(counts.shape[1], dtype=bool)
    while len(chosen) < most and left.any():
        wanted = np.where(left, counts[:, ~shown].sum(axis=1), 0)
        if not wanted.any():
            wanted = np.where(left, total, 0)
        best = int(np.argmax(np.where(wanted > 0, wanted + middle_first, 0.0)))
        chosen.append(best)
        shown |= counts[best] >= 0.5 * counts.max(axis=0)
        left[max(0, best - away) : best + away + 1] = False
    return sorted(chosen) or [len(counts) // 2]


def _counts(cluster_map: ClusterMap) -> NDArray[np.int64]:
    """Voxels of each cluster in each plane of the slowest axis, shape (planes, K)."""
    n_planes, *rest = cluster_map.shape
    size = int(np.prod(rest, dtype=np.int64))
    ends = np.searchsorted(cluster_map.index, size * np.arange(n_planes + 1))
    n_labels = int(cluster_map.label.max(initial=0)) + 1
    counts = np.array([np.bincount(cluster_map.label[a:b], minlength=n_labels) for a, b in pairwise(ends)])
    return counts[:, 1:]


def _nearest(axis: Axis, planes: Sequence[float]) -> list[int]:
    edges = cell_edges(axis.values)
    for value in planes:
        if not edges.min() <= value <= edges.max():
            raise ConfigError(
                f"there is no plane at {axis.name} = {value:g}",
                hint=f"{axis.name} runs from {axis.values.min():g} to {axis.values.max():g}",
            )
    return [int(np.argmin(np.abs(axis.values - value))) for value in planes]


def _place(axis: Axis, i: int) -> str:
    """``L = 0.50 (r.l.u.)``, with as many decimals as tell neighbouring planes apart."""
    exact = float(axis.values[i])
    slack = 0.05 * abs(axis.step) or 0.005
    decimals = next((d for d in range(2, 6) if abs(round(exact, d) - exact) <= slack), 6)
    value = round(exact, decimals) + 0.0  # never -0.00
    name, _, unit = axis.label.partition(" (")
    return f"{name} = {value:.{decimals}f}" + (f" ({unit}" if unit else "")


def _without_single(cluster_map: ClusterMap) -> tuple[ClusterMap, str]:
    """The map without in-plane axes of length 1, and where those are."""
    axes, angles, fixed = list(cluster_map.axes), cluster_map.angles, []
    while len(axes) > 1:
        droppable = range(1 if len(axes) == 3 else 0, len(axes))
        single = next((i for i in droppable if len(axes[i]) == 1), None)
        if single is None:
            break
        if len(axes) == 3:
            angles = np.array([in_plane_angle(axes, angles, dropped=single)])
        fixed.append(_place(axes.pop(single), 0))
    return ClusterMap(axes, cluster_map.index, cluster_map.label, angles), ", ".join(fixed)


def _cluster_sizes(cluster_map: ClusterMap) -> dict[int, int]:
    """Voxels of every cluster that has any."""
    counts = np.bincount(cluster_map.label, minlength=1)
    return {number: int(counts[number]) for number in range(1, len(counts)) if counts[number]}


def _draw_panels(plane: LatticePlane, panels: list[_Panel], sizes: dict[int, int]) -> Figure:
    rows, columns = _grid_shape(len(panels), plane.size[0] / plane.size[1])
    inches = _panel_inches(plane, len(panels))
    spare = rows * columns > len(panels) and len(sizes) <= 3 * inches[1]
    width = max(3.5, columns * (inches[0] + 0.3) + 1.0) + (2.1 if sizes and not spare else 0.0)
    figure = new_figure(width, rows * (inches[1] + 0.5) + 0.7, compressed=True)
    grid = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for i, (axes, panel) in enumerate(zip(grid, panels, strict=False)):
        plane.frame(axes, inches, left=i % columns == 0, bottom=i + columns >= len(panels))
        axes.set_title(panel.title)
        paint(axes, plane, panel.labels, inches)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    if sizes and spare:
        _legend(grid[-1], sizes, loc="center")
    elif sizes:
        _legend(figure, sizes, loc="outside right upper")
    else:
        _say_empty(grid[0])
    return figure


def _grid_shape(n: int, ratio: float) -> tuple[int, int]:
    """Rows and columns whose whole comes nearest to 4 : 3, for panels of this width to height."""

    def cost(columns: int) -> float:
        rows = -(-n // columns)
        return abs(float(np.log(columns * (ratio + 0.1) / (rows * 1.15) / 1.33))) + 0.2 * (rows * columns - n)

    columns = min(range(1, n + 1), key=cost)
    return -(-n // columns), columns


def _panel_inches(plane: LatticePlane, n_panels: int) -> tuple[float, float]:
    """Width and height of a panel: large enough for a pixel a voxel, within reason."""
    usual = 6.0 if n_panels == 1 else 4.2
    width, height = plane.size
    longest = float(np.clip(max(len(plane.x), len(plane.y)) / DPI, usual, 6.5))
    if max(width / height, height / width) > 4:
        longest = 9.0
    return longest * width / max(width, height), longest * height / max(width, height)


def _legend(where: Any, sizes: dict[int, int], *, loc: str) -> None:
    """Colours with numbers and sizes, on a figure or on axes of their own."""
    where.legend(
        handles=[
            Patch(color=cluster_color(number), label=f"{number}  ({size:,})")
            for number, size in sizes.items()
        ],
        title="cluster (voxels)",
        loc=loc,
        ncols=1 + (len(sizes) - 1) // 20,
        handlelength=1.0,
        handleheight=1.0,
        alignment="left",
    )


def _strip(cluster_map: ClusterMap, title: str) -> Figure:
    """A 1-D map: one row a cluster, a bar where it has voxels."""
    axis, labels = cluster_map.axes[0], cluster_map.slab(0, cluster_map.shape[0])
    sizes = _cluster_sizes(cluster_map)
    numbers = np.array(list(sizes), dtype=np.intp)
    edges = cell_edges(axis.values)
    figure = new_figure(9.0, 1.4 + 0.38 * max(2, len(sizes)))
    axes = figure.subplots()
    axes.set_facecolor(EMPTY)
    for place, number in enumerate(sizes):
        at = np.flatnonzero(labels == number)
        low = np.full(at.size, place - 0.38)
        color = cluster_color(number)
        bars: Any = rectangles(edges[at], edges[at + 1], low, low + 0.76)
        axes.add_collection(PolyCollection(bars, facecolors=color, edgecolors=color, linewidths=1.0))
    axes.set_xlim(float(edges.min()), float(edges.max()))
    axes.set_ylim(max(1, len(sizes)) - 0.5, -0.5)
    axes.set_yticks(np.arange(len(sizes)), [f"{number}  ({sizes[int(number)]:,})" for number in numbers])
    axes.set_xlabel(axis.label)
    axes.set_ylabel("cluster (voxels)")
    axes.set_title(title)
    ticks_inward(axes)
    axes.tick_params(axis="y", length=0)
    if not sizes:
        _say_empty(axes)
    return figure


def _say_empty(axes: Axes) -> None:
    axes.text(
        0.5,
        0.5,
        "no clustered voxels",
        transform=axes.transAxes,
        ha="center",
        va="center",
        color=MUTED,
        zorder=5,
    )
