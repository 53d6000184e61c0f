"""Connected voxels joined into peaks (X-TEC-s), and the shape of peaks."""

from xtec.peaks.connect import connect, join
from xtec.peaks.maxima import Maxima, find_maxima, thinned, weighed
from xtec.peaks.shape import Shapes, ShapeSums, shapes
from xtec.peaks.shards import ShardPeaks, unite
from xtec.peaks.sums import PeakSums, average_peaks

__all__ = [
    "Maxima",
    "PeakSums",
    "ShapeSums",
    "Shapes",
    "ShardPeaks",
    "average_peaks",
    "connect",
    "find_maxima",
    "join",
    "shapes",
    "thinned",
    "unite",
    "weighed",
]
