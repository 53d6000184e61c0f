"""Transition temperatures of many samples, and where each phase ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.path import Path

from xtec.core.diagram import Boundary, DiagramPoint, PhaseDiagram
from xtec.core.palette import cluster_color
from xtec.core.quantities import Quantity
from xtec.core.types import Float64Array
from xtec.plotting.style import (
    MUTED,
    LineStyle,
    cluster_linestyle,
    cluster_marker,
    figure_style,
    new_figure,
    ticks_inward,
)

_ARROW = Path(
    [(-0.25, 0), (0.25, 0), (0, 0), (0, -1), (-0.2, -0.7), (0, -1), (0.2, -0.7)],
    [Path.MOVETO, Path.LINETO, Path.MOVETO, Path.LINETO, Path.MOVETO, Path.LINETO, Path.LINETO],
)
"""A cap at the limit and an arrow down."""

_MOST_IN_FULL = 3
"""With more boundaries the legend has no room for all parameters."""

_FARTHEST = 1.35
"""The axis ends here at the latest, in units of the largest x of a sample."""


def plot_phase_diagram(diagram: PhaseDiagram) -> Figure:
    """Transitions with their 95 % intervals, upper limits as arrows, and fitted boundaries with 95 % bands.

    Crossovers are open symbols. Where a boundary ends is marked on the axis with its interval; an arrow there
    means that one end of it is not known.

    Parameters
    ----------
    diagram : PhaseDiagram
        Drawn with one colour and symbol for each boundary, in their order.
    """
    with figure_style():
        names = list(
            dict.fromkeys([b.name for b in diagram.boundaries] + [p.boundary for p in diagram.points])
        )
        fitted = {boundary.name: boundary for boundary in diagram.boundaries}
        figure = new_figure(7.2 if len(names) < 2 else 9.6, max(5.2, 0.65 * len(names) + 0.8))
        axes = figure.subplots()
        left, right = _x_limits(diagram)
        axes.set_xlim(left, right)
        axes.set_ylim(0.0, _top(diagram))
        for number, name in enumerate(names, start=1):
            if name in fitted:
                _draw_boundary(axes, fitted[name], number)
            _draw_points(axes, [point for point in diagram.points if point.boundary == name], number)
            _draw_end(axes, fitted.get(name), number)
        entries = [_entry(name, fitted.get(name), diagram.units, len(names)) for name in names]
        _legend(figure, axes, names, entries)
        axes.set_xlabel(_label(diagram.variable, diagram.units))
        axes.set_ylabel(_label("temperature", diagram.temperature_units))
        ticks_inward(axes)
        axes.tick_params(axis="x", pad=8)
        return figure


def _label(variable: str, units: str) -> str:
    name = "composition x" if variable == "composition" else variable.replace("_", " ")
    return f"{name} ({units})" if units else name


def _x_limits(diagram: PhaseDiagram) -> tuple[float, float]:
    """Room for all samples, and for where boundaries end unless that is far away."""
    x = np.array([0.0, *(point.x for point in diagram.points)])
    ends = [b.xc.value if b.xc.high is None else b.xc.high for b in diagram.boundaries if b.xc is not None]
    low, high = float(x.min()), float(x.max())
    high = max(high, min(max(ends, default=high), _FARTHEST * high)) or 1.0
    room = 0.04 * (high - low)
    return low - room, high + room


def _top(diagram: PhaseDiagram) -> float:
    highs = [point.upper_limit for point in diagram.points if point.upper_limit is not None]
    transitions = [point.tc for point in diagram.points if point.tc is not None]
    highs += [tc.value if tc.high is None else tc.high for tc in transitions]
    highs += [float(np.nanmax(b.band[:, 1])) for b in diagram.boundaries if len(b.band)]
    return 1.12 * max(highs, default=1.0) or 1.0


def _draw_boundary(axes: Axes, boundary: Boundary, number: int) -> None:
    if not len(boundary.band):
        return
    x, tc, low, high = boundary.band.T
    color, line = cluster_color(number), cluster_linestyle(number)
    axes.fill_between(x, low, high, color=color, alpha=0.18, lw=0, zorder=1, gid=f"band-{number}")
    drawn = tc > 0
    drawn[1:] |= drawn[:-1]
    axes.plot(x[drawn], tc[drawn], color=color, ls=line, zorder=2, gid=f"boundary-{number}")


def _draw_points(axes: Axes, points: Sequence[DiagramPoint], number: int) -> None:
    color = cluster_color(number)
    for crossover in (False, True):
        these = [(p.x, p.tc) for p in points if p.tc is not None and (p.kind == "crossover") == crossover]
        if not these:
            continue
        x, tc = np.array([at for at, _ in these]), np.array([quantity.value for _, quantity in these])
        container = axes.errorbar(
            x,
            tc,
            yerr=_bars([quantity for _, quantity in these]),
            fmt=cluster_marker(number),
            ms=6.5,
            mfc="white" if crossover else color,
            mec=color,
            color=color,
            elinewidth=1.4,
            capsize=3.5,
            zorder=3,
        )
        container[0].set_gid(f"{'crossovers' if crossover else 'transitions'}-{number}")
    limits = [(point.x, point.upper_limit) for point in points if point.upper_limit is not None]
    if limits:
        axes.plot(
            *np.array(limits).T,
            ls="none",
            marker=_ARROW,
            ms=36,
            mfc="none",
            mec=color,
            mew=1.6,
            zorder=3,
            gid=f"limits-{number}",
        )


def _bars(tc: Sequence[Quantity]) -> Float64Array:
    """Lengths below and above, shape (2, n); 0 where an end is missing."""
    below = [0.0 if q.low is None else max(q.value - q.low, 0.0) for q in tc]
    above = [0.0 if q.high is None else max(q.high - q.value, 0.0) for q in tc]
    return np.array([below, above])


def _draw_end(axes: Axes, boundary: Boundary | None, number: int) -> None:
    """xc and its interval, on the axis itself."""
    if boundary is None or boundary.xc is None:
        return
    xc, color = boundary.xc, cluster_color(number)
    right = axes.get_xlim()[1]
    low = min(xc.value if xc.low is None else xc.low, right)
    high = right if xc.high is None else min(xc.high, right)
    on_axis: dict[str, Any] = {"color": color, "clip_on": False, "transform": axes.get_xaxis_transform()}
    axes.plot(
        [low, high], [0, 0], lw=4.5, solid_capstyle="butt", zorder=5, gid=f"xc-interval-{number}", **on_axis
    )
    if xc.high is None or xc.high > right:
        axes.plot([right], [0], marker=">", ms=9, mec="none", zorder=5, **on_axis)
    if xc.value <= right:
        axes.plot(
            [xc.value], [0], marker="D", ms=7.5, mec="white", mew=1.0, zorder=6, gid=f"xc-{number}", **on_axis
        )


def _legend(figure: Figure, axes: Axes, names: Sequence[str], entries: Sequence[str]) -> None:
    """One boundary: its name and parameters above. Several: all of them at the side."""
    handles = [_handle(axes, number) for number in range(1, len(names) + 1)]
    alone = len(names) == 1
    if alone:
        axes.set_title(entries[0], loc="left", fontsize=10.5, linespacing=1.5)
        handles, entries = [], []
    drawn = {str(line.get_gid()).partition("-")[0] for line in axes.lines}
    for what, marker, size in (("crossovers", "o", 7), ("limits", _ARROW, 24)):
        if what in drawn:
            handles.append(Line2D([], [], ls="none", marker=marker, ms=size, mfc="white", mec=MUTED, mew=1.4))
            entries = [*entries, {"crossovers": "crossover", "limits": "upper limit"}[what]]
    if handles and alone:
        axes.legend(handles, entries, loc="upper right")
    elif handles:
        figure.legend(handles, entries, loc="outside right upper", labelspacing=1.1)


def _handle(axes: Axes, number: int) -> Line2D:
    drawn = any(line.get_gid() == f"boundary-{number}" for line in axes.lines)
    color = cluster_color(number)
    style: LineStyle = cluster_linestyle(number) if drawn else "none"
    return Line2D([], [], color=color, ls=style, marker=cluster_marker(number), ms=7, mec=color)


def _entry(name: str, boundary: Boundary | None, units: str, n_boundaries: int) -> str:
    """Name, and parameters: in a line, one under the other, or only xc where there are many boundaries."""
    if boundary is None or boundary.t0 is None:
        return name
    parts = {"T_0": (boundary.t0, boundary.t0.units), "x_c": (boundary.xc, units), "φ": (boundary.phi, "")}
    texts = {
        symbol: f"${symbol}$ = {_text(quantity, unit)}"
        for symbol, (quantity, unit) in parts.items()
        if quantity is not None
    }
    if n_boundaries == 1:
        return "\n".join(filter(None, [name, "   ".join(texts.values())]))
    if n_boundaries > _MOST_IN_FULL:
        return "\n".join([name, *(text for symbol, text in texts.items() if symbol == "x_c")])
    return "\n".join([name, *texts.values()])


def _text(quantity: Quantity, units: str) -> str:
    """``0.901 (0.887–0.918)``, to two digits of the interval."""
    after = f" {units}" if units else ""
    if quantity.low is None and quantity.high is None:
        return f"{quantity.value:.3g}{after}"
    ends = [end for end in (quantity.low, quantity.value, quantity.high) if end is not None]
    length = max(ends) - min(ends)
    places = int(np.clip(1 - np.floor(np.log10(length)), 0, 6)) if length > 0 else 3
    low, high = (None if end is None else f"{end:.{places}f}" for end in (quantity.low, quantity.high))
    interval = f"{low}–{high}" if low and high else f"above {low}" if low else f"below {high}"
    return f"{quantity.value:.{places}f}{after} ({interval})"
