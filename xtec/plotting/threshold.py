"""Where background ends: the histogram of ln mean intensity and its cutoff."""

from __future__ import annotations

from typing import cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xtec.core.types import BackgroundThreshold, Float64Array, VoxelCounts
from xtec.plotting.style import (
    ALARM,
    FAINT,
    INK,
    MUTED,
    figure_style,
    new_figure,
    ticks_inward,
)

_KEPT = "#46647a"
"""No cluster's colour: nothing is clustered yet."""

_METHODS = {
    "kl": "Kullback-Leibler",
    "simple": "mean + 2 standard deviations",
    "value": "given by the user",
    "none": "none",
    "run": "of an earlier run",
    "kl+significance": "Kullback-Leibler, or significant variation",
    "significance": "significant variation",
}


def plot_threshold(threshold: BackgroundThreshold, counts: VoxelCounts) -> Figure:
    """Histogram of ln mean intensity with the background Gaussian and the cutoff.

    The upper panel is linear, to judge the background peak; the lower one is logarithmic, where a Gaussian is
    a parabola and the signal is what lies outside it. The Gaussian has the moments of the voxels below the
    cutoff and their share of all as its area.

    Parameters
    ----------
    threshold : BackgroundThreshold
        May come without histogram (empty `edges`) or without Gaussian (NaN moments).
    counts : VoxelCounts
        Where the numbers in words come from.
    """
    with figure_style():
        figure = new_figure(8.0, 6.2 if threshold.density.size else 2.4)
        words = _words(threshold, counts)
        if threshold.density.size:
            _draw_panels(figure, threshold).set_title(words, loc="left", fontsize=12)
        else:
            axes = figure.subplots()
            axes.set_axis_off()
            axes.set_title(words, loc="left", fontsize=12)
            axes.text(0.5, 0.5, "no histogram", ha="center", va="center", color=MUTED)
        if not threshold.credible and threshold.method != "none":
            _warn(figure)
        return figure


def _draw_panels(figure: Figure, threshold: BackgroundThreshold) -> Axes:
    """Linear over logarithmic; returns the upper panel."""
    linear, log = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [1.5, 1.0]})
    for axes in (linear, log):
        _draw_histogram(axes, threshold)
        _draw_background(axes, threshold)
        _draw_cutoff(axes, threshold)
    _set_limits(linear, log, threshold)
    for axes in (linear, log):
        ticks_inward(axes)
    linear.set_ylabel("probability density")
    log.set_ylabel("density (log)")
    log.set_xlabel("ln of the mean intensity")
    figure.align_ylabels((linear, log))
    linear.legend(loc="upper right" if _mode_is_left(threshold) else "upper left")
    return cast(Axes, linear)


def _draw_histogram(axes: Axes, threshold: BackgroundThreshold) -> None:
    """Bins below the cutoff in grey, those above in colour; a bin the cutoff cuts is shared out."""
    edges, density = threshold.edges, threshold.density
    cutoff = float(np.clip(threshold.cutoff, edges[0], edges[-1]))
    below, above = edges < cutoff, edges > cutoff
    parts = (
        (np.append(edges[below], cutoff), density[: int(below.sum())], FAINT, "below the cutoff"),
        (np.append(cutoff, edges[above]), density[density.size - int(above.sum()) :], _KEPT, "above it"),
    )
    for part_edges, part_density, color, label in parts:
        if part_density.size:
            axes.stairs(part_density, part_edges, fill=True, color=color, label=label, gid=label)


def _draw_background(axes: Axes, threshold: BackgroundThreshold) -> None:
    mean, std = threshold.background_mean, threshold.background_std
    if not (np.isfinite(mean) and np.isfinite(std) and std > 0):
        return
    low = min(float(threshold.edges[0]), mean - 4 * std)
    high = max(float(threshold.edges[-1]), mean + 4 * std)
    x = np.linspace(max(low, mean - 6 * std), min(high, mean + 6 * std), 600)
    gaussian = np.exp(-0.5 * ((x - mean) / std) ** 2) / (std * np.sqrt(2 * np.pi))
    axes.plot(
        x, share_below(threshold) * gaussian, color=INK, lw=1.6, label="Gaussian background", gid="gaussian"
    )


def share_below(threshold: BackgroundThreshold) -> float:
    """Share of the histogram's voxels at or below the cutoff, 0..1."""
    widths = np.clip(threshold.cutoff - threshold.edges[:-1], 0.0, np.diff(threshold.edges))
    return float(np.sum(threshold.density * widths))


def _draw_cutoff(axes: Axes, threshold: BackgroundThreshold) -> None:
    if np.isfinite(threshold.cutoff):
        color = INK if threshold.credible else ALARM
        axes.axvline(threshold.cutoff, color=color, lw=1.4, ls=(0, (5, 2)), label="cutoff", gid="cutoff")


def _set_limits(linear: Axes, log: Axes, threshold: BackgroundThreshold) -> None:
    density = threshold.density
    filled = np.flatnonzero(density > 0)
    if filled.size == 0:
        return
    spots: Float64Array = np.array([threshold.edges[filled[0]], threshold.edges[filled[-1] + 1]])
    if np.isfinite(threshold.cutoff):
        spots = np.append(spots, threshold.cutoff)
    margin = 0.02 * float(np.ptp(spots)) or 0.5
    linear.set_xlim(float(spots.min()) - margin, float(spots.max()) + margin)
    linear.set_ylim(0.0, 1.15 * float(density.max()))
    lowest = float(density[filled].min())
    log.set_yscale("log")
    log.set_ylim(0.5 * lowest, 3.0 * float(density.max()))


def _mode_is_left(threshold: BackgroundThreshold) -> bool:
    """Whether the histogram peaks in its left half, leaving room at the right."""
    return bool(np.argmax(threshold.density) < threshold.density.size / 2)


def _words(threshold: BackgroundThreshold, counts: VoxelCounts) -> str:
    """Cutoff and kept share in words, two lines."""
    share = 100 * counts.n_kept / counts.n_total if counts.n_total else 0.0
    kept = f"kept {counts.n_kept:,} of {counts.n_total:,} voxels ({share:.3g} %)"
    if threshold.significance is not None:
        kept += f", {threshold.significance.n_significant:,} of them vary significantly"
    lost = [
        f"{number:,} {what}"
        for number, what in (
            (counts.n_empty, "empty"),
            (counts.n_nan, "not finite"),
            (counts.n_nonpositive, "not positive"),
        )
        if number
    ]
    method = _METHODS.get(threshold.method, threshold.method)
    first = (
        f"cutoff ln I = {threshold.cutoff:.3f} ({method})"
        if np.isfinite(threshold.cutoff)
        else ("no threshold" if threshold.method == "none" else f"no cutoff ({method})")
    )
    return f"{first}\n" + "; ".join([kept, *lost])


def _warn(figure: Figure) -> None:
    why = "not within mean − 1σ … mean + 2σ of all voxels"
    figure.suptitle(
        f"CUTOFF NOT CREDIBLE: {why};\ntry --threshold simple, a number, or another region",
        fontsize=12,
        color=ALARM,
        fontweight="bold",
        x=0.01,
        ha="left",
        gid="warning",
    )
