"""The most likely boundary, and how much the transitions scatter about it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from xtec.core.types import Float64Array
from xtec.phase_diagram.likelihood import BEND, Likelihood

_NODES = 53
_DEMAND = 0.3
"""Scatter is added where errors alone leave so much with a smaller probability. Asked for less readily, one
as large as the errors goes unseen too often when points are few, and intervals come out short."""

_FLAT = 1e-9
_ROOM = 1e-2


@dataclass(frozen=True)
class Maximum:
    """The most likely boundary.

    Attributes
    ----------
    likelihood : Likelihood
        Its errors hold the scatter.
    u, p : array, shape (1,) and (1, k)
        As in `Likelihood`.
    chi2 : float
        -2 ln L.
    scatter : float
        Standard deviation beyond the errors.
    chance : float
        Probability of so large a chi-square as the transitions leave without scatter.
    """

    likelihood: Likelihood
    u: Float64Array
    p: Float64Array
    chi2: float
    scatter: float = 0.0
    chance: float = 1.0

    @property
    def n_parameters(self) -> int:
        """Three, or two where phi is given."""
        return 1 + int(self.p.shape[1])

    @property
    def freedom(self) -> int:
        """Transitions less parameters."""
        return int(np.sum(~self.likelihood.evidence.censored)) - self.n_parameters

    @property
    def misfit(self) -> float:
        """Chi-square of the transitions."""
        evidence = self.likelihood.evidence
        residual, _ = evidence.residuals(self.likelihood.curve(self.u, self.p, evidence.x))
        return float(np.sum(residual[0, ~evidence.censored] ** 2))

    @property
    def unbent(self) -> bool:
        """Whether the boundary ends nowhere near."""
        return bool(self.u[0] > BEND[1] - _ROOM)

    @property
    def falls(self) -> bool:
        """Whether Tc falls with x."""
        return not self.unbent if self.likelihood.phi is not None else bool(self.p[0, 1] > _FLAT)

    @property
    def reach(self) -> float:
        """How far -2 ln L may lie above its lowest inside a 95 % region of one parameter."""
        from scipy.special import ndtri, stdtrit

        widest = stdtrit(self.freedom, 0.975) if self.scatter > 0 else ndtri(0.975)
        return float(widest**2)


def maximise(likelihood: Likelihood) -> Maximum:
    """Most likely boundary; where errors do not explain the transitions, with a scatter that does.

    The scatter makes the transitions' chi-square equal to their degrees of freedom.
    """
    from scipy.special import chdtrc

    most = _refine(_scan(likelihood))
    chance = float(chdtrc(most.freedom, most.misfit)) if most.freedom > 0 else 1.0
    scatter = _scatter(most) if chance < _DEMAND else 0.0
    if scatter > 0:
        most = _refine(_scan(replace(likelihood, evidence=likelihood.evidence.scattered(scatter))))
    return replace(most, scatter=scatter, chance=chance)


def _scan(likelihood: Likelihood) -> Maximum:
    nodes = np.linspace(*BEND, _NODES)
    p, chi2, _ = likelihood.best_given(nodes)
    best = int(np.argmin(chi2))
    return Maximum(likelihood, nodes[best : best + 1], p[best : best + 1], float(chi2[best]))


def _refine(start: Maximum) -> Maximum:
    """Least squares over all parameters together."""
    from lmfit import Parameters, minimize

    likelihood, evidence = start.likelihood, start.likelihood.evidence
    parameters = Parameters()
    parameters.add("u", start.u[0], min=BEND[0], max=BEND[1])
    for i, value in enumerate(start.p[0]):
        parameters.add(f"p{i}", value)

    def residuals(these: Parameters) -> Float64Array:
        values = np.array([list(these.valuesdict().values())])
        return evidence.residuals(likelihood.curve(values[:, 0], values[:, 1:], evidence.x)[0])[0]

    exact = {"ftol": 1e-14, "xtol": 1e-14, "gtol": 1e-14}
    # The covariance that comes with it is not used; where a parameter is at its bound, it divides by zero.
    with np.errstate(invalid="ignore", divide="ignore"):
        fitted = minimize(residuals, parameters, method="least_squares", **exact)
    if fitted.chisqr >= start.chi2:
        return start
    values = np.array([list(fitted.params.valuesdict().values())])
    return Maximum(likelihood, values[:, 0], values[:, 1:], float(fitted.chisqr))


def _scatter(most: Maximum) -> float:
    from scipy.optimize import brentq

    evidence = most.likelihood.evidence
    low, high = np.log(1e-2 * evidence.below.min()), np.log(10 * evidence.tc.max())

    def excess(log_scatter: float) -> float:
        scattered = evidence.scattered(float(np.exp(log_scatter)))
        return _scan(replace(most.likelihood, evidence=scattered)).misfit / most.freedom - 1

    return float(np.exp(brentq(excess, low, high, xtol=1e-2))) if excess(low) > 0 else 0.0
