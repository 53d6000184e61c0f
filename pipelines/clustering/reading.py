"""What each cluster may be, in the field's words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xtec.core.axes import Axis
from xtec.core.results import ClusterSummary
from xtec.core.types import ClusterCurves, FloatArray
from xtec.order_parameter import Trend, describe
from xtec.reciprocal import ZonePosition, zone_position

_CLEAR = 0.05
"""Relative change with temperature from which on it is called one."""


@dataclass(frozen=True)
class Members:
    """Clustered voxels, before the clusters are numbered.

    Attributes
    ----------
    index : array, shape (n,)
    brightness : array, shape (n,)
        Mean intensity.
    label : array, shape (n,)
        1..K.
    peaks : array, shape (K,)
        Number of peaks in each cluster.
    """

    index: NDArray[np.int64]
    brightness: FloatArray
    label: NDArray[np.int16]
    peaks: NDArray[np.int64]


def number_clusters(curves: ClusterCurves, voxels: NDArray[np.int64]) -> tuple[NDArray[np.intp], list[Trend]]:
    """Order of the clusters: falling order-parameter score, then falling number of voxels.

    Returns
    -------
    order : array, shape (K,)
        Position of each cluster in the old numbering, by new number.
    trends : list of Trend
        In the new order.
    """
    trends = [describe(curves.scan, curve) for curve in curves.intensity_mean]
    order = sorted(range(len(trends)), key=lambda k: (-trends[k].score, -voxels[k]))
    return np.array(order, dtype=np.intp), [trends[k] for k in order]


def summarise(axes: Sequence[Axis], members: Members, trends: Sequence[Trend]) -> list[ClusterSummary]:
    """One line a cluster; `trends` in the order of the cluster numbers."""
    summaries = []
    for number, trend in enumerate(trends, start=1):
        mine = members.label == number
        zone = zone_position(axes, members.index[mine], members.brightness[mine])
        summaries.append(
            ClusterSummary(
                number=number,
                voxels=int(mine.sum()),
                peaks=int(members.peaks[number - 1]),
                share=float(mine.mean()),
                trend=trend.text,
                reading=_reading(trend, zone),
                order_parameter=trend.orders,
                onset=trend.onset,
            )
        )
    return summaries


def _reading(trend: Trend, zone: ZonePosition | None) -> str:
    if trend.orders:
        if zone is None:
            return "order parameter"
        if zone.is_bragg:
            return "order parameter at Bragg positions"
        return f"superlattice {zone.text}: order parameter"
    if trend.orders is None or trend.turns or zone is None:
        return ""
    if trend.change > _CLEAR:
        return "thermal diffuse scattering"
    if zone.is_bragg:
        return "Bragg peaks (Debye-Waller)" if trend.change < -_CLEAR else "Bragg peaks"
    return ""
