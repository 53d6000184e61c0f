"""Sums of a mixture behind noise in any array library, beside the compiled loops of `noisy_kernels`.

Arrays are (K, T, n): temperatures of many rows lie next to one another, as they do in the data.
"""

from __future__ import annotations

from typing import Any

from xtec.core.arrays import home, like, namespace
from xtec.core.types import Float64Array


def sums(
    rows: Any, noise: Any, frame: Float64Array, model: Float64Array, constant: Float64Array
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """What some rows add to the sums of `NoisyModel.sums`.

    Parameters
    ----------
    rows : array, shape (n, T)
    noise : array, shape (n,)
    frame : array, shape (2, T)
        Centre and unit.
    model : array, shape (3, K, T)
        In the frame: variance, variance for a noise of one, mean.
    constant : array, shape (K,)
        ln of weight and of what does not depend on noise, less the highest of them.

    Returns
    -------
    array, shape (K,)
        Weight of each component.
    array, shape (5, K, T)
        With w the part of a step from the mean that is not noise: w, w step, w^2, w^2 step, and the mean
        square of what is behind the noise.
    array, shape ()
        Of the ln densities.
    """
    xp = namespace(rows)
    step, variance, noisy = _steps(rows, noise, frame, model)
    share, density = _expected(step, variance + noisy, constant)
    kept = variance / (variance + noisy)
    part = share[:, None, :] * kept
    kept *= part
    moved = kept * step
    terms = (part, part * step, kept, moved, moved * step + part * noisy)
    five = xp.stack([xp.sum(term, axis=2) for term in terms])
    return home((xp.sum(share, axis=1), five, xp.sum(density)))


def shares(
    rows: Any, noise: Any, frame: Float64Array, model: Float64Array, constant: Float64Array
) -> tuple[Any, Any]:
    """Responsibilities, shape (K, n), and ln densities, shape (n,); parameters as of `sums`."""
    step, variance, noisy = _steps(rows, noise, frame, model)
    return _expected(step, variance + noisy, constant)


def _steps(rows: Any, noise: Any, frame: Float64Array, model: Float64Array) -> tuple[Any, Any, Any]:
    """Steps from the means (K, T, n); and the variances (K, T, 1) and those of the noise (K, T, n)."""
    xp = namespace(rows)
    centre, unit = (like(one[:, None], rows) for one in frame)
    variance, factor, mean = (like(one[:, :, None], rows) for one in model)
    return (xp.astype(rows.T, xp.float64) - centre) * unit - mean, variance, factor * noise


def _expected(step: Any, variance: Any, constant: Float64Array) -> tuple[Any, Any]:
    """Responsibilities and ln densities of steps with a variance each."""
    xp = namespace(step)
    joint = like(constant[:, None], step) - 0.5 * xp.sum(step * step / variance + xp.log(variance), axis=1)
    top = xp.max(joint, axis=0)
    likelihood = xp.exp(joint - top)
    total = xp.sum(likelihood, axis=0)
    return likelihood / total, top + xp.log(total)
