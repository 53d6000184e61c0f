"""From trajectories to a number of clusters: one sample, all numbers, and components joined by shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xtec.core.errors import ConfigError
from xtec.core.results import Selection
from xtec.core.types import CovarianceType, Float64Array
from xtec.mixture import GaussianMixture, MixtureConfig, MixtureParameters, Trajectories
from xtec.mixture.parameters import free_parameters
from xtec.selection.criteria import agreement, bic, icl, silhouette
from xtec.selection.frontier import Clustering, Joint, clusterings, pareto
from xtec.selection.recommend import Rule, recommend
from xtec.selection.shapes import likeness, refine, scatter

_SAMPLE = 30_000
"""Trajectories that components are found on."""

_SWEPT = 8_000
"""Trajectories that the criteria are taken on."""

_FIRST = (4, 8, 12, 16)
"""Numbers of components to begin with."""

_MOST = 32
"""Components at most, when those mixed of several shapes have been split."""

_STARTS = 4
_GAIN = 1e-5


@dataclass(frozen=True, kw_only=True)
class SelectorConfig:
    """Which numbers of clusters to consider.

    Attributes
    ----------
    lowest, highest : int
        Both included.
    seed : int
        The same seed gives the same answer.
    """

    lowest: int = 1
    highest: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.lowest <= self.highest:
            raise ConfigError(f"no number of clusters from {self.lowest} to {self.highest}", hint="-k 2:8")


@dataclass(frozen=True)
class Selected:
    """What was selected.

    Attributes
    ----------
    start : MixtureParameters
        M components, fitted to the sample.
    cluster : array, shape (M,)
        Cluster 0..K-1 that each component belongs to.
    selection : Selection
        Curves, recommendation and reason.
    """

    start: MixtureParameters
    cluster: NDArray[np.intp]
    selection: Selection


class Selector:
    """Finds the number of clusters of trajectories.

    A mixture of many components is fitted to a sample, components that are mixed of several shapes are split,
    and those whose dependence on temperature has the same shape are joined. Which join is read off the
    fidelity and size of the clusterings. The usual criteria are swept over plain mixtures for comparison.

    Parameters
    ----------
    config : SelectorConfig

    References
    ----------
    Hennig, Methods for merging Gaussian mixture components, Adv. Data Anal. Classif. 4, 3 (2010).
    """

    def __init__(self, config: SelectorConfig) -> None:
        self.config = config

    def select(self, data: Trajectories, after_each: Callable[[], None] = lambda: None) -> Selected:
        """Sweep and choose.

        Parameters
        ----------
        data : Trajectories
        after_each : callable
            Called after each number of clusters that was tried.

        Raises
        ------
        ConfigError
            If there are fewer trajectories than the lowest number of clusters.
        DegenerateMixtureError
            If all trajectories are the same.
        """
        config = self.config
        if data.n < config.lowest:
            raise ConfigError(
                f"{config.lowest} clusters of {data.n} trajectories cannot be found",
                hint="a lower range, or a lower threshold",
            )
        data.require_spread()
        numbers = np.arange(config.lowest, min(config.highest, data.n) + 1)
        swept = data.sample(np.random.default_rng(config.seed), _SWEPT)
        criteria = np.empty((4, numbers.size))
        for column, k in enumerate(numbers):
            criteria[:, column] = _criteria(swept, int(k), config.seed)
            after_each()
        return self._join(data.sample(np.random.default_rng(config.seed), _SAMPLE), numbers, criteria)

    def _first(self, sample: Trajectories) -> MixtureParameters:
        """Components before any is split: the number, of a few, that has the lowest BIC."""
        most = min(max(sample.n // sample.n_features, self.config.lowest), sample.n)
        numbers = sorted({max(min(number, most), self.config.lowest) for number in _FIRST})
        fits = [_fit(sample, number, 2 * _STARTS, self.config.seed) for number in numbers]
        return min(fits, key=lambda fit: fit.bic()).parameters

    def _join(self, sample: Trajectories, numbers: NDArray[np.intp], criteria: Float64Array) -> Selected:
        start = refine(sample, self._first(sample), _MOST)
        rows = sample.rows()
        found = scatter(rows, start)
        firm = np.array([0.0 if one.mixed else float(one.size) for one in found])
        joint = Joint(likeness(rows, start))
        rule = Rule(int(numbers[0]), int(numbers[-1]), fewest=float(sample.n_features))
        choice = recommend(joint, firm, rule)
        met = [*clusterings(joint), choice.clustering]
        cluster = np.empty(start.n_components, dtype=np.intp)
        for number, group in enumerate(choice.clustering.partition):
            cluster[list(group)] = number
        front = pareto(met)
        curves = np.array([_point(met, choice.clustering, int(k)) for k in numbers])
        names = ("bic", "icl", "silhouette", "stability", "size", "fidelity", "distinctness")
        selection = Selection(
            n_clusters=numbers,
            **dict(zip(names, [*criteria, *curves.T], strict=True)),
            frontier=np.array([(c.n_clusters, c.size, c.fidelity) for c in front]),
            n_components=start.n_components,
            recommended=choice.clustering.n_clusters,
            reason=choice.reason,
            sensitivity=choice.sensitivity,
        )
        return Selected(start, cluster, selection)


def _point(met: list[Clustering], chosen: Clustering, k: int) -> tuple[float, float, float]:
    """Size, fidelity and distinctness of the most faithful of k clusters, or of what was chosen; else NaN."""
    mine = [chosen] if chosen.n_clusters == k else [one for one in met if one.n_clusters == k]
    if not mine:
        return np.nan, np.nan, np.nan
    best = max(mine, key=lambda one: one.fidelity)
    return best.size, best.fidelity, best.distinctness


def _fit(data: Trajectories, k: int, n_init: int, seed: int) -> GaussianMixture:
    """A plain mixture; of few trajectories one with a common width, as in the search for starts."""
    few = data.n < free_parameters(k, data.n_features, CovarianceType.DIAG)
    kind = CovarianceType.SHARED if few else CovarianceType.DIAG
    return GaussianMixture(
        MixtureConfig(n_components=k, covariance_type=kind, n_init=n_init, tol=_GAIN, seed=seed)
    ).fit(data)


def _criteria(data: Trajectories, k: int, seed: int) -> tuple[float, float, float, float]:
    """BIC, ICL, silhouette and stability of K plain components."""
    rows = data.rows()
    model = _fit(data, k, _STARTS, seed)
    share = model.responsibilities(rows)
    label = share.argmax(axis=1)
    rng = np.random.default_rng((seed, k))
    drawn = Trajectories(np.asfortranarray(rows[np.sort(rng.integers(len(rows), size=len(rows)))]))
    again = _fit(drawn, k, _STARTS, seed + 1).predict(rows)[0]
    information = bic(model.log_likelihood, data.n, model.parameters.n_free)
    return (
        information,
        icl(information, share),
        silhouette(rows, label, rng),
        agreement(label, again),
    )
