"""Fitting every formula of the library to a curve: sparse regression with Tc and other parameters inside."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np
from scipy.optimize import least_squares

from xtec.core.types import Float64Array
from xtec.learned.formulas import ALONE, BACKGROUNDS, CONSTANT, SETTING_IN, Scan, Term

_POLISHED = 6
"""Formulas with Tc that are polished, besides those beside a constant: the best on their grid."""

_CHI2 = 3.84
"""Rise of the misfit over its scale at the ends of a 95 % interval."""

_STEPS, _HALVINGS = 14, 7


@dataclass(frozen=True)
class Weighted:
    """A curve, its points by rising temperature.

    Attributes
    ----------
    scan : Scan
    y, sigma : array, shape (T,)
        Errors of one where they are not known.
    known : bool
    """

    scan: Scan
    y: Float64Array
    sigma: Float64Array
    known: bool

    def scale(self, misfit: float, n_parameters: int) -> float:
        """Variance of a weighted residual: one at least, where errors are known."""
        found = misfit / max(len(self.y) - n_parameters, 1)
        return max(found, 1.0) if self.known else max(found, 1e-300)


@dataclass(frozen=True, eq=False)
class Formula:
    """A sum of terms, fitted.

    Attributes
    ----------
    terms : tuple of Term
        The one that sets in, if any, is the last.
    parameters : tuple of array
        Of each term.
    coefficients : array
        Of all functions of the terms.
    misfit : float
        Weighted sum of squares.
    """

    terms: tuple[Term, ...]
    parameters: tuple[Float64Array, ...]
    coefficients: Float64Array = field(default_factory=lambda: np.empty(0))
    misfit: float = np.inf

    @property
    def sets_in(self) -> bool:
        """Whether a term is zero above Tc."""
        return self.terms[-1].sets_in

    @property
    def tc(self) -> float:
        """Where it sets in."""
        return float(self.parameters[-1][0])

    @property
    def length(self) -> int:
        """Numbers, variables and operations."""
        return sum(one.length for one in self.terms) + len(self.terms) - 1

    @property
    def n_parameters(self) -> int:
        """Numbers that were fitted."""
        return sum(one.n_columns for one in self.terms) + sum(map(len, self.parameters))

    @property
    def text(self) -> str:
        """The formula with its numbers."""
        parts, at = [], 0
        for term, parameters in zip(self.terms, self.parameters, strict=True):
            parts.append(term.written(self.coefficients[at : at + term.n_columns], parameters))
            at += term.n_columns
        return " + ".join(reversed(parts)).replace("+ -", "- ")

    @property
    def gained(self) -> bool:
        """Whether what sets in is positive, a jump in it too."""
        set_in = self.coefficients[-self.terms[-1].n_columns :]
        return bool(set_in[0] > 0 and set_in.sum() > 0)

    def design(self, x: Float64Array) -> Float64Array:
        """Functions (n, p) at temperatures (n,)."""
        pairs = zip(self.terms, self.parameters, strict=True)
        return np.concatenate([term.columns(x, p[None])[0] for term, p in pairs]).T

    def evaluate(self, x: Float64Array) -> Float64Array:
        """The curve at temperatures (n,)."""
        return np.asarray(self.design(x) @ self.coefficients)

    def refitted(self, curve: Weighted) -> Formula:
        """The same with coefficients of least squares."""
        weighted = self.design(curve.scan.x) / curve.sigma[:, None]
        size = np.sqrt((weighted**2).sum(axis=0)) + 1e-300
        solved = np.linalg.lstsq(weighted / size, curve.y / curve.sigma, rcond=1e-10)[0] / size
        left = curve.y / curve.sigma - weighted @ solved
        return replace(self, coefficients=solved, misfit=float(left @ left))

    def criterion(self, curve: Weighted, scale: float) -> float:
        """BIC, up to a constant; `scale` counts where errors are known."""
        n = len(curve.y)
        fit = self.misfit / scale if curve.known else n * np.log(max(self.misfit, 1e-300) / n)
        return float(fit + self.n_parameters * np.log(n))

    def polished(self, curve: Weighted, held: int | None = None) -> Formula:
        """The same with parameters of least squares, but for one (counted over all terms) that is held."""
        flat = np.concatenate(self.parameters)
        ends = [term.bounds(curve.scan) for term in self.terms]
        low, high = (np.concatenate(end) for end in zip(*ends, strict=True))
        free = np.arange(len(flat)) != (-1 if held is None else held)
        if not free.any():
            return self.refitted(curve)
        width = (high - low)[free]

        def at(u: Float64Array) -> Formula:
            moved = flat.copy()
            moved[free] = low[free] + u * width
            return self._with(moved).refitted(curve)

        def left(u: Float64Array) -> Float64Array:
            one = at(u)
            return (curve.y - one.evaluate(curve.scan.x)) / curve.sigma

        start = np.clip((flat[free] - low[free]) / width, 1e-4, 1 - 1e-4)
        found = least_squares(left, start, bounds=(0, 1), max_nfev=25, ftol=1e-7, xtol=1e-7, diff_step=[1e-6])
        best = at(found.x)
        again = self.refitted(curve)
        return best if best.misfit < again.misfit else again

    def _with(self, flat: Float64Array) -> Formula:
        ends = np.cumsum([len(p) for p in self.parameters])[:-1]
        return replace(self, parameters=tuple(np.split(flat, ends)))

    def interval(self, curve: Weighted, number: int) -> tuple[float | None, float | None]:
        """Ends of the 95 % interval of a parameter of the last term, by profile; None where it has no end."""
        which = sum(map(len, self.parameters[:-1])) + number
        low, high = (end[number] for end in self.terms[-1].bounds(curve.scan))
        scale = curve.scale(self.misfit, self.n_parameters)
        centre = float(self.parameters[-1][number])
        first = 2e-4 * (high - low)

        def inside(value: float) -> bool:
            flat = np.concatenate(self.parameters)
            flat[which] = value
            return self._with(flat).polished(curve, which).misfit < self.misfit + _CHI2 * scale

        return _end(centre, low, -first, inside), _end(centre, high, first, inside)


def _end(centre: float, limit: float, step: float, inside: Callable[[float], bool]) -> float | None:
    """Where a profile leaves its interval: steps that double, then halves."""
    near, far = centre, centre
    for _ in range(_STEPS):
        far = centre + step
        if (far - limit) * step >= 0:
            if inside(limit):
                return None
            far = limit
            break
        if not inside(far):
            break
        near, step = far, 2 * step
    for _ in range(_HALVINGS):
        middle = (near + far) / 2
        near, far = (middle, far) if inside(middle) else (near, middle)
    return (near + far) / 2


def formulas(curve: Weighted) -> list[Formula]:
    """The best of every formula without Tc, and of those with Tc that fit best."""
    smooth = [_best(curve, terms).polished(curve) for terms in ALONE]
    onsets = [one for background in BACKGROUNDS for one in _with_onsets(curve, background)]
    scale = min(curve.scale(one.misfit, one.n_parameters) for one in [*smooth, *onsets])
    onsets.sort(key=lambda one: one.criterion(curve, scale))
    plain = [one for one in onsets if len(one.terms) == 2 and one.terms[0] is CONSTANT]
    others = [one for one in onsets if one not in plain]
    return [*smooth, *(one.polished(curve) for one in plain + others[:_POLISHED])]


def _starts(terms: Sequence[Term], scan: Scan) -> Iterator[tuple[Float64Array, ...]]:
    yield from product(*(term.starts(scan) for term in terms))


def _best(curve: Weighted, terms: tuple[Term, ...]) -> Formula:
    tried = (Formula(terms, start).refitted(curve) for start in _starts(terms, curve.scan))
    return min(tried, key=lambda one: one.misfit)


def _with_onsets(curve: Weighted, background: tuple[Term, ...]) -> Iterator[Formula]:
    """For each term that sets in, beside this background, the best on the grid of their parameters."""
    x, y = curve.scan.x, curve.y / curve.sigma
    for term in SETTING_IN:
        starts = term.starts(curve.scan)
        columns = term.columns(x, starts) / curve.sigma
        best: tuple[float, Formula] | None = None
        for beside in _starts(background, curve.scan):
            alone = Formula(background, beside)
            basis, _ = np.linalg.qr(alone.design(x) / curve.sigma[:, None])
            misfit = _misfits(columns - (columns @ basis) @ basis.T, y - basis @ (basis.T @ y))
            at = int(misfit.argmin())
            if best is None or misfit[at] < best[0]:
                best = float(misfit[at]), Formula((*background, term), (*beside, starts[at]))
        if best is not None and np.isfinite(best[0]):
            yield best[1].refitted(curve)


def _misfits(columns: Float64Array, y: Float64Array) -> Float64Array:
    """Sums of squares (N,) that functions (N, c, n) leave of y, infinite where the first is not positive."""
    gram = columns @ columns.transpose(0, 2, 1)
    drive = columns @ y
    size = np.einsum("ncc->n", gram) + 1e-300
    solved = np.linalg.solve(gram + 1e-10 * size[:, None, None] * np.eye(gram.shape[1]), drive[..., None])[
        ..., 0
    ]
    fine = (solved[:, 0] > 0) & (solved.sum(axis=1) > 0)
    return np.where(fine, y @ y - np.einsum("nc,nc->n", solved, drive), np.inf)
