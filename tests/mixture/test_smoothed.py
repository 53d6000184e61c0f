"""EM with label smoothing, against an implementation with the explicit matrix."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from xtec.core.chunking import plan_blocks
from xtec.core.shards import Local
from xtec.core.types import CovarianceType
from xtec.mixture import EMState, GaussianMixture, MixtureConfig, MixtureParameters
from xtec.mixture.smoothed import Placed, run_smoothed_em
from xtec.mixture.smoothing import LocalKernel, PeriodicKernel, neighbourhood

from .test_smoothing import explicit_matrix


def planted(shape, seed, noise=1.0, n_temperatures=6):
    """Peaks of four pixels in cells of six, each of one of three kinds that noise makes look alike."""
    rng = np.random.default_rng(seed)
    index = np.arange(np.prod(shape))
    position = np.stack(np.unravel_index(index, shape), axis=1)
    index = index[(position % 6 < 4).all(axis=1)]
    kind = (position[index] // 6).sum(axis=1) % 3
    means = rng.normal(size=(3, n_temperatures))
    return index, kind, means[kind] + noise * rng.normal(size=(index.size, n_temperatures))


def explicit_em(rows, matrix, start, n_iter):
    """Parameters after so many iterations, diagonal components, straight from the definition."""
    weights, means, variances = start.weights, start.means, start.covariances
    for _ in range(n_iter):
        joint = np.log(weights) + norm.logpdf(rows[:, None], means, np.sqrt(variances)).sum(axis=2)
        shares = np.exp(joint - joint.max(axis=1, keepdims=True))
        shares = matrix @ (shares / shares.sum(axis=1, keepdims=True))
        size = shares.sum(axis=0)
        weights, means = size / len(rows), shares.T @ rows / size[:, None]
        variances = np.stack([s @ (rows - m) ** 2 / s.sum() for s, m in zip(shares.T, means, strict=True)])
    return weights, means, variances


def in_shards(index, rows, shape, n):
    blocks = plan_blocks(shape, voxel_bytes=1, budget=int(np.prod(shape)) // (2 * n))
    owner = np.zeros(shape, dtype=int)
    for number, block in enumerate(blocks):
        owner[block] = number % n
    mine = [np.flatnonzero(owner.reshape(-1)[index] == number) for number in range(n)]
    return Local(Placed(k, index[one], rows[one]) for k, one in enumerate(mine)), [
        blocks[number::n] for number in range(n)
    ]


@pytest.mark.parametrize(
    ("shape", "kernel"),
    [
        ((30, 34), LocalKernel(1.0)),
        ((30, 34), PeriodicKernel(0.3, (10, 10))),
        ((7, 12, 14), LocalKernel(0.8, weighted=True)),
        ((7, 12, 14), PeriodicKernel(0.5, (4, 5, 6))),
    ],
)
def test_twenty_iterations_follow_the_explicit_matrix(shape, kernel):
    index, _, rows = planted(shape, seed=1)
    rng = np.random.default_rng(2)
    start = MixtureParameters(
        np.full(3, 1 / 3),
        rows[rng.choice(len(rows), 3, replace=False)],
        np.ones((3, rows.shape[1])),
        CovarianceType.DIAG,
    )
    placed, boxes = in_shards(index, rows, shape, 3)
    hood = neighbourhood(kernel, shape, boxes)
    for n_iter in (1, 5, 20):
        found = run_smoothed_em(placed, start, hood, tol=0.0, max_iter=n_iter).parameters
        weights, means, variances = explicit_em(rows, explicit_matrix(index, shape, kernel), start, n_iter)
        np.testing.assert_allclose(found.weights, weights, atol=1e-8)
        np.testing.assert_allclose(found.means, means, atol=1e-8)
        np.testing.assert_allclose(found.covariances, variances, atol=1e-8)


def test_smoothing_finds_blobs_that_noise_hides():
    shape = (60, 60)
    index, kind, rows = planted(shape, seed=3, noise=1.0)
    placed, boxes = in_shards(index, rows, shape, 2)
    hood = neighbourhood(LocalKernel(1.0), shape, boxes)
    model = GaussianMixture(MixtureConfig(n_components=3))
    alone = model.fit(rows).predict(rows)[0]
    model.fit_smoothed(placed, hood)
    labels = np.empty(len(rows), int)
    for shard, (found, _) in zip(
        placed.map(lambda one: one), placed.map(model.smoothed_labeller(placed, hood)), strict=True
    ):
        labels[np.searchsorted(index, shard.index)] = found
    assert purity(alone, kind) < 0.97
    assert purity(labels, kind) > 0.99


def purity(labels, kind):
    return sum(np.bincount(kind[labels == one]).max() for one in np.unique(labels)) / len(kind)


def test_a_run_goes_on_from_a_saved_state_as_without_a_break():
    shape = (20, 22)
    index, _, rows = planted(shape, seed=4)
    placed, boxes = in_shards(index, rows, shape, 2)
    hood = neighbourhood(LocalKernel(1.0), shape, boxes)
    saved: list[EMState] = []
    model = GaussianMixture(MixtureConfig(n_components=3, max_iter=15, tol=0.0))
    model.fit_smoothed(placed, hood, save=saved.append)
    again = GaussianMixture(MixtureConfig(n_components=3, max_iter=15, tol=0.0))
    again.fit_smoothed(placed, hood, state=saved[6])
    np.testing.assert_array_equal(model.parameters.means, again.parameters.means)
    assert model.history == again.history
