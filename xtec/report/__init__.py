"""Pages for a browser: of a run, and of one that is going on."""

from xtec.report.live import live_page
from xtec.report.page import Plane, Report, render, render_diagram
from xtec.report.volumes import IntensityCollector, IntensityVolume, LabelVolume, label_volume

__all__ = [
    "IntensityCollector",
    "IntensityVolume",
    "LabelVolume",
    "Plane",
    "Report",
    "label_volume",
    "live_page",
    "render",
    "render_diagram",
]
