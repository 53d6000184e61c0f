"""Which clusters tell nothing of order, and may be left out of a second pass."""

from __future__ import annotations

import numpy as np

from xtec.core.types import ClusterCurves
from xtec.order_parameter.trend import describe

_CHANGE = 0.05
"""Relative change from the lowest to the highest temperature that counts as one."""

_SCATTER = 3.0
"""Scatter of the members around their mean, in units of what the mean does, from which it is noise."""


def reasons_to_drop(curves: ClusterCurves) -> dict[int, str]:
    """Clusters that are thermal diffuse scattering or noise, and why.

    A cluster that behaves like an order parameter is never dropped. Of the others, one is thermal diffuse
    scattering if its mean intensity is more than 5 % higher at the highest temperature than at the lowest,
    and noise if the change is not larger than 5 % and its members scatter around their mean curve by more
    than three times what that curve does over the scan.

    Parameters
    ----------
    curves : ClusterCurves

    Returns
    -------
    dict
        Number of each cluster to drop, and the reason in a phrase.
    """
    reasons = {}
    for k in range(curves.n_clusters):
        trend = describe(curves.scan, curves.intensity_mean[k])
        if trend.orders or not np.isfinite(curves.rescaled_mean[k]).all():
            continue
        if trend.change > _CHANGE:
            reasons[k + 1] = f"thermal diffuse scattering: grows by {100 * trend.change:.0f} %"
        elif abs(trend.change) <= _CHANGE and curves.rescaled_std[k].mean() > _SCATTER * np.std(
            curves.rescaled_mean[k]
        ):
            reasons[k + 1] = "noise: members scatter, their mean does nothing"
    return reasons
