"""Peaks folded into one zone, and the wave vectors found there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xtec.core.errors import ConfigError
from xtec.core.order import WaveVector
from xtec.core.palette import cluster_color
from xtec.core.types import Float64Array
from xtec.plotting.style import FAINT, cluster_marker, figure_style, new_figure, ticks_inward

_LETTERS = ("H", "K", "L")


def plot_wave_vectors(vectors: Sequence[WaveVector], positions: Sequence[Float64Array]) -> Figure:
    """Positions of peaks less the nearest reciprocal lattice point, along each pair of axes.

    Parameters
    ----------
    vectors : sequence of WaveVector
    positions : sequence of array, shape (P, 3)
        (H, K, L) of the peaks of each vector's clusters; NaN along axes that were not measured.

    Raises
    ------
    ConfigError
        If there is nothing to draw.
    """
    if not vectors:
        raise ConfigError("no wave vector to draw")
    measured = [i for i in range(3) if np.isfinite(positions[0][:, i]).any()]
    pairs = [(a, b) for n, a in enumerate(measured) for b in measured[n + 1 :]] or [
        (measured[0], measured[0])
    ]
    with figure_style():
        figure = new_figure(4.2 * len(pairs) + 0.4, 4.55 + 0.28 * len(vectors))
        panels = figure.subplots(1, len(pairs), squeeze=False)[0]
        for axes, (a, b) in zip(panels, pairs, strict=True):
            for number, (vector, places) in enumerate(zip(vectors, positions, strict=True), start=1):
                _cloud(axes, vector, places, a, b, number)
            _frame(axes, a, b)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left")
        return figure


def _cloud(axes: Axes, vector: WaveVector, places: Float64Array, a: int, b: int, number: int) -> None:
    inside = places - np.floor(places + 0.25)  # from -1/4 to 3/4: zone centres and faces both inside
    color = cluster_color(number)
    axes.plot(inside[:, a], inside[:, b], ls="", marker=".", ms=3, color=color, alpha=0.35, zorder=2)
    arms = np.array([arm.q for arm in vector.arms])
    arms = arms - np.floor(arms + 0.25)
    label = f"q = {vector.text}: {len(vector.arms)} of {vector.multiplicity} arms, {vector.peaks} peaks"
    marker = cluster_marker(number)
    axes.plot(
        arms[:, a], arms[:, b], ls="", marker=marker, ms=13, mfc="none", mec=color, mew=1.6, label=label
    )


def _frame(axes: Axes, a: int, b: int) -> None:
    for value in (0.0, 0.5):
        axes.axhline(value, color=FAINT, lw=0.8, zorder=0)
        axes.axvline(value, color=FAINT, lw=0.8, zorder=0)
    axes.set_xlim(-0.27, 0.77)
    axes.set_ylim(-0.27, 0.77)
    axes.set_aspect("equal")
    axes.set_xlabel(f"{_LETTERS[a]} − integer (r.l.u.)")
    axes.set_ylabel(f"{_LETTERS[b]} − integer (r.l.u.)")
    ticks_inward(axes)
