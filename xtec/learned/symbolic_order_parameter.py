"""A short formula for the curve of an order parameter, with Tc inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from xtec.core.errors import ConfigError, InputError
from xtec.core.order import CurveReading
from xtec.core.quantities import Quantity
from xtec.learned.curve_points import checked_points, errors_are_known
from xtec.learned.formula_search import Formula, Weighted, formulas
from xtec.learned.formulas import CROSSOVER, POWER_LAW, Scan
from xtec.order_parameter.fit import LEAST_RISE, LEAST_TEMPERATURES

_NEAR = 4.0
"""BIC by which a formula may be worse than the chosen one and still widen its intervals."""

_MOST_NEAR = 2
_MODEL_POINTS = 200

_ABOVE, _FEWEST_ABOVE = 0.05, 3
"""Of the scan's range, what must lie above Tc; and temperatures there."""


class SymbolicOrderParameter(BaseEstimator):
    """The shortest formula that describes a curve, and what it says of Tc and beta.

    Sums of terms from a library (`xtec.learned.formulas`: polynomials, exp, tanh, Bose and Curie-Weiss
    factors, and one term that sets in at Tc) are fitted by least squares, with Tc and all that is in a term
    inside. There is a transition if a formula with Tc has a BIC lower by `evidence` than every one without.
    Of those with Tc, else of those without, the ones that no other beats in both length and error are listed;
    from the shortest on, a longer one is chosen where it lowers the BIC by `evidence`.

    Parameters
    ----------
    evidence : float
        BIC by which a longer formula must beat a shorter one, and one with Tc all without.

    References
    ----------
    Udrescu & Tegmark, Science Advances 6, eaay2631 (2020), arXiv:1905.11481. Brunton, Proctor & Kutz, PNAS
    113, 3932 (2016).
    """

    def __init__(self, *, evidence: float = 10.0) -> None:
        self.evidence = evidence

    def fit(self, temperature: ArrayLike, intensity: ArrayLike, sigma: ArrayLike) -> CurveReading:
        """Read one curve.

        Parameters
        ----------
        temperature, intensity, sigma : array, shape (T,)
            In K, in any order; standard errors. Where one of these is not above zero the errors of all are
            found from the curve. Points whose intensity is not finite are left out.

        Returns
        -------
        CurveReading
            Facts: ``formulas``, each with its text, terms, length, error (root mean square of the residuals,
            in standard errors where these are known), BIC over the least, and whether it was chosen; and
            ``power_law`` and ``without_tc``, the same of the best power law and of the best without Tc.

        Raises
        ------
        ConfigError
            If `evidence` is negative.
        InputError
            If shapes differ, or a temperature is not finite or not above zero.
        """
        if not self.evidence >= 0:
            raise ConfigError(
                f"evidence must be 0 or more, got {self.evidence}", hint="10 is strong evidence"
            )
        rows = checked_points(temperature, intensity, sigma)
        if np.unique(rows[0]).size < LEAST_TEMPERATURES:
            few = f"fewer than {LEAST_TEMPERATURES} temperatures"
            return CurveReading("none", reason=f"{few}: a formula with Tc cannot be told from one without")
        if rows[0].min() <= 0:
            raise InputError(
                "formulas are of temperatures above 0 K", hint="--method gp-order-parameter takes any scan"
            )
        known = errors_are_known(rows)
        x, y, errors = rows[:, np.argsort(rows[0], kind="stable")]
        return self._reading(Weighted(Scan(x), y, errors if known else np.ones_like(x), known))

    def _reading(self, curve: Weighted) -> CurveReading:
        found = formulas(curve)
        scale = min(curve.scale(one.misfit, one.n_parameters) for one in found)
        bic = {one: one.criterion(curve, scale) for one in found}
        calm = min((one for one in found if not one.sets_in), key=bic.__getitem__)
        sound = [one for one in found if one.sets_in and _sound(one, curve)]
        best = min(sound, key=bic.__getitem__, default=None)
        orders = best is not None and bic[calm] - bic[best] >= self.evidence
        listed = pareto(sound if orders else [one for one in found if not one.sets_in])
        chosen = listed[0]
        for one in listed[1:]:
            if bic[chosen] - bic[one] >= self.evidence:
                chosen = one
        facts = self._facts(listed, chosen, found, bic, curve)
        x = np.linspace(curve.scan.x[0], curve.scan.x[-1], _MODEL_POINTS)
        model = np.stack([x, chosen.evaluate(x)], axis=1)
        if orders:
            near = [one for one in sound if one is not chosen and bic[one] - bic[chosen] < _NEAR]
            near = sorted(near, key=bic.__getitem__)[:_MOST_NEAR]
            jump = chosen.terms[-1].exponent is None and not chosen.terms[-1].free_exponent
            kind = "first-order" if jump else "second-order"
            reason = f"{chosen.text} describes it better than every formula without Tc"
            beta = None if jump else _beta(chosen, near, curve)
            return CurveReading(kind, _tc([chosen, *near], curve), beta, reason, model, facts)
        if _crosses_over(chosen, curve) and _only_so(chosen, bic, self.evidence):
            reason = f"{chosen.text} describes it better than other smooth formulas"
            return CurveReading("crossover", _tc([chosen], curve), None, reason, model, facts)
        return CurveReading("none", reason=f"{chosen.text} describes it without Tc", model=model, facts=facts)

    def _facts(
        self,
        listed: Sequence[Formula],
        chosen: Formula,
        found: Sequence[Formula],
        bic: dict[Formula, float],
        curve: Weighted,
    ) -> dict[str, Any]:
        least = min(bic.values())

        def told(one: Formula) -> dict[str, Any]:
            error = float(np.sqrt(one.misfit / len(curve.y)))
            terms = [term.name for term in reversed(one.terms)]
            return {
                "text": one.text,
                "terms": terms,
                "length": one.length,
                "error": error,
                "bic": bic[one] - least,
            }

        laws = [one for one in found if one.terms[-1] is POWER_LAW]
        law = min(laws, key=bic.__getitem__, default=None)
        return {
            "formulas": [{**told(one), "chosen": one is chosen} for one in listed],
            "power_law": told(law) if law is not None else None,
            "without_tc": told(min((one for one in found if not one.sets_in), key=bic.__getitem__)),
        }


def pareto(found: Sequence[Formula]) -> list[Formula]:
    """Formulas that no other beats in both length and misfit, by rising length."""
    listed: list[Formula] = []
    for one in sorted(found, key=lambda one: (one.length, one.misfit)):
        if not listed or one.misfit < listed[-1].misfit * (1 - 1e-9):
            listed.append(one)
    return listed


def _sound(one: Formula, curve: Weighted) -> bool:
    """Whether what sets in is positive, a tenth or more of the intensity at the lowest temperature, and gone.

    What still falls at the highest temperatures is any smooth fall: some of the scan must lie above Tc.
    """
    x, low = curve.scan.x, curve.scan.x[:1]
    if x[-1] - one.tc < _ABOVE * (x[-1] - x[0]) or np.unique(x[x > one.tc]).size < _FEWEST_ABOVE:
        return False
    gained = float((one.design(low)[0] * one.coefficients)[-one.terms[-1].n_columns :].sum())
    return one.gained and gained >= LEAST_RISE * max(float(one.evaluate(low)[0]), 0.0)


def _crosses_over(one: Formula, curve: Weighted) -> bool:
    """Whether it is a fall at whose ends the curve levels off inside the scan."""
    if one.terms[-1] is not CROSSOVER or one.coefficients[-1] <= 0:
        return False
    middle, width = one.parameters[-1]
    low, high = curve.scan.span
    level = float(one.evaluate(curve.scan.x[:1])[0])
    return bool(
        low < middle - width and middle + width < high and 2 * one.coefficients[-1] > LEAST_RISE * level
    )


def _only_so(chosen: Formula, bic: dict[Formula, float], evidence: float) -> bool:
    others = [value for one, value in bic.items() if not one.sets_in and one.terms[-1] is not CROSSOVER]
    return min(others) - bic[chosen] >= evidence


def _tc(one: Sequence[Formula], curve: Weighted) -> Quantity:
    """Tc of the first formula, in an interval that holds those of all."""
    low, high = _union([each.interval(curve, 0) for each in one])
    return Quantity(one[0].tc, low, high, "K")


def _beta(chosen: Formula, near: Sequence[Formula], curve: Weighted) -> Quantity:
    """Half the exponent close to Tc; without an interval where every formula has a fixed one."""
    known = [one for one in (chosen, *near) if _exponent(one) is not None]
    value = float(_exponent(chosen) or 0.0) / 2
    if not any(one.terms[-1].free_exponent for one in known):
        return Quantity(value)
    ends = [
        one.interval(curve, 1) if one.terms[-1].free_exponent else (_exponent(one), _exponent(one))
        for one in known
    ]
    low, high = _union(ends)
    return Quantity(value, None if low is None else low / 2, None if high is None else high / 2)


def _exponent(one: Formula) -> float | None:
    term = one.terms[-1]
    return float(one.parameters[-1][1]) if term.free_exponent else term.exponent


def _union(ends: Sequence[tuple[float | None, float | None]]) -> tuple[float | None, float | None]:
    lows, highs = zip(*ends, strict=True)
    low = None if any(end is None for end in lows) else float(min(end for end in lows if end is not None))
    high = None if any(end is None for end in highs) else float(max(end for end in highs if end is not None))
    return low, high
