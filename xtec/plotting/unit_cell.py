"""Order inside the unit cell: reflection classes against what orders, and halos."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xtec.core.axes import Axis
from xtec.core.errors import ConfigError
from xtec.core.palette import cluster_color
from xtec.core.reflections import Contingency, Halo, ReflectionGroup
from xtec.plotting.style import (
    FAINT,
    INK,
    cluster_marker,
    figure_style,
    new_figure,
    ticks_inward,
)

_MOST_CLASSES = 12
_LEAST_SHARE = 0.02
"""Of a shell's voxels that are clustered, for a class to have a panel."""


def plot_unit_cell(tables: Collection[Contingency], groups: Sequence[ReflectionGroup], scan: Axis) -> Figure:
    """Counts of reflections by class and group, and the mean intensity of each group.

    The classes are those of the scheme that tells most about the groups.

    Parameters
    ----------
    tables : collection of Contingency
        One a scheme.
    groups : sequence of ReflectionGroup
    scan : Axis
    """
    table = max(tables, key=lambda one: one.information)
    with figure_style():
        rows = min(len(table.classes), _MOST_CLASSES)
        figure = new_figure(12.6, max(4.6, 0.55 * rows + 2.2))
        left, right = figure.subplots(1, 2, width_ratios=[1.0, 1.15])
        _counts(left, table, [group.text for group in groups])
        _curves(right, groups, scan)
        return figure


def _counts(axes: Axes, table: Contingency, names: Sequence[str]) -> None:
    counts = table.counts[:_MOST_CLASSES]
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Greys", vmin=0.0, vmax=1.35, aspect="auto")
    for (row, column), count in np.ndenumerate(counts):
        if count:
            dark = share[row, column] > 0.55
            axes.text(column, row, f"{count:,}", ha="center", va="center", color="white" if dark else INK)
    for column, number in enumerate(table.clusters):
        axes.plot(column, -0.72, marker="s", ms=9, color=cluster_color(number), clip_on=False)
    axes.set_xticks(range(len(names)), [name.replace(", ", "\n", 1) for name in names], fontsize=10)
    axes.set_yticks(range(len(counts)), table.classes[:_MOST_CLASSES], fontsize=10.5)
    axes.tick_params(length=0)
    axes.set_title("reflections, by class", loc="left", pad=18, fontsize=12)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _curves(axes: Axes, groups: Sequence[ReflectionGroup], scan: Axis) -> None:
    """Each group over its largest mean intensity."""
    order = np.argsort(scan.values, kind="stable")
    x = scan.values[order]
    for group in groups:
        scale = float(np.abs(group.intensity).max()) or 1.0
        axes.errorbar(
            x,
            group.intensity[order] / scale,
            group.error[order] / scale,
            color=cluster_color(group.number),
            marker=cluster_marker(group.number),
            ms=5,
            lw=1.4 if group.tc else 0.9,
            label=group.text,
        )
        if group.tc is not None:
            axes.axvline(group.tc.value, color=cluster_color(group.number), lw=1.0, ls=":", zorder=0)
    axes.set_ylim(bottom=0)
    axes.set_xlabel(scan.label)
    axes.set_ylabel("mean intensity / largest")
    axes.legend(loc="best", fontsize=10.5)
    ticks_inward(axes)


def plot_halos(halos: Sequence[Halo]) -> Figure:
    """Labels of voxels against their distance from Bragg positions, a panel for each class that has any.

    Parameters
    ----------
    halos : sequence of Halo

    Raises
    ------
    ConfigError
        If there is nothing to draw.
    """
    shown = [halo for halo in halos if np.nanmax(1 - halo.share[:, 0], initial=0.0) > _LEAST_SHARE]
    if not shown:
        raise ConfigError("no halo to draw")
    with figure_style():
        columns = min(len(shown), 3)
        rows = -(-len(shown) // columns)
        figure = new_figure(4.4 * columns + 1.6, 3.4 * rows + 0.4)
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        panels = list(grid.ravel())
        for axes, halo in zip(panels, shown, strict=False):
            _shells(axes, halo)
        for spare in panels[len(shown) :]:
            spare.remove()
        for axes in panels[max(0, len(shown) - columns) : len(shown)]:
            axes.set_xlabel("distance (r.l.u.)")
            axes.tick_params(labelbottom=True)
        for axes in grid[:, 0]:
            axes.set_ylabel("share of voxels")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right upper", title="cluster")
        return figure


def _shells(axes: Axes, halo: Halo) -> None:
    """Stacked bars, one a shell."""
    width = (
        float(np.median(np.diff(halo.distance))) if len(halo.distance) > 1 else float(2 * halo.distance[0])
    )
    below = np.zeros(len(halo.distance))
    labels = range(1, halo.share.shape[1])
    for label in labels:
        share = np.nan_to_num(halo.share[:, label])
        axes.bar(halo.distance, share, 0.94 * width, below, color=cluster_color(label), label=str(label))
        below = below + share
    measured = np.isfinite(halo.share).all(axis=1).astype(np.float64)
    axes.bar(halo.distance, measured - below, 0.94 * width, below, color=FAINT, label="none", zorder=0)
    axes.set_title(f"{halo.name}\n{halo.reflections} positions", loc="left", fontsize=10.5, color=INK)
    axes.set_ylim(0, 1)
    axes.set_xlim(0, float(halo.distance[-1]) + width / 2)
    ticks_inward(axes)
