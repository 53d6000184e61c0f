"""While a scan runs: which temperature to measure next."""

from xtec.operando.bounds import Bounds, Direction
from xtec.operando.planning import Suggestion
from xtec.operando.sampler import Sampler, Transition

__all__ = ["Bounds", "Direction", "Sampler", "Suggestion", "Transition"]
