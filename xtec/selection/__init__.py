"""Number of clusters: criteria over K, components of the same shape joined, and a recommendation."""

from xtec.selection.recommend import Choice, Rule, recommend
from xtec.selection.sweep import Selector, SelectorConfig

__all__ = ["Choice", "Rule", "Selector", "SelectorConfig", "recommend"]
