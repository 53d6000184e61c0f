"""Trajectories with known classes, for benchmarks of learned components."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def shapes(n_temperatures: int = 21) -> NDArray[np.float64]:
    """Six shapes of trajectories: constant, Debye-Waller, growing, two order parameters, a step."""
    x = np.linspace(0.1, 1.6, n_temperatures)
    return np.stack(
        [
            np.ones_like(x),
            3 * np.exp(-0.25 * x**2),
            1 + 0.6 * x,
            1 + 2 * np.maximum(1 - x, 0) ** 0.7,
            1 + 2 * np.maximum(1 - x / 0.6, 0) ** 0.5,
            1 + 1.5 * (x > 0.8),
        ]
    )


def counted(k: int, n: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Poisson counts of k of these shapes, of any brightness and strength, rescaled; and their classes."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(k, n, p=rng.dirichlet(np.full(k, 4.0)))
    base = shapes()[kind]
    base /= base.mean(axis=1, keepdims=True)
    strength, brightness = rng.lognormal(0, 0.15, (n, 1)), rng.lognormal(np.log(200), 0.7, (n, 1))
    counts = rng.poisson(np.maximum(1 + (base - 1) * strength, 0.02) * brightness) + 1e-3
    return (counts / counts.mean(axis=1, keepdims=True) - 1).astype(np.float32), kind


def overlapping(n: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Four classes that run into each other: Debye-Waller, order parameters of two spread Tc, growing."""
    rng = np.random.default_rng(seed)
    x = np.linspace(0.1, 1.6, 21)
    kind = rng.choice(4, n, p=[0.45, 0.25, 0.15, 0.15])
    tc = np.where(kind == 1, 1.0, 0.75) * (1 + 0.06 * rng.standard_normal(n))
    strength = rng.lognormal(0, 0.4, n)[:, None]
    order = 1 + strength * np.maximum(1 - x / tc[:, None], 0) ** 0.7
    steady, grows = 3 * np.exp(-0.15 * strength * x**2), 1 + 0.5 * strength * x
    clean = np.where((kind == 0)[:, None], steady, np.where((kind == 3)[:, None], grows, order))
    noisy = clean + 0.25 * rng.standard_normal(clean.shape) * np.sqrt(clean / 2)
    return (noisy / noisy.mean(axis=1, keepdims=True) - 1).astype(np.float32), kind
