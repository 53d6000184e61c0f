"""How noisy intensities are: variance over mean against the mean, and what was taken for it."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xtec.core.types import Significance
from xtec.plotting.style import FAINT, INK, MUTED, figure_style, new_figure, ticks_inward


def plot_noise(found: Significance) -> Figure:
    """Variance over mean of the intensities, against the mean.

    The points are medians over voxels of one intensity, the band their quartiles, of what trajectories do
    from one temperature to the next; each quartile is divided by its own for noise of one scale, so that the
    band is narrow where noise is alike. The line is what significance was judged by: count scale and
    systematic error.

    Parameters
    ----------
    found : Significance
    """
    with figure_style():
        figure = new_figure(8.0, 4.4)
        axes = figure.subplots()
        if found.intensity.size:
            _draw(axes, found)
        axes.set_xlabel("mean intensity")
        axes.set_ylabel("variance over mean")
        axes.set_title(_words(found), loc="left", fontsize=12)
        ticks_inward(axes)
        return figure


def _draw(axes: Axes, found: Significance) -> None:
    low, median, high = found.variance_over_mean
    model = found.scale + found.systematic**2 * found.intensity
    axes.fill_between(found.intensity, low, high, color=FAINT, lw=0, label="quartiles", gid="quartiles")
    axes.plot(found.intensity, median, "o", color=MUTED, ms=5, label="median of the voxels", gid="median")
    axes.plot(found.intensity, model, color=INK, lw=1.6, label="taken for noise", gid="model")
    axes.set_xscale("log")
    axes.set_yscale("log")
    shown = np.concatenate([model, median[median > 0]])
    axes.set_ylim(0.4 * shown.min(), 2.5 * shown.max())
    axes.legend(loc="upper left")


def _words(found: Significance) -> str:
    scale, cells = f"count scale {found.scale:.3g}", found.cell_scale
    if cells.size > 1:
        scale += f" ({cells.min():.3g} to {cells.max():.3g} in {cells.size} cells)"
    kept = "no voxel varies by more"
    if np.isfinite(found.cutoff):
        kept = f"{found.n_significant:,} voxels vary by more"
    systematic = f"systematic error {100 * found.systematic:.2g} %"
    return f"{scale}, {systematic}\n{kept}, at a false discovery rate of {100 * found.fdr:g} %"
