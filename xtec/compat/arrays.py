"""Arrays as callers of the reference have them, made fit for the engine."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xtec.core.errors import ConfigError


def as_floats(data: ArrayLike) -> NDArray[Any]:
    """An array as float32 or float64 in the machine's byte order; copied only if it is anything else."""
    array = np.asarray(data)
    single = array.dtype.kind == "f" and array.dtype.itemsize == 4
    return array.astype(np.float32 if single else np.float64, copy=False)


def plane(volume: NDArray[Any], number: int | None, axis: int | None) -> NDArray[Any]:
    """One plane of a volume, perpendicular to an axis; a plane as it is.

    Raises
    ------
    ConfigError
        If the volume has three dimensions, and it is not said which plane.
    """
    if volume.ndim < 3:
        return volume
    if number is None or axis is None:
        raise ConfigError("which plane of the volume is to be drawn?", hint="give slice_ind and axis_")
    return np.asarray(volume.take(number, axis=axis))
