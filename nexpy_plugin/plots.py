"""Results in NeXpy's plot window."""

from __future__ import annotations

from typing import Any

from nexpy.gui.utils import get_mainwindow
from nexusformat.nexus import NeXusError, NXdata, NXroot

_N_COLORS = 10
"""Of NeXpy's colour map ``xtec``: those of Matplotlib's cycle, after white for what is not clustered."""


def color(number: int) -> str:
    """Colour of a cluster: that of NeXpy's colour map for labels."""
    return f"C{(number - 1) % _N_COLORS}"


def plot_trajectories(root: NXroot) -> None:
    """Every cluster with its spread over temperature, in one plot."""
    group = root["entry/trajectories"]
    signals = [group.nxsignal, *group.nxauxiliary_signals]
    _plot_all(
        [
            (_data(group, signal.nxname), {"color": color(number), "marker": "o", "linestyle": "-"})
            for number, signal in enumerate(signals, start=1)
        ],
        "rescaled intensity",
    )
    get_mainwindow().plotview.legend(signal=True)


def plot_cluster_map(root: NXroot) -> None:
    """The labels, plane by plane; white is not clustered."""
    root["entry/cluster_map"].plot(cmap="xtec")
    get_mainwindow().plotview.make_active()


def plot_order_parameters(root: NXroot) -> None:
    """Every order parameter with its fit.

    Raises
    ------
    NeXusError
        If none was found.
    """
    entry, curves, number = root["entry"], [], 1
    while (name := f"order_parameter_{number}") in entry:
        look = {"color": color(number), "marker": "o", "linestyle": "None"}
        curves.append((_data(entry[name], "intensity", str(entry[name].title)), look))
        if f"{name}_model" in entry:
            look = {"color": color(number), "marker": "None", "linestyle": "-"}
            curves.append((_data(entry[f"{name}_model"], "model"), look))
        number += 1
    if not curves:
        raise NeXusError("No cluster of this run orders: its summary.json says why, under not_ordering")
    _plot_all(curves, "mean intensity")


def _data(group: NXdata, signal: str, title: str | None = None) -> NXdata:
    """One signal of a group with its axes and errors."""
    errors = group.get(f"{signal}_errors")
    return NXdata(group[signal], group.nxaxes, errors=errors, title=title or str(group.title))


def _plot_all(curves: list[tuple[NXdata, dict[str, Any]]], label: str) -> None:
    """Curves with their looks in one plot, whose vertical axis has a label."""
    plotview = get_mainwindow().plotview
    for number, (data, look) in enumerate(curves):
        data.plot(over=number > 0, **look)
    plotview.otab.home()
    plotview.ax.set_ylabel(label)
    plotview.canvas.draw_idle()
    plotview.make_active()
