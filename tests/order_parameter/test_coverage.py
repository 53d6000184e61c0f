"""How often the 95 % intervals of Tc and beta hold the planted ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binom

from xtec.order_parameter.candidates import Curve
from xtec.order_parameter.fit import fit_curve
from xtec.order_parameter.models import onset


@pytest.mark.parametrize("n", [50, pytest.param(400, marks=pytest.mark.slow)])
def test_intervals_hold_the_truth_in_about_ninety_five_of_a_hundred(
    counted: Callable[..., Curve], n: int
) -> None:
    """Bounds are the 0.1 % ends of a binomial of 92.5 to 98.5 %: model and profile are not exact."""
    held_tc, held_beta, errors = [], [], []
    for i in range(n):
        rng = np.random.default_rng([i, n])
        x = np.linspace(30, 220, int(rng.integers(14, 40)))
        spacing = x[1] - x[0]
        tc, beta = rng.uniform(x[3], x[-4]), rng.uniform(0.1, 0.5)
        background = rng.uniform(0.1, 2) * (1 - rng.uniform(0, 0.2) * x / 220)
        truth = background + rng.uniform(1, 10) * onset(x, tc, beta, 0.0)
        fit = fit_curve(counted(x, truth, 10 ** rng.uniform(2.5, 4.5), rng))
        if fit.orders:
            held_tc.append(fit.tc[0].holds(tc))
            held_beta.append(fit.beta[0] is not None and fit.beta[0].holds(beta))
            errors.append(abs(fit.tc[0].value - tc) / spacing)
    found = len(errors)
    assert found > 0.9 * n
    least, most = binom.ppf(0.001, found, 0.925), binom.ppf(0.999, found, 0.985)
    assert least <= sum(held_tc) <= most
    assert least <= sum(held_beta) <= most
    assert np.median(errors) < 0.5
