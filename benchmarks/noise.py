"""What knowing of the counting noise is worth: series of the bundled sample's kind, at ever fewer counts.

    python benchmarks/noise.py                                    # the table of docs/performance.md
    python benchmarks/noise.py --counts 0.1 --seeds 5 -k 4 --case d:kl d:2.6 s:kl

A case is a mode and a threshold: ``kl``, or a cutoff in ln intensity. Clusters that order are those that
`xtec cluster` would say do; precision, recall and F1 are those of the superlattice voxels among the voxels
kept, averaged over seeds. Besides, recall where the probability to order is cut at a precision of 0.95, which
does not depend on where each mixture draws its line; and recall by the strength of the peaks. The count scale
is told by the data, as in a run.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from xtec.core.shards import Local
from xtec.core.types import Rescale
from xtec.mixture import GaussianMixture, MixtureConfig, Noisy, Trajectories
from xtec.order_parameter import ClusterMoments, cluster_curves, describe
from xtec.peaks import connect
from xtec.peaks.sums import average_peaks
from xtec.preprocess import (
    Cells,
    CountScale,
    Judged,
    Tally,
    chi_square,
    find_significance,
    find_threshold,
    n_waves,
    noise_of_rescaled,
    rescale,
    split_variation,
    waves,
)
from xtec.simulation import SimulatedSeries

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "sample_data"))
from make_sample import cdw_spec

PRECISION = 0.95
STRENGTHS = (0.0, 3.0, 10.0, 30.0, np.inf)
"""Bins of a peak's highest intensity at the lowest temperature, over background."""


@dataclass(frozen=True)
class Simulated:
    """One series, and the truth: strength of the peak of each superlattice voxel, 0 elsewhere."""

    model: SimulatedSeries
    intensity: np.ndarray
    strength: np.ndarray


@cache
def simulated(seed: int, counts: float) -> Simulated:
    """Make a series; kept for the next case."""
    spec = cdw_spec()
    model = SimulatedSeries(replace(spec, seed=seed, detector=replace(spec.detector, counts=counts)))
    shape = model.shape
    everything = model.block(slice(None), slice(None)).reshape(shape[0], -1)
    index = np.flatnonzero(model.labels(slice(None)) == model.label_names.index("superlattice"))
    clean = np.stack([model.component("superlattice", 0, plane) for plane in range(shape[1])]).reshape(-1)
    peak = connect(index, shape[1:])
    highest = np.zeros(peak.max() + 1)
    np.maximum.at(highest, peak, clean[index])
    strength = np.zeros(clean.size)
    strength[index] = highest[peak] / spec.scattering.background
    return Simulated(model, everything, strength)


@dataclass(frozen=True)
class Fit:
    """Label of each kept voxel, which labels order, the probability to, and iterations taken."""

    orders: np.ndarray
    probability: np.ndarray
    n_iter: int


def kept_voxels(series: Simulated, threshold: str) -> tuple[np.ndarray, np.ndarray]:
    """Flat indices of the voxels kept, and which way those go that vary significantly."""
    mean = series.intensity.mean(axis=0, dtype=np.float64)
    usable = np.flatnonzero(mean > 0)
    log_mean = np.log(mean[usable])
    method = threshold if threshold.startswith("kl") else float(threshold)
    kept = log_mean > find_threshold(Local([log_mean]), method).cutoff
    course = np.zeros(usable.size, np.int8)
    if "significance" in threshold:
        rows = np.take(series.intensity, usable, axis=1)
        smooth, rough = split_variation(rows, mean[usable])
        grid = series.model.shape[1:]
        cells, tally = Cells(grid), Tally()
        cell = cells.of_block(tuple(slice(0, size) for size in grid))[usable]
        tally.add(log_mean, rough, cell)
        found = find_significance(Local([Judged(log_mean, smooth, cell)]), tally, cells, len(rows), 0.01)
        significant = chi_square(found, log_mean, smooth, cell) >= found.cutoff
        course = np.where(significant, np.sign(waves(len(rows))[0] @ rows), 0).astype(np.int8)
        kept |= significant
    return usable[kept], course[kept]


def fit(
    series: Simulated, index: np.ndarray, course: np.ndarray, mode: str, noise: bool, k: int, seed: int
) -> Fit:
    """Cluster the kept voxels, with or without knowing of noise."""
    scan, axes = series.model.scan, series.model.q_axes
    voxels = np.take(series.intensity, index, axis=1).T
    peak, size, intensity = np.arange(index.size), np.ones(index.size), voxels
    if mode == "s":
        peak = connect(index, tuple(map(len, axes)), course)
        size, intensity = np.bincount(peak).astype(float), average_peaks(voxels, peak)
    rescaled = rescale(intensity, Rescale.MEAN)
    rows = rescaled.rows
    if noise:
        some = voxels.astype(np.float64)
        mean = some.mean(axis=1)
        variance = split_variation(np.ascontiguousarray(some.T), mean)[1] * mean
        scale = CountScale.estimate(mean, variance, len(scan) - 1 - n_waves(len(scan)))
        rows = Noisy(rows, noise_of_rescaled(scale, intensity.mean(axis=1, dtype=np.float64), rescaled, size))
    data = Trajectories(rows, Rescale.MEAN if noise else None)
    model = GaussianMixture(MixtureConfig(n_components=k, seed=seed)).fit(data)
    share = model.responsibilities(rows)[peak]
    label = share.argmax(axis=1).astype(np.int16) + np.int16(1)
    moments = ClusterMoments.of(voxels, label, k)
    curves = cluster_curves(scan, moments, moments)
    orders = np.array([bool(describe(scan, curve).orders) for curve in curves.intensity_mean])
    return Fit(orders[label - 1], share[:, orders].sum(axis=1), model.n_iter)


def measured(series: Simulated, threshold: str, mode: str, noise: bool, k: int, seed: int) -> list[float]:
    """Voxels kept, those that are true, P, R, F1, R at equal precision, R by strength, iterations."""
    index, course = kept_voxels(series, threshold)
    strength = series.strength[index]
    true = strength > 0
    found = fit(series, index, course, mode, noise, k, seed)
    hits = np.count_nonzero(found.orders & true)
    sorted_true = true[np.argsort(-found.probability, kind="stable")]
    hits_so_far = np.cumsum(sorted_true)
    precise = np.flatnonzero(hits_so_far >= PRECISION * np.arange(1, true.size + 1))
    of_strength = np.digitize(strength, STRENGTHS[1:-1])
    by_strength = [found.orders[true & (of_strength == one)] for one in range(len(STRENGTHS) - 1)]
    return [
        index.size,
        true.sum(),
        hits / max(found.orders.sum(), 1),
        hits / true.sum(),
        2 * hits / (found.orders.sum() + true.sum()),
        hits_so_far[precise[-1]] / true.sum() if precise.size else 0.0,
        *(one.mean() if one.size else np.nan for one in by_strength),
        found.n_iter,
    ]


def rows_of_table(options: argparse.Namespace) -> Iterator[str]:
    """Markdown, one row for each case, with and without noise."""
    bins = [f"R, {low:g}-{high:g}" for low, high in itertools.pairwise(STRENGTHS)]
    head = ["counts", "case", "K", "kept", "true", "noise", "P", "R", "F1", f"R at P = {PRECISION}", *bins]
    yield "| " + " | ".join([*head, "iterations"]) + " |"
    yield "|" + "---|" * (len(head) + 1)
    for counts in options.counts:
        for case in options.case:
            mode, threshold = case.split(":")
            for k in options.k:
                for noise in (False, True):
                    each = [
                        measured(simulated(seed, counts), threshold, mode, noise, k, seed)
                        for seed in range(options.seeds)
                    ]
                    kept, true, *shares, n_iter = np.nanmean(each, axis=0)
                    named = [f"{counts:g}", case, str(k), f"{kept:.0f}", f"{true:.0f}"]
                    text = [*named, "poisson" if noise else "none", *(f"{one:.3f}" for one in shares)]
                    yield "| " + " | ".join([*text, f"{n_iter:.0f}"]) + " |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--counts", type=float, nargs="+", default=[1.0, 0.3, 0.1])
    parser.add_argument("--case", nargs="+", default=["s:kl", "d:kl", "d:2.6", "d:2.4"])
    parser.add_argument("-k", type=int, nargs="+", default=[4, 6])
    parser.add_argument("--seeds", type=int, default=3)
    for row in rows_of_table(parser.parse_args()):
        print(row, flush=True)


if __name__ == "__main__":
    main()
