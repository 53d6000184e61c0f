"""Connected voxels joined into peaks (X-TEC-s)."""

from xtec.peaks.connect import connect, join
from xtec.peaks.shards import ShardPeaks, unite
from xtec.peaks.sums import PeakSums, average_peaks

__all__ = ["PeakSums", "ShardPeaks", "average_peaks", "connect", "join", "unite"]
