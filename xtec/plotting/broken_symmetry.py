"""Broken operations: weights against temperature, where they break, and the subgroup that is left."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from xtec.core.palette import cluster_color
from xtec.core.reflections import BrokenSymmetry
from xtec.core.types import Float64Array
from xtec.plotting.style import (
    ALARM,
    EMPTY,
    FAINT,
    INK,
    MUTED,
    cluster_marker,
    figure_style,
    new_figure,
    ticks_inward,
)

_LETTERS_PER_WIDTH = 62
"""Of the subgroups' names, over the whole width of the axes."""

_MOST_AXES = 4


def plot_broken_symmetry(found: BrokenSymmetry) -> Figure:
    """Weight of each operation's copy against temperature, subgroups above.

    Operations that are broken somewhere are in colour, one for a kind, with their 95 % intervals; markers
    are filled where they are broken. Those that hold are grey.

    Parameters
    ----------
    found : BrokenSymmetry
    """
    order = np.argsort(found.scan.values, kind="stable")
    x = found.scan.values[order]
    edges = _edges(x)
    with figure_style():
        figure = new_figure(11.6, 5.4)
        axes = figure.subplots()
        axes.axvspan(*_ends(found, edges, order), color=EMPTY, zorder=0, label="symmetric phase")
        holding = found.tested & ~found.broken.any(axis=0)
        for number, operation in enumerate(_apart(found, holding)):
            label = f"{int(holding.sum())} operations that hold" if number == 0 else None
            axes.plot(x, found.weights[order, operation], color=FAINT, lw=0.9, zorder=1, label=label)
        for number, (kind, members) in enumerate(_kinds(found).items(), start=1):
            _curves(axes, found, order, members, number, kind)
        axes.set_xlim(edges[0], edges[-1])
        axes.set_ylim(min(0.5, axes.get_ylim()[0]), 1.03)
        axes.set_xlabel(found.scan.label)
        axes.set_ylabel("weight of the copy / of the pattern")
        _phases(axes, found, order, edges)
        ticks_inward(axes)
        figure.legend(loc="outside right upper", fontsize=10.5)
        return figure


def _curves(
    axes: Axes, found: BrokenSymmetry, order: NDArray[np.intp], members: list[int], number: int, kind: str
) -> None:
    """Operations of one kind, each with its intervals."""
    x, color, marker = found.scan.values[order], cluster_color(number), cluster_marker(number)
    for place, operation in enumerate(members):
        weight = found.weights[order, operation]
        low = np.maximum(weight - found.low[order, operation], 0.0)
        high = np.maximum(found.high[order, operation] - weight, 0.0)
        label = _label(found, kind, members) if place == 0 else None
        axes.errorbar(x, weight, (low, high), color=color, lw=1.2, elinewidth=0.7, label=label)
        broken = found.broken[order, operation]
        axes.plot(x[broken], weight[broken], marker, ms=5, color=color)
        axes.plot(x[~broken], weight[~broken], marker, ms=4.5, mfc="white", color=color)


def _apart(found: BrokenSymmetry, chosen: NDArray[np.bool_]) -> list[int]:
    """Of chosen operations those whose curves differ."""
    different = {found.weights[:, g].tobytes(): int(g) for g in np.flatnonzero(chosen)[::-1]}
    return sorted(different.values())


def _kinds(found: BrokenSymmetry) -> dict[str, list[int]]:
    """Broken operations by kind, without those whose inverse is there."""
    kinds: dict[str, list[int]] = {}
    for g in np.flatnonzero(found.broken.any(axis=0)):
        name = found.names[g]
        if not name.endswith(", reversed"):
            kinds.setdefault(_split(name)[0], []).append(int(g))
    return kinds


def _split(name: str) -> tuple[str, str]:
    """``4-fold screw axis`` and ``c``."""
    kind, _, axis = name.partition(" normal to " if "plane" in name else " along ")
    return kind, axis


def _label(found: BrokenSymmetry, kind: str, members: list[int]) -> str:
    axes = [_split(found.names[g])[1] for g in members]
    word = "normal to" if "plane" in kind else "along"
    if len(axes) > _MOST_AXES:
        return f"{kind}, {len(axes)} axes"
    text = f"{kind} {word} {', '.join(axes)}"
    return text if len(axes) < 3 else text.replace(f" {word} ", f"\n{word} ")


def _edges(x: Float64Array) -> Float64Array:
    """Ends of the cells around rising scan values."""
    middle = (x[1:] + x[:-1]) / 2
    return np.concatenate([[1.5 * x[0] - 0.5 * x[1]], middle, [1.5 * x[-1] - 0.5 * x[-2]]])


def _ends(found: BrokenSymmetry, edges: Float64Array, order: NDArray[np.intp]) -> tuple[float, float]:
    """Of the symmetric phase, which is at the highest values."""
    first = int(np.flatnonzero(found.reference[order])[0])
    return float(edges[first]), float(edges[-1])


def _phases(axes: Axes, found: BrokenSymmetry, order: NDArray[np.intp], edges: Float64Array) -> None:
    """Symbols of the subgroups above, a line where they change; a narrow one has its line only."""
    names = [found.subgroup[t] for t in order]
    start = 0
    for end in range(1, len(names) + 1):
        if end < len(names) and names[end] == names[start]:
            continue
        if end < len(names):
            axes.axvline(edges[end], color=ALARM, lw=1.2, ls="--", zorder=0)
        width = (edges[end] - edges[start]) / (edges[-1] - edges[0])
        words = names[start].replace(", c along", ",\nc along").replace(" or ", "\nor ")
        fits = max(map(len, words.split("\n"))) <= _LETTERS_PER_WIDTH * width
        axes.annotate(
            words if fits else "*",
            ((edges[start] + edges[end]) / 2, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 6),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=12,
            color=INK if fits else MUTED,
        )
        start = end
