"""How intensities change with temperature: closed forms, nothing else."""

from __future__ import annotations

import numpy as np

from xtec.core.types import Float64Array

_ROUNDING = 0.01
"""Reduced temperature within which critical scattering stops growing."""


def order_intensity(temperature: float, tc: float, beta: float) -> float:
    """``(1 - T/Tc)^(2 beta)`` below Tc, zero above; dimensionless, 1 at T = 0."""
    return float(max(0.0, 1.0 - temperature / tc) ** (2.0 * beta))


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
