"""MixMate beside plain mixtures on trajectories of four classes: adjusted Rand index against the truth.

Classes: an onset near 0.35 of the scan, one near 0.7, one near 0.5 with critical scattering on top, thermal
diffuse. In "modes" onsets move, strengths vary from member to member, and so does what the critical
scattering is to the order. In "copies" all members of a class are alike, but for noise.

    python benchmarks/learned_mixmate.py [--seeds 5] [--offset 20]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from xtec.learned.mixmate import MixMate

Simulation = tuple[np.ndarray, np.ndarray]


def trajectories(
    rng: np.random.Generator, n: int, *, alike: bool = False, flat: bool = False, noise: float = 0.02
) -> Simulation:
    """Trajectories (n, 30) of I / mean - 1, and their classes (n,).

    Parameters
    ----------
    rng : numpy Generator
    n : int
    alike : bool
        Members of a class have one onset and one strength.
    flat : bool
        The class of thermal diffuse is one of noise alone.
    noise : float
    """
    t = np.linspace(0, 1, 30)
    labels = rng.integers(0, 4, n)
    strength = np.full((2, n), 0.8) if alike else np.exp(rng.uniform(np.log(0.2), 0, (2, n)))
    moves = 0.0 if alike else 0.03
    tc = np.array([0.35, 0.7, 0.5, np.inf])[labels] + moves * rng.standard_normal(n)
    bend = 1 + 5 * moves * rng.standard_normal(n)
    rows = np.empty((n, t.size))
    for i, label in enumerate(labels):
        order = 2 * np.clip(1 - t / tc[i], 0, None) ** 0.6
        critical = 2 / (1 + ((t - tc[i]) / 0.1) ** 2) if label == 2 else 0.0
        diffuse = 0 * t if flat else 2 * t * (1 + (bend[i] - 1) * t)
        intensity = 1 + strength[0, i] * (diffuse if label == 3 else order) + strength[1, i] * critical
        rows[i] = intensity / intensity.mean() - 1
    return rows + noise * rng.standard_normal(rows.shape), labels


def plain(rows: np.ndarray, k: int, covariance: str = "diag") -> np.ndarray:
    """Clusters of a mixture, the best of ten starts."""
    mixture = GaussianMixture(k, covariance_type=covariance, n_init=10, random_state=0)
    return np.asarray(mixture.fit_predict(rows))


WAYS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mixmate": lambda rows: np.asarray(MixMate(4).fit(rows).labels_),
    "diag K=4": lambda rows: plain(rows, 4),
    "diag K=8": lambda rows: plain(rows, 8),
    "full K=4": lambda rows: plain(rows, 4, "full"),
}

CASES: dict[str, dict[str, Any]] = {
    "modes, n = 2000": {"n": 2000},
    "modes, n = 500": {"n": 500},
    "modes, n = 100": {"n": 100},
    "modes, n = 40": {"n": 40},
    "modes, n = 500, noise 0.1": {"n": 500, "noise": 0.1},
    "modes and a flat class, n = 500": {"n": 500, "flat": True},
    "copies, n = 500": {"n": 500, "alike": True},
    "copies, n = 500, noise 0.2": {"n": 500, "alike": True, "noise": 0.2},
    "copies, n = 40": {"n": 40, "alike": True},
}


def main() -> None:
    """Print a table: mean over seeds, and the lowest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--offset", type=int, default=20)
    asked = parser.parse_args()
    print("| case | " + " | ".join(WAYS) + " |\n|---" + "|---" * len(WAYS) + "|")
    for name, options in CASES.items():
        scores: dict[str, list[float]] = {way: [] for way in WAYS}
        for seed in range(asked.offset, asked.offset + asked.seeds):
            rows, labels = trajectories(np.random.default_rng(seed), **options)
            for way, cluster in WAYS.items():
                scores[way].append(adjusted_rand_score(labels, cluster(rows)))
        cells = (f"{np.mean(one):.2f} ({min(one):.2f})" for one in scores.values())
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
