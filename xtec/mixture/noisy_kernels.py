"""Inner loops over tiles of trajectories that carry noise, beside those of `xtec.mixture.kernels`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba.extending import overload

from xtec.core.compiled import compiled, compiled_sums
from xtec.core.types import Float64Array, FloatArray
from xtec.mixture.kernels import FOUR, ROWS, exponentials, fill, sum_logs


def _logarithm(real: Any, whole: Any, digits: int, bias: int, terms: int) -> Callable[..., None]:
    """Kernel that takes half of ln of some values off others, in one precision.

    The exponent is read from the bits, the rest is the series of the inverse hyperbolic tangent: unlike a
    call of log, this is done for many rows at once. Values are normal numbers.
    """
    one, octave = real(1), real(math.log(2) / 2)
    mantissa, unity = whole((1 << digits) - 1), whole(bias << digits)
    half_octave, digits, bias = whole((1 << digits) * (math.sqrt(2) - 1)), whole(digits), whole(bias)
    series = tuple(real(1 / (2 * power + 1)) for power in range(terms, -1, -1))

    @compiled
    def kernel(values: FloatArray, others: FloatArray) -> None:
        for i in range(ROWS):
            bits = real(values[i]).view(whole)
            upper = whole(1) if (bits & mantissa) > half_octave else whole(0)
            octaves = (bits >> digits) - bias + upper
            rest = whole((bits & mantissa) | (unity - (upper << digits))).view(real)
            slope = (rest - one) / (rest + one)
            square = slope * slope
            total = series[0]
            for coefficient in series[1:]:
                total = total * square + coefficient
            others[i] -= real(octaves) * octave + slope * total

    return kernel


_single = _logarithm(np.float32, np.int32, 23, 127, terms=4)
_double = _logarithm(np.float64, np.int64, 52, 1023, terms=10)


def _take_half_logarithms(values: FloatArray, others: FloatArray) -> None:
    """The kernel of the values' precision."""
    raise NotImplementedError


@overload(_take_half_logarithms)  # type: ignore[untyped-decorator]
def _chosen(values: Any, others: Any) -> Any:
    def single(values: Any, others: Any) -> Any:
        _single(values, others)

    def double(values: Any, others: Any) -> Any:
        _double(values, others)

    return single if values.dtype.bitwidth == 32 else double


@compiled_sums
def _log_densities(
    tile: FloatArray,
    noise: FloatArray,
    model: FloatArray,
    constant: FloatArray,
    joint: FloatArray,
    top: FloatArray,
) -> None:
    """ln of weight times density of each component, and the highest of them.

    Four temperatures share one division and one logarithm: of the product of their variances.
    """
    product, half = np.empty_like(top), tile.dtype.type(0.5)
    for k in range(constant.size):
        one, variance, factor, mean = joint[k], model[0, k], model[1, k], model[2, k]
        one[:] = constant[k]
        for t in range(0, tile.shape[0], FOUR):
            x0, x1, x2, x3 = tile[t], tile[t + 1], tile[t + 2], tile[t + 3]
            s0, s1, s2, s3 = variance[t], variance[t + 1], variance[t + 2], variance[t + 3]
            f0, f1, f2, f3 = factor[t], factor[t + 1], factor[t + 2], factor[t + 3]
            m0, m1, m2, m3 = mean[t], mean[t + 1], mean[t + 2], mean[t + 3]
            for i in range(ROWS):
                v = noise[i]
                v0, v1, v2, v3 = s0 + v * f0, s1 + v * f1, s2 + v * f2, s3 + v * f3
                d0, d1, d2, d3 = x0[i] - m0, x1[i] - m1, x2[i] - m2, x3[i] - m3
                low, high = v0 * v1, v2 * v3
                squares = (d0 * d0 * v1 + d1 * d1 * v0) * high + (d2 * d2 * v3 + d3 * d3 * v2) * low
                product[i] = low * high
                one[i] -= half * squares / product[i]
            _take_half_logarithms(product, one)
    top[:] = joint[0]
    for k in range(1, constant.size):
        row = joint[k]
        for i in range(ROWS):
            top[i] = max(top[i], row[i])


@compiled_sums
def _moments(
    tile: FloatArray, noise: FloatArray, share: FloatArray, model: FloatArray, sums: Float64Array
) -> None:
    """Add what the M step wants of a component, with w the part of a step from its mean that is not noise.

    Of w, w step, w^2, w^2 step, and of the mean square of what is behind the noise.
    """
    n_features, zero = tile.shape[0], tile.dtype.type(0)
    for t in range(n_features):
        x, variance, factor, mean = tile[t], model[0, t], model[1, t], model[2, t]
        a = b = c = d = e = zero
        for i in range(ROWS):
            v = noise[i] * factor
            w = variance / (variance + v)
            part, step = share[i] * w, x[i] - mean
            kept = part * w
            moved = kept * step
            a += part
            b += part * step
            c += kept
            d += moved
            e += moved * step + part * v
        sums[1 + t] += a
        sums[1 + n_features + t] += b
        sums[1 + 2 * n_features + t] += c
        sums[1 + 3 * n_features + t] += d
        sums[1 + 4 * n_features + t] += e


@compiled_sums
def sum_tiles(
    elements: FloatArray,
    n: int,
    row: int,
    column: int,
    noise: FloatArray,
    frame: FloatArray,
    model: FloatArray,
    constant: FloatArray,
    sums: Float64Array,
) -> None:
    """Add to the sums of `NoisyModel.sums`.

    Parameters
    ----------
    elements, n, row, column
        Layout of the trajectories.
    noise : array, shape (n,)
    frame : array, shape (2, T)
        Centre and unit.
    model : array, shape (3, K', T')
        In the frame: variance, variance for a noise of one, mean.
    constant : array, shape (K',)
        ln of weight and of what does not depend on noise, less the highest of them.
    sums : array, shape (K'+1, 5T'+1), float64
    """
    n_components, n_features = model.shape[1:]
    tile = np.zeros((n_features, ROWS), model.dtype)
    joint = np.empty((n_components, ROWS), model.dtype)
    top, total, level = np.empty_like(joint[0]), np.empty_like(joint[0]), np.zeros_like(joint[0])
    for start in range(0, n, ROWS):
        inside = min(ROWS, n - start)
        fill(elements, start, inside, row, column, frame, tile)
        level[:inside] = noise[start : start + inside]
        _log_densities(tile, level, model, constant, joint, top)
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
            _moments(tile, level, share, model[:, k], sums[k])


@compiled_sums
def share_tiles(
    elements: FloatArray,
    n: int,
    row: int,
    column: int,
    noise: FloatArray,
    frame: FloatArray,
    model: FloatArray,
    constant: FloatArray,
    share: Float64Array,
    density: Float64Array,
) -> None:
    """Responsibilities, shape (K', n), and ln densities, shape (n,); parameters as of `sum_tiles`."""
    n_components, n_features = model.shape[1:]
    tile = np.zeros((n_features, ROWS), model.dtype)
    joint = np.empty((n_components, ROWS), model.dtype)
    top, total, level = np.empty_like(joint[0]), np.empty_like(joint[0]), np.zeros_like(joint[0])
    for start in range(0, n, ROWS):
        inside = min(ROWS, n - start)
        fill(elements, start, inside, row, column, frame, tile)
        level[:inside] = noise[start : start + inside]
        _log_densities(tile, level, model, constant, joint, top)
        total[:] = 0
        for k in range(n_components):
            exponentials(joint[k], top, total)
        for i in range(inside):
            density[start + i] = top[i] + math.log(total[i])
        for k in range(n_components):
            for i in range(inside):
                share[k, start + i] = joint[k, i] / total[i]
