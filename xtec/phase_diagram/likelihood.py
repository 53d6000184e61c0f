"""Likelihood of a phase boundary, and the surface of its confidence region.

The boundary ``Tc = T0 (1 - x/xc)^phi`` is written with three numbers that hardly depend on each other:

- ``a = ln T0``;
- ``g = ln(T0 / Tc(xm))``, the fall of Tc as far as xm, the largest x with a transition;
- ``u = ln(xc/xm - 1)``, the bend, so that xc lies beyond every transition.

For large u the boundary is an exponential, without an end; for very negative u it is a cliff at xm. Given u,
ln Tc is linear in a and g. So the likelihood is maximised over (a, g) for many u at once, and the confidence
region is a stack of ellipse-like slices, whose rims are found along rays.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xtec.core.types import Float64Array

BEND = (-16.0, float(np.log(99.0)))
"""Limits of u: the end of the boundary is looked for up to a hundred times xm."""

_ROWS = 41
_RAYS = 24
_STEPS = 50
_HALVINGS = 18
_DOUBLINGS = 8


@dataclass(frozen=True)
class Evidence:
    """Transitions and upper limits, by rising x.

    Attributes
    ----------
    x : array, shape (n,)
    tc : array, shape (n,)
        Transition temperature, or what it is below.
    below, above : array, shape (n,)
        Standard errors of the truth lying below and above; equal for limits.
    censored : array of bool, shape (n,)
        Which are upper limits.
    """

    x: Float64Array
    tc: Float64Array
    below: Float64Array
    above: Float64Array
    censored: NDArray[np.bool_]

    @property
    def last(self) -> float:
        """Largest x with a transition."""
        return float(self.x[~self.censored].max())

    def scattered(self, scatter: float) -> Evidence:
        """The same with a scatter added to every error, in quadrature."""
        return replace(self, below=np.hypot(self.below, scatter), above=np.hypot(self.above, scatter))

    def residuals(self, model: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Residuals whose squares sum to -2 ln L, and their derivatives; both as `model`, shape (..., n).

        A limit's is ``sqrt(-2 ln Phi)``, Phi the probability that a Tc drawn about the boundary lies below.
        """
        from scipy.special import log_ndtr

        error = np.where(model > self.tc, self.above, self.below)
        offset = (model - self.tc) / error
        log_p = log_ndtr(-offset)
        tail = np.sqrt(-2 * log_p)
        near = np.minimum(offset, 1e3)
        hazard = np.exp(-0.5 * near**2 - 0.5 * np.log(2 * np.pi) - log_ndtr(-near)) + offset - near
        slope = np.divide(hazard, tail, out=np.zeros_like(tail), where=tail > 1e-12)
        residual = np.where(self.censored, tail, offset)
        return residual, np.where(self.censored, slope, 1.0) / error


@dataclass(frozen=True)
class Likelihood:
    """Likelihood of boundaries, given the evidence.

    Attributes
    ----------
    evidence : Evidence
    phi : float or None
        Exponent, where it is not to be found; then a is the only parameter given u, else (a, g).
    """

    evidence: Evidence
    phi: float | None = None

    def curve(self, u: Float64Array, p: Float64Array, x: Float64Array) -> Float64Array:
        """Tc at x, shape (m,), of boundaries with bends u, shape (r,), and the rest p, shape (r, k)."""
        return _tc(*self._design(u, x), p)

    def natural(self, u: Float64Array, p: Float64Array) -> tuple[Float64Array, Float64Array, Float64Array]:
        """T0, xc and phi, shape (r,) each."""
        xc = self.evidence.last * (1 + np.exp(u))
        phi = np.full_like(u, self.phi) if self.phi is not None else p[:, 1] / np.log1p(np.exp(-u))
        return np.exp(p[:, 0]), xc, phi

    def best_given(self, u: Float64Array) -> tuple[Float64Array, Float64Array, Float64Array]:
        """Most likely parameters for each bend: p, shape (r, k), -2 ln L, and half its second derivatives."""
        p = self._start(u)
        form = self._design(u, self.evidence.x)
        damping, settled = np.full(len(u), 1e-3), np.zeros(len(u), dtype=np.bool_)
        chi2, gradient, curvature = self._expand(form, p)
        for _ in range(_STEPS):
            scale = np.einsum("rkk->rk", curvature)
            damped = curvature + np.einsum("rk,kl->rkl", damping[:, None] * scale, np.eye(p.shape[1]))
            step = -np.linalg.solve(damped, gradient[..., None])[..., 0]
            trial = p + np.clip(step, -1.0, 1.0)
            fresh = self._expand(form, trial)
            better = fresh[0] <= chi2
            settled |= (np.abs(fresh[0] - chi2) < 1e-8 * (1 + chi2)) | (damping > 1e8)
            p = np.where(better[:, None], trial, p)
            chi2 = np.where(better, fresh[0], chi2)
            gradient = np.where(better[:, None], fresh[1], gradient)
            curvature = np.where(better[:, None, None], fresh[2], curvature)
            damping = np.clip(np.where(better, damping / 10, damping * 10), 1e-12, 1e12)
            if settled.all():
                break
        return p, chi2, curvature

    def surface(self, u: Float64Array, level: float) -> tuple[Float64Array, Float64Array, bool]:
        """Boundaries whose -2 ln L is `level`, or the most likely for their bend where that is above it.

        Parameters
        ----------
        u : array, shape (r,)
        level : float

        Returns
        -------
        u : array, shape (r * rays,)
        p : array, shape (r * rays, k)
        closed : bool
            Whether -2 ln L reaches the level in every direction; if not, the transitions bound nothing.
        """
        centre, chi2, curvature = self.best_given(u)
        k = centre.shape[1]
        angle = 2 * np.pi * np.arange(_RAYS) / _RAYS
        circle = np.array([[1.0], [-1.0]]) if k == 1 else np.stack([np.cos(angle), np.sin(angle)], axis=1)
        root = np.linalg.inv(np.linalg.cholesky(curvature + 1e-12 * np.eye(k)))
        rays = np.einsum("jk,rkl->rjl", circle, root).reshape(-1, k)
        u, centre = np.repeat(u, len(circle)), np.repeat(centre, len(circle), axis=0)
        form = self._design(u, self.evidence.x)

        def inside(radius: Float64Array) -> NDArray[np.bool_]:
            residual, _ = self.evidence.residuals(_tc(*form, centre + radius[:, None] * rays))
            return np.asarray(np.sum(residual**2, axis=-1) < level)

        inner = np.zeros(len(u))
        outer = np.repeat(np.sqrt(np.maximum(level - chi2, 0.0)), len(circle))
        for _ in range(_DOUBLINGS):
            outer = np.where(inside(outer), 2 * outer, outer)
        closed = not np.any(inside(outer))
        for _ in range(_HALVINGS):
            middle = (inner + outer) / 2
            short = inside(middle)
            inner, outer = np.where(short, middle, inner), np.where(short, outer, middle)
        return u, centre + inner[:, None] * rays, closed

    def bends(self, best: float, level: float) -> Float64Array:
        """Bends from one end to the other of those with -2 ln L below `level`, `best` among them."""
        reach = np.geomspace(1e-12, BEND[1] - BEND[0], 64)
        nodes = np.unique(np.clip(np.concatenate([best - reach, [best], best + reach]), *BEND))
        inside = np.flatnonzero(self.best_given(nodes)[1] < level)
        first, final = (inside[0], inside[-1]) if inside.size else (np.searchsorted(nodes, best),) * 2
        low = self._edge(nodes[first], nodes[max(first - 1, 0)], level)
        high = self._edge(nodes[final], nodes[min(final + 1, len(nodes) - 1)], level)
        half_turn = np.cos(np.linspace(np.pi, 0.0, _ROWS))
        return np.unique(np.append((low + high) / 2 + (high - low) / 2 * half_turn, [low, best, high]))

    def _edge(self, inside: float, outside: float, level: float) -> float:
        for _ in range(2):
            nodes = np.linspace(inside, outside, 17)
            beyond = np.flatnonzero(self.best_given(nodes)[1][1:] >= level)
            step = int(beyond[0]) if beyond.size else 15
            inside, outside = nodes[step], nodes[step + 1]
        return float(outside)

    def _design(self, u: Float64Array, x: Float64Array) -> tuple[Float64Array, Float64Array]:
        """ln Tc = offset + design @ p: shapes (r, m) and (r, m, k); Tc is 0 from xc on."""
        left = 1 - x / (self.evidence.last * (1 + np.exp(u[:, None])))
        there = left > 0
        fall = np.log(np.where(there, left, 1.0))
        ones = there.astype(np.float64)
        if self.phi is not None:
            return np.where(there, self.phi * fall, -np.inf), ones[..., None]
        design = np.stack([ones, fall / np.log1p(np.exp(-u[:, None]))], axis=-1)
        return np.where(there, 0.0, -np.inf), design

    def _expand(
        self, form: tuple[Float64Array, Float64Array], p: Float64Array
    ) -> tuple[Float64Array, Float64Array, Float64Array]:
        """-2 ln L and half its first and second (Gauss-Newton) derivatives, given offset and design."""
        model = _tc(*form, p)
        residual, slope = self.evidence.residuals(model)
        jacobian = (slope * model)[..., None] * form[1]
        gradient = np.einsum("rnk,rn->rk", jacobian, residual)
        curvature = np.einsum("rnk,rnl->rkl", jacobian, jacobian)
        return np.sum(residual**2, axis=-1), gradient, curvature

    def _start(self, u: Float64Array) -> Float64Array:
        """Straight line through ln Tc of the transitions."""
        seen = ~self.evidence.censored
        tc, error = self.evidence.tc[seen], np.fmax(self.evidence.below, self.evidence.above)[seen]
        offset, design = self._design(u, self.evidence.x[seen])
        weighted = design * ((tc / error) ** 2)[:, None]
        return np.asarray(
            np.linalg.solve(
                np.einsum("rnk,rnl->rkl", weighted, design),
                np.einsum("rnk,rn->rk", weighted, np.log(tc) - offset)[..., None],
            )[..., 0]
        )


def _tc(offset: Float64Array, design: Float64Array, p: Float64Array) -> Float64Array:
    return np.asarray(np.exp(np.minimum(offset + np.einsum("rnk,rk->rn", design, p), 250.0)))
