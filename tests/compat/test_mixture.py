"""GMM as a class of its own: what it promises beyond the reference, and what it refuses."""

from __future__ import annotations

import logging

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.metrics import adjusted_rand_score

from xtec.core.errors import ConfigError, InputError
from xtec.GMM import GMM, Cluster_Gaussian, GMM_kernels
from xtec.Preprocessing import Mask_Zeros, Peak_averaging, Threshold_Background


def planted(n_clusters: int, n: int = 600, t: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Well separated trajectories (n, T), and their true clusters; the first is the largest."""
    rng = np.random.default_rng(seed)
    shares = np.arange(n_clusters, 0, -1) / sum(range(n_clusters + 1))
    label = rng.choice(n_clusters, n, p=shares)
    means = 5 * rng.standard_normal((n_clusters, t))
    return means[label] + 0.2 * rng.standard_normal((n, t)), label


@pytest.fixture(autouse=True)
def agg():
    plt.switch_backend("agg")
    yield
    plt.close("all")


@pytest.mark.parametrize("cov_type", ["diagonal", "full"])
@pytest.mark.parametrize("batch_num", [1, 4])
def test_planted_clusters_are_found_and_ordered_by_weight(cov_type: str, batch_num: int) -> None:
    data, label = planted(4)
    gmm = GMM(data, 4, cov_type, batch_num)
    gmm.RunEM()
    assert adjusted_rand_score(label, gmm.cluster_assignments) == 1
    np.testing.assert_array_equal(gmm.num_per_cluster, np.bincount(label))
    assert (np.diff(gmm.mixing_weights) < 0).all()
    assert gmm.converged
    assert gmm.covs.shape == ((4, 6) if cov_type == "diagonal" else (4, 6, 6))


@pytest.mark.parametrize("cov_type", ["diagonal", "full"])
def test_likelihood_and_densities_are_the_closed_form(cov_type: str) -> None:
    data, _ = planted(3)
    gmm = GMM(data, 3, cov_type)
    gmm.RunEM()
    normals = [
        multivariate_normal(one.mean, one.cov if cov_type == "full" else np.diag(one.cov))
        for one in gmm.cluster
    ]
    density = sum(w * normal.pdf(data) for w, normal in zip(gmm.mixing_weights, normals, strict=True))
    assert gmm.loglikelihood == pytest.approx(np.log(density).sum(), rel=1e-9)
    assert gmm.LogLikelihood(data[:50]) == pytest.approx(np.log(density[:50]).sum(), rel=1e-9)
    for one, normal in zip(gmm.cluster, normals, strict=True):
        assert one.pdf(one.mean + 0.1) == pytest.approx(normal.pdf(one.mean + 0.1))


def test_many_temperatures_do_not_underflow() -> None:
    """The product of 300 variances of 1e-4 is below the smallest float64."""
    data = 0.01 * planted(2, t=300)[0]
    gmm = GMM(data, 2)
    gmm.RunEM()
    assert np.prod(gmm.covs[0]) == 0
    assert np.isfinite(gmm.loglikelihood)


def test_the_seed_decides() -> None:
    data = np.random.default_rng(0).standard_normal((500, 5))
    runs = [GMM(data, 3, seed=seed) for seed in (1, 1, 2)]
    for run in runs:
        run.RunEM()
    np.testing.assert_array_equal(runs[0].cluster_probs, runs[1].cluster_probs)
    assert not np.array_equal(GMM(data, 3, seed=1).means, GMM(data, 3, seed=2).means)


def test_before_a_run_shapes_are_there() -> None:
    gmm = GMM(planted(2)[0], 2, "full")
    assert gmm.means.shape == (2, 6)
    assert gmm.covs.shape == (2, 6, 6)
    assert len(gmm.cluster) == 2
    assert gmm.cluster_probs is None
    np.testing.assert_array_equal(gmm.mixing_weights, 0.5)


def test_smoothing_by_the_identity_changes_no_label_and_by_all_pairs_all() -> None:
    data, label = planted(2)
    index = np.argwhere(np.ones((20, 30)))
    alone = GMM_kernels.Build_Markov_Matrix(index, 0.1)
    gmm = GMM(data, 2)
    gmm.RunEM(True, alone, 3)
    assert adjusted_rand_score(label, gmm.cluster_assignments) == 1
    together = np.full((len(data), len(data)), 1 / len(data))
    gmm.RunEM(label_smoothing_flag=True, Markov_matrix=together)
    np.testing.assert_allclose(gmm.cluster_probs, gmm.cluster_probs[:, :1] * np.ones(len(data)))


def test_verbose_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        GMM(
            np.random.default_rng(0).standard_normal((500, 5)), 3, tol=0, max_full_epoch=5, verbose=True
        ).RunEM()
    assert "mean log-likelihood" in caplog.text


def test_more_than_seven_clusters_are_drawn() -> None:
    gmm = GMM(planted(9, n=2000)[0], 9)
    gmm.RunEM()
    gmm.Plot_Cluster_Results_traj(np.arange(6))
    assert len({line.get_color() for line in plt.gca().get_lines()}) == 9
    assert gmm.Plot_Cluster_Results_traj(np.arange(6), True) is plt


def test_what_makes_no_sense_is_refused() -> None:
    data, _ = planted(2)
    with pytest.raises(ConfigError, match="cov_type"):
        GMM(data, 2, "diag")
    with pytest.raises(InputError, match="finite"):
        GMM(np.full((9, 3), np.nan), 2)
    with pytest.raises(ConfigError, match="Markov_matrix"):
        GMM(data, 2).RunEM(True)
    with pytest.raises(ConfigError, match="shape"):
        GMM(data, 2).RunEM(True, np.eye(3))


def test_labels_of_other_peaks_are_refused() -> None:
    rng = np.random.default_rng(0)
    volume = rng.gamma(20, 1, (6, 30, 30))
    volume[:, ::6, ::6] *= 20
    peaks = Peak_averaging(volume, Threshold_Background(Mask_Zeros(volume), threshold_type="simple"))
    gmm = GMM(planted(2)[0], 2)
    gmm.RunEM()
    with pytest.raises(ConfigError, match="25 peaks"):
        gmm.Get_pixel_labels(peaks)


def test_one_gaussian_by_itself() -> None:
    one = Cluster_Gaussian(np.zeros(2), np.array([1.0, 4.0]))
    assert one.data_dim == 2
    assert one.pdf([1.0, 2.0]) == pytest.approx(np.exp(-1) / (4 * np.pi))
