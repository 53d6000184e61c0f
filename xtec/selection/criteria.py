"""What speaks for a number of clusters: information criteria, silhouette, agreement under resampling."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xtec.core.types import Float64Array

_SILHOUETTE_SAMPLE = 2000


def bic(log_likelihood: float, n: int, n_free: int) -> float:
    """Bayesian information criterion ``-2 n l + p ln n``, l the mean log-likelihood; lower is better.

    References
    ----------
    Schwarz, Ann. Statist. 6, 461 (1978).
    """
    return -2 * n * log_likelihood + n_free * float(np.log(n))


def icl(bic: float, responsibilities: Float64Array) -> float:
    """Integrated completed likelihood: BIC and twice the entropy of the responsibilities; lower is better.

    Parameters
    ----------
    bic : float
    responsibilities : array, shape (n, K)

    References
    ----------
    Biernacki, Celeux & Govaert, IEEE Trans. Pattern Anal. 22, 719 (2000).
    """
    share = responsibilities[responsibilities > 0]
    return bic - 2 * float(np.sum(share * np.log(share)))


def silhouette(rows: Float64Array, label: NDArray[np.integer], rng: np.random.Generator) -> float:
    """Mean silhouette of at most 2000 trajectories, Euclidean; NaN for a single cluster.

    For each, ``(b - a) / max(a, b)``: a its mean distance to the others of its cluster, b to those of the
    nearest other cluster; 0 for one that is alone in its cluster.

    Parameters
    ----------
    rows : array, shape (n, T)
    label : array, shape (n,)
        0..K-1.
    rng : numpy Generator
        Draws the sample.

    References
    ----------
    Rousseeuw, J. Comput. Appl. Math. 20, 53 (1987).
    """
    if len(rows) > _SILHOUETTE_SAMPLE:
        chosen = np.sort(rng.choice(len(rows), _SILHOUETTE_SAMPLE, replace=False))
        rows, label = rows[chosen], label[chosen]
    _, label = np.unique(label, return_inverse=True)
    member = np.eye(int(label.max()) + 1)[label]
    size = member.sum(axis=0)
    if size.size < 2:
        return float("nan")
    square = np.sum(rows**2, axis=1)
    distance = np.sqrt(np.maximum(square[:, None] + square - 2 * rows @ rows.T, 0.0))
    np.fill_diagonal(distance, 0.0)
    total = distance @ member
    here = np.arange(len(rows)), label
    own = total[here] / np.maximum(size[label] - 1, 1)
    other = total / size
    other[here] = np.inf
    nearest = other.min(axis=1)
    width = (nearest - own) / np.maximum(np.maximum(own, nearest), np.finfo(float).tiny)
    return float(np.mean(np.where(size[label] > 1, width, 0.0)))


def agreement(first: NDArray[np.integer], second: NDArray[np.integer]) -> float:
    """Adjusted Rand index of two labellings of the same trajectories: 1 if equal, 0 as by chance.

    References
    ----------
    Hubert & Arabie, J. Classif. 2, 193 (1985).
    """
    table = np.zeros((int(first.max()) + 1, int(second.max()) + 1))
    np.add.at(table, (first, second), 1)

    def pairs(counts: Float64Array) -> float:
        return float(np.sum(counts * (counts - 1) / 2))

    both, one, other = pairs(table), pairs(table.sum(axis=1)), pairs(table.sum(axis=0))
    expected = one * other / max(pairs(np.array([float(len(first))])), 1.0)
    highest = (one + other) / 2
    return 1.0 if highest == expected else (both - expected) / (highest - expected)
