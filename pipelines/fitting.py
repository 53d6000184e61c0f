"""The mixture of a run: with a number of clusters that was given, or one that is chosen."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from xtec.core.progress import Progress
from xtec.core.results import FittedMixture, MixtureParts, Selection
from xtec.core.shards import Shards
from xtec.mixture import Blocks, EMState, GaussianMixture, MixtureConfig, Trajectories
from xtec.mixture.smoothed import Placed
from xtec.mixture.smoothing import Neighbourhood
from xtec.selection import Selector, SelectorConfig
from xtec_pipelines.config import ClusterConfig
from xtec_pipelines.journal import Journal

logger = logging.getLogger(__name__)


def fit_mixture(
    trajectories: Blocks,
    config: ClusterConfig,
    progress: Progress,
    journal: Journal | None,
) -> tuple[GaussianMixture, Selection | None]:
    """Fit the mixture, after choosing the number of clusters where that is asked for.

    A choice depends on nothing but trajectories and seed, so a run that is resumed makes it again.
    """
    data = Trajectories(trajectories, None if config.noise == "none" else config.rescale)
    if isinstance(config.clusters, int):
        return _fit(data, _model(config, config.clusters), progress, journal), None
    low, high = config.cluster_range
    with progress.stage("select", total=high - low + 1, unit="numbers") as advance:
        selector = Selector(SelectorConfig(lowest=low, highest=high, seed=config.seed))
        selected = selector.select(data, lambda: advance(1))
    logger.info("%s", selected.selection.reason)
    model = _model(config, selected.start.n_components)
    _fit(data, model, progress, journal, EMState(selected.start))
    model.cluster = selected.cluster
    return model, selected.selection


def fit_smoothed(
    placed: Shards[Placed],
    hood: Neighbourhood,
    config: ClusterConfig,
    progress: Progress,
    journal: Journal | None,
) -> GaussianMixture:
    """Fit the mixture with label smoothing."""
    with _saving(progress, journal) as after_each:
        state = None if journal is None else journal.mixture()
        model = _model(config, config.cluster_range[1])
        return model.fit_smoothed(placed, hood, state=state, save=after_each)


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


def _model(config: ClusterConfig, n_components: int) -> GaussianMixture:
    return GaussianMixture(
        MixtureConfig(
            n_components=n_components,
            covariance_type=config.covariance,
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
    start: EMState | None = None,
) -> GaussianMixture:
    """Go on from what the journal has, or from a start, or search for one."""
    with _saving(progress, journal) as after_each:
        state = (None if journal is None else journal.mixture()) or start
        if state is None:
            # A pending longer step cannot be saved: neither this run nor one resumed from here takes it.
            state = replace(model.search(data).best, before=None)
            after_each(state)
        return model.fit(data, state=state, save=after_each)


def fitted(mixture: GaussianMixture, order: NDArray[np.intp]) -> FittedMixture:
    """What is written of a mixture, its clusters in another order."""
    whole, parts, cluster = mixture.parameters, None, mixture.cluster
    if cluster is not None:
        number = np.argsort(order)[cluster]
        first = np.argsort(number, kind="stable")
        pieces = whole.reordered(first)
        parts = MixtureParts(
            (number[first] + 1).astype(np.int16), pieces.weights, pieces.means, pieces.covariances
        )
        whole = whole.merged(cluster)
    parameters = whole.reordered(order)
    return FittedMixture(
        weights=parameters.weights,
        means=parameters.means,
        covariances=parameters.covariances,
        covariance_type=str(parameters.covariance_type),
        log_likelihood=mixture.log_likelihood,
        bic=mixture.bic(),
        n_iter=mixture.n_iter,
        n_init=mixture.config.n_init,
        converged=mixture.converged,
        n_reseeded=mixture.n_reseeded,
        parts=parts,
    )
