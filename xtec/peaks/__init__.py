"""Connected voxels joined into peaks (X-TEC-s)."""

from xtec.peaks.averaging import average_peaks, peak_centroids, peak_maxima, peak_sizes, sum_peaks
from xtec.peaks.connect import connect

__all__ = ["average_peaks", "connect", "peak_centroids", "peak_maxima", "peak_sizes", "sum_peaks"]
