"""Where in reciprocal space a cluster sits: wave vectors, reflection classes and rules, diffuse halos."""

from xtec.reciprocal.conditions import parse_condition
from xtec.reciprocal.fold import ZonePosition, zone_position
from xtec.reciprocal.halo import halos
from xtec.reciprocal.lattice import Lattice, find_space_group, make_lattice
from xtec.reciprocal.moving import moving_peaks
from xtec.reciprocal.reflections import SCHEMES, absent, classify, contingency
from xtec.reciprocal.rules import find_rules
from xtec.reciprocal.wave_vectors import PeakPositions, find_wave_vectors
from xtec.reciprocal.wings import near, without_wings

__all__ = [
    "SCHEMES",
    "Lattice",
    "PeakPositions",
    "ZonePosition",
    "absent",
    "classify",
    "contingency",
    "find_rules",
    "find_space_group",
    "find_wave_vectors",
    "halos",
    "make_lattice",
    "moving_peaks",
    "near",
    "parse_condition",
    "without_wings",
    "zone_position",
]
