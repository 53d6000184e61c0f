"""The Gaussian mixture with the reference's names, arguments and shapes."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xtec.compat.arrays import as_floats, plane
from xtec.compat.cluster import Cluster_Gaussian
from xtec.compat.peaks import Peak_averaging
from xtec.compat.smoothing import MatrixNeighbourhood, fit_smoothed
from xtec.compat.threshold import Threshold_Background
from xtec.core.errors import ConfigError, InputError
from xtec.core.types import CovarianceType, Float64Array, Updates
from xtec.mixture.em import EMState
from xtec.mixture.gaussian import GaussianMixture, MixtureConfig
from xtec.mixture.parameters import MixtureParameters

logger = logging.getLogger(__name__)

_TYPES = {"diagonal": CovarianceType.DIAG, "full": CovarianceType.FULL}


class GMM:
    """Gaussian mixture of trajectories.

    Parameters
    ----------
    data : array, shape (n, T)
    cluster_num : int
        K.
    cov_type : {"diagonal", "full"}
    batch_num : int
        More than one: some sweeps of stepwise EM before EM on all data.
    alpha : float
        Of no effect: steps of EM are not damped.
    tol : float
        Converged when an iteration changes the mean log-likelihood of a trajectory by less.
    max_batch_epoch, max_full_epoch : int
        Iterations at most, of both together.
    verbose : bool
        Log the log-likelihood as EM goes on, at level INFO.
    seed : int
        The same seed gives the same clusters.

    Attributes
    ----------
    means : array, shape (K, T)
    covs : array, shape (K, T) or (K, T, T)
        Variances, or full covariances.
    mixing_weights : array, shape (K,)
    cluster : list of Cluster_Gaussian
        Mean and covariance of each cluster. Before `RunEM` these four say nothing of clusters.
    cluster_assignments : array of int, shape (n,)
        Cluster of each trajectory, counted from 0 by falling weight.
    cluster_probs : array, shape (K, n)
        Probability of each cluster for each trajectory.
    num_per_cluster : list of int
    loglikelihood : float
        Of all trajectories together.
    converged : bool
    epoch : int
        Iterations taken.
    discovery_cluster_ind : int
        The cluster, of two trajectories at least, whose mean varies most with temperature.
    Markov_matrix : sparse matrix, shape (n, n)
        With label smoothing.
    Data_ind, Pixel_assignments : array of int, shape (m, ndim) and (m,)
        After `Get_pixel_labels`: indices of the peaks' voxels, and their clusters.
    traj_means : list of array, shape (T,)
        After `Plot_Cluster_Results_traj`: the means drawn.
    plot_image, plot_cmap, plot_norm
        After `Plot_Cluster_kspace_2D_slice`: what was drawn, or is to be.

    Raises
    ------
    ConfigError
        If `cov_type` is unknown, or a number is out of range.
    InputError
        If `data` are not finite.
    """

    def __init__(
        self,
        data: ArrayLike,
        cluster_num: int,
        cov_type: str = "diagonal",
        batch_num: int = 1,
        alpha: float = 0.7,
        tol: float = 1e-5,
        max_batch_epoch: int = 50,
        max_full_epoch: int = 500,
        verbose: bool = False,
        *,
        seed: int = 0,
    ) -> None:
        if cov_type not in _TYPES:
            raise ConfigError(f"unknown cov_type {cov_type!r}", hint=f"one of {', '.join(_TYPES)}")
        self.data = as_floats(data)
        if not np.isfinite(self.data).all():
            raise InputError("trajectories are not finite", hint="mask them first")
        self.cluster_num = cluster_num
        self.cov_type = cov_type
        self.batch_num = batch_num
        self.alpha = alpha
        self.tol = tol
        self.max_batch_epoch, self.max_full_epoch = max_batch_epoch, max_full_epoch
        self.verbose = verbose
        self._config = MixtureConfig(
            n_components=cluster_num,
            covariance_type=_TYPES[cov_type],
            tol=tol,
            max_iter=max_batch_epoch + max_full_epoch,
            seed=seed,
            em=Updates.BATCH if batch_num == 1 else Updates.STEPWISE,
        )
        self.epoch = 0
        self.cluster_probs: Float64Array | None = None
        self._adopt(self._placeholder(seed))

    def _placeholder(self, seed: int) -> MixtureParameters:
        k, t = self.cluster_num, self.data.shape[1]
        mean, variance = self.data.mean(axis=0, dtype=np.float64), self.data.var(axis=0, dtype=np.float64)
        means = mean + np.sqrt(variance) * np.random.default_rng(seed).standard_normal((k, t))
        covariance = variance if self.cov_type == "diagonal" else np.diag(variance)
        return MixtureParameters(np.full(k, 1 / k), means, np.stack([covariance] * k), _TYPES[self.cov_type])

    def _adopt(self, parameters: MixtureParameters) -> None:
        self._parameters = parameters
        self.mixing_weights = parameters.weights
        self.means, self.covs = parameters.means, parameters.covariances
        self.cluster = [Cluster_Gaussian(*pair) for pair in zip(self.means, self.covs, strict=True)]

    def RunEM(
        self,
        label_smoothing_flag: bool = False,
        Markov_matrix: Any = None,
        smoothing_iterations: int = 1,
    ) -> None:
        """Fit the mixture; see the attributes.

        Parameters
        ----------
        label_smoothing_flag : bool
            Whether probabilities are averaged over neighbours before each M step.
        Markov_matrix : sparse matrix, shape (n, n), optional
            As ``GMM_kernels.Build_Markov_Matrix`` makes it.
        smoothing_iterations : int
            How often it is applied each time.

        Raises
        ------
        ConfigError
            If there are fewer trajectories than clusters, or the matrix is missing or of another size.
        DegenerateMixtureError
            If all trajectories are the same.
        """
        if label_smoothing_flag and Markov_matrix is None:
            raise ConfigError("label smoothing needs a Markov_matrix", hint="GMM_kernels.Build_Markov_Matrix")
        model, save = GaussianMixture(self._config), _log if self.verbose else None
        if label_smoothing_flag:
            self.Markov_matrix = Markov_matrix
            hood = MatrixNeighbourhood(Markov_matrix, smoothing_iterations)
            shares = fit_smoothed(model, self.data, hood, save)
        else:
            shares = model.fit(self.data, save=save).responsibilities(self.data)
        self.epoch, self.converged = model.n_iter, model.converged
        self._settle(model.parameters, shares)

    def _settle(self, parameters: MixtureParameters, shares: Float64Array) -> None:
        order = np.argsort(-parameters.weights, kind="stable")
        self._adopt(parameters.reordered(order))
        self.cluster_probs = shares[:, order].T
        self.cluster_assignments: NDArray[np.intp] = self.cluster_probs.argmax(axis=0)
        sizes = np.bincount(self.cluster_assignments, minlength=self.cluster_num)
        self.num_per_cluster: list[int] = sizes.tolist()
        self.discovery_cluster_ind = int(np.argmax(np.where(sizes < 2, 0.0, self.means.std(axis=1))))
        self.loglikelihood = self.LogLikelihood(self.data)

    def LogLikelihood(self, data_: ArrayLike) -> float:
        """Log-likelihood of trajectories (n, T), all together."""
        model = GaussianMixture(self._config)
        model.parameters = self._parameters
        rows = as_floats(data_)
        return model.score(rows) * len(rows)

    def Get_pixel_labels(self, Peak_avg: Peak_averaging) -> None:
        """Give every voxel the cluster of its peak; see `Data_ind` and `Pixel_assignments`.

        Parameters
        ----------
        Peak_avg : Peak_averaging
            The peaks whose averages were clustered.

        Raises
        ------
        ConfigError
            If they are not as many as the trajectories clustered.
        """
        peaks = Peak_avg.peak_avg_ind_list
        if len(peaks) != len(self.cluster_assignments):
            raise ConfigError(
                f"{len(peaks)} peaks, and {len(self.cluster_assignments)} trajectories clustered"
            )
        self.Data_ind: NDArray[np.intp] = np.concatenate(peaks)
        self.Pixel_assignments: NDArray[np.intp] = np.repeat(
            self.cluster_assignments, [len(p) for p in peaks]
        )

    def Plot_Cluster_Results_traj(
        self, x_train: ArrayLike, traj_flag: bool = False, data_means: ArrayLike | None = None
    ) -> Any:
        """Plot the clusters against temperature, on a new pyplot figure.

        Parameters
        ----------
        x_train : array, shape (T,)
            Temperatures.
        traj_flag : bool
            Draw all trajectories in their clusters' colours; otherwise means with one standard deviation.
        data_means : array, shape (n,) or (n, T), optional
            What was subtracted from each trajectory: each cluster's average of it is added to its mean.

        Returns
        -------
        module or None
            ``matplotlib.pyplot`` where all trajectories are drawn.
        """
        from xtec.plotting import classic

        if traj_flag:
            return classic.plot_members(x_train, self.data, self.cluster_assignments, list(self.means))
        shift = np.zeros(self.cluster_num)
        if data_means is not None and self.cluster_probs is not None:
            probs = self.cluster_probs / self.cluster_probs.sum(axis=1, keepdims=True)
            shift = probs @ np.asarray(data_means)
        self.traj_means = [mean + added for mean, added in zip(self.means, shift, strict=True)]
        stds = [np.sqrt(cov if cov.ndim == 1 else np.diagonal(cov)) for cov in self.covs]
        classic.plot_bands(x_train, self.traj_means, stds)
        return None

    def Plot_Cluster_kspace_2D_slice(
        self,
        threshold: Threshold_Background,
        figsize_: tuple[float, float] | None = None,
        data_ind: NDArray[np.intp] | None = None,
        slice_ind: int | None = None,
        axis_: int | None = None,
        cluster_assignments: NDArray[np.intp] | None = None,
        cluster_list: ArrayLike | None = None,
    ) -> None:
        """Colour the voxels of one plane by cluster; see `plot_image`, `plot_cmap` and `plot_norm`.

        Parameters
        ----------
        threshold : Threshold_Background
        figsize_ : tuple (width, height), optional
            Draw on a new pyplot figure of this size in inches; otherwise draw nothing.
        data_ind : array of int, shape (m, ndim), optional
            Indices of the voxels clustered; by default those that the threshold kept.
        slice_ind, axis_ : int, optional
            Which plane, and perpendicular to which axis (0, 1, 2 for L, K, H); for 3-D data.
        cluster_assignments : array of int, shape (m,), optional
            Clusters of these voxels; by default those of the trajectories.
        cluster_list : sequence of int, optional
            Clusters to colour; the others stay grey. By default all.
        """
        from xtec.plotting import classic

        index = threshold.ind_thresholded if data_ind is None else data_ind
        label = self.cluster_assignments if cluster_assignments is None else cluster_assignments
        chosen = np.isin(label, range(self.cluster_num) if cluster_list is None else cluster_list)
        volume = threshold.thresholded.copy()
        volume[tuple(index[chosen].T)] = label[chosen] + 2
        self.plot_image: NDArray[np.int_] = plane(volume, slice_ind, axis_)
        self.plot_cmap, self.plot_norm = classic.image_colors(self.cluster_num)
        if figsize_ is not None:
            classic.plot_plane(self.plot_image, self.cluster_num, figsize_)

    def Plot_Cluster_Results_kspace_3D(self, threshold: Threshold_Background) -> None:
        """Plot the voxels that vary as points in three dimensions, coloured by cluster.

        Parameters
        ----------
        threshold : Threshold_Background
            Whose `Get_High_Variance` gave the trajectories clustered.
        """
        from xtec.plotting import classic

        index = threshold.ind_high_std_dev
        groups = [index[self.cluster_assignments == k] for k in range(self.cluster_num)]
        colors = [classic.classic_color(k) for k in range(self.cluster_num)]
        classic.plot_points(groups, threshold.data_shape_orig[1:], colors, alpha=0.3)


def _log(state: EMState) -> None:
    logger.info("iteration %d: mean log-likelihood %.8g", state.n_iter, state.log_likelihood)
