"""Clusters against temperature (or field, time, ...)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator, ScalarFormatter
from numpy.typing import NDArray

from xtec.core.errors import ConfigError
from xtec.core.palette import cluster_color
from xtec.core.types import ClusterCurves, Float64Array
from xtec.plotting.style import (
    FAINT,
    MUTED,
    cluster_linestyle,
    cluster_marker,
    figure_style,
    new_figure,
    ticks_inward,
)

MOST_IN_ONE_PANEL = 8
"""With more clusters each has a panel of its own."""

_MOST_MARKERS = 60
_COLUMNS = 4

_Spread = Callable[[Axes, Float64Array, Float64Array, Float64Array, int], None]


def plot_trajectories(curves: ClusterCurves, labels: Sequence[str] | None = None) -> Figure:
    """Rescaled mean of every cluster with a band of one standard deviation over its members.

    Parameters
    ----------
    curves : ClusterCurves
        Drawn in order of the scanned value; where a value was measured twice, as points with bars.
    labels : sequence of str, optional
        Text beside each cluster number, such as its number of voxels; length K.
    """
    with figure_style():
        order, single_valued = _scan_order(curves.scan.values)
        spread = _band if single_valued else _bars
        figure, panels = _draw(
            curves, labels, (curves.rescaled_mean[:, order], curves.rescaled_std[:, order]), order, spread
        )
        for axes in panels:
            axes.axhline(0.0, color=FAINT, lw=1.0, zorder=0)
        _axis_labels(figure, panels, curves.scan.label, "rescaled intensity (mean ± 1σ)")
        return figure


def plot_average_intensity(curves: ClusterCurves, labels: Sequence[str] | None = None) -> Figure:
    """Average raw intensity of every cluster with its standard error.

    The axis is logarithmic unless an average is zero or below; there, an error bar that would pass zero runs
    to the lower edge, and never sets the scale.

    Parameters
    ----------
    curves : ClusterCurves
        As in `plot_trajectories`.
    labels : sequence of str, optional
        Text beside each cluster number; length K.
    """
    with figure_style():
        order, _ = _scan_order(curves.scan.values)
        mean, error = curves.intensity_mean[:, order], curves.intensity_error[:, order]
        figure, panels = _draw(curves, labels, (mean, error), order, _bars)
        finite = mean[np.isfinite(mean)]
        if finite.size and bool(np.all(finite > 0)):
            limits = _log_limits(mean, error)
            for axes in panels:
                axes.set_yscale("log", nonpositive="clip")
                axes.set_ylim(limits)
                if limits[1] < 4 * limits[0]:
                    _round_ticks(axes)
                ticks_inward(axes)
        else:
            for axes in panels:
                axes.axhline(0.0, color=FAINT, lw=1.0, zorder=0)
        _axis_labels(figure, panels, curves.scan.label, "average intensity (± standard error)")
        return figure


def _scan_order(values: Float64Array) -> tuple[NDArray[np.intp], bool]:
    """Rising order of the scanned values, and whether each occurs once."""
    return np.argsort(values, kind="stable"), np.unique(values).size == values.size


def _draw(
    curves: ClusterCurves,
    labels: Sequence[str] | None,
    means_and_spreads: tuple[Float64Array, Float64Array],
    order: NDArray[np.intp],
    spread: _Spread,
) -> tuple[Figure, list[Axes]]:
    """All clusters with members in one panel with a legend, or in one panel each when they are many."""
    if labels is not None and len(labels) != curves.n_clusters:
        raise ConfigError(f"{len(labels)} labels for {curves.n_clusters} clusters")
    means, spreads = means_and_spreads
    there = np.flatnonzero(np.isfinite(means).any(axis=1)).tolist()
    texts = [f"{k + 1}" if labels is None else f"{k + 1}   {labels[k]}" for k in there]
    n, x = len(there), curves.scan.values[order]
    crowded = n > MOST_IN_ONE_PANEL
    figure, panels = _panel_grid(n) if crowded else _one_panel(n)
    for k, axes, text in zip(there, panels, texts, strict=False):
        if crowded:
            _context(axes, x, np.delete(means, k, axis=0))
            axes.set_title(text, loc="left", fontsize=12)
        spread(axes, x, means[k], spreads[k], k + 1)
        _curve(axes, x, means[k], k + 1, 3.5 if crowded else 6.0)
    if n == 0:
        axes = panels[0]
        axes.text(0.5, 0.5, "no clusters", transform=axes.transAxes, ha="center", va="center", color=MUTED)
    elif n == 1:
        panels[0].set_title(f"cluster {texts[0]}", loc="left")
    elif not crowded:
        lines = panels[0].lines
        figure.legend(lines, texts, title="cluster", loc="outside right upper", alignment="left")
    unique = list(dict.fromkeys(panels))
    for axes in unique:
        axes.margins(x=0.03)
        ticks_inward(axes)
    return figure, unique


def _one_panel(n: int) -> tuple[Figure, list[Axes]]:
    figure = new_figure(8.5 if n > 1 else 7.0, 5.0)
    return figure, [figure.subplots()] * max(1, n)


def _panel_grid(n: int) -> tuple[Figure, list[Axes]]:
    """n panels with common axes, four a row; the lowest of each column carries the tick labels."""
    columns = min(_COLUMNS, n)
    rows = -(-n // columns)
    figure = new_figure(2.9 * columns + 0.6, 2.0 * rows + 0.7)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    panels: list[Axes] = list(grid.ravel())
    for spare in panels[n:]:
        spare.remove()
    for axes in panels[max(0, n - columns) : n]:
        axes.tick_params(labelbottom=True)
    return figure, panels[:n]


def _context(axes: Axes, x: Float64Array, others: Float64Array) -> None:
    """All other clusters, faintly; not where a value occurs twice, for lines would zigzag."""
    if np.unique(x).size == x.size:
        lines = [np.column_stack([x, other]) for other in others]
        axes.add_collection(LineCollection(lines, colors=FAINT, linewidths=0.6, zorder=1))


def _curve(axes: Axes, x: Float64Array, mean: Float64Array, number: int, size: float) -> None:
    joined = np.unique(x).size == x.size
    axes.plot(
        x,
        mean,
        color=cluster_color(number),
        ls=cluster_linestyle(number) if joined else "none",
        marker=cluster_marker(number) if x.size <= _MOST_MARKERS or not joined else "none",
        markersize=size,
        markeredgewidth=0,
        zorder=3,
        gid=f"cluster-{number}",
    )


def _band(axes: Axes, x: Float64Array, mean: Float64Array, spread: Float64Array, number: int) -> None:
    axes.fill_between(
        x,
        mean - spread,
        mean + spread,
        color=cluster_color(number),
        alpha=0.18,
        lw=0,
        zorder=2,
        gid=f"band-{number}",
    )


def _bars(axes: Axes, x: Float64Array, mean: Float64Array, spread: Float64Array, number: int) -> None:
    """Error bars; a band where there are so many points that bars would run into each other."""
    if x.size > _MOST_MARKERS and np.unique(x).size == x.size:
        _band(axes, x, mean, spread, number)
        return
    axes.vlines(
        x,
        mean - spread,
        mean + spread,
        color=cluster_color(number),
        lw=1.2,
        zorder=2,
        gid=f"bars-{number}",
    )


def _log_limits(mean: Float64Array, error: Float64Array) -> tuple[float, float]:
    """Limits of the averages with room around them; error bars count where they stay near their average."""
    low = np.where(mean - error > 0.5 * mean, mean - error, mean)
    bottom, top = float(np.nanmin(low)), float(np.nanmax(mean + np.nan_to_num(error)))
    room = max((top / bottom) ** 0.06, 1.08)
    return bottom / room, top * room


def _round_ticks(axes: Axes) -> None:
    """Round numbers instead of powers of ten, which a short logarithmic axis has too few of."""
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.yaxis.set_minor_locator(NullLocator())


def _axis_labels(figure: Figure, panels: list[Axes], x_label: str, y_label: str) -> None:
    if len(panels) == 1:
        panels[0].set_xlabel(x_label)
        panels[0].set_ylabel(y_label)
    else:
        figure.supxlabel(x_label, fontsize=14)
        figure.supylabel(y_label, fontsize=14)
