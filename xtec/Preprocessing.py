"""Drop-in for ``xtec.Preprocessing`` of the reference package; see docs/compat.md."""

from xtec.compat.distributions import warn_of_reference
from xtec.compat.masking import Mask_Zeros
from xtec.compat.peaks import Peak_averaging
from xtec.compat.threshold import Threshold_Background

__all__ = ["Mask_Zeros", "Peak_averaging", "Threshold_Background"]

warn_of_reference()
