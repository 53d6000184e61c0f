"""Synthetic series with known truth: a forward model of intensity against temperature and Q."""

from xtec.simulation.broken import broken_operations
from xtec.simulation.grid import Grid
from xtec.simulation.model import LABEL_FRACTION, SimulatedSeries
from xtec.simulation.overrides import Overrides
from xtec.simulation.presets import COMPOSITIONS, PHASE_BOUNDARY, PRESETS, make_specs
from xtec.simulation.sample import Sample
from xtec.simulation.spec import Detector, Scattering, SeriesSpec, Transition

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
    "broken_operations",
    "make_specs",
]
