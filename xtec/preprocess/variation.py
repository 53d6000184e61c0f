"""How a voxel varies over temperature: slowly, as physics does, or from point to point, as noise does.

A trajectory is split into the first few cosines over the scan and the rest. What physics does to an
intensity is mostly in the cosines; the rest is noise, and tells how much of it there is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xtec.core.arrays import is_host, like, namespace
from xtec.core.compiled import compiled_sums
from xtec.core.types import Float64Array

_TILE = 2048
"""Voxels that stay in the processor's cache while the temperatures go by."""

_TEMPERATURES_A_WAVE = 7
_WAVES = (2, 8)
_FEWEST_LEFT = 2
"""Degrees of freedom that must be left to noise."""


def n_waves(n_temperatures: int) -> int:
    """Cosines that a trajectory is tested for; 0 if there are too few temperatures to tell it from noise."""
    wanted = int(np.clip(round(n_temperatures / _TEMPERATURES_A_WAVE), *_WAVES))
    return max(min(wanted, n_temperatures - 1 - _FEWEST_LEFT), 0)


def waves(n_temperatures: int) -> Float64Array:
    """Orthonormal cosines over the scan, shape (J, T); none of them has a mean."""
    order = np.arange(1, n_waves(n_temperatures) + 1)
    cosines = np.cos(np.pi * np.outer(order, np.arange(n_temperatures) + 0.5) / n_temperatures)
    return np.asarray(cosines * np.sqrt(2 / n_temperatures))


def split_variation(rows: Any, mean: Any) -> tuple[Any, Any]:
    """Variance over mean of each voxel, in the cosines and in the rest.

    Parameters
    ----------
    rows : array, shape (T, n)
    mean : array, shape (n,)
        Mean intensity of each voxel; above zero where the outcome is of use.

    Returns
    -------
    smooth : array, shape (n,), float32
        Sum of the J squared cosine coefficients, over the mean: J times the count scale on average where
        there is nothing but counting noise.
    rough : array, shape (n,), float32
        Squares of what the cosines leave, over the mean and the T - 1 - J degrees of freedom.
    """
    if not is_host(rows):
        return plain_split(rows, mean)
    smooth, rough = np.empty((2, rows.shape[1]), np.float32)
    basis = waves(len(rows)).astype(np.float32)
    centre = mean.astype(np.float32)
    unit = np.ldexp(np.float32(1), np.frexp(centre)[1])
    _split(rows, centre, unit, basis, smooth, rough)
    return smooth * unit, rough * unit


def plain_split(rows: Any, mean: Any) -> tuple[Any, Any]:
    """As `split_variation`, in any array library."""
    xp = namespace(rows)
    centre = xp.astype(mean, xp.float32)
    difference = (xp.astype(rows, xp.float32) - centre) / centre  # squares of intensities may overflow
    coefficients = like(waves(rows.shape[0]).astype(np.float32), rows) @ difference
    slow = xp.sum(coefficients * coefficients, axis=0)
    rest = xp.sum(difference * difference, axis=0) - slow
    rest = xp.where(rest > 0, rest, xp.zeros_like(rest))
    return slow * centre, rest * centre / float(rows.shape[0] - 1 - coefficients.shape[0])


@compiled_sums
def _split(
    rows: NDArray[Any],
    mean: NDArray[np.float32],
    unit: NDArray[np.float32],
    basis: NDArray[np.float32],
    smooth: NDArray[np.float32],
    rough: NDArray[np.float32],
) -> None:
    """Differences from the mean are small, so single precision is enough for them.

    They are squared in units near the mean, powers of two: exact, and squares neither overflow nor vanish.
    """
    coefficients = np.empty((basis.shape[0], _TILE), np.float32)
    squares = np.empty(_TILE, np.float32)
    difference = np.empty(_TILE, np.float32)
    inverse = np.empty(_TILE, np.float32)
    freedom = np.float32(rows.shape[0] - 1 - basis.shape[0])
    for start in range(0, mean.size, _TILE):
        inside = min(_TILE, mean.size - start)
        coefficients[:] = 0
        squares[:] = 0
        for voxel in range(inside):
            inverse[voxel] = np.float32(1) / unit[start + voxel]
        for t in range(rows.shape[0]):
            row, centre = rows[t, start : start + inside], mean[start : start + inside]
            for voxel in range(inside):
                difference[voxel] = (np.float32(row[voxel]) - centre[voxel]) * inverse[voxel]
                squares[voxel] += difference[voxel] * difference[voxel]
            for j in range(basis.shape[0]):
                weight, sums = basis[j, t], coefficients[j]
                for voxel in range(inside):
                    sums[voxel] += weight * difference[voxel]
        for voxel in range(inside):
            slow = np.float32(0)
            for j in range(basis.shape[0]):
                slow += coefficients[j, voxel] * coefficients[j, voxel]
            over = unit[start + voxel] / mean[start + voxel]
            smooth[start + voxel] = slow * over
            rough[start + voxel] = max(squares[voxel] - slow, np.float32(0)) * over / freedom
