"""Number of clusters: shapes found one after the other, criteria over K, and a recommendation."""

from xtec.selection.shapes import Shaped, Shapes
from xtec.selection.sweep import Selected, Selector, SelectorConfig

__all__ = ["Selected", "Selector", "SelectorConfig", "Shaped", "Shapes"]
