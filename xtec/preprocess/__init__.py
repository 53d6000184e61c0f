"""From intensities to trajectories worth clustering: masks, background threshold, rescaling."""

from xtec.preprocess.background import find_threshold, parse_threshold
from xtec.preprocess.counting import CountScale, noise_of_rescaled, scatter_about_neighbours
from xtec.preprocess.masking import MaskRules, usable_voxels
from xtec.preprocess.rescaling import Rescaled, rescale, varying
from xtec.preprocess.statistics import VoxelSums

__all__ = [
    "CountScale",
    "MaskRules",
    "Rescaled",
    "VoxelSums",
    "find_threshold",
    "noise_of_rescaled",
    "parse_threshold",
    "rescale",
    "scatter_about_neighbours",
    "usable_voxels",
    "varying",
]
