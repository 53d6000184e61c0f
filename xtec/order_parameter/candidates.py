"""What a curve may be: an onset, with a tail or smeared, a jump, two onsets, or a smooth curve.

Each is fitted by weighted least squares and judged by ``misfit / scale + p ln n`` (BIC), p its parameters and
n the number of temperatures.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise, product

import numpy as np

from xtec.core.types import Float64Array
from xtec.order_parameter.grid import ROUNDINGS, TAIL_SHARE, OnsetGrid
from xtec.order_parameter.models import onset, smeared_onset, step, tail

SMOOTH, SECOND_ORDER, SMEARED, FIRST_ORDER, TWO = (
    "smooth",
    "second-order",
    "smeared",
    "first-order",
    "two transitions",
)
_HIGHEST_DEGREE = 12
_POINTS_PER_DEGREE = 4
_BELOW = tuple(np.geomspace(0.01, 1.0, 17))
"""Weiss temperatures below the lowest temperature, as shares of the range."""

_WIDTHS = (0.01, 0.03, 0.08, 0.15)
"""Smearing that is tried, as a share of Tc."""

_BETA_FACTORS = (0.6, 0.8, 1.0, 1.25, 1.6)

_COARSE_BETA = np.array([0.06, 0.09, 0.12, 0.16, 0.2, 0.25, 0.3, 0.36, 0.43, 0.5, 0.6, 0.8, 1.0])
SATURATIONS = (1.0, 1.5, 2.2, 3.3, 5.0)
_MOST_TC = 240


@dataclass(frozen=True)
class Curve:
    """One curve with its errors.

    Attributes
    ----------
    x : array, shape (T,)
        Temperatures, rising (values may repeat).
    y : array, shape (T,)
    sigma : array, shape (T,)
        Standard errors from counting.
    """

    x: Float64Array
    y: Float64Array
    sigma: Float64Array

    @property
    def low(self) -> float:
        """Lowest temperature."""
        return float(self.x[0])

    @property
    def span(self) -> tuple[float, float]:
        """Between which temperatures an onset can be told: two at least on either side."""
        distinct = np.unique(self.x)
        return float(distinct[1]), float(distinct[-2])

    def least_squares(self, columns: Float64Array) -> tuple[Float64Array, float]:
        """Coefficients of columns (T, p), and the weighted sum of squares left."""
        weighted = columns / self.sigma[:, None]
        coefficients = np.asarray(np.linalg.lstsq(weighted, self.y / self.sigma, rcond=None)[0], np.float64)
        left = self.y / self.sigma - weighted @ coefficients
        return coefficients, float(left @ left)

    def residual(self, columns: Float64Array) -> Float64Array:
        """Weighted residuals (T,) of the least squares of columns (T, p)."""
        basis, _ = np.linalg.qr(columns / self.sigma[:, None])
        y = self.y / self.sigma
        return np.asarray(y - basis @ (basis.T @ y))


@dataclass(frozen=True, eq=False)
class Candidate:
    """One kind of curve, fitted.

    Attributes
    ----------
    kind : str
    misfit : float
        Weighted sum of squares.
    n_parameters : int
    tc, beta : tuple of float
        One for each onset.
    width : float
        Smearing, standard deviation of Tc.
    rounding : float
        Of the tail; 0 without one.
    saturation : float
        See `models.onset`.
    weiss : float, optional
        A smooth curve is ``c0 + c1 x + c2 / (x - weiss)`` with this Weiss temperature, else a polynomial.
    coefficients : array
        Of the columns of `design`.
    """

    kind: str
    misfit: float
    n_parameters: int
    tc: tuple[float, ...] = ()
    beta: tuple[float, ...] = ()
    width: float = 0.0
    rounding: float = 0.0
    saturation: float = 1.0
    weiss: float | None = None
    coefficients: Float64Array = field(default_factory=lambda: np.empty(0))

    def criterion(self, n: int, scale: float) -> float:
        """BIC, up to a constant."""
        return self.misfit / scale + self.n_parameters * float(np.log(n))

    def design(self, x: Float64Array, curve: Curve) -> Float64Array:
        """Columns (len(x), p): what orders first, then the tail, then the background."""
        span = float(np.ptp(curve.x)) or 1.0
        u = (x - curve.low) / span
        if self.weiss is not None:
            return np.stack([1.0 / (x - self.weiss), np.ones_like(x), u], axis=1)
        if self.kind == SMOOTH:
            return np.asarray(np.polynomial.legendre.legvander(2 * u - 1, self.n_parameters - 1))
        if self.kind == FIRST_ORDER:
            columns = list(step(x, self.tc[0], curve.low))
        elif self.kind == SMEARED:
            columns = [smeared_onset(x, self.tc[0], self.beta[0], self.width, curve.low, self.saturation)]
        else:
            pairs = zip(self.tc, self.beta, strict=True)
            columns = [onset(x, tc, beta, curve.low, self.saturation) for tc, beta in pairs]
        if self.rounding:
            columns.append(tail(x, self.tc[0], self.rounding))
        return np.stack([*columns, np.ones_like(x), u], axis=1)

    def refitted(self, curve: Curve) -> Candidate:
        """The same with the coefficients and the misfit of least squares."""
        coefficients, misfit = curve.least_squares(self.design(curve.x, curve))
        return replace(self, misfit=misfit, coefficients=coefficients)

    def evaluate(self, x: Float64Array, curve: Curve) -> Float64Array:
        """The curve at other temperatures."""
        return np.asarray(self.design(x, curve) @ self.coefficients)

    @property
    def rises(self) -> Float64Array:
        """Intensity gained at the lowest temperature by each onset, or by the jump and what follows it."""
        if self.kind == FIRST_ORDER:
            return np.array([self.coefficients[:2].sum()])
        return np.asarray(self.coefficients[: len(self.tc)])


def smooth(curve: Curve) -> Iterator[Candidate]:
    """Polynomials, up to a degree for every four temperatures; fluctuations of an order below the scan."""
    for degree in range(min(_HIGHEST_DEGREE, np.unique(curve.x).size // _POINTS_PER_DEGREE) + 1):
        yield Candidate(SMOOTH, np.inf, degree + 1).refitted(curve)
    for share in _BELOW:
        weiss = curve.low - share * float(np.ptp(curve.x))
        yield Candidate(SMOOTH, np.inf, 4, weiss=weiss).refitted(curve)


def start_grid(curve: Curve, beta: Float64Array = _COARSE_BETA, saturation: float = 1.0) -> OnsetGrid:
    """Onsets over the whole range, six to a spacing unless temperatures are very many."""
    low, high = curve.span
    distinct = np.unique(curve.x)
    distinct = distinct[(distinct >= low) & (distinct <= high)]
    parts = max(1, min(6, _MOST_TC // max(len(distinct) - 1, 1)))
    places = np.arange(parts * (len(distinct) - 1)) / parts + 0.5 / parts
    tc = np.interp(places, np.arange(len(distinct)), distinct)
    return OnsetGrid(curve.x, curve.sigma, tc[:: -(-len(tc) // _MOST_TC)], beta, saturation)


def one_onset(curve: Curve) -> Iterator[Candidate]:
    """An onset alone, and with a tail where that is above zero; for each saturation."""
    for saturation in SATURATIONS:
        yield from _one_onset(curve, start_grid(curve, saturation=saturation))


def _one_onset(curve: Curve, grid: OnsetGrid) -> Iterator[Candidate]:
    plain = grid.solve(curve.y[None], None)
    at = np.unravel_index(int(plain.misfit[0].argmin()), plain.misfit[0].shape)
    if not np.isfinite(plain.misfit[0][at]):
        return
    more = int(grid.saturation != 1.0)
    tc, beta = (float(grid.tc[at[0]]),), (float(grid.beta[at[1]]),)
    yield Candidate(SECOND_ORDER, np.inf, 5 + more, tc, beta, saturation=grid.saturation).refitted(curve)
    tailed = grid.solve(curve.y[None], np.array([TAIL_SHARE * plain.rise[0][at]]))
    at = np.unravel_index(int(tailed.misfit[0].argmin()), tailed.misfit[0].shape)
    number = int(tailed.rounding[0][at])
    if number >= 0:
        tc, beta = (float(grid.tc[at[0]]),), (float(grid.beta[at[1]]),)
        rounding = float(ROUNDINGS[number])
        made = Candidate(SECOND_ORDER, np.inf, 7 + more, tc, beta, 0.0, rounding, grid.saturation)
        yield made.refitted(curve)


def smeared(curve: Curve, around: Candidate) -> Iterator[Candidate]:
    """Onsets with a distribution of Tc, looked for around an onset without one."""
    spacing = float(np.median(np.diff(np.unique(curve.x))))
    n_parameters = 6 + (around.saturation != 1.0)
    for share in _WIDTHS:
        width = share * max(abs(around.tc[0]), 0.5 * float(np.ptp(curve.x)))
        shifts = np.linspace(-2, 2, 9) * max(width, 0.5 * spacing)
        for shift, factor in product(shifts, _BETA_FACTORS):
            tc, beta = float(around.tc[0] + shift), float(around.beta[0] * factor)
            if curve.span[0] < tc < curve.span[1]:
                tried = replace(
                    around,
                    kind=SMEARED,
                    n_parameters=n_parameters,
                    tc=(tc,),
                    beta=(beta,),
                    width=width,
                    rounding=0.0,
                ).refitted(curve)
                if tried.coefficients[0] > 0:
                    yield tried


def jump(curve: Curve) -> Iterator[Candidate]:
    """A jump between two neighbouring temperatures, and growth below it."""
    distinct = np.unique(curve.x)
    for below, above in pairwise(distinct[1:-1]):
        tried = Candidate(FIRST_ORDER, np.inf, 5, (float(below + above) / 2,)).refitted(curve)
        if tried.coefficients[1] < 0:
            (jumped, *line), misfit = curve.least_squares(np.delete(tried.design(curve.x, curve), 1, axis=1))
            coefficients = np.array([jumped, 0.0, *line])
            tried = Candidate(FIRST_ORDER, misfit, 4, tried.tc, coefficients=coefficients)
        if tried.coefficients[0] > 0.5 * tried.rises[0] > 0:
            yield tried


def two_onsets(curve: Curve) -> Candidate | None:
    """Two onsets at least a spacing apart; None if no pair has both above zero."""
    grid = start_grid(curve, _COARSE_BETA[2:-2])
    shape = grid.onsets.shape[:2]
    f = grid.onsets.reshape(-1, grid.onsets.shape[-1])
    y = grid.project(curve.y)
    gram, fy = f @ f.T, f @ y
    norm = np.diag(gram)
    determinant = np.outer(norm, norm) - gram**2
    with np.errstate(divide="ignore", invalid="ignore"):
        first = (norm[None, :] * fy[:, None] - gram * fy[None, :]) / determinant
        second = first.T
        misfit = y @ y - first * fy[:, None] - second * fy[None, :]
    tc = np.repeat(grid.tc, shape[1])
    spacing = float(np.median(np.diff(np.unique(curve.x))))
    apart = tc[:, None] - tc[None, :] >= spacing
    fine = apart & (first > 0) & (second > 0) & (determinant > 1e-9 * np.outer(norm, norm))
    if not fine.any():
        return None
    i, j = np.unravel_index(int(np.where(fine, misfit, np.inf).argmin()), misfit.shape)
    beta = np.tile(grid.beta, shape[0])
    pair = (float(tc[i]), float(tc[j])), (float(beta[i]), float(beta[j]))
    return Candidate(TWO, np.inf, 8, *pair).refitted(curve)
