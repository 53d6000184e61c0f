"""Short formulas for a curve: a sum of terms from a library, some of which set in at Tc."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from xtec.core.types import Float64Array

_MOST_TC = 120
_PARTS = 4
"""Places of Tc that are tried, at most, and in each gap between temperatures."""


@dataclass(frozen=True)
class Scan:
    """Temperatures of a curve.

    Attributes
    ----------
    x : array, shape (T,)
        In K, rising, above zero.
    """

    x: Float64Array

    @property
    def range(self) -> float:
        """In K."""
        return float(np.ptp(self.x))

    @property
    def span(self) -> tuple[float, float]:
        """Between which Tc may lie: two temperatures at least on either side."""
        distinct = np.unique(self.x)
        return float(distinct[1]), float(distinct[-2])

    @property
    def tc(self) -> Float64Array:
        """Places of Tc to start from."""
        distinct = np.unique(self.x)[1:-1]
        places = np.arange(_PARTS * (len(distinct) - 1)) / _PARTS + 0.5 / _PARTS
        tc = np.interp(places, np.arange(len(distinct)), distinct)
        return np.asarray(tc[:: -(-len(tc) // _MOST_TC)])

    @property
    def gaps(self) -> Float64Array:
        """Middles of the gaps between temperatures, two at least on either side."""
        distinct = np.unique(self.x)[1:-1]
        return np.asarray((distinct[1:] + distinct[:-1]) / 2)


Grid = Callable[[Scan], list[Float64Array]]
Columns = Callable[[Float64Array, Float64Array], Float64Array]
"""Of temperatures (n,) and parameters (N, q): functions (N, c, n), each with a coefficient of its own."""


@dataclass(frozen=True)
class Term:
    """One term of a formula.

    Attributes
    ----------
    name : str
    text : str
        With places for coefficients a, b and parameters p, q, r.
    length : int
        Numbers, variables and operations.
    columns : callable
        Functions of temperature, which coefficients scale.
    grid : callable
        Values to start from, for each parameter.
    sets_in : bool
        Whether it is zero above a temperature, its first parameter.
    exponent : float or None
        Of what sets in, close to Tc; None for a jump, and where a parameter is it.
    free_exponent : bool
        Whether the second parameter is the exponent.
    n_columns : int
    """

    name: str
    text: str
    length: int
    columns: Columns
    grid: Grid = field(default=lambda scan: [])
    sets_in: bool = False
    exponent: float | None = None
    free_exponent: bool = False
    n_columns: int = 1

    def starts(self, scan: Scan) -> Float64Array:
        """Parameters to start from, shape (N, q)."""
        return np.array(list(product(*self.grid(scan))), np.float64)

    def bounds(self, scan: Scan) -> tuple[Float64Array, Float64Array]:
        """Least and largest values of the parameters, each of shape (q,)."""
        grid = self.grid(scan)
        low, high = np.array([[g.min(), g.max()] for g in grid]).reshape(-1, 2).T
        if self.sets_in:
            low[0], high[0] = scan.span
        return np.asarray(low), np.asarray(high)

    def written(self, coefficients: Float64Array, parameters: Float64Array) -> str:
        """The term with its numbers."""
        text = self.text.format(
            **dict(zip("ab", coefficients, strict=False)), **dict(zip("pqr", parameters, strict=False))
        )
        return text.replace(" - -", " + ").replace(" + -", " - ")


def _of_x(function: Callable[[Float64Array], Float64Array]) -> Columns:
    return lambda x, p: np.broadcast_to(function(x), (len(p), 1, len(x)))


def _one(function: Callable[..., Float64Array]) -> Columns:
    """A function of x and its parameters, each of shape (N, 1)."""
    return lambda x, p: np.asarray(function(x, *(part[:, None] for part in p.T)))[:, None, :]


def _below(function: Callable[..., Float64Array]) -> Columns:
    """A function of T/Tc and further parameters, zero above Tc."""

    def columns(x: Float64Array, tc: Float64Array, *more: Float64Array) -> Float64Array:
        ratio = np.minimum(x / tc, 1.0)
        return np.where(x < tc, function(ratio, *more), 0.0)

    return _one(columns)


def _with_jump(x: Float64Array, p: Float64Array) -> Float64Array:
    below = x < p
    return np.stack([below.astype(np.float64), np.where(below, 1 - x / p, 0.0)], axis=1)


def _powers(scan: Scan) -> Float64Array:
    return np.array([0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 1.0, 1.3, 1.7])


_STEEP = np.array([0.5, 1.0, 1.74, 2.5, 4.0, 6.0, 10.0])

CONSTANT = Term("constant", "{a:.4g}", 1, _of_x(np.ones_like))
LINEAR = Term("linear", "{a:.4g} T", 3, _of_x(lambda x: x))
SQUARE = Term("square", "{a:.4g} T^2", 5, _of_x(lambda x: x**2))
CUBE = Term("cube", "{a:.4g} T^3", 5, _of_x(lambda x: x**3))
EXPONENTIAL = Term(
    "exponential",
    "{a:.4g} exp(-T/{p:.4g})",
    7,
    _one(lambda x, t0: np.exp(-x / t0)),
    lambda scan: [np.geomspace(0.08 * scan.range, 3 * scan.x[-1], 8)],
)
BOSE = Term(
    "bose",
    "{a:.4g} / (exp({p:.4g}/T) - 1)",
    8,
    _one(lambda x, t0: 1 / np.expm1(np.minimum(t0 / x, 500.0))),
    lambda scan: [np.geomspace(0.3, 8, 8) * scan.x[-1]],
)
CURIE_WEISS = Term(
    "curie-weiss",
    "{a:.4g} / (T - {p:.4g})",
    5,
    _one(lambda x, t0: 1 / (x - t0)),
    lambda scan: [scan.x[0] - scan.range * np.geomspace(0.02, 1, 8)],
)
CROSSOVER = Term(
    "crossover",
    "{a:.4g} tanh(({p:.5g} - T)/{q:.4g})",
    8,
    _one(lambda x, t0, width: np.tanh((t0 - x) / width)),
    lambda scan: [scan.tc[::4], scan.range * np.array([0.02, 0.05, 0.1, 0.2, 0.4])],
)
HUMP = Term(
    "hump",
    "{a:.4g} / (1 + ((T - {p:.5g})/{q:.4g})^2)",
    11,
    _one(lambda x, t0, width: 1 / (1 + ((x - t0) / width) ** 2)),
    lambda scan: [scan.tc[::4], scan.range * np.array([0.05, 0.1, 0.2, 0.4, 0.8])],
)
POWER_LAW = Term(
    "power law",
    "{a:.4g} (1 - T/{p:.5g})^{q:.3g}",
    9,
    _below(lambda r, p: (1 - r) ** p),
    lambda scan: [scan.tc, _powers(scan)],
    sets_in=True,
    free_exponent=True,
)
SETTING_IN = (
    Term("jump", "{a:.4g} [T < {p:.5g}]", 6, _below(np.ones_like), lambda scan: [scan.gaps], True),
    Term(
        "mean field", "{a:.4g} (1 - T/{p:.5g})", 7, _below(lambda r: 1 - r), lambda scan: [scan.tc], True, 1.0
    ),
    Term(
        "tricritical",
        "{a:.4g} sqrt(1 - T/{p:.5g})",
        8,
        _below(lambda r: np.sqrt(1 - r)),
        lambda scan: [scan.tc],
        True,
        0.5,
    ),
    POWER_LAW,
    Term(
        "quadratic", "{a:.4g} (1 - (T/{p:.5g})^2)", 9, _below(lambda r: 1 - r**2), lambda s: [s.tc], True, 1.0
    ),
    Term(
        "quartic", "{a:.4g} (1 - (T/{p:.5g})^4)", 9, _below(lambda r: 1 - r**4), lambda s: [s.tc], True, 1.0
    ),
    Term(
        "saturating",
        "{a:.4g} tanh({q:.4g} (1 - T/{p:.5g}))",
        10,
        _below(lambda r, k: np.tanh(k * (1 - r))),
        lambda scan: [scan.tc, _STEEP],
        True,
        1.0,
    ),
    Term(
        "gap",
        "{a:.4g} tanh({q:.4g} sqrt({p:.5g}/T - 1))^2",
        13,
        _below(lambda r, k: np.tanh(k * np.sqrt(1 / r - 1)) ** 2),
        lambda scan: [scan.tc, _STEEP],
        True,
        1.0,
    ),
    Term(
        "saturating power law",
        "{a:.4g} (1 - (T/{p:.5g})^{r:.3g})^{q:.3g}",
        11,
        _below(lambda r, p, m: (1 - r**m) ** p),
        lambda scan: [scan.tc, _powers(scan)[1::2], np.array([1.5, 2.5, 4.0])],
        True,
        free_exponent=True,
    ),
    Term(
        "jump and growth",
        "[T < {p:.5g}] ({a:.4g} + {b:.4g} (1 - T/{p:.5g}))",
        15,
        _with_jump,
        lambda scan: [scan.gaps],
        True,
        n_columns=2,
    ),
)
"""Terms that are zero above Tc, their first parameter."""

BACKGROUNDS: tuple[tuple[Term, ...], ...] = (
    (CONSTANT,),
    (CONSTANT, LINEAR),
    (CONSTANT, LINEAR, SQUARE),
    (CONSTANT, EXPONENTIAL),
    (CONSTANT, BOSE),
    (CONSTANT, CURIE_WEISS),
)
"""What may be beside a term that sets in, or alone."""

ALONE: tuple[tuple[Term, ...], ...] = (
    *BACKGROUNDS,
    (CONSTANT, SQUARE),
    (CONSTANT, LINEAR, SQUARE, CUBE),
    (CONSTANT, LINEAR, EXPONENTIAL),
    (CONSTANT, LINEAR, CURIE_WEISS),
    (CONSTANT, LINEAR, BOSE),
    (CONSTANT, CROSSOVER),
    (CONSTANT, LINEAR, CROSSOVER),
    (CONSTANT, HUMP),
    (CONSTANT, LINEAR, HUMP),
)
"""Formulas without Tc."""
