"""Synthetic series with known truth: a forward model of intensity against temperature and Q."""

from xtec.simulation.model import LABEL_FRACTION, SimulatedSeries
from xtec.simulation.presets import COMPOSITIONS, PHASE_BOUNDARY, PRESETS, Overrides, make_specs
from xtec.simulation.spec import Detector, Grid, Sample, Scattering, SeriesSpec, Transition

__all__ = [
    "COMPOSITIONS",
    "LABEL_FRACTION",
    "PHASE_BOUNDARY",
    "PRESETS",
    "Detector",
    "Grid",
    "Overrides",
    "Sample",
    "Scattering",
    "SeriesSpec",
    "SimulatedSeries",
    "Transition",
    "make_specs",
]
