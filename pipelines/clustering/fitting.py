"""The mixture of a run: with a number of clusters that was given, or one that is chosen."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from xtec.core.arrays import home, namespace
from xtec.core.device import Device
from xtec.core.progress import Progress
from xtec.core.results import FittedMixture, Selection
from xtec.core.shards import Shards
from xtec.core.types import CovarianceType, rows_or_nan
from xtec.mixture import Blocks, EMState, GaussianMixture, MixtureConfig, MixtureParameters, Trajectories
from xtec.mixture.moments import ComponentMoments
from xtec.mixture.smoothed import Placed
from xtec.mixture.smoothing import Neighbourhood
from xtec.order_parameter import ClusterMoments
from xtec.selection import Selector, SelectorConfig, Shaped, Shapes
from xtec.selection.shapes import View
from xtec_pipelines.clustering.journal import Journal
from xtec_pipelines.clustering.labelled import Find, FindOfRows
from xtec_pipelines.clustering.level import Level
from xtec_pipelines.clustering.plugged import RunPlugins, find_clusters
from xtec_pipelines.config import ClusterConfig

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fit:
    """The mixture of a run, and how its clusters are found.

    Attributes
    ----------
    mixture : GaussianMixture
        Where shapes were found, it only describes their trajectories.
    find : callable
        Finds the cluster of each trajectory.
    selection : Selection, optional
        How the number of clusters was chosen.
    """

    mixture: GaussianMixture
    find: Find
    selection: Selection | None = None

    @property
    def n_clusters(self) -> int:
        """K."""
        return self.mixture.config.n_components


LabelOf = Callable[[NDArray[np.int64]], NDArray[np.int16]]
"""Gives the number 1..K of voxels by their flat indices; 0 for none."""

Grouped = Callable[[LabelOf, int], ClusterMoments]
"""Gives the moments of what is clustered by labels of voxels, and their number."""

Start = Callable[[Grouped, GaussianMixture, Trajectories], MixtureParameters | None]
"""Gives a mixture to begin with; None to search for one."""


class Clustered(Protocol):
    """What is clustered: voxels, or peaks."""

    @property
    def trajectories(self) -> Blocks:
        """Rescaled trajectories, with their noise if that is known."""

    @property
    def rows(self) -> Blocks:
        """The same without it."""

    def shaped(self, level: Level) -> Shards[Shaped]:
        """The same with noise, and how much of them stands above a background."""

    def plain(self, mixture: GaussianMixture) -> Find:
        """Labels by a mixture."""

    def by_shape(self, shapes: Shapes, level: Level) -> Find:
        """Labels by shapes."""

    def by_rows(self, find: FindOfRows) -> Find:
        """Labels by trajectories alone."""

    def moments(self, label_of: LabelOf, n_clusters: int) -> ClusterMoments:
        """Of what is clustered, by labels of voxels."""


def fit_mixture(
    clustered: Clustered,
    level: Level,
    config: ClusterConfig,
    progress: Progress,
    journal: Journal | None,
    device: Device,
    start: Start | None = None,
    plugins: RunPlugins | None = None,
) -> Fit:
    """Fit the mixture, or choose the number of clusters where that is asked for; or have plugins do it."""
    if plugins is not None and plugins.make_clusters:
        with progress.stage("cluster"):
            found = find_clusters(Trajectories(clustered.rows), plugins, config, partial(_model, config))
        return Fit(found.mixture, clustered.by_rows(found.labels), found.selection)
    if isinstance(config.clusters, int):
        how = None if config.noise == "none" else config.rescale
        data = Trajectories(clustered.trajectories, how)
        model = _model(config, config.clusters)
        begin = None if start is None else start(clustered.moments, model, data)
        mixture = _fit(data, model, progress, journal, begin)
        return Fit(mixture, clustered.plain(mixture))
    low, high = config.cluster_range
    shaped = clustered.shaped(level)
    with progress.stage("select", total=high - low + 1, unit="numbers") as advance:
        selector = Selector(SelectorConfig(lowest=low, highest=high, seed=config.seed))
        selected = selector.select(shaped, lambda: advance(1), device)
    logger.info("%s", selected.selection.reason)
    with progress.stage("cluster"):
        data, k = Trajectories(clustered.rows), selected.selection.recommended
        moments = ComponentMoments.empty(k, data.n_features, full=False)
        for part in shaped.map(_Shared(selected.shapes)):
            moments = moments.merge(part)
        mixture = _model(config, k).described_by(moments, data)
    return Fit(mixture, clustered.by_shape(selected.shapes, level), selected.selection)


@dataclass(frozen=True)
class _Shared:
    """Moments of the classes of a shard."""

    shapes: Shapes

    def __call__(self, block: Shaped) -> ComponentMoments:
        moments = ComponentMoments.empty(len(self.shapes.weights), block.rows.shape[1], full=False)
        for part in block.parts():
            some = block.chosen(part)
            share, xp = self.shapes.responsibilities(View.of(some)), namespace(some.rows)
            rows = xp.astype(some.rows, xp.float64)
            moments = moments.merge(home(ComponentMoments.of_block(rows, share, full=False)))
        return moments


def fit_smoothed(
    placed: Shards[Placed],
    hood: Neighbourhood,
    config: ClusterConfig,
    progress: Progress,
    journal: Journal | None,
) -> Fit:
    """Fit the mixture with label smoothing."""
    with _saving(progress, journal) as after_each:
        state = None if journal is None else journal.mixture()
        model = _model(config, config.cluster_range[1])
        model.fit_smoothed(placed, hood, state=state, save=after_each)
    return Fit(model, model.smoothed_labeller(placed, hood))


@contextmanager
def _saving(progress: Progress, journal: Journal | None) -> Iterator[Callable[[EMState], None]]:
    """A stage whose states of the mixture are counted and saved."""
    with progress.stage("cluster", unit="iterations") as advance:
        save = None if journal is None else journal.saver()

        def after_each(state: EMState) -> None:
            advance(1)
            if save is not None:
                save(state)

        yield after_each


def _model(
    config: ClusterConfig, n_components: int, covariance: CovarianceType | None = None
) -> GaussianMixture:
    return GaussianMixture(
        MixtureConfig(
            n_components=n_components,
            covariance_type=covariance or config.covariance,
            em=config.em,
            n_init=config.n_init,
            tol=config.tol,
            max_iter=config.max_iter,
            seed=config.seed,
        )
    )


def _fit(
    data: Trajectories,
    model: GaussianMixture,
    progress: Progress,
    journal: Journal | None,
    begin: MixtureParameters | None,
) -> GaussianMixture:
    """Go on from what the journal has, or from a start that is given; else search for one."""
    with _saving(progress, journal) as after_each:
        state = None if journal is None else journal.mixture()
        if state is None and begin is not None:
            return model.fit(data, begin, save=after_each)
        if state is None:
            # A pending longer step cannot be saved: neither this run nor one resumed from here takes it.
            state = replace(model.search(data).best, before=None)
            after_each(state)
        return model.fit(data, state=state, save=after_each)


def fitted(mixture: GaussianMixture, order: NDArray[np.intp]) -> FittedMixture:
    """What is written of a mixture, its clusters in another order; a cluster -1 has no weight."""
    parameters = mixture.parameters
    covariances = parameters.covariances
    return FittedMixture(
        weights=np.where(order < 0, 0.0, parameters.weights[order]),
        means=rows_or_nan(parameters.means, order),
        covariances=covariances if parameters.is_common else rows_or_nan(covariances, order),
        covariance_type=str(parameters.covariance_type),
        log_likelihood=mixture.log_likelihood,
        bic=mixture.bic(),
        n_iter=mixture.n_iter,
        n_init=mixture.n_starts,
        converged=mixture.converged,
        n_reseeded=mixture.n_reseeded,
    )
