"""Are the probabilities of labels right? One mixture beside ensembles, on classes that overlap.

python benchmarks/learned_deep_ensemble.py [--seeds 8]
"""

from __future__ import annotations

import argparse
import logging

import numpy as np
from learned_cases import overlapping
from scipy.optimize import linear_sum_assignment

from xtec.learned.deep_ensemble import DeepEnsemble, expected_calibration_error
from xtec.mixture import GaussianMixture, MixtureConfig

_FRESH = 4000


def main() -> None:
    """Print a line for each number of trajectories and each model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=8)
    seeds = parser.parse_args().seeds
    logging.disable(logging.WARNING)
    print("| trajectories | model | labels right | stated | calibration error |")
    print("|---|---|---|---|---|")
    for n in (60, 150, 600, 5000):
        judged: dict[str, list[tuple[float, ...]]] = {}
        for seed in range(seeds):
            rows, _ = overlapping(n, 100 + seed)
            fresh, kind = overlapping(_FRESH, 900 + seed)
            for name, share in _models(rows, fresh, seed).items():
                judged.setdefault(name, []).append(_judge(share, kind))
        for name, each in judged.items():
            print(f"| {n} | {name} | {' | '.join(f'{x:.3f}' for x in np.mean(each, axis=0))} |", flush=True)


def _models(rows: np.ndarray, fresh: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    one = GaussianMixture(MixtureConfig(n_components=4, n_init=24, seed=seed)).fit(np.asfortranarray(rows))
    several = {
        "8 restarts": DeepEnsemble(4, resample=False, random_state=seed),
        "8, resampled": DeepEnsemble(4, random_state=seed),
        "24, resampled": DeepEnsemble(4, members=24, random_state=seed),
        "1 encoder": DeepEnsemble(4, kind="encoder", members=1, random_state=seed),
        "8 encoders": DeepEnsemble(4, kind="encoder", random_state=seed),
    }
    found = {"one mixture, best of 24": one.responsibilities(fresh)}
    return found | {name: model.fit(rows).predict_proba(fresh) for name, model in several.items()}


def _judge(share: np.ndarray, kind: np.ndarray) -> tuple[float, ...]:
    """Share of labels that are right, probability stated on average, calibration error."""
    label = share.argmax(axis=1)
    table = np.zeros((4, 4))
    np.add.at(table, (label, kind), 1)
    right = linear_sum_assignment(-table)[1][label] == kind
    stated = share.max(axis=1)
    return right.mean(), stated.mean(), expected_calibration_error(stated, right)


if __name__ == "__main__":
    main()
