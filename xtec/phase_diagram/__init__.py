"""Transition temperatures against what differs between samples, and the boundaries through them."""

from xtec.phase_diagram.assemble import SampleTransitions, assemble
from xtec.phase_diagram.boundary import fit_boundary

__all__ = ["SampleTransitions", "assemble", "fit_boundary"]
