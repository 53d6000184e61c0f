"""Curves of an order parameter against temperature; shapes of height one, which linear coefficients scale.

Temperatures x may be any scan variable whose ordered side is the low one. `low` is the lowest of them: shapes
are one there, so that a coefficient is the intensity gained at the lowest temperature.
"""

from __future__ import annotations

import numpy as np

from xtec.core.types import Float64Array

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(32)
_NODES, _WEIGHTS = (1 + _NODES) / 2, _WEIGHTS / 2
_FAR = 6.0
"""Standard deviations at which a distribution of Tc ends."""


def onset(
    x: Float64Array,
    tc: Float64Array | float,
    beta: Float64Array | float,
    low: float,
    saturation: float = 1.0,
) -> Float64Array:
    """``(1 - (1 - d)^s)^(2 beta)`` below Tc with ``d = (Tc - x) / (Tc - low)``, zero above.

    With the saturation s = 1 that is the power law ``(1 - T/Tc)^(2 beta)`` scaled to one at `low`. A larger s
    levels off at low temperatures and goes with the same exponent near Tc. Arguments broadcast.
    """
    depth = np.clip((tc - x) / (tc - low), 0.0, 1.0)
    if saturation != 1.0:
        depth = 1.0 - (1.0 - depth) ** saturation
    return np.asarray(np.where(depth > 0, np.maximum(depth, 1e-300) ** (2 * np.asarray(beta)), 0.0))


def smeared_onset(
    x: Float64Array, tc: float, beta: float, width: float, low: float, saturation: float = 1.0
) -> Float64Array:
    """`onset` averaged over a Gaussian distribution of Tc with standard deviation `width`; one at `low`.

    All parts have the same intensity at zero temperature (the same slope at their onset, where the scan
    variable is negative somewhere); parts whose Tc is below `low` do not order. By Gauss-Legendre quadrature
    over the parts that order at each x, in a variable that is smooth at their onset.
    """
    if width == 0:
        return onset(x, tc, beta, low, saturation)
    at = np.append(x, low)[:, None]
    first = np.maximum(np.maximum(at, tc - _FAR * width), low + 1e-9 * abs(tc))
    reach = np.maximum(tc + _FAR * width - first, 0.0)
    centre = first + reach * _NODES**3
    density = np.exp(-0.5 * ((centre - tc) / width) ** 2) * 3 * _NODES**2 * reach
    whole = (centre - low) / (centre if low >= 0 else tc - low)
    parts = density * np.maximum(whole, 0.0) ** (2 * beta) * onset(at, centre, beta, low, saturation)
    total = parts @ _WEIGHTS
    return np.asarray(total[:-1] / (total[-1] or 1.0))


def tail(x: Float64Array, tc: Float64Array | float, rounding: Float64Array | float) -> Float64Array:
    """Fluctuations: ``1 / (1 + |x/Tc - 1| / rounding)``, a Curie-Weiss law on both sides, rounded at Tc."""
    return np.asarray(1.0 / (1.0 + np.abs(x / tc - 1.0) / rounding))


def step(x: Float64Array, tc: float, low: float) -> tuple[Float64Array, Float64Array]:
    """A jump at Tc, and what grows below it in proportion to the distance, both zero above."""
    below = x < tc
    return below.astype(np.float64), np.where(below, (tc - x) / (tc - low), 0.0)
