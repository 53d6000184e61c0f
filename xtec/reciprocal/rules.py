"""Selection rules: which condition on H, K, L tells the reflections of a cluster from all others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xtec.core.reflections import Reflections, SelectionRule
from xtec.core.types import Float64Array
from xtec.reciprocal.lattice import Lattice
from xtec.reciprocal.vocabulary import Condition, vocabulary

Mask = NDArray[np.bool_]

_MARGIN = 7.0
"""Bits by which a rule must beat listing the reflections: chance does so about once in a thousand tables."""

_PLACE = 3.0
"""Bits for the place of a condition in a rule, beside those for which one it is."""

_PLAIN = 1e-3
"""Bits by which a condition is dearer than the plainer one before it: decides between equals."""

_CANDIDATES = 600
_BEAM = 20
_ALTERNATIVES = 3


@dataclass(frozen=True)
class _Rule:
    """Signatures that obey it, bits that name it, and the conditions of each alternative."""

    obeys: Mask
    naming: float
    parts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class _Orbits:
    """Number of orbits with each signature: all, and those of the cluster; shape (S,)."""

    every: Float64Array
    own: Float64Array

    def bits(self, obeys: Mask, naming: Float64Array) -> Float64Array:
        """Bits that rules and their exceptions take, shape (n,) for rules (n, S)."""
        return naming + self.listing(obeys @ self.every, obeys @ self.own)

    def listing(self, every: ArrayLike, own: ArrayLike) -> Float64Array:
        """Bits that tell the exceptions, where so many orbits and so many of the cluster obey a rule."""
        from scipy.special import gammaln

        total = self.every.sum()
        # A rule that most orbits break is no shorter for what it is not.
        few = np.minimum(np.asarray(every) + self.own.sum() - 2 * np.asarray(own), total / 2)
        return np.asarray((gammaln(total + 1) - gammaln(few + 1) - gammaln(total - few + 1)) / np.log(2))


def find_rules(
    reflections: Reflections, clusters: Sequence[int], lattice: Lattice, space_group: str | None = None
) -> list[SelectionRule]:
    """For each cluster, the shortest rule that its reflections obey and others break.

    Rules are up to three conditions together, or up to three such sets in the alternative. That rule is
    chosen for which naming its conditions and listing its exceptions takes the fewest bits (minimum
    description length); if listing the reflections themselves takes hardly more there is none.

    Reflections that symmetry makes equivalent are one piece of evidence, not many: the search and the
    p-value take their majority. Counts, purity and exceptions are of single reflections.

    Parameters
    ----------
    reflections : Reflections
    clusters : sequence of int
    lattice : Lattice
        Rules treat reflections that it makes equivalent alike.
    space_group : str, optional
        Rules may then say "forbidden in Fd-3m".

    Returns
    -------
    list of SelectionRule
        One for each cluster. Conditions are joined by ", ", alternatives by " or ".

    Raises
    ------
    ConfigError
        If there is no such space group.

    References
    ----------
    Rissanen, Automatica 14, 465 (1978).
    """
    words, table = _telling(vocabulary(lattice, space_group), reflections.hkl)
    # Reflections that no condition tells apart are one column from here on.
    packed, inverse = np.unique(np.packbits(table, axis=0), axis=1, return_inverse=True)
    signature = np.unpackbits(packed, axis=0, count=len(words)).astype(np.bool_)
    orbit, first = _orbits(reflections.hkl, lattice)
    of_orbit, n_signatures = inverse.ravel()[first], packed.shape[1]
    every = np.bincount(of_orbit, minlength=n_signatures).astype(np.float64)
    rules = []
    for cluster in clusters:
        share = np.bincount(orbit, reflections.label == cluster) / np.bincount(orbit)
        own = np.where(share == 0.5, 0.5, share > 0.5)
        orbits = _Orbits(every, np.asarray(np.bincount(of_orbit, own, n_signatures), dtype=np.float64))
        rule = _shortest(signature, orbits) if words else None
        if rule is None:
            n_own = int((reflections.label == cluster).sum())
            rules.append(SelectionRule(cluster, "", n_own, 0, 0.0, np.empty((0, 3), dtype=np.int64), 1.0))
            continue
        said = " or ".join(", ".join(words[i] for i in part) for part in rule.parts)
        significance = _fisher(rule.obeys, orbits)
        rules.append(_told(cluster, said, rule.obeys[inverse.ravel()], reflections, significance))
    return rules


def _orbits(hkl: NDArray[np.int64], lattice: Lattice) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Orbit of each reflection, and the first reflection of each orbit."""
    images = np.einsum("nij,pj->npi", lattice.rotations, hkl.astype(np.int64))
    order = np.lexsort((images[..., 2], images[..., 1], images[..., 0]), axis=0)
    least = images[order[0], np.arange(len(hkl))]
    _, first, orbit = np.unique(least, axis=0, return_index=True, return_inverse=True)
    return orbit.ravel(), first


def _telling(conditions: Sequence[Condition], hkl: NDArray[np.int64]) -> tuple[list[str], Mask]:
    """Words and truth, shape (A, N), of the conditions that tell reflections apart; of equals the first."""
    words: dict[bytes, str] = {}
    rows = np.zeros((len(conditions), len(hkl)), dtype=np.bool_)
    for said, holds in conditions:
        truth = holds(hkl)
        if truth.any() and not truth.all() and truth.tobytes() not in words:
            rows[len(words)] = truth
            words[truth.tobytes()] = said
    return list(words.values()), rows[: len(words)]


def _shortest(signature: Mask, orbits: _Orbits) -> _Rule | None:
    """The rule that takes the fewest bits; None if listing the reflections takes hardly more."""
    single = _conjunctions(signature, orbits)
    masks = np.array([rule.obeys for rule in single])
    naming = np.array([rule.naming for rule in single])
    order = np.argsort(orbits.bits(masks, naming), kind="stable")
    beam = [single[number] for number in order[:_BEAM]]
    best = [beam[0]]
    for _ in range(_ALTERNATIVES - 1):
        wider = []
        for rule in beam:
            number = int(orbits.bits(rule.obeys | masks, rule.naming + naming).argmin())
            parts = tuple(sorted({*rule.parts, *single[number].parts}))
            obeys = np.array(rule.obeys | masks[number], dtype=np.bool_)
            wider.append(_Rule(obeys, rule.naming + float(naming[number]), parts))
        beam = wider
        best += wider
    bits = orbits.bits(np.array([rule.obeys for rule in best]), np.array([rule.naming for rule in best]))
    found = int(bits.argmin())
    return best[found] if bits[found] < orbits.listing(0.0, 0.0) - _MARGIN else None


def _conjunctions(signature: Mask, orbits: _Orbits) -> list[_Rule]:
    """The shortest rules of one to three conditions together, each set of signatures once."""
    n = len(signature)
    truth = signature.astype(np.float64)
    # (i, j, j) has two conditions and (i, i, i) one.
    i, j, k = np.indices((n, n, n))
    i, j, k = np.stack([i, j, k])[:, (i <= j) & (j <= k) & ((i < j) | (j == k))]
    price = np.log2(n) + _PLACE + _PLAIN * np.arange(n)
    naming = price[i] + np.where(i < j, price[j], 0.0) + np.where(j < k, price[k], 0.0)
    every, own = (
        np.stack([(row * truth * number) @ truth.T for row in truth])[i, j, k]
        for number in (orbits.every, orbits.own)
    )
    rules: dict[bytes, _Rule] = {}
    for m in np.argsort(naming + orbits.listing(every, own), kind="stable")[:_CANDIDATES]:
        part = tuple(sorted({int(i[m]), int(j[m]), int(k[m])}))
        obeys = np.asarray(signature[list(part)].all(axis=0))
        rules.setdefault(obeys.tobytes(), _Rule(obeys, float(naming[m]), (part,)))
    return list(rules.values())


def _fisher(obeys: Mask, orbits: _Orbits) -> float:
    """p-value of orbits of the cluster obeying a rule no more than others."""
    from scipy.stats import fisher_exact

    other = orbits.every - orbits.own
    table = [[number[rows].sum() for number in (orbits.own, other)] for rows in (obeys, ~obeys)]
    return float(fisher_exact(np.rint(table).astype(np.int64), alternative="greater").pvalue)


def _told(
    cluster: int, rule: str, obeys: Mask, reflections: Reflections, significance: float
) -> SelectionRule:
    own = reflections.label == cluster
    return SelectionRule(
        cluster=cluster,
        rule=rule,
        reflections=int(own.sum()),
        matched=int((obeys & own).sum()),
        purity=float((obeys & own).sum() / obeys.sum()),
        exceptions=reflections.hkl[obeys != own],
        significance=significance,
    )
