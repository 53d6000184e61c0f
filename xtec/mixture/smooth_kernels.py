"""The kernels of label smoothing: which voxels are neighbours."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from xtec.core.errors import ConfigError
from xtec.core.types import Float64Array

CUTOFF = 0.01
"""Voxels whose kernel is not larger are no neighbours."""

REACH = math.sqrt(-math.log(CUTOFF))
"""The kernel falls to the cutoff at so many lengths."""

_MOST_CELLS = 1 << 25
_FINEST = 16
"""Pixels of a zone may be a fraction with such a denominator."""


@dataclass(frozen=True)
class LocalKernel:
    """Neighbours within a few pixels.

    Attributes
    ----------
    length : float
        l, in pixels.
    weighted : bool
        Whether neighbours count by the kernel, or all alike.

    Raises
    ------
    ConfigError
        If no two voxels are ever neighbours.
    """

    length: float
    weighted: bool = False

    def __post_init__(self) -> None:
        require_links(self.length, 1 / REACH, "pixels")

    @property
    def reach(self) -> int:
        """Distance of the farthest neighbour, in whole pixels."""
        return math.floor(REACH * self.length)

    def rows(self, shape: Sequence[int]) -> tuple[NDArray[np.int64], Float64Array]:
        """Neighbours along the last of three axes: their offsets along the others, and their weights.

        Returns
        -------
        offsets : array, shape (m, 3)
            Along the first two axes; and how many neighbours there are on either side along the third.
        weights : array, shape (m, 2 reach + 1)
            Of the neighbour at -reach .. reach along the third.
        """
        reach = self.reach
        along = np.arange(-reach, reach + 1)
        first, second = (along if size > 1 else along[reach : reach + 1] for size in shape[:2])
        offsets, weights = [], []
        for step in itertools.product(first, second):
            kernel = np.exp(-(step[0] ** 2 + step[1] ** 2 + along**2) / self.length**2)
            inside = kernel > CUTOFF
            if inside.any():
                offsets.append((*step, int(along[inside].max())))
                weights.append(np.where(inside, kernel if self.weighted else 1.0, 0.0))
        return np.array(offsets, np.int64), np.array(weights)


@dataclass(frozen=True)
class PeriodicKernel:
    """Neighbours at nearly the same place of any Brillouin zone.

    Attributes
    ----------
    length : float
        l, of sines.
    unit_cell : tuple of float
        Pixels from one reciprocal lattice point to the next along each axis.
    weighted : bool
        Whether neighbours count by the kernel, or all alike.

    Raises
    ------
    ConfigError
        If no few zones fill whole pixels.
    """

    length: float
    unit_cell: tuple[float, ...]
    weighted: bool = False

    def __post_init__(self) -> None:
        for pixels, period in zip(self.unit_cell, self.period, strict=True):
            if not pixels >= 1 or abs(Fraction(pixels).limit_denominator(_FINEST) - pixels) > 1e-6 * pixels:
                raise ConfigError(
                    f"a unit cell of {pixels:g} pixels cannot be folded: not a simple fraction",
                    hint="whole pixels in --unit-cell, or --smooth-kernel local",
                )
            if period < 1 or math.prod(self.period) > _MOST_CELLS:
                raise ConfigError(f"a unit cell of {self.unit_cell} pixels is too large to fold")

    @property
    def period(self) -> tuple[int, ...]:
        """Pixels along each axis after which everything repeats: whole zones."""
        return tuple(Fraction(u).limit_denominator(_FINEST).numerator for u in self.unit_cell)

    def cells(self) -> Float64Array:
        """Weight of a neighbour at each offset, shape ``period``."""
        exponent = np.zeros(self.period)
        for axis, (pixels, period) in enumerate(zip(self.unit_cell, self.period, strict=True)):
            sines = np.sin(np.pi * np.arange(period) / pixels) ** 2
            exponent += sines.reshape([-1 if axis == other else 1 for other in range(len(self.period))])
        kernel = np.exp(-exponent / self.length**2)
        return np.where(kernel > CUTOFF, kernel if self.weighted else 1.0, 0.0)


def require_links(length: float, least: float, unit: str) -> None:
    """Refuse a length that links no two voxels; `least` is the largest such one."""
    if not length > least:
        smallest = math.ceil(1000 * least) / 1000
        raise ConfigError(
            f"a smoothing length of {length:g} links no voxels",
            hint=f"--smooth-length above {smallest:.3f} {unit}",
        )
