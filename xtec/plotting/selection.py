"""How the number of clusters was chosen: the criteria over K, and fidelity against size."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from xtec.core.palette import NAMED
from xtec.core.results import Selection
from xtec.core.types import Float64Array
from xtec.plotting.style import ALARM, FAINT, INK, MUTED, figure_style, new_figure, ticks_inward
from xtec.selection.discover import GAIN


def plot_selection(selection: Selection) -> Figure:
    """All curves in one figure; a dashed line marks the number recommended.

    Information criteria are drawn above their lowest, as shares of their range, so the best is at zero.
    The third panel has what each shape explained better than those before, and what was asked. The last one
    has the frontier of fidelity against size of the clusters found; its points are numbered by clusters.
    """
    with figure_style():
        figure = new_figure(11.0, 7.4)
        (first, second), (third, fourth) = figure.subplots(2, 2)
        excess = [values - np.nanmin(values) for values in (selection.bic, selection.icl)]
        scale = max(float(np.nanmax(excess)), 1e-9)
        _curves(first, selection, {"BIC": excess[0] / scale, "ICL": excess[1] / scale})
        first.set_ylabel("above the lowest (relative)")
        first.set_title("plain mixtures: lower is better", loc="left")
        _curves(
            second,
            selection,
            {"silhouette": selection.silhouette, "stability (bootstrap)": selection.stability},
        )
        second.set_ylabel("silhouette, adjusted Rand index")
        second.set_title("plain mixtures: higher is better", loc="left")
        _curves(third, selection, {"gain": selection.gain})
        third.set_yscale("log")
        third.set_ylabel("nats a trajectory")
        third.axhline(GAIN, color=ALARM, lw=1.2, ls=(0, (2, 2)), zorder=0)
        third.annotate(
            "asked", (selection.n_clusters[0], GAIN), (0, 4), textcoords="offset points", color=ALARM
        )
        third.set_title("shapes: what the last one explains better", loc="left")
        _frontier(fourth, selection)
        for axes in (first, second, third, fourth):
            ticks_inward(axes)
        return figure


def _curves(axes: Axes, selection: Selection, curves: dict[str, Float64Array]) -> None:
    for position, (name, values) in enumerate(curves.items()):
        axes.plot(
            selection.n_clusters,
            values,
            "Do"[position] + "-",
            ms=(9, 5)[position],
            color=NAMED[position],
            label=name,
            gid=name,
        )
    axes.axvline(selection.recommended, color=MUTED, lw=1.2, ls=(0, (5, 2)), zorder=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlim(selection.n_clusters[0] - 0.4, selection.n_clusters[-1] + 0.4)
    axes.set_xlabel("number of clusters")
    if len(curves) > 1:
        axes.legend(loc="best")


def _frontier(axes: Axes, selection: Selection) -> None:
    _, size, fidelity = selection.frontier.T
    axes.plot(size, fidelity, ".-", color=FAINT, lw=1.2, ms=5, gid="frontier", label="frontier")
    axes.plot(selection.size, selection.fidelity, "o", color=INK, ms=5, label="most faithful of K")
    for k, x, y in zip(selection.n_clusters, selection.size, selection.fidelity, strict=True):
        if np.isfinite(x):
            chosen = k == selection.recommended
            axes.annotate(
                str(k),
                (x, y),
                (5, -13),
                textcoords="offset points",
                fontsize=13 if chosen else 10,
                fontweight="bold" if chosen else "normal",
                color=INK if chosen else MUTED,
            )
    axes.set_xlabel("size H(Z) (nats)")
    axes.set_ylabel("fidelity I(Z; Y) (nats)")
    axes.set_title("fidelity against size", loc="left")
    axes.legend(loc="lower right")
