"""Tc in any unit of the scan."""

from __future__ import annotations

import numpy as np
import pytest

from xtec.order_parameter.candidates import SMEARED, Curve
from xtec.order_parameter.fit import fit_curve


def curve(unit: float, width: float) -> Curve:
    """An onset at 12.5 of 1, 2, ... 24 units, smeared by a Gaussian."""
    x, z = np.arange(1.0, 25.0), np.linspace(-3, 3, 121)
    tc, weight = 12.5 + width * z, np.exp(-(z**2) / 2)
    y = 1 + 100 * np.clip(1 - x[:, None] / tc, 0, None) ** 0.7 @ (weight / weight.sum())
    return Curve(unit * x, y + np.random.default_rng(0).normal(0, 0.3, x.size), np.full(x.size, 0.3))


@pytest.mark.parametrize("width", [0.0, 2.0])
def test_unit_of_the_scan(width: float) -> None:
    """Picoseconds in seconds lie closer together than what lmfit takes for two bounds."""
    plain = fit_curve(curve(1.0, width))
    assert plain.tc[0].low < 12.5 < plain.tc[0].high
    assert (plain.best.kind == SMEARED) == (width > 0)
    for unit in (1e-15, 1e-12, 1e12):
        found = fit_curve(curve(unit, width))
        assert found.best.kind == plain.best.kind
        ends = np.array([found.tc[0].value, found.tc[0].low, found.tc[0].high]) / unit
        assert ends == pytest.approx([plain.tc[0].value, plain.tc[0].low, plain.tc[0].high], rel=0.01)
        assert found.beta[0].value == pytest.approx(plain.beta[0].value, rel=0.02)
        if width:
            assert found.width.value / unit == pytest.approx(plain.width.value, rel=0.02)
