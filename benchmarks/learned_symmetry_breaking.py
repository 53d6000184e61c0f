"""Broken operations against planted truth, beside what a crystallographer does by hand.

    python benchmarks/learned_symmetry_breaking.py --seeds 201:211

Simulates the series `iuc` (as it is, with a third transition, with domains), clusters it as `xtec cluster`
does, and compares which operations of Fd-3m are found broken at every temperature with what was planted.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xtec.core.reflections import BrokenSymmetry
from xtec.io.run.clustered import read_clustered
from xtec.reciprocal import make_lattice
from xtec.simulation import Overrides, broken_operations, make_specs
from xtec_pipelines.cluster import run_cluster
from xtec_pipelines.config import make_config
from xtec_pipelines.findings.broken_symmetry import broken_symmetry, strongest_peaks
from xtec_pipelines.simulate import SimulateConfig, run_simulate

SPACE_GROUP = "Fd-3m"

CASES: dict[str, dict[str, Any]] = {
    "iuc": {},
    "third transition": {"third_transition": True},
    "no transition": {"no_transition": True},
    "domains 1:1:1": {"domains": (1.0, 1.0, 1.0)},
    "domains 70:15:15": {"domains": (0.7, 0.15, 0.15)},
    "domains 15:15:70": {"domains": (0.15, 0.15, 0.7)},
    "domains 60:30:10": {"domains": (0.6, 0.3, 0.1)},
}


@dataclass
class Score:
    """Decisions of one method: temperatures with all right, and single ones wrong."""

    right: int = 0
    temperatures: int = 0
    missed: int = 0
    invented: int = 0

    def add(self, broken: np.ndarray, truth: np.ndarray, known: np.ndarray) -> None:
        """Compare decisions (T, G) where the truth is `known` (T, G)."""
        missed, invented = truth & ~broken & known, broken & ~truth & known
        self.missed += int(missed.sum())
        self.invented += int(invented.sum())
        self.right += int((~(missed | invented).any(axis=1)).sum())
        self.temperatures += len(broken)

    def __str__(self) -> str:
        share = f"{self.right} of {self.temperatures}"
        return f"{share:>12} temperatures right, {self.missed:4d} missed, {self.invented:4d} invented"


def analyse(folder: Path, overrides: Overrides) -> BrokenSymmetry:
    """Simulate, cluster, find."""
    series, out = folder / "series.nxs", folder / "run"
    run_simulate(SimulateConfig(preset="iuc", output=series, overrides=overrides, force=True))
    run_cluster(make_config({"inputs": [str(series)], "output": str(out), "figures": False, "force": True}))
    run = read_clustered(out)
    lattice = make_lattice(run.sample, run.map.axes, run.map.angles, SPACE_GROUP)
    hkl, peaks = strongest_peaks(run, run.peaks.label, 0.25)
    return broken_symmetry(run, hkl, peaks, lattice, SPACE_GROUP)


def planted(overrides: Overrides, found: BrokenSymmetry) -> tuple[np.ndarray, np.ndarray]:
    """Which operations are broken, and of which the grid can tell; each (T, G)."""
    (spec,) = make_specs("iuc", overrides)
    truth = [broken_operations(spec, SPACE_GROUP, float(t)) for t in found.scan.values]
    rows = [[each[triplet] for triplet in found.triplets] for each in truth]
    broken = np.array([[value is True for value in row] for row in rows])
    known = np.array([[value is not None for value in row] for row in rows])
    return broken, known


def by_hand(found: BrokenSymmetry) -> np.ndarray:
    """Broken where R is half as large again as in the symmetric phase, or I/sigma larger by 3."""
    before = found.reference
    limit = np.maximum(1.5 * found.disagreement[before].mean(axis=0), 0.02)
    above = found.forbidden_over_sigma - found.forbidden_over_sigma[before].mean(axis=0)
    with np.errstate(invalid="ignore"):
        return np.asarray((found.disagreement > limit) | (above > 3.0))


def main() -> None:
    """Print a line for each case and method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="201:211", help="FIRST:LAST+1")
    parser.add_argument("--temperatures", type=int, default=28)
    parser.add_argument("--case", choices=list(CASES), action="append")
    arguments = parser.parse_args()
    first, last = map(int, arguments.seeds.split(":"))
    for name in arguments.case or CASES:
        relaxed, hand, phases = Score(), Score(), {}
        started = time.perf_counter()
        for seed in range(first, last):
            overrides = Overrides(seed=seed, n_temperatures=arguments.temperatures, **CASES[name])
            with tempfile.TemporaryDirectory() as folder:
                found = analyse(Path(folder), overrides)
            truth, known = planted(overrides, found)
            relaxed.add(found.broken, truth, known)
            hand.add(by_hand(found), truth, known)
            chain = " < ".join(
                [found.subgroup[0], *(f"{above:g} K {after}" for _, above, _, after in found.changes[::-1])]
            )
            phases[chain] = phases.get(chain, 0) + 1
            wrong = (found.broken != truth) & known
            for t in np.flatnonzero(wrong.any(axis=1)):
                names = [
                    f"{found.names[g]} ({'missed' if truth[t, g] else 'invented'})"
                    for g in np.flatnonzero(wrong[t])
                ]
                print(
                    f"    seed {seed}, {found.scan.values[t]:g} K: {len(names)}: {'; '.join(names[:3])}",
                    flush=True,
                )
        print(f"{name}   ({time.perf_counter() - started:.0f} s)")
        print(f"    relaxed weights  {relaxed}")
        print(f"    R and I/sigma    {hand}")
        for chain, times in sorted(phases.items(), key=lambda item: -item[1]):
            print(f"    {times} x  {chain}", flush=True)


if __name__ == "__main__":
    main()
