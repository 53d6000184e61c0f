"""How near the default settings come to the best optimum known, on one series.

    python benchmarks/optimum.py FILE --case d:4 --case s:3 -o FILE.json

The best is looked for with scikit-learn: many fits from random trajectories, each kept in a cache beside the
output as soon as it is there, so that it is never computed twice. Our fits follow, one for each seed. All
log-likelihoods are scored by the same code in float64.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import machine
import numpy as np
from bench_mixture import fit_quietly, ours_from, score, sklearn_model
from numpy.typing import NDArray
from ours import kept_of
from series import Subject, open_subject

from xtec.core.types import Rescale
from xtec.mixture import GaussianMixture, MixtureConfig
from xtec.peaks import average_peaks, connect
from xtec.preprocess import rescale

WITHIN = 1e-3
"""Mean log-likelihoods closer than this count as the same optimum."""

Record = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """What is clustered: voxels (``d``) or peaks (``s``), into how many."""

    mode: str
    k: int

    @classmethod
    def parse(cls, text: str) -> Case:
        """Read ``d:4``."""
        mode, _, k = text.partition(":")
        if mode not in ("d", "s") or not k.isdigit():
            raise argparse.ArgumentTypeError("d:K or s:K, as d:4")
        return cls(mode, int(k))

    def __str__(self) -> str:
        return f"{self.mode}:{self.k}"


class Cache:
    """Fits already done, in a JSON file; one entry a fit, keyed by everything that decides it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[str, Record] = json.loads(path.read_text()) if path.exists() else {}

    def get(self, key: str) -> Record | None:
        """The fit, if known."""
        return self._known.get(key)

    def put(self, key: str, value: Record) -> None:
        """Remember a fit at once."""
        self._known[key] = value
        temporary = self.path.with_suffix(".part")
        temporary.write_text(json.dumps(self._known))
        temporary.replace(self.path)


def trajectories(subject: Subject, modes: set[str]) -> dict[str, NDArray[np.float32]]:
    """What is clustered in each mode, rescaled by the mean as by default."""
    kept = kept_of(subject)
    raw: dict[str, NDArray[Any]] = {"d": kept.intensity}
    if "s" in modes:
        raw["s"] = average_peaks(kept.intensity, connect(kept.index, subject.series.shape))
    return {mode: np.asarray(rescale(raw[mode], Rescale.MEAN).rows, dtype=np.float32) for mode in modes}


def best_known(x: NDArray[np.float32], k: int, starts: int, dtype: str, cache: Cache) -> list[Record]:
    """scikit-learn fits from random trajectories, those known and those missing."""
    fingerprint = hashlib.sha256(np.ascontiguousarray(x).tobytes()).hexdigest()[:16]
    rows = x.astype(dtype)
    found = []
    for seed in range(starts):
        key = f"sklearn {fingerprint} k={k} {dtype} seed={seed}"
        record = cache.get(key)
        if record is None:
            record = _sklearn_fit(x, rows, k, seed)
            cache.put(key, record)
            print(f"  start {seed + 1}/{starts}: {record['log_likelihood']:.5f} in {record['seconds']:.1f} s")
        found.append(record)
    return found


def _sklearn_fit(x: NDArray[np.float32], rows: NDArray[Any], k: int, seed: int) -> Record:
    began = time.perf_counter()
    model = fit_quietly(sklearn_model(rows, k, init_params="random_from_data", random_state=seed), rows)
    seconds = time.perf_counter() - began
    parameters = (model.weights_, model.means_, model.covariances_)
    return {
        "seed": seed,
        "log_likelihood": score(x, *parameters),
        "iterations": int(model.n_iter_),
        "converged": bool(model.converged_),
        "seconds": seconds,
        "parameters": [np.asarray(values, dtype=np.float64).tolist() for values in parameters],
    }


def polished(x: NDArray[np.float32], record: Record) -> float:
    """Log-likelihood after our EM has gone on from a fit, free of scikit-learn's regulariser."""
    start = tuple(np.asarray(values) for values in record["parameters"])
    return ours_from(x, start, tol=1e-9, max_iter=1000).score(x)


def our_fits(x: NDArray[np.float32], k: int, seeds: int) -> Iterator[Record]:
    """Fits with the default settings, one a seed."""
    for seed in range(seeds):
        began = time.perf_counter()
        model = GaussianMixture(MixtureConfig(n_components=k, seed=seed)).fit(x)
        yield {
            "seed": seed,
            "seconds": time.perf_counter() - began,
            "log_likelihood": model.score(x),
            "iterations": model.n_iter,
            "converged": model.converged,
        }


def examine(x: NDArray[np.float32], case: Case, options: argparse.Namespace, cache: Cache) -> Record:
    """The best known optimum of one case, and how far each of ours is from it."""
    print(f"{case}: n = {len(x)}, T = {x.shape[1]}")
    peers = best_known(x, case.k, options.starts, options.dtype, cache)
    top = max(peers, key=lambda record: record["log_likelihood"])
    theirs = max(top["log_likelihood"], polished(x, top))
    ours = []
    for record in our_fits(x, case.k, options.seeds):
        record["difference"] = record["log_likelihood"] - theirs
        ours.append(record)
        print(f"  seed {record['seed']}: {record['difference']:+.6f} in {record['seconds']:.2f} s")
    highest = max([theirs, *(record["log_likelihood"] for record in ours)])
    return {
        "case": str(case),
        "n": len(x),
        "best_of_scikit_learn": theirs,
        "best_before_polish": top["log_likelihood"],
        "best_known": highest,
        "starts": len(peers),
        "starts_within": _near(peers, highest),
        "seeds": len(ours),
        "seeds_within": _near(ours, highest),
        "worst_difference": min(record["difference"] for record in ours),
        "median_seconds": float(np.median([record["seconds"] for record in ours])),
        "peers": [{key: value for key, value in record.items() if key != "parameters"} for record in peers],
        "ours": ours,
    }


def _near(records: list[Record], best: float) -> int:
    return sum(record["log_likelihood"] >= best - WITHIN for record in records)


def verdict(result: Record) -> str:
    """One paragraph for people."""
    return (
        f"{result['case']} (n = {result['n']}): best mean log-likelihood known {result['best_known']:.6f}; "
        f"scikit-learn from random trajectories: {result['best_of_scikit_learn']:.6f}, "
        f"{result['starts_within']} of {result['starts']} starts within {WITHIN:g} of the best known; "
        f"default settings: {result['seeds_within']} of {result['seeds']} seeds within {WITHIN:g}, "
        f"worst {result['worst_difference']:+.6f} from scikit-learn's best, "
        f"median {result['median_seconds']:.2f} s"
    )


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("series", type=Path, help="a stacked series")
    add("--case", type=Case.parse, action="append", help="d:K voxels, s:K peaks; repeat [d:4 s:3]")
    add("--starts", type=int, default=50, help="scikit-learn fits from random trajectories [50]")
    add("--seeds", type=int, default=20, help="our fits, seeds 0, 1, ... [20]")
    add(
        "--dtype",
        choices=("float64", "float32"),
        default="float64",
        help="precision of scikit-learn [float64]",
    )
    add("-o", "--output", type=Path, help="JSON file [benchmarks/results/optimum-NAME.json]")
    return parser.parse_args(arguments)


def main() -> None:
    """Examine every case and write the results."""
    options = parse()
    if min(options.starts, options.seeds) < 1:
        raise SystemExit("--starts and --seeds must be at least 1")
    cases = options.case or [Case("d", 4), Case("s", 3)]
    name = f"optimum-{options.series.stem}.json"
    output = options.output or Path(__file__).parent / "results" / name
    output.parent.mkdir(parents=True, exist_ok=True)
    cache = Cache(output.with_suffix(".cache.json"))
    subject = open_subject(options.series)
    rows = trajectories(subject, {case.mode for case in cases})
    results: list[Record] = []
    facts = {"machine": machine.describe(), "series": subject.describe(), "cases": results}
    for case in cases:
        result = examine(rows[case.mode], case, options, cache)
        results.append(result)
        output.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        print(verdict(result))
    print(f"written: {output}")


if __name__ == "__main__":
    main()
