"""How often the bottleneck finds the number of clusters, beside BIC of plain mixtures.

python benchmarks/learned_dib.py [--seeds 6]
"""

from __future__ import annotations

import argparse
import logging

import numpy as np
from learned_cases import counted
from sklearn.mixture import GaussianMixture

from xtec.learned.dib import BottleneckSelector

_FIRST = 100
_ENOUGH = 2000


def main() -> None:
    """Print a line for each number of trajectories and of classes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=6)
    seeds = parser.parse_args().seeds
    logging.disable(logging.WARNING)
    print("| trajectories | classes | dib right | dib found | BIC right | BIC found |")
    print("|---|---|---|---|---|---|")
    for n in (200, 400, 4000):
        for k in range(1, 7):
            found = {"dib": [], "bic": []}
            for seed in range(_FIRST, _FIRST + seeds):
                rows, _ = counted(k, n, 7000 * k + seed)
                found["dib"].append(BottleneckSelector(1, 10, random_state=seed).fit(rows).n_clusters_)
                found["bic"].append(_by_bic(rows[:_ENOUGH]))
            cells = (f"{np.mean(np.array(one) == k):.2f} | {sorted(one)}" for one in found.values())
            print(f"| {n} | {k} | {' | '.join(cells)} |", flush=True)


def _by_bic(rows: np.ndarray) -> int:
    fits = (
        GaussianMixture(k, covariance_type="diag", n_init=2, random_state=0).fit(rows) for k in range(1, 11)
    )
    return 1 + int(np.argmin([one.bic(rows) for one in fits]))


if __name__ == "__main__":
    main()
