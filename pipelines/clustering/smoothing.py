"""Which voxels are neighbours, from a configuration and the axes."""

from __future__ import annotations

from collections.abc import Sequence

from xtec.core.axes import Axis
from xtec.core.errors import ConfigError
from xtec.core.types import SmoothKernel
from xtec.mixture.smooth_kernels import LocalKernel, PeriodicKernel
from xtec.mixture.smoothing import Neighbourhood, neighbourhood
from xtec_pipelines.config import ClusterConfig
from xtec_pipelines.streaming.plan import ShardPlan

_LENGTHS = {SmoothKernel.LOCAL: 1.0, SmoothKernel.PERIODIC: 0.1}
"""In pixels; and of sines."""


def make_neighbourhood(
    config: ClusterConfig, axes: Sequence[Axis], plans: Sequence[ShardPlan]
) -> tuple[Neighbourhood, str]:
    """Neighbours among the voxels of a series, and what they are in a phrase.

    Raises
    ------
    ConfigError
        If the kernel links no voxels, or the unit cell is neither given nor told by the axes.
    """
    length = config.smooth_length or _LENGTHS[config.smooth_kernel]
    kernel: LocalKernel | PeriodicKernel
    if config.smooth_kernel is SmoothKernel.LOCAL:
        kernel = LocalKernel(length, config.smooth_weighted)
        text = f"labels smoothed over neighbours, length {length:g} pixels"
    else:
        cell = _pixels(config.unit_cell, axes)
        kernel = PeriodicKernel(length, cell, config.smooth_weighted)
        pixels = " x ".join(f"{size:g}" for size in cell[::-1])
        text = f"labels smoothed over all zones ({pixels} pixels each), length {length:g}"
    boxes = tuple(plan.blocks for plan in plans)
    return neighbourhood(kernel, tuple(map(len, axes)), boxes, config.smooth_steps), text


def _pixels(unit_cell: tuple[float, ...] | None, axes: Sequence[Axis]) -> tuple[float, ...]:
    """Pixels a zone along each axis, slowest first; `unit_cell` is fastest first, as H, K, L."""
    if unit_cell is None:
        if all(axis.units == "r.l.u." for axis in axes):
            return tuple(_per_zone(axis) for axis in axes)
        raise ConfigError("the axes do not tell how many pixels a zone has", hint="--unit-cell U,V,W")
    if len(unit_cell) == 1:
        return unit_cell * len(axes)
    if len(unit_cell) != len(axes):
        raise ConfigError(f"a unit cell of {len(unit_cell)} numbers does not fit {len(axes)} axes")
    return unit_cell[::-1]


def _per_zone(axis: Axis) -> float:
    """Steps in one reciprocal lattice unit; an axis of one point is a zone by itself."""
    if len(axis) == 1:
        return 1.0
    return round((len(axis) - 1) / abs(float(axis.values[-1] - axis.values[0])), 4)
