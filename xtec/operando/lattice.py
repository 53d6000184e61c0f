"""Lattices of onsets whose cells crowd where the probability is.

As in VEGAS (Lepage, J. Comput. Phys. 27, 192 (1978)), cells become equally likely step by step. For each
levelling off there are rows of constant beta, each with cells of Tc of its own: Tc and beta lie along a
narrow bent ridge where a point was measured close below Tc, and rows follow it, which a box would not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from xtec.core.types import Float64Array
from xtec.operando.gaussian_process import Onsets

BETA = (0.08, 0.65)
"""Exponents that are looked for, all as likely."""

SATURATIONS = np.array([1.0, 2.0, 4.0])
_LIKELY = np.array([0.6, 0.25, 0.15])

_ROWS, _CELLS, _FIRST_CELLS = 12, 24, 72
_SPREAD_TC, _SPREAD_BETA = 0.18, 0.35
"""Effective number of cells, as a share of all, below which a step closes in by less."""

_TAILS = 0.25
"""Power of the likelihood that cells follow: with one, the tails would lie in cells too wide for them."""

_KEPT = 0.1
"""Share of the new cells that goes to all old ones alike."""

_NEGLIGIBLE = 5.0
"""Rows whose log probability is lower than the best by this need not be resolved."""


@dataclass(frozen=True)
class Lattice:
    """Cells of (saturation, beta, Tc).

    Attributes
    ----------
    beta : array, shape (S, R + 1)
        Edges of the rows.
    tc : array, shape (S, R, K + 1)
        Edges of the cells of each row, in K.
    """

    beta: Float64Array
    tc: Float64Array

    @classmethod
    def even(cls, low: float, high: float) -> Lattice:
        """All cells of one size, with Tc between `low` and `high`."""
        n = len(SATURATIONS)
        beta = np.tile(np.linspace(*BETA, _ROWS + 1), (n, 1))
        return cls(beta, np.tile(np.linspace(low, high, _FIRST_CELLS + 1), (n, _ROWS, 1)))

    @property
    def onsets(self) -> Onsets:
        """Centres of the cells, with the prior probability of each (uniform in Tc and beta)."""
        tc = _centres(self.tc)
        beta = np.broadcast_to(_centres(self.beta)[..., None], tc.shape)
        saturation = np.broadcast_to(SATURATIONS[:, None, None], tc.shape)
        size = np.diff(self.tc) * np.diff(self.beta)[..., None] * _LIKELY[:, None, None]
        log_prior = np.log(size / size.sum())
        return Onsets(tc.ravel(), beta.ravel(), saturation.ravel(), log_prior.ravel())

    def closer(self, log_likelihood: Float64Array, rows: bool) -> tuple[Lattice, bool]:
        """A lattice whose cells are more equally likely, and whether this one was fine enough.

        Parameters
        ----------
        log_likelihood : array, shape (G,)
            Of `onsets`.
        rows : bool
            Whether rows move, or only cells in their rows. How likely rows are is known after the cells have
            closed in.
        """
        given = log_likelihood.reshape(_centres(self.tc).shape)
        width = np.diff(self.tc)
        power, share = _tempered(given, width, _SPREAD_TC)
        tc = _equally_likely(self.tc, share, _CELLS)
        row = np.asarray(logsumexp(given, b=width, axis=-1))
        row_power, row_share = _tempered(row, np.diff(self.beta), _SPREAD_BETA)
        likely = row > row.max() - _NEGLIGIBLE
        fine = bool((power[likely] == 1).all() and (row_power[likely.any(axis=-1)] == 1).all())
        if not rows:
            return Lattice(self.beta, tc), fine
        beta = _equally_likely(self.beta, row_share, _ROWS)
        moved = [_between(*each) for each in zip(_centres(beta), _centres(self.beta), tc, strict=True)]
        return Lattice(beta, np.stack(moved)), fine


def _centres(edges: Float64Array) -> Float64Array:
    return np.asarray((edges[..., 1:] + edges[..., :-1]) / 2)


def _tempered(
    log_likelihood: Float64Array, width: Float64Array, spread: float
) -> tuple[Float64Array, Float64Array]:
    """The largest power (...) of the likelihood, one at most, that spreads over enough cells; and shares."""
    relative = log_likelihood - log_likelihood.max(axis=-1, keepdims=True)

    def share(power: Float64Array) -> Float64Array:
        part = width * np.exp(power[..., None] * relative)
        return np.asarray(part / part.sum(axis=-1, keepdims=True))

    def spreads(power: Float64Array) -> Float64Array:
        return np.asarray((share(power) ** 2).sum(axis=-1) * spread * width.shape[-1] <= 1)

    one = np.ones(relative.shape[:-1])
    low, high = 0 * one, one
    for _ in range(25):
        middle = (low + high) / 2
        wide = spreads(middle)
        low, high = np.where(wide, middle, low), np.where(wide, high, middle)
    power = np.where(spreads(one), 1.0, low)
    return power, share(np.minimum(power, _TAILS))


def _equally_likely(edges: Float64Array, share: Float64Array, n: int) -> Float64Array:
    """Edges (..., n + 1) of cells with equal shares, from shares (..., K) of cells between other edges."""
    beside = np.concatenate([share[..., :1], share, share[..., -1:]], axis=-1)
    smooth = (beside[..., :-2] + 2 * share + beside[..., 2:]) / 4
    smooth = (1 - _KEPT) * smooth / smooth.sum(axis=-1, keepdims=True) + _KEPT / share.shape[-1]
    below = np.concatenate([0 * smooth[..., :1], np.cumsum(smooth, axis=-1)], axis=-1)
    at = np.linspace(0, 1, n + 1)
    pairs = zip(below.reshape(-1, below.shape[-1]), edges.reshape(-1, edges.shape[-1]), strict=True)
    parts = [np.interp(at, shares / shares[-1], edge) for shares, edge in pairs]
    return np.reshape(parts, (*edges.shape[:-1], n + 1))


def _between(at: Float64Array, rows: Float64Array, values: Float64Array) -> Float64Array:
    """Values (R, n) of rows at other places, linearly between them."""
    after = np.clip(np.searchsorted(rows, at), 1, len(rows) - 1)
    part = (at - rows[after - 1]) / (rows[after] - rows[after - 1])
    part = np.clip(part, 0, 1)[:, None]
    return np.asarray((1 - part) * values[after - 1] + part * values[after])
