"""Order parameters against temperature with their fits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xtec.core.errors import ConfigError
from xtec.core.order import OrderParameter, Transition
from xtec.core.palette import cluster_color
from xtec.core.quantities import Quantity
from xtec.plotting.style import (
    FAINT,
    INK,
    MUTED,
    cluster_marker,
    figure_style,
    new_figure,
    ticks_inward,
)

_COLUMNS = 3
_MANY = 60
"""Temperatures from which on markers are small."""

_MOST = 12
"""Panels; more order parameters are left to the table."""


def plot_order_parameters(found: Sequence[OrderParameter], names: Sequence[str]) -> Figure:
    """Mean intensity of each order parameter, the fit, Tc with its interval, and what the fit leaves.

    Parameters
    ----------
    found : sequence of OrderParameter
        One panel each, twelve at most; two branches of the same clusters share a panel.
    names : sequence of str
        Title of each.

    Raises
    ------
    ConfigError
        If there is nothing to draw.
    """
    if not found:
        raise ConfigError("no order parameter to draw")
    groups: dict[tuple[int, ...], list[int]] = {}
    for i, one in enumerate(found):
        key = (*one.clusters, *(() if one.branch else (-i - 1,)))
        groups.setdefault(key, []).append(i)
    panels = list(groups.values())[:_MOST]
    with figure_style():
        columns = min(len(panels), _COLUMNS)
        rows = -(-len(panels) // columns)
        figure = new_figure(max(5.6, 4.6 * columns), 4.7 * rows)
        grid = figure.add_gridspec(2 * rows, columns, height_ratios=[3.4, 1.0] * rows)
        for place, members in enumerate(panels):
            row, column = divmod(place, columns)
            above = figure.add_subplot(grid[2 * row, column])
            below = figure.add_subplot(grid[2 * row + 1, column], sharex=above)
            _panel(above, below, [found[i] for i in members], number=members[0] + 1)
            title = names[members[0]]
            if len(members) > 1:
                title = title.replace(f", {found[members[0]].branch}", "")
            above.set_title(title, loc="left", fontsize=11)
        return figure


def _panel(above: Axes, below: Axes, curves: Sequence[OrderParameter], number: int) -> None:
    lines = []
    for turn, one in enumerate(curves):
        color = cluster_color(number + turn)
        _curve(above, below, one, number + turn, filled=turn == 0)
        branch = f"{one.branch}: " if len(curves) > 1 else ""
        lines += [branch + _words(each, one, apart=not branch) for each in one.transitions]
        for each in one.transitions:
            _mark(above, below, each.tc, color)
    scan = curves[0].scan
    above.set_ylabel("mean intensity")
    above.tick_params(labelbottom=False)
    below.set_ylabel("resid. / σ", fontsize=10.5)
    below.set_xlabel(scan.label)
    below.axhline(0.0, color=FAINT, lw=1.0, zorder=0)
    low_side = curves[0].side == "below"
    above.text(
        0.97 if low_side else 0.03,
        0.96,
        "\n".join(lines),
        transform=above.transAxes,
        ha="right" if low_side else "left",
        va="top",
        fontsize=10.5,
        linespacing=1.75,
        bbox={"facecolor": "white", "alpha": 0.8, "lw": 0, "pad": 1.5},
    )
    for axes in (above, below):
        axes.margins(x=0.03)
        ticks_inward(axes)


def _curve(above: Axes, below: Axes, one: OrderParameter, number: int, *, filled: bool) -> None:
    color, marker = cluster_color(number), cluster_marker(number)
    x, face = one.scan.values, color if filled else "white"
    size = 5.0 if len(x) <= _MANY else 2.5
    above.errorbar(x, one.intensity, one.error, fmt=marker, ms=size, color=color, mfc=face, lw=1.0)
    if one.model.size:
        above.plot(*one.model.T, color=INK if filled else MUTED, lw=1.3, ls="-" if filled else "--", zorder=3)
        residual = (one.intensity - one.fitted) / np.where(one.error > 0, one.error, np.nan)
        below.plot(x, residual, ls="", marker=marker, ms=0.8 * size, color=color, mfc=face)
        reach = max(3.5, below.get_ylim()[1], 1.1 * float(np.nanmax(np.abs(residual), initial=0.0)))
        below.set_ylim(-reach, reach)


def _mark(above: Axes, below: Axes, tc: Quantity, color: str) -> None:
    for axes in (above, below):
        axes.axvline(tc.value, color=color, lw=1.0, ls=":", zorder=1)
        if tc.low is not None and tc.high is not None:
            axes.axvspan(tc.low, tc.high, color=color, alpha=0.18, lw=0, zorder=0)


def _words(one: Transition, order: OrderParameter, *, apart: bool) -> str:
    units = order.scan.units
    symbol = "T_c" if units == "K" else "x_c"
    name = {"first-order": "jump", "crossover": "crossover"}.get(one.kind, "")
    lines = [f"${symbol}$ = {in_words(one.tc)} {units}".rstrip() + (f", {name}" if name else "")]
    if one.beta is not None:
        lines.append(f"β = {in_words(one.beta)}")
    return ("\n" if apart else ",  ").join(lines)


def in_words(quantity: Quantity) -> str:
    """Value with the ends of its interval as superscript and subscript, to the digits they allow."""
    from xtec.core.wording import decimals

    digits = decimals(quantity)
    text = f"{quantity.value:.{digits}f}"
    if quantity.low is None or quantity.high is None:
        return text
    up, down = quantity.high - quantity.value, quantity.value - quantity.low
    if f"{up:.{digits}f}" == f"{down:.{digits}f}":
        return f"{text} ± {up:.{digits}f}"
    return f"${text}^{{+{up:.{digits}f}}}_{{-{down:.{digits}f}}}$"
