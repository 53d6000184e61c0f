"""From intensities to trajectories worth clustering: masks, background threshold, rescaling."""

from xtec.preprocess.background import find_threshold, parse_threshold
from xtec.preprocess.counting import CountScale, noise_of_rescaled, quiet_scale
from xtec.preprocess.masking import LARGEST, SMALLEST, MaskRules, usable_voxels
from xtec.preprocess.rescaling import Rescaled, mean_over_scan, rescale, std_over_scan, varying
from xtec.preprocess.significance import Cells, Judged, Tally, chi_square, find_significance
from xtec.preprocess.statistics import VoxelSums
from xtec.preprocess.variation import n_waves, split_variation, waves

__all__ = [
    "LARGEST",
    "SMALLEST",
    "Cells",
    "CountScale",
    "Judged",
    "MaskRules",
    "Rescaled",
    "Tally",
    "VoxelSums",
    "chi_square",
    "find_significance",
    "find_threshold",
    "mean_over_scan",
    "n_waves",
    "noise_of_rescaled",
    "parse_threshold",
    "quiet_scale",
    "rescale",
    "split_variation",
    "std_over_scan",
    "usable_voxels",
    "varying",
    "waves",
]
