"""Fixtures: curves of intensity against temperature, as measured."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from xtec.core.types import Float64Array
from xtec.order_parameter.candidates import Curve


@pytest.fixture
def measured() -> Callable[..., Curve]:
    """A curve with Gaussian errors: ``measured(x, truth, sigma, seed)``; without a seed, exact."""

    def make(x: Float64Array, truth: Float64Array, sigma: float, seed: int | None = None) -> Curve:
        noise = 0.0 if seed is None else sigma * np.random.default_rng(seed).standard_normal(len(x))
        return Curve(x, truth + noise, np.full(len(x), sigma))

    return make


@pytest.fixture
def counted() -> Callable[..., Curve]:
    """A curve of counts: ``counted(x, truth, counts, rng)``, `counts` for an intensity of one."""

    def make(x: Float64Array, truth: Float64Array, counts: float, rng: np.random.Generator) -> Curve:
        y = rng.poisson(truth * counts) / counts
        return Curve(x, y, np.sqrt(np.maximum(y, 1 / counts) / counts))

    return make
