"""Plugins in a clustering run: what they learn from, and how clusters come of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from xtec.core.arrays import home, like
from xtec.core.errors import BackendUnavailableError, XtecError
from xtec.core.results import Selection
from xtec.core.types import CovarianceType, Float64Array, FloatArray
from xtec.mixture import GaussianMixture, Trajectories
from xtec.mixture.labels import Responsibilities
from xtec.mixture.moments import ComponentMoments
from xtec.plugins import Plugin, Stateful, open_plugin, pack_state, parse_plugin, set_number
from xtec_pipelines.config import PLUGGED, ClusterConfig
from xtec_pipelines.streaming.sampling import some_rows

logger = logging.getLogger(__name__)

LEARNED_FROM = 100_000
"""Trajectories that a plugin learns from, at most."""

_CLUSTERED = 1_000_000
"""Features that a mixture is fitted to, at most."""

_TOGETHER = 2**16
"""Trajectories that a plugin is given at a time."""

Share = Callable[[FloatArray], Float64Array]
"""Probability (n, K) of each cluster for each of n trajectories."""


class MakeModel(Protocol):
    """Makes a mixture that is not fitted."""

    def __call__(self, n_components: int, covariance: CovarianceType | None = None, /) -> GaussianMixture:
        """Of so many components, with the covariances of the run by default."""


@dataclass(frozen=True)
class RunPlugins:
    """The plugins that a run asks for; None for what is built in."""

    features: Plugin | None = None
    clusterer: Plugin | None = None
    novelty: Plugin | None = None
    selector: Plugin | None = None

    @classmethod
    def open(cls, config: ClusterConfig, temperatures: Float64Array) -> RunPlugins:
        """Load them, before any work is done.

        Parameters
        ----------
        config : ClusterConfig
        temperatures : array, shape (T,)

        Raises
        ------
        BackendUnavailableError
            If one is not there, or cannot be used.
        """
        low, high = config.cluster_range
        known = {"seed": config.seed, "temperatures": temperatures}
        return cls(
            features=_open("features", config.features, **known),
            clusterer=_open("clusterers", config.clusterer, n_clusters=high, **known),
            novelty=_open("novelty", config.novelty, **known),
            selector=_open("selectors", config.selector, lowest=low, highest=high, **known),
        )

    @property
    def make_clusters(self) -> bool:
        """Whether clusters come of any of them."""
        return self.features is not None or self.clusterer is not None or self.selector is not None

    def each(self) -> Iterator[tuple[str, Plugin]]:
        """Those that there are, by what they are called on the command line."""
        for name in PLUGGED:
            if (plugin := getattr(self, name)) is not None:
                yield name, plugin

    def records(self) -> dict[str, dict[str, Any]]:
        """Name, version, options, seed and digest of what was learned."""
        return {name: plugin.record for name, plugin in self.each()}

    def states(self) -> dict[str, bytes]:
        """What was learned, as files."""
        return {
            name: pack_state(plugin.spec.name, plugin.object.get_state())
            for name, plugin in self.each()
            if isinstance(plugin.object, Stateful)
        }


def _open(slot: str, text: str | None, **given: Any) -> Plugin | None:
    return None if text is None else open_plugin(slot, parse_plugin(text), **given)


@contextmanager
def failing(plugin: Plugin) -> Iterator[None]:
    """Whatever another's code raises is an error that names it.

    Raises
    ------
    BackendUnavailableError
    """
    try:
        yield
    except XtecError:
        raise
    except Exception as error:
        what = f"the plugin {plugin.spec.name!r} ({plugin.distribution}) has failed: {error!r}"
        raise BackendUnavailableError(what, hint=f"xtec plugins check {plugin.spec.name}") from error


def learn(plugin: Plugin, rows: FloatArray) -> None:
    """Have a plugin learn, where it was not given what it learned before."""
    if plugin.has_state:
        logger.info("%s: as learned before, from %s", plugin.spec.name, plugin.spec.options["state"])
        return
    some = rows[:: -(-len(rows) // LEARNED_FROM)]
    logger.info("%s learns from %d of %d trajectories", plugin.spec.name, len(some), len(rows))
    with failing(plugin):
        plugin.object.fit(some)


@dataclass(frozen=True)
class Transformed:
    """Takes trajectories to features, block by block; to themselves without a plugin."""

    plugin: Plugin | None

    def __call__(self, rows: Any) -> FloatArray:
        """Features, shape (n, F)."""
        trajectories = np.ascontiguousarray(home(rows))
        if self.plugin is None:
            return trajectories
        with failing(self.plugin):
            parts = [np.asarray(self.plugin.object.transform(part)) for part in blocks_of(trajectories)]
            features: FloatArray = np.concatenate(parts)
            if features.ndim != 2 or len(features) != len(trajectories) or not np.isfinite(features).all():
                raise ValueError(f"features of shape {features.shape}, or not all of them numbers")
        return features if features.dtype in (np.float32, np.float64) else features.astype(np.float64)


@dataclass(frozen=True)
class ByEstimator:
    """Probabilities of clusters by a plugin; of one that only has labels, zeros and ones."""

    plugin: Plugin
    n_clusters: int

    def __call__(self, features: FloatArray) -> Float64Array:
        """Shape (n, K)."""
        with failing(self.plugin):
            parts = [self._of(part) for part in blocks_of(features)]
        return np.concatenate(parts)

    def _of(self, features: FloatArray) -> Float64Array:
        k, estimator = self.n_clusters, self.plugin.object
        if hasattr(estimator, "predict_proba"):
            share = np.asarray(estimator.predict_proba(features), dtype=np.float64)
            if share.shape != (len(features), k) or not np.allclose(share.sum(axis=1), 1, atol=1e-3):
                raise ValueError(f"probabilities of shape {share.shape}, or that do not add up to 1")
            return share
        return np.eye(k)[_labels(estimator.predict(features), len(features), k)]


def _labels(found: Any, n: int, most: int | None = None) -> NDArray[np.intp]:
    labels = np.asarray(found)
    if labels.shape != (n,) or labels.dtype.kind not in "iu":
        raise ValueError(f"labels of shape {labels.shape} and type {labels.dtype}")
    if n and (labels.min() < 0 or (most is not None and labels.max() >= most)):
        raise ValueError(f"labels from {labels.min()} to {labels.max()}: 0..K-1 are wanted")
    return labels.astype(np.intp)


@dataclass(frozen=True)
class LabelsOfRows:
    """The most probable cluster of each trajectory, and its probability; picklable."""

    transformed: Transformed
    share: Share

    def __call__(self, rows: Any) -> tuple[Any, Any]:
        """Both of shape (n,), where the rows are."""
        share = self.share(self.transformed(rows))
        component = share.argmax(axis=1)
        probability = share[np.arange(len(share)), component]
        return like(component.astype(np.int16), rows), like(probability.astype(np.float32), rows)


@dataclass(frozen=True)
class _Moments:
    """Moments of the trajectories of a block, shared out."""

    transformed: Transformed
    share: Share

    def __call__(self, rows: Any) -> ComponentMoments:
        share = self.share(self.transformed(rows))
        return ComponentMoments.of_block(home(rows).astype(np.float64), share, full=False)


@dataclass(frozen=True)
class LearnedClusters:
    """Clusters that come of plugins.

    Attributes
    ----------
    labels : LabelsOfRows
    mixture : GaussianMixture
        Describes the trajectories of each.
    selection : Selection, optional
    """

    labels: LabelsOfRows
    mixture: GaussianMixture
    selection: Selection | None = None


def find_clusters(
    trajectories: Trajectories,
    plugins: RunPlugins,
    config: ClusterConfig,
    model: MakeModel,
) -> LearnedClusters:
    """Learn features, the number of clusters and the clusters, as far as plugins are asked for each.

    Parameters
    ----------
    trajectories : Trajectories
    plugins : RunPlugins
    config : ClusterConfig
    model : MakeModel
    """
    rows = some_rows(trajectories, _CLUSTERED, config.seed)
    if plugins.features is not None:
        learn(plugins.features, rows)
    transformed = Transformed(plugins.features)
    features, selection = transformed(rows), None
    k = config.cluster_range[1]
    if plugins.selector is not None:
        selection = _select(plugins.selector, features, config)
        k = selection.recommended
    share, k = _learned(plugins.clusterer, features, k, model)
    moments = ComponentMoments.empty(k, trajectories.n_features, full=False)
    for part in trajectories.map(_Moments(transformed, share)):
        moments = moments.merge(part)
    described = model(k, CovarianceType.DIAG).described_by(moments, trajectories)
    return LearnedClusters(LabelsOfRows(transformed, share), described, selection)


def _learned(clusterer: Plugin | None, features: FloatArray, k: int, model: MakeModel) -> tuple[Share, int]:
    """Probabilities by a plugin, and of how many clusters; by a mixture of the features without one."""
    if clusterer is None:
        fitted = model(k).fit(np.asfortranarray(features))
        return Responsibilities(fitted.parameters), k
    with failing(clusterer):
        set_number(clusterer, k)
    learn(clusterer, features)
    with failing(clusterer):
        few = features[:_TOGETHER]
        if hasattr(clusterer.object, "predict_proba"):
            k = int(np.asarray(clusterer.object.predict_proba(few[:1])).shape[1])
        else:
            k = max(k, int(_labels(clusterer.object.predict(few), len(few)).max()) + 1)
    return ByEstimator(clusterer, k), k


def _select(plugin: Plugin, features: FloatArray, config: ClusterConfig) -> Selection:
    """What a plugin says of the number of clusters."""
    low, high = config.cluster_range
    learn(plugin, features)
    found = plugin.object
    with failing(plugin):
        chosen = int(found.n_clusters_)
        if not low <= chosen <= high:
            raise ValueError(f"{chosen} clusters, where {low} to {high} are allowed")
    numbers = np.arange(low, high + 1)
    curves = getattr(found, "curves_", {})
    unknown = np.full(numbers.size, np.nan)
    names = ("bic", "icl", "silhouette", "stability", "size", "fidelity", "gain")
    return Selection(
        n_clusters=numbers,
        **{name: np.asarray(curves.get(name, unknown), dtype=np.float64) for name in names},
        frontier=np.asarray(getattr(found, "frontier_", np.empty((0, 3))), dtype=np.float64),
        recommended=chosen,
        reason=f"{chosen} clusters: {getattr(found, 'reason_', f'by {plugin.spec}')}",
        sensitivity=str(getattr(found, "sensitivity_", "")),
    )


def blocks_of(rows: FloatArray) -> Iterator[FloatArray]:
    """As many trajectories as a plugin is given at a time."""
    for start in range(0, max(len(rows), 1), _TOGETHER):
        yield rows[start : start + _TOGETHER]
