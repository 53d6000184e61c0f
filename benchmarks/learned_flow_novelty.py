"""How well unseen trajectories are told from reference ones: flow-novelty beside plain ways.

Two references, each of 24 temperatures with Poisson noise of 100 to 3000 counts in a voxel: `classes` holds
Bragg peaks, thermal diffuse scattering and an order parameter with one Tc; `onsets` holds order parameters
with any Tc and beta. A second series has 1 % of voxels of a class that the reference lacks. Printed is the
area under the ROC curve (1: all found; 0.5: none; less: novel ones look more like the reference
than its own), as mean and least over seeds, and the share of clean voxels called novel.

    python benchmarks/learned_flow_novelty.py [--seeds 3] [--offset 200] [--reference 12000] [--only WORLD]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import NearestNeighbors
from zuko.flows import NICE
from zuko.transforms import MonotonicRQSTransform

from xtec.core.types import Float64Array, FloatArray
from xtec.learned.flow import FlowNovelty
from xtec.learned.flow.judging import Judge
from xtec.learned.flow.whitening import Noise
from xtec.plugins.state import State

T = np.linspace(30.0, 300.0, 24)
N_JUDGED, N_CLEAN, SHARE = 20_000, 50_000, 0.01

Score = Callable[[FloatArray], Float64Array]
"""Trajectories (n, T) to how much they are like the reference (n,)."""


def onset(tc: Float64Array, beta: Float64Array | float) -> Float64Array:
    """Order parameters squared (n, T)."""
    return np.asarray(np.clip(1 - T / tc[:, None], 0, None) ** (2 * np.broadcast_to(beta, tc.shape)[:, None]))


def classes(rng: np.random.Generator, n: int) -> Float64Array:
    """Bragg peaks, thermal diffuse scattering, and an order parameter of Tc = 100 K within 5 K."""
    kind, u, v = rng.choice(3, n, p=[0.4, 0.4, 0.2]), *rng.uniform(size=(2, n, 1))
    bragg = np.exp(-(0.2 + 0.6 * u) * T / 300)
    diffuse = 0.15 + (0.3 + 1.2 * u) * T / 300
    ordered = 0.2 + 0.5 * v + onset(rng.uniform(95, 105, n), 0.3)
    return np.choose(kind[:, None], [bragg, diffuse, ordered])


def onsets(rng: np.random.Generator, n: int) -> Float64Array:
    """Order parameters with any Tc from 90 to 250 K on a sloping background."""
    height = np.exp(rng.uniform(np.log(0.3), np.log(3), (n, 1)))
    slope = rng.uniform(-0.3, 0.3, (n, 1))
    return 1 + slope * (T - 165) / 270 + height * onset(rng.uniform(90, 250, n), rng.uniform(0.15, 0.5, n))


WORLDS = {"classes": classes, "onsets": onsets}


def measured(shape: Float64Array, counts: Float64Array, rng: np.random.Generator) -> FloatArray:
    """Trajectories I / mean - 1 with as many counts (n, 1) on the mean."""
    intensity = rng.poisson(counts * shape / shape.mean(axis=1, keepdims=True)).astype(np.float64)
    return (intensity / intensity.mean(axis=1, keepdims=True) - 1).astype(np.float32)


def counts(rng: np.random.Generator, n: int) -> Float64Array:
    """From 100 to 3000, (n, 1)."""
    return np.exp(rng.uniform(np.log(100), np.log(3000), (n, 1)))


def planted(name: str, world: str, rng: np.random.Generator, n: int) -> FloatArray:
    """Trajectories of a class that the reference lacks; strengths are in standard deviations of one point."""
    level = counts(rng, n)
    shape = WORLDS[world](rng, n)
    shape = shape / shape.mean(axis=1, keepdims=True)
    unit = 1 / np.sqrt(level)
    if name.startswith("onset"):
        shape = shape + float(name.split()[1]) * unit * onset(
            rng.uniform(180, 230, n), rng.uniform(0.15, 0.35, n)
        )
    elif name.startswith("kink"):
        shape = shape + float(name.split()[1]) * unit * np.exp(
            -np.abs(T - rng.uniform(150, 250, (n, 1))) / 15
        )
    elif name == "reversed":
        shape = 1 + 0.4 * (1 - onset(rng.uniform(120, 220, n), 0.3))
    elif name == "step":
        shape = 1 + 6 * unit * (rng.uniform(150, 250, (n, 1)) > T)
    elif name == "arch":
        shape = 1 + 6 * unit * np.sin(np.pi * (T - 30) / 270)
    elif name.startswith("constant"):
        shape = np.ones_like(shape)
    if name.endswith("without noise"):
        shape = shape + 1e-4 * rng.standard_normal(shape.shape)
        return (shape / shape.mean(axis=1, keepdims=True) - 1).astype(np.float32)
    return measured(shape, level, rng)


NOVEL = {
    "classes": ["onset 4", "onset 8", "onset 12", "kink 5", "kink 8", "reversed", "arch", "step"],
    "onsets": ["kink 5", "kink 8", "reversed", "arch"],
}
SMOOTH = ["constant", "constant, without noise", "known, without noise"]
"""What local correlations predict best: the check of the known failure."""


def plain_flow(x: FloatArray, seed: int) -> Score:
    """An ordinary spline coupling flow: alternate masks, wide networks, temperatures each standardised."""
    mean, spread = x.mean(axis=0), x.std(axis=0)
    torch.manual_seed(seed)
    flow = NICE(
        x.shape[1],
        transforms=6,
        univariate=MonotonicRQSTransform,
        shapes=[(8,), (8,), (7,)],
        hidden_features=(128, 128),
    )
    data, epochs, batch = torch.tensor((x - mean) / spread), 16, 512
    steps = len(data) // batch
    optimiser = torch.optim.Adam(flow.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=epochs * steps)
    for _ in range(epochs):
        for which in torch.randperm(len(data))[: steps * batch].split(batch):
            # The mode without variance (the mean is always 0) would have any density: a little noise.
            loss = -flow().log_prob(data[which] + 1e-2 * torch.randn(batch, x.shape[1])).mean()
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(flow.parameters(), 1.0)
            optimiser.step()
            schedule.step()

    @torch.no_grad()
    def score(new: FloatArray) -> Float64Array:
        parts = torch.tensor((new - mean) / spread).split(8192)
        return torch.cat([flow().log_prob(part) for part in parts]).double().numpy()

    return score


def scores(x: FloatArray, seed: int) -> dict[str, Score]:
    """All ways, each fitted to the reference."""
    start = time.perf_counter()
    flow = FlowNovelty(random_state=seed).fit(x)
    print(
        f"    fitted in {time.perf_counter() - start:.0f} s, {len(flow.log_likelihoods_)} epochs", flush=True
    )
    state = flow.get_state()
    one_sided = FlowNovelty()
    one_sided.set_state(State(state.arrays, {**state.facts, "typicality": False}))
    mixture = GaussianMixture(20, covariance_type="diag", random_state=seed).fit(x[::2].astype(np.float64))
    neighbours = NearestNeighbors(n_neighbors=10).fit(x)
    noise = Noise.of(x)
    judge = Judge.of(mixture.score_samples(x[1::2]), noise(x[1::2]))
    return {
        "ours": flow.score_samples,
        "one-sided": one_sided.score_samples,
        "plain flow": plain_flow(x, seed),
        "mixture": lambda new: mixture.score_samples(new),
        "mixture given noise": lambda new: judge.score(mixture.score_samples(new), noise(new)),
        "kNN": lambda new: -neighbours.kneighbors(new)[0][:, -1],
        "predict": flow.p_values,
    }


def compare(world: str, seeds: list[int], n_reference: int) -> None:
    """Print the tables of one reference."""
    names, found, alarms = [*NOVEL[world], *SMOOTH], [], []
    for seed in seeds:
        rng = np.random.default_rng([seed, len(world)])
        ways = scores(measured(WORLDS[world](rng, n_reference), counts(rng, n_reference), rng), seed)
        clean = measured(WORLDS[world](rng, N_CLEAN), counts(rng, N_CLEAN), rng)
        p_values = ways.pop("predict")(clean)
        alarms.append([float((p_values <= rate).mean()) for rate in (0.05, 0.01)])
        few = clean[: int(N_JUDGED * (1 - SHARE))]
        novel = [planted(name, world, rng, int(N_JUDGED * SHARE)) for name in names]
        known = np.repeat([1, 0], [len(few), len(novel[0])])
        by_way = []
        for score in ways.values():
            usual = score(few)
            by_way.append([roc_auc_score(known, np.concatenate([usual, score(one)])) for one in novel])
        found.append(by_way)
    auc = np.array(found)
    print(f"\n| {world} | {' | '.join(ways)} |\n|---|{'---|' * len(ways)}")
    for k, name in enumerate(names):
        cells = [f"{a:.3f} ({b:.3f})" for a, b in zip(auc.mean(0)[:, k], auc.min(0)[:, k], strict=True)]
        print(f"| {name} | {' | '.join(cells)} |")
    each = ", ".join(f"{a:.4f} and {b:.4f}" for a, b in alarms)
    print(f"\nfalse alarms at rates of 0.05 and 0.01, of {N_CLEAN}: {each}\n", flush=True)


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--offset", type=int, default=200)
    parser.add_argument("--reference", type=int, default=12_000)
    parser.add_argument("--only", choices=list(WORLDS))
    options = parser.parse_args()
    for world in [options.only] if options.only else WORLDS:
        seeds = [options.offset + k for k in range(options.seeds)]
        compare(world, seeds, options.reference)


if __name__ == "__main__":
    main()
