"""What all figures have in common: cluster colours, fonts, layout, and how a file is written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from xtec.core.palette import NAMED
from xtec.io.disk.atomic import replacing

INK = "#222222"
MUTED = "#6b6b6b"
FAINT = "#c9c9c9"
GRID = "#e3e3e3"
EMPTY = "#f7f7f7"
"""Where no voxel is clustered."""
ALARM = "#b00020"

DPI = 200
"""Of saved figures."""

SCREEN_DPI = 80
"""In notebooks."""

_PAD = 0.06

LineStyle = str | tuple[int, tuple[float, ...]]

_LINESTYLES: tuple[LineStyle, ...] = ("-", "--", "-.", (0, (1.0, 1.2)), (0, (6.0, 1.5, 1.0, 1.5, 1.0, 1.5)))
_MARKERS = ("o", "s", "D", "^", "v", "P", "X", "<", ">")

_STYLE: dict[str, Any] = {
    "figure.facecolor": "white",
    "font.size": 13,
    "axes.labelsize": 14,
    "axes.titlesize": 13,
    "axes.linewidth": 1.0,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.labelsize": 12,
    "ytick.labelsize": 12,
    "xtick.major.size": 5,
    "ytick.major.size": 5,
    "xtick.minor.size": 3,
    "ytick.minor.size": 3,
    "lines.linewidth": 2.0,
    "lines.markersize": 5.5,
    "legend.frameon": False,
    "legend.fontsize": 12,
    "legend.title_fontsize": 12,
    "legend.handlelength": 2.2,
    "legend.borderaxespad": 0.3,
    "mathtext.default": "regular",
    "savefig.dpi": DPI,
    "savefig.bbox": None,
}


def cluster_linestyle(number: int) -> LineStyle:
    """Solid for the first eight clusters, then a new dash pattern for every eight."""
    return _LINESTYLES[(number - 1) // len(NAMED) % len(_LINESTYLES)]


def cluster_marker(number: int) -> str:
    """Marker of a cluster; nine in turn, so that colour and marker never repeat together."""
    return _MARKERS[(number - 1) % len(_MARKERS)]


@contextmanager
def figure_style() -> Iterator[None]:
    """Matplotlib settings of xtec's figures, for the length of a ``with`` block."""
    with mpl.rc_context(cast(Any, _STYLE)):
        yield


class ShownFigure(Figure):
    """A figure that a notebook shows by itself, whether or not pyplot is there."""

    def _repr_png_(self) -> bytes:
        image = BytesIO()
        with figure_style():
            self.savefig(image, format="png", dpi=SCREEN_DPI)
        return image.getvalue()


def new_figure(width: float, height: float, *, compressed: bool = False) -> Figure:
    """An empty figure, in inches, on the Agg canvas and unknown to pyplot; call within `figure_style`."""
    layout = ConstrainedLayoutEngine(w_pad=2 * _PAD if compressed else _PAD, h_pad=_PAD, compress=compressed)
    figure = ShownFigure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def ticks_inward(axes: Axes) -> None:
    """Fix the tick style on the axes, so that it holds when drawn outside `figure_style` as well."""
    for which, size in (("major", 5), ("minor", 3)):
        axes.tick_params(which=which, direction="in", length=size, color=INK, labelcolor=INK)
    axes.tick_params(which="major", labelsize=12)
    axes.tick_params(which="minor", labelsize=10)


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> Path:
    """Write a figure and close it; a reader never sees half a file.

    Parameters
    ----------
    figure : Figure
        Emptied afterwards, whether or not writing succeeded.
    path : path
        Its suffix says the format (PNG without one); pixels are 200 to the inch.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    target = Path(path)
    try:
        with figure_style(), replacing(target) as unfinished:
            figure.savefig(unfinished, format=target.suffix.lstrip(".").lower() or "png", dpi=DPI)
    finally:
        figure.clear()
    return target
