"""Intensities that are not what intensities should be."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

D = ("--mode", "d", "--threshold", "none")
T, SHAPE = 8, (6, 12, 13)

Cluster = Callable[..., object]


@pytest.fixture
def data(ordering: Callable[..., np.ndarray]) -> np.ndarray:
    return ordering(T, SHAPE).astype(np.float64)


@pytest.mark.parametrize("options", [(), (*D, "-k", 1), ("--threshold", "none", "--mode", "s", "-k", 1)])
@pytest.mark.parametrize("value", [0.0, 1.0, np.nan, np.inf, 1e300, 5e-324])
def test_one_value_everywhere(cluster: Cluster, value: float, options: tuple[object, ...]) -> None:
    told = cluster(np.full((T, *SHAPE), value), *options)
    assert told.code == (3 if value != 1 or not options else 4)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_one_value_and_noise_is_no_cluster(cluster: Cluster, kind: type) -> None:
    noise = np.random.default_rng(0).poisson(50.0, (T, 10, 20, 20)).astype(kind)
    told = cluster(noise, "-k", 2, "--threshold", "significance")
    assert told.code == 4 or sum(told.sizes) < 0.01 * noise[0].size
    assert told.code == 0 or "no voxel varies significantly" in told.message


def test_every_temperature_the_same(cluster: Cluster, data: np.ndarray) -> None:
    told = cluster(np.broadcast_to(data[:1], data.shape))
    assert told.code == 4
    assert "all trajectories are the same" in told.message


def test_every_voxel_the_same(cluster: Cluster, data: np.ndarray) -> None:
    same = np.broadcast_to(data[:, 2:3, 2:3, 6:7], data.shape)
    assert cluster(same, *D, "-k", 2).code == 4
    assert "half of the voxels have the same mean" in cluster(same, name="b").message


def test_two_kinds_of_trajectory_many_times_each(cluster: Cluster) -> None:
    """Clusters without any width: the two are told apart, and the likelihood stays finite."""
    line = np.linspace(1.0, 2.0, T)
    copies = np.where(np.arange(60) % 3 == 0, line[:, None], line[::-1, None]).reshape(T, 3, 4, 5)
    told = cluster(copies, *D, "-k", 2)
    assert sorted(told.sizes) == [20, 40]
    labels = told.map.ravel()
    assert len(set(labels[::3])) == 1
    assert set(labels[::3]).isdisjoint(labels[1::3])


@pytest.mark.parametrize("covariance", ["diag", "full", "tied", "spherical"])
def test_collinear_trajectories(cluster: Cluster, covariance: str) -> None:
    """All on one line through the origin of T dimensions: a singular covariance, and still two groups."""
    rng = np.random.default_rng(0)
    slope = np.where(np.arange(300) < 100, 0.5, -0.5) + 0.02 * rng.standard_normal(300)
    copies = (1 + slope * np.linspace(-1, 1, T)[:, None]).reshape(T, 10, 30)
    told = cluster(copies, *D, "-k", 2, "--covariance", covariance)
    assert sorted(told.sizes) == [100, 200]


@pytest.mark.parametrize(
    ("n", "k", "code"),
    [(1, 1, 4), (1, 2, 2), (2, 1, 0), (2, 2, 0), (2, 3, 2), (7, 7, 0), (7, 6, 0), (7, 8, 2)],
)
def test_few_voxels(cluster: Cluster, data: np.ndarray, n: int, k: int, code: int) -> None:
    told = cluster(data[:, 2:3, 2:3, :n], *D, "-k", k)
    assert told.code == code
    if code == 2:
        assert f"{k} clusters of {n} trajectories cannot be found" in told.message
    if code == 0:
        assert sum(told.sizes) == n
        assert "trust their shapes, not widths" in told.warnings
        assert ("a single voxel is all there is of cluster" in told.warnings) == (1 in told.sizes)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_voxels_without_a_number_are_left_out(cluster: Cluster, data: np.ndarray, bad: float) -> None:
    """Once at any temperature is enough; the others come out as without them."""
    plain = cluster(data, *D, "-k", 2, name="plain").map
    holes = data.copy()
    where = np.random.default_rng(1).random(SHAPE) < 0.1
    holes[3, where] = bad
    told = cluster(holes, *D, "-k", 2, name="holes")
    assert told.summary["n_nan"] == where.sum()
    assert (told.map[where] == 0).all()
    assert (told.map[~where] == plain[~where]).all()


def test_one_temperature_without_a_number(cluster: Cluster, data: np.ndarray) -> None:
    data[2] = np.nan
    told = cluster(data)
    assert told.code == 3
    assert f"{data[0].size} have a NaN" in told.message


@pytest.mark.parametrize("rescale", ["mean", "zscore", "log-mean", "none"])
@pytest.mark.parametrize("mode", ["d", pytest.param("smooth", marks=pytest.mark.campaign)])
def test_a_temperature_without_counts(cluster: Cluster, data: np.ndarray, mode: str, rescale: str) -> None:
    """The shutter was closed: logarithms are refused, the rest is clustered."""
    data[0] = 0
    told = cluster(data, "--mode", mode, "--threshold", "none", "-k", 2, "--rescale", rescale)
    assert told.code == (3 if rescale == "log-mean" else 0)


def test_negative_intensities(cluster: Cluster, data: np.ndarray) -> None:
    """Refused where a logarithm or a mean is needed, with the place; else dropped or clustered as asked."""
    data[:, ::2] = -1.0
    refused = cluster(data, "-k", 2)
    assert refused.code == 3
    assert "negative intensity -1 at temperature = 10, Ql = -0.5" in refused.message
    dropped = cluster(data, "-k", 2, "--negative", "drop", name="dropped")
    assert dropped.summary["n_nonpositive"] + dropped.summary["n_empty"] == data[0, ::2].size
    assert (dropped.map[::2] == 0).all()
    scored = cluster(data, *D, "-k", 2, "--rescale", "zscore", name="scored")
    assert f"{data[0, ::2].size} of {data[0].size} trajectories left out" in scored.warnings


def test_marks_of_masked_voxels_are_no_intensities(cluster: Cluster, data: np.ndarray) -> None:
    plain = cluster(data, "-k", 2, name="plain")
    data[:, 5] = 9.96921e36
    told = cluster(data, "-k", 2, name="marked")
    assert told.summary["n_nan"] == data[0, 5].size
    assert f"{data[0, 5].size} voxels are left out" in told.warnings
    assert (told.map[5] == 0).all()
    assert (told.map[:5][plain.map[:5] > 0] > 0).all()


@pytest.mark.parametrize("mark", [2**32 - 1, 65535, 255])
def test_saturated_voxels_are_named(cluster: Cluster, data: np.ndarray, mark: int) -> None:
    counts = np.clip(np.round(2 * data), 0, 250)
    counts[:, 3, 4, 2:9] = mark
    told = cluster(counts, *D, "-k", 2)
    assert f"7 voxels have the highest intensity of all, {float(np.float32(mark)):g}" in told.warnings


def test_bright_voxels_are_not_called_saturated(cluster: Cluster, data: np.ndarray) -> None:
    """Nor are equivalents of a symmetrised volume, though their intensities are the same."""
    counts = np.random.default_rng(0).poisson(np.maximum(data, 0)).astype(np.uint16)
    symmetric = np.concatenate([counts, counts[:, ::-1]], axis=1)
    symmetric = np.concatenate([symmetric, symmetric[..., ::-1]], axis=3)
    assert "highest intensity" not in cluster(symmetric, *D, "-k", 2).warnings


@pytest.mark.parametrize(
    "options",
    [
        (),
        pytest.param((*D, "-k", 3), marks=pytest.mark.campaign),
        pytest.param(("--mode", "smooth", "-k", 2, "--threshold", "kl"), marks=pytest.mark.campaign),
        pytest.param((*D, "--noise", "poisson"), marks=pytest.mark.campaign),
    ],
)
@pytest.mark.parametrize("over_scan", [False, True])
def test_sixty_orders_of_magnitude(cluster: Cluster, over_scan: bool, options: tuple[object, ...]) -> None:
    rng = np.random.default_rng(1)
    size = 10.0 ** rng.uniform(-29, 29, (T if over_scan else 1, *SHAPE))
    told = cluster(size * (1 + 0.1 * rng.random((T, *SHAPE))), *options)
    assert told.code in (0, 3)
    assert told.code == 0 or "counting noise cannot be told" in told.message
