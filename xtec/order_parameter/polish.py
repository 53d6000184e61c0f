"""From a point of a grid to the least sum of squares, by lmfit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from xtec.core.types import Float64Array
from xtec.order_parameter.candidates import Candidate, Curve

if TYPE_CHECKING:
    from lmfit import Parameters
    from lmfit.minimizer import MinimizerResult

_BETAS = (0.03, 1.2)
_MOST_EVALUATIONS = 600
_MOST_STEPS = 25
_CLOSE = 1e-9
"""lmfit takes bounds closer than 1e-13 for the same: a narrower scan is fitted in units of itself."""

_RISE = 1.96
"""Root of the rise of the sum of squares at the end of a 95 % interval."""


def polished(one: Candidate, curve: Curve) -> Candidate:
    """The same onset with Tc, beta and smearing moved to the least sum of squares."""
    from lmfit import minimize

    found = minimize(_residual, _start(one, curve), args=(one, curve), max_nfev=_MOST_EVALUATIONS)
    moved = _placed(one, found.params.valuesdict(), _unit(curve)).refitted(curve)
    better = moved.misfit < one.misfit and bool((moved.rises > 0).all())
    return moved if better else one


Profiled = tuple[float, float | None, float | None]
"""A value and the ends of its interval."""


def profiled(one: Candidate, curve: Curve, scale: float) -> dict[str, Profiled]:
    """Value and 95 % interval of each nonlinear parameter, from the profile of the sum of squares.

    Parameters
    ----------
    one : Candidate
        At its least sum of squares.
    curve : Curve
    scale : float
        Variance about the fit over that of counting.

    Returns
    -------
    dict
        By name: ``tc0``, ``beta0``, ``width``, ... An end that the scan does not reach is None.
    """
    from lmfit import minimize

    kept = replace(curve, sigma=curve.sigma * np.sqrt(scale))
    best = minimize(_residual, _start(one, kept), args=(one, kept), scale_covar=False)

    found: dict[str, Profiled] = {}
    for name in best.var_names:
        unit = 1.0 if name.startswith("beta") else _unit(curve)
        low, high = (_end(name, side, best, one, kept) for side in (-1, 1))
        found[name] = (
            unit * float(best.params[name].value),
            None if low is None else unit * low,
            None if high is None else unit * high,
        )
    return found


def _end(name: str, sign: int, best: MinimizerResult, one: Candidate, curve: Curve) -> float | None:
    """Where the least sum of squares over the others has risen by 3.84, on one side; None if nowhere.

    Steps start at the standard error and grow; the end is interpolated in the root of the rise.
    """
    from lmfit import minimize

    fixed = best.params.copy()
    low, high = fixed[name].min, fixed[name].max
    value, before = float(fixed[name].value), 0.0
    step = fixed[name].stderr or 0.02 * (high - low)
    for _ in range(_MOST_STEPS):
        reached = value + sign * step
        if not low < reached < high:
            return None
        fixed[name].set(value=reached, vary=False)
        found = minimize(_residual, fixed, args=(one, curve), max_nfev=_MOST_EVALUATIONS)
        rise = float(np.sqrt(max(found.chisqr - best.chisqr, 0.0)))
        if rise >= _RISE:
            return float(value + sign * step * (_RISE - before) / max(rise - before, 1e-12))
        for other in best.var_names:
            if other != name:
                fixed[other].set(value=found.params[other].value)
        value, before, step = reached, rise, step * (1.5 if rise < _RISE / 2 else 1.0)
    return None


def _start(one: Candidate, curve: Curve) -> Parameters:
    from lmfit import Parameters

    unit = _unit(curve)
    low, high = (end / unit for end in curve.span)
    start = Parameters()
    for number, (tc, beta) in enumerate(zip(one.tc, one.beta, strict=True)):
        start.add(f"tc{number}", tc / unit, min=low, max=high)
        start.add(f"beta{number}", beta, min=_BETAS[0], max=_BETAS[1])
    start.add("width", one.width / unit, min=0.0, max=2 * (high - low), vary=one.width > 0)
    return start


def _unit(curve: Curve) -> float:
    """Of Tc and width as lmfit has them."""
    width = curve.span[1] - curve.span[0]
    return width if width < _CLOSE else 1.0


def _placed(one: Candidate, values: Mapping[str, float], unit: float) -> Candidate:
    tc = tuple(unit * float(values[f"tc{i}"]) for i in range(len(one.tc)))
    beta = tuple(float(values[f"beta{i}"]) for i in range(len(one.tc)))
    return replace(one, tc=tc, beta=beta, width=unit * float(values["width"]))


def _residual(parameters: Parameters, one: Candidate, curve: Curve) -> Float64Array:
    moved = _placed(one, parameters.valuesdict(), _unit(curve))
    return curve.residual(moved.design(curve.x, curve))
