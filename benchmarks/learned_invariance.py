"""Plain mixtures on learned features beside plain mixtures on the trajectories: adjusted Rand index.

Six classes: one narrow maximum, two that are 4 temperatures apart, two that are 8 apart, an onset on
cooling, one on warming, thermal diffuse. Temperatures of every trajectory are off by a random shift, and its
intensities by an offset. "mean off" is the trajectory less its mean over temperatures.

    python benchmarks/learned_invariance.py [--seeds 3] [--offset 20]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from xtec.learned.invariance import LearnedInvariance

K = 6


def trajectories(
    rng: np.random.Generator, n: int, shift: float, offset: float, noise: float = 0.1
) -> tuple[np.ndarray, np.ndarray]:
    """Trajectories (n, 30) and their classes (n,); shift in steps and offset are half widths."""
    labels = rng.integers(0, K, n)
    at = np.arange(30) + shift * rng.uniform(-1, 1, (n, 1))

    def peak(centre: float) -> np.ndarray:
        return np.exp(-0.5 * ((at - centre) / 1.2) ** 2)

    shapes = [peak(15), peak(13) + peak(17), peak(11) + peak(19)]
    shapes += [1 / (1 + np.exp(at - 15)), 1 / (1 + np.exp(15 - at)), at / 30]
    rows = np.choose(labels[:, None], shapes) + offset * rng.uniform(-1, 1, (n, 1))
    return rows + noise * rng.standard_normal(rows.shape), labels


def plain(rows: np.ndarray, covariance: str = "diag") -> np.ndarray:
    """Clusters of a mixture, the best of five starts."""
    mixture = GaussianMixture(K, covariance_type=covariance, n_init=5, random_state=0, reg_covar=1e-5)
    return np.asarray(mixture.fit_predict(rows))


WAYS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "diag, raw": plain,
    "diag, mean off": lambda rows: plain(rows - rows.mean(axis=1, keepdims=True)),
    "tied, raw": lambda rows: plain(rows, "tied"),
    "full, raw": lambda rows: plain(rows, "full"),
}

CASES: dict[str, tuple[int, float, float]] = {
    "shift ±3, offset ±0.3, n = 600": (600, 3.0, 0.3),
    "shift ±3, n = 600": (600, 3.0, 0.0),
    "offset ±0.3, n = 600": (600, 0.0, 0.3),
    "neither, n = 600": (600, 0.0, 0.0),
    "shift ±3, offset ±0.3, n = 100": (100, 3.0, 0.3),
}


def main() -> None:
    """Print a table of means over seeds, with the widths of shift and offset that were learned."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--offset", type=int, default=20)
    asked = parser.parse_args()
    names = [*WAYS, "diag, learned", "shift", "offset"]
    print("| case | " + " | ".join(names) + " |\n|---" + "|---" * len(names) + "|")
    for case, options in CASES.items():
        found = []
        for seed in range(asked.offset, asked.offset + asked.seeds):
            rows, labels = trajectories(np.random.default_rng(seed), *options)
            learned = LearnedInvariance()
            clusters = [cluster(rows) for cluster in WAYS.values()]
            clusters.append(plain(learned.fit_transform(rows)))
            widths = [learned.widths_["shift"], learned.widths_["offset"]]
            found.append([adjusted_rand_score(labels, one) for one in clusters] + widths)
        print(f"| {case} | " + " | ".join(f"{one:.2f}" for one in np.mean(found, axis=0)) + " |", flush=True)


if __name__ == "__main__":
    main()
