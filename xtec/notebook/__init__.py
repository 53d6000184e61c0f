"""Runs in notebooks: how they show themselves, and their figures."""

from xtec.notebook.plots import RunPlots
from xtec.notebook.run import Run

__all__ = ["Run", "RunPlots"]
