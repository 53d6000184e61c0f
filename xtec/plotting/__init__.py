"""Figures; the only part that imports matplotlib."""

from matplotlib.figure import Figure

from xtec.core.palette import cluster_color
from xtec.plotting.noise import plot_noise
from xtec.plotting.order_parameter import plot_order_parameters
from xtec.plotting.phase_diagram import plot_phase_diagram
from xtec.plotting.qmap import plot_qmap
from xtec.plotting.selection import plot_selection
from xtec.plotting.style import figure_style, save_figure
from xtec.plotting.threshold import plot_threshold
from xtec.plotting.trajectories import plot_average_intensity, plot_trajectories
from xtec.plotting.unit_cell import plot_halos, plot_unit_cell
from xtec.plotting.vector import svg_text
from xtec.plotting.wave_vectors import plot_wave_vectors

__all__ = [
    "Figure",
    "cluster_color",
    "figure_style",
    "plot_average_intensity",
    "plot_halos",
    "plot_noise",
    "plot_order_parameters",
    "plot_phase_diagram",
    "plot_qmap",
    "plot_selection",
    "plot_threshold",
    "plot_trajectories",
    "plot_unit_cell",
    "plot_wave_vectors",
    "save_figure",
    "svg_text",
]
