"""How intensities change with temperature: closed forms, nothing else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from xtec.core.types import Float64Array

_ROUNDING = 0.01
"""Reduced temperature within which critical scattering stops growing."""

_JUMP_FALL = 0.2
"""Share of its height at T = 0 that a first-order peak has lost just below Tc."""

SMEARING_CUT = 6.0
"""Where a Gaussian distribution of Tc ends, in standard deviations."""

_NODES, _NODE_WEIGHTS = np.polynomial.legendre.leggauss(64)


def order_intensity(temperature: float, tc: float, beta: float) -> float:
    """``(1 - T/Tc)^(2 beta)`` below Tc, zero above; dimensionless, 1 at T = 0."""
    return float(max(0.0, 1.0 - temperature / tc) ** (2.0 * beta))


def jump_intensity(temperature: float, tc: float) -> float:
    """``1 - 0.2 T/Tc`` below Tc, zero from Tc on: first order; dimensionless, 1 at T = 0."""
    return 1.0 - _JUMP_FALL * temperature / tc if temperature < tc else 0.0


def critical_height(temperature: float, tc: float, strength: float) -> float:
    """Susceptibility near Tc: ``strength / (|t| + 0.01)``, half of it below Tc; ``t = T/Tc - 1``."""
    reduced = temperature / tc - 1.0
    side = 1.0 if reduced >= 0 else 0.5
    return side * strength / (abs(reduced) + _ROUNDING)


def critical_width(temperature: float, tc: float, width: float) -> float:
    """Inverse correlation length ``width * sqrt(|t| + 0.01)``, root two larger below Tc (mean field)."""
    reduced = temperature / tc - 1.0
    side = 1.0 if reduced >= 0 else np.sqrt(2.0)
    return float(side * width * np.sqrt(abs(reduced) + _ROUNDING))


def debye_waller(q_length: Float64Array, factor: float) -> Float64Array:
    """``exp(-2 B (Q / 4 pi)^2)`` for |Q| in 1/angstrom and B in square angstrom."""
    return np.asarray(np.exp(-2.0 * factor * (q_length / (4 * np.pi)) ** 2))


def background(q_length: Float64Array, temperature: float, level: float) -> Float64Array:
    """Smooth background in counts: higher at small |Q| (1/angstrom), and 5 % more at 300 K than at 0."""
    shape = 1.0 + 0.35 * np.exp(-((q_length / 4.0) ** 2))
    return np.asarray(level * (1.0 + 0.05 * temperature / 300.0) * shape)


def smeared(
    law: Callable[[float], Float64Array], tc: float, width: float, temperature: float
) -> Float64Array:
    """Average of a law over a Gaussian distribution of Tc, cut at six standard deviations.

    Parameters
    ----------
    law : callable
        From Tc in K to an array; smooth but where Tc passes the temperature.
    tc, width : float
        Mean and standard deviation of Tc in K; 0 gives the law itself.
    temperature : float
        In K.

    Returns
    -------
    array
        As `law` returns it.
    """
    if width == 0:
        return law(tc)
    ends = tc - SMEARING_CUT * width, tc + SMEARING_CUT * width
    kink = min(max(temperature, ends[0]), ends[1])
    # Nodes crowd as the cube towards the kink: (Tc - T)^(2 beta) is then smooth enough for Gauss-Legendre.
    s = (1.0 + _NODES) / 2.0
    nodes = np.concatenate([kink + (end - kink) * s**3 for end in ends])
    steps = np.concatenate([abs(end - kink) * 1.5 * s**2 * _NODE_WEIGHTS for end in ends])
    weights = steps * np.exp(-0.5 * ((nodes - tc) / width) ** 2)
    values = np.stack([law(float(node)) for node in nodes])
    return np.asarray(np.tensordot(weights / weights.sum(), values, axes=1))
