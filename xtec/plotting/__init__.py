"""Figures; the only part that imports matplotlib."""

from xtec.plotting.noise import plot_noise
from xtec.plotting.qmap import plot_qmap
from xtec.plotting.selection import plot_selection
from xtec.plotting.style import cluster_color, figure_style, save_figure
from xtec.plotting.threshold import plot_threshold
from xtec.plotting.trajectories import plot_average_intensity, plot_trajectories

__all__ = [
    "cluster_color",
    "figure_style",
    "plot_average_intensity",
    "plot_noise",
    "plot_qmap",
    "plot_selection",
    "plot_threshold",
    "plot_trajectories",
    "save_figure",
]
