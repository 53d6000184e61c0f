"""What a cluster does with temperature: trends, onsets, order parameters."""

from xtec.order_parameter.analyse import onsets_of_peaks, order_parameters
from xtec.order_parameter.cluster_peaks import ClusterPeaks
from xtec.order_parameter.curves import ClusterMoments, cluster_curves
from xtec.order_parameter.fit import LEAST_TEMPERATURES
from xtec.order_parameter.refine import reasons_to_drop
from xtec.order_parameter.trend import Trend, describe

__all__ = [
    "LEAST_TEMPERATURES",
    "ClusterMoments",
    "ClusterPeaks",
    "Trend",
    "cluster_curves",
    "describe",
    "onsets_of_peaks",
    "order_parameters",
    "reasons_to_drop",
]
