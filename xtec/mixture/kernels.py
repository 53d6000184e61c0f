"""Inner loops over tiles of trajectories, compiled once for float32 and once for float64.

A tile is an array (T, rows), so that the same is done to many rows at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba.extending import overload
from numpy.typing import NDArray

from xtec.core.compiled import compiled, compiled_sums
from xtec.core.types import Float64Array, FloatArray

ROWS = 512
"""Rows of a tile."""

PAIR = 2
"""Components worked on at a time; their number is filled up with some that have no weight."""

FOUR = 4
"""Temperatures worked on at a time; their number is filled up with some where nothing differs."""

_FACTORS = 64
"""Densities multiplied before one logarithm is taken; each is at most the number of components."""


def _exponential(real: Any, whole: Any, digits: int, bias: int, order: int) -> Callable[..., None]:
    """Kernel that takes ``exp(values - top)`` in place and adds it to a total, in one precision.

    2^n is put together from its bits, the rest is a power series: unlike a call of exp, this is done for
    many rows at once.
    """
    lowest = real(math.ceil((1 - bias) * math.log(2)))
    rounding = real(1.5 * 2**digits)
    one, zero, digits, bias = real(1), real(0), whole(digits), whole(bias)
    per_octave, octave = real(1 / math.log(2)), real(355 / 512)
    rest = real(-2.1219444005469058277e-4)  # ln 2 - 355/512, to more digits than a difference would have
    series = tuple(real(1 / math.factorial(power)) for power in range(order, 0, -1))

    @compiled
    def kernel(values: FloatArray, top: FloatArray, total: FloatArray) -> None:
        for i in range(ROWS):
            value = values[i] - top[i]
            bounded = max(value, lowest)
            shifted = bounded * per_octave + rounding
            octaves = shifted - rounding
            fraction = (bounded - octaves * octave) - octaves * rest
            power = series[0]
            for coefficient in series[1:]:
                power = power * fraction + coefficient
            power = power * fraction + one
            power *= whole((real(shifted).view(whole) + bias) << digits).view(real)
            values[i] = power if value > lowest else zero
            total[i] += values[i]

    return kernel


_single = _exponential(np.float32, np.int32, 23, 127, order=7)
_double = _exponential(np.float64, np.int64, 52, 1023, order=13)


def exponentials(values: FloatArray, top: FloatArray, total: FloatArray) -> None:
    """The kernel of the values' precision."""
    raise NotImplementedError


@overload(exponentials)  # type: ignore[untyped-decorator]
def _chosen(values: Any, top: Any, total: Any) -> Any:
    def single(values: Any, top: Any, total: Any) -> Any:
        _single(values, top, total)

    def double(values: Any, top: Any, total: Any) -> Any:
        _double(values, top, total)

    return single if values.dtype.bitwidth == 32 else double


@compiled_sums
def fill(
    elements: FloatArray, first: int, n: int, row: int, column: int, frame: FloatArray, tile: FloatArray
) -> None:
    """Copy n rows into a tile (T', rows), in the frame; the rest of them is made zero."""
    for t in range(frame.shape[1]):
        into, centre, unit = tile[t], frame[0, t], frame[1, t]
        start = first * row + t * column
        if row == 1:
            values = elements[start : start + n]
            for i in range(n):
                into[i] = (values[i] - centre) * unit
        else:
            for i in range(n):
                into[i] = (elements[start + i * row] - centre) * unit
        into[n:] = 0


@compiled_sums
def _log_densities(
    tile: FloatArray, model: FloatArray, constant: FloatArray, joint: FloatArray, top: FloatArray
) -> None:
    """ln of weight times density of each component, and the highest of them."""
    for k in range(0, constant.size, PAIR):
        one, other = joint[k], joint[k + 1]
        one[:], other[:] = constant[k], constant[k + 1]
        scale, offset, scale2, offset2 = model[0, k], model[1, k], model[0, k + 1], model[1, k + 1]
        for t in range(0, tile.shape[0], FOUR):
            x0, x1, x2, x3 = tile[t], tile[t + 1], tile[t + 2], tile[t + 3]
            s0, s1, s2, s3 = scale[t], scale[t + 1], scale[t + 2], scale[t + 3]
            o0, o1, o2, o3 = offset[t], offset[t + 1], offset[t + 2], offset[t + 3]
            u0, u1, u2, u3 = scale2[t], scale2[t + 1], scale2[t + 2], scale2[t + 3]
            v0, v1, v2, v3 = offset2[t], offset2[t + 1], offset2[t + 2], offset2[t + 3]
            for i in range(ROWS):
                d0, d1, d2, d3 = x0[i] * s0 - o0, x1[i] * s1 - o1, x2[i] * s2 - o2, x3[i] * s3 - o3
                one[i] -= (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3)
                e0, e1, e2, e3 = x0[i] * u0 - v0, x1[i] * u1 - v1, x2[i] * u2 - v2, x3[i] * u3 - v3
                other[i] -= (e0 * e0 + e1 * e1) + (e2 * e2 + e3 * e3)
    top[:] = joint[0]
    for k in range(1, constant.size):
        row = joint[k]
        for i in range(ROWS):
            top[i] = max(top[i], row[i])


@compiled_sums
def sum_logs(top: FloatArray, total: FloatArray, n: int) -> float:
    """Sum of the ln densities of n rows, with one logarithm for many of them."""
    logs = 0.0
    for start in range(0, n, _FACTORS):
        product = 1.0
        for i in range(start, min(n, start + _FACTORS)):
            logs += top[i]
            product *= total[i]
        logs += math.log(product)
    return logs


@compiled_sums
def _moments(tile: FloatArray, shares: FloatArray, means: FloatArray, sums: Float64Array) -> None:
    """Add the first and second moments of a pair of components about their means."""
    n_features = tile.shape[0]
    one, other, zero = shares[0], shares[1], tile.dtype.type(0)
    for t in range(0, n_features, 2):
        x0, x1 = tile[t], tile[t + 1]
        m0, m1, l0, l1 = means[0, t], means[0, t + 1], means[1, t], means[1, t + 1]
        a0 = a1 = b0 = b1 = c0 = c1 = d0 = d1 = zero
        for i in range(ROWS):
            step0, step1 = x0[i] - m0, x1[i] - m1
            part0, part1 = one[i] * step0, one[i] * step1
            a0 += part0
            a1 += part1
            b0 += part0 * step0
            b1 += part1 * step1
            step0, step1 = x0[i] - l0, x1[i] - l1
            part0, part1 = other[i] * step0, other[i] * step1
            c0 += part0
            c1 += part1
            d0 += part0 * step0
            d1 += part1 * step1
        first, second = 1 + t, 1 + n_features + t
        sums[0, first] += a0
        sums[0, first + 1] += a1
        sums[0, second] += b0
        sums[0, second + 1] += b1
        sums[1, first] += c0
        sums[1, first + 1] += c1
        sums[1, second] += d0
        sums[1, second + 1] += d1


@compiled_sums
def sum_tiles(
    elements: FloatArray,
    n: int,
    row: int,
    column: int,
    frame: FloatArray,
    model: FloatArray,
    constant: FloatArray,
    sums: Float64Array,
) -> None:
    """Add to the sums of `FusedModel.sums`.

    Parameters
    ----------
    elements, n, row, column
        Layout of the trajectories.
    frame : array, shape (2, T)
        Centre and unit.
    model : array, shape (3, K', T')
        In the frame: 1 / sqrt(2 variance), mean times that, mean.
    constant : array, shape (K',)
        ln of weight times density at the mean, less the highest of them.
    sums : array, shape (K'+1, 2T'+1), float64
    """
    n_components, n_features = model.shape[1:]
    tile = np.zeros((n_features, ROWS), model.dtype)
    joint = np.empty((n_components, ROWS), model.dtype)
    top, total = np.empty_like(joint[0]), np.empty_like(joint[0])
    for start in range(0, n, ROWS):
        inside = min(ROWS, n - start)
        fill(elements, start, inside, row, column, frame, tile)
        _log_densities(tile, model, constant, joint, top)
        total[:] = 0
        for k in range(n_components):
            exponentials(joint[k], top, total)
        sums[n_components, 0] += sum_logs(top, total, inside)
        total[inside:] = np.inf  # rows that fill up the tile belong to nobody
        for k in range(n_components):
            share, weight = joint[k], tile.dtype.type(0)
            for i in range(ROWS):
                share[i] /= total[i]
                weight += share[i]
            sums[k, 0] += weight
        for k in range(0, n_components, PAIR):
            _moments(tile, joint[k : k + PAIR], model[2, k : k + PAIR], sums[k : k + PAIR])


@compiled_sums
def label_tiles(
    elements: FloatArray,
    n: int,
    row: int,
    column: int,
    frame: FloatArray,
    model: FloatArray,
    constant: FloatArray,
    label: NDArray[np.int16],
    probability: NDArray[np.float32],
) -> None:
    """Most probable component of each trajectory, and its probability; parameters as of `sum_tiles`."""
    n_components, n_features = model.shape[1:]
    tile = np.zeros((n_features, ROWS), model.dtype)
    joint = np.empty((n_components, ROWS), model.dtype)
    top, total = np.empty_like(joint[0]), np.empty_like(joint[0])
    for start in range(0, n, ROWS):
        inside = min(ROWS, n - start)
        fill(elements, start, inside, row, column, frame, tile)
        _log_densities(tile, model, constant, joint, top)
        total[:] = 0
        for k in range(n_components - 1, -1, -1):
            for i in range(inside):
                if joint[k, i] == top[i]:
                    label[start + i] = k
            exponentials(joint[k], top, total)
        for i in range(inside):
            probability[start + i] = 1 / total[i]


@compiled_sums
def sum_powers(
    elements: FloatArray, n: int, row: int, column: int, frame: FloatArray, sums: Float64Array
) -> None:
    """Add the sum and the sum of squares in the frame, shape (2, T), of all trajectories."""
    tile = np.empty((frame.shape[1], ROWS), frame.dtype)
    for start in range(0, n, ROWS):
        fill(elements, start, min(ROWS, n - start), row, column, frame, tile)
        for t in range(frame.shape[1]):
            values = tile[t]
            first = second = tile.dtype.type(0)
            for i in range(ROWS):
                first += values[i]
                second += values[i] * values[i]
            sums[0, t] += first
            sums[1, t] += second
