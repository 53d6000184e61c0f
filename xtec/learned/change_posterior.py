"""Where a curve changes, and whether it does: Tc, shape, length scales and noise integrated over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.special import logsumexp

from xtec.core.types import Float64Array
from xtec.learned.change_point import Change, ChangeSums, SmoothPart
from xtec.operando.gaussian_process import Onsets
from xtec.operando.lattice import SATURATIONS, Lattice
from xtec.operando.posterior import Points

_BETA = (-0.05, 0.65)
_ROWS = 7
"""Rows of the lattice: beta = 0 (a jump), 0.1, ..., 0.6."""

_CELLS = 60
_ROUNDS = 4
_SINES, _SINES_ALONE = 16, 40

_ERRORS = {1.0: 0.5, 1.25: 0.2, 1.6: 0.13, 2.5: 0.09, 5.0: 0.05, 12.0: 0.03}
"""Errors over those that were given, and how likely."""

_SHARES = dict.fromkeys(np.geomspace(0.0005, 0.4, 18).tolist(), 1 / 18)
"""Errors over the scale of the curve, where none were given."""

_BESIDE = tuple(product((0.02, 0.1, 0.5), (0.6, 1.5)))
_BELOW = tuple(product((0.05, 0.3, 1.0), (0.4, 1.2)))
_ALONE = tuple(product((0.05, 0.3, 1.0, 3.0), (0.15, 0.3, 0.6, 1.2)))
"""Amplitudes and lengths of the smooth part beside an onset, of what sets in, and of a curve with none."""

_WARP = 0.1
"""Temperature above the lowest, as a share of the range, below which ``ln`` of it stops stretching."""

_NEGLIGIBLE = 6.0
"""Assumptions whose ln probability is lower than that of the best by this are left out."""


def _errors(points: Points) -> Mapping[float, float]:
    """Factors of the errors, and how likely each is."""
    return _ERRORS if points.known else {points.scale * share: p for share, p in _SHARES.items()}


@dataclass
class CurveSums:
    """Sums over the points of a curve, which new ones enter at a cost that does not grow.

    Attributes
    ----------
    low, high : float
        Range in K.
    lattice : Lattice
    change : ChangeSums
        With an onset for each cell of the lattice.
    alone, warped : ChangeSums
        Without onsets, and shorter lengths; in T and in the logarithm of T.
    """

    low: float
    high: float
    lattice: Lattice
    change: ChangeSums
    alone: ChangeSums
    warped: ChangeSums

    @classmethod
    def empty(cls, low: float, high: float) -> CurveSums:
        """Of no points."""
        beta = np.tile(np.linspace(*_BETA, _ROWS + 1), (len(SATURATIONS), 1))
        tc = np.tile(np.linspace(low, high, _CELLS + 1), (len(SATURATIONS), _ROWS, 1))
        lattice = Lattice(beta, tc)
        none = Onsets(*(np.empty(0) for _ in range(4)))
        ends = _warped(np.array([low, high]), low, high)
        return cls(
            low,
            high,
            lattice,
            ChangeSums.empty(low, high, _SINES, lattice.onsets),
            ChangeSums.empty(low, high, _SINES_ALONE, none),
            ChangeSums.empty(ends[0], ends[1], _SINES_ALONE, none),
        )

    def add(self, x: Float64Array, y: Float64Array, sigma: Float64Array) -> None:
        """Take in points (n,) inside the range."""
        self.change.add(x, y, sigma)
        self.alone.add(x, y, sigma)
        self.warped.add(_warped(x, self.low, self.high), y, sigma)


@dataclass(frozen=True)
class ChangePosterior:
    """What the points say of Tc.

    Attributes
    ----------
    log_evidence : float
        ln probability of the points with a change over that with none.
    lattice : Lattice
    weights : array, shape (G,)
        Of each cell, given that there is a change.
    best : Change
        With the likeliest assumptions.
    smooth : SmoothPart
        The likeliest curve without a change.
    warped : tuple of float, optional
        Range in K where that curve is smooth in the logarithm of T.
    """

    log_evidence: float
    lattice: Lattice
    weights: Float64Array
    best: Change
    smooth: SmoothPart
    warped: tuple[float, float] | None = None

    def quantiles(self, at: Float64Array) -> Float64Array:
        """Tc in K below which lie these shares of the probability, each cell filled evenly."""
        low, high = (edges.ravel() for edges in (self.lattice.tc[..., :-1], self.lattice.tc[..., 1:]))
        likely = self.weights > 1e-7
        low, high, weights = low[likely], high[likely], self.weights[likely]
        edges = np.unique(np.concatenate([low, high]))
        inside = np.clip((edges[:, None] - low) / (high - low), 0, 1)
        below = inside @ weights
        return np.asarray(np.interp(at, below / below[-1], edges))

    @property
    def p_jump(self) -> float:
        """Probability of a jump, given that there is a change."""
        rows = self.weights.reshape(self.lattice.tc[..., 1:].shape)
        return float(rows[:, 0].sum())

    def curve(self, x: Float64Array) -> Float64Array:
        """Mean (n,) of the curve with a change, over the cells."""
        return np.asarray(self.weights @ self.best.curves(x))

    def smooth_curve(self, x: Float64Array) -> Float64Array:
        """Mean (n,) of the likeliest curve without a change."""
        return self.smooth.curve(_warped(x, *self.warped) if self.warped else x)


def change_posterior(points: Points, sums: CurveSums, span: tuple[float, float]) -> ChangePosterior:
    """Compare changes on lattices that close in, and smooth curves.

    Parameters
    ----------
    points : Points
    sums : CurveSums
        Of the points. The lattices that close in take them in anew.
    span : tuple of float
        Between which temperatures Tc may lie.
    """
    errors = {noise: float(np.log(p)) for noise, p in _errors(points).items()}
    smooth, log_smooth = _alone(sums, errors, points.scale)
    assumed = _likely_assumptions(sums.change, errors, points.scale, span)
    lattice, change = sums.lattice, sums.change
    for number in range(_ROUNDS):
        tried = _changes(assumed, change, points.scale)
        each = np.stack([_inside(one, span) for one in tried])
        each += np.array([one.log_prior for one in assumed])[:, None]
        whole = logsumexp(each + change.onsets.log_prior, axis=1)
        kept = whole > whole.max() - _NEGLIGIBLE
        if number == _ROUNDS - 1:
            break
        assumed = [one for one, keep in zip(assumed, kept, strict=True) if keep]
        lattice, _ = lattice.closer(np.asarray(logsumexp(each[kept], axis=0)), rows=False)
        change = ChangeSums.empty(sums.low, sums.high, _SINES, lattice.onsets)
        change.add(points.x, points.y, points.sigma)
    joint = logsumexp(each, axis=0) + change.onsets.log_prior
    total = float(logsumexp(joint))
    best = tried[int(whole.argmax())]
    warped = (sums.low, sums.high) if smooth.sums is sums.warped else None
    return ChangePosterior(total - log_smooth, lattice, np.exp(joint - total), best, smooth, warped)


@dataclass(frozen=True)
class _Assumed:
    noise: float
    beside: tuple[float, float]
    below: tuple[float, float]
    log_prior: float


def _changes(assumed: Sequence[_Assumed], sums: ChangeSums, scale: float) -> list[Change]:
    """With assumptions each; the smooth part is solved once for all that share it."""
    parts = {(one.noise, one.beside) for one in assumed}
    solved = {(noise, beside): SmoothPart(sums, noise, *beside, scale) for noise, beside in parts}
    return [Change(solved[one.noise, one.beside], *one.below) for one in assumed]


def _inside(one: Change, span: tuple[float, float]) -> Float64Array:
    """ln probability (G,) of the points, low where Tc is outside the span."""
    tc = one.smooth.sums.onsets.tc
    return np.where((tc > span[0]) & (tc < span[1]), one.log_onset, one.log_onset.min() - 1e3)


def _likely_assumptions(
    sums: ChangeSums, errors: Mapping[float, float], scale: float, span: tuple[float, float]
) -> list[_Assumed]:
    """Errors first, for the freest of curves; then lengths and amplitudes; on some rows of the lattice."""
    many = len(_BESIDE) * len(_BELOW)
    rows = np.zeros((len(SATURATIONS), _ROWS, _CELLS), bool)
    rows[::2, ::3] = True
    sums = sums.only(rows.ravel())

    def likely(tried: list[_Assumed], least: float) -> list[_Assumed]:
        inside = np.stack([_inside(one, span) for one in _changes(tried, sums, scale)])
        value = logsumexp(inside + sums.onsets.log_prior, axis=1) + [one.log_prior for one in tried]
        return [one for one, v in zip(tried, value, strict=True) if v > value.max() - least]

    prior = {noise: p - float(np.log(many)) for noise, p in errors.items()}
    first = [_Assumed(noise, _BESIDE[3], _BELOW[3], p) for noise, p in prior.items()]
    noises = [one.noise for one in likely(first, 2 * _NEGLIGIBLE)]
    beside = [_Assumed(n, b, _BELOW[3], prior[n]) for n in noises for b in _BESIDE]
    pairs = [(one.noise, one.beside) for one in likely(beside, _NEGLIGIBLE)]
    return likely([_Assumed(n, b, g, prior[n]) for n, b in pairs for g in _BELOW], _NEGLIGIBLE)


def _alone(sums: CurveSums, errors: Mapping[float, float], scale: float) -> tuple[SmoothPart, float]:
    """The likeliest curve without a change, and ln probability of the points under all of them."""
    many = 2 * len(_ALONE)
    tried, logs = [], []
    for which, (noise, p), smooth in product((sums.alone, sums.warped), errors.items(), _ALONE):
        one = SmoothPart(which, noise, *smooth, scale)
        tried.append(one)
        logs.append(one.log_smooth + p - np.log(many))
    return tried[int(np.argmax(logs))], float(logsumexp(logs))


def _warped(x: Float64Array, low: float, high: float) -> Float64Array:
    return np.log((x - low) / (high - low) + _WARP)
