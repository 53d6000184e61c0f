"""Points of a curve as they are handed in."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from xtec.core.errors import InputError
from xtec.core.types import Float64Array


def checked_points(temperature: ArrayLike, intensity: ArrayLike, sigma: ArrayLike) -> Float64Array:
    """Temperatures, intensities and errors as rows (3, T), without points whose intensity is not finite.

    Raises
    ------
    InputError
        If shapes differ or a temperature is not finite.
    """
    parts = [np.atleast_1d(np.asarray(part, np.float64)) for part in (temperature, intensity, sigma)]
    if any(part.ndim != 1 or part.shape != parts[0].shape for part in parts):
        shapes = ", ".join(str(part.shape) for part in parts)
        raise InputError(f"temperature, intensity and sigma have one shape (T,), got {shapes}")
    if not np.isfinite(parts[0]).all():
        raise InputError("a temperature is not finite")
    rows = np.stack(parts)
    return rows[:, np.isfinite(rows[1])]


def errors_are_known(rows: Float64Array) -> bool:
    """Whether the errors of all points (3, T) are above zero."""
    return bool((rows[2] > 0).all() and np.isfinite(rows[2]).all())
