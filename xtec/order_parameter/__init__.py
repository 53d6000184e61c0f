"""What a cluster does with temperature."""

from xtec.order_parameter.curves import ClusterMoments, cluster_curves
from xtec.order_parameter.refine import reasons_to_drop
from xtec.order_parameter.trend import Trend, describe

__all__ = ["ClusterMoments", "Trend", "cluster_curves", "describe", "reasons_to_drop"]
