"""Clusters that go on from those of a shorter series: their numbers, and where their fit begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xtec.core.results import Changes
from xtec.core.types import BackgroundThreshold
from xtec.mixture import GaussianMixture, MixtureParameters, Trajectories
from xtec.mixture.moments import ComponentMoments, has_full_scatter
from xtec.mixture.parameters import free_parameters
from xtec.operando.follow import ClusterMembers, follow
from xtec.order_parameter import Trend
from xtec.order_parameter.trend import NO_MEMBERS
from xtec_pipelines.clustering.fitting import Grouped


@dataclass(frozen=True)
class Numbered:
    """Clusters in the order of their numbers.

    Attributes
    ----------
    order : array, shape (M,)
        Position of each cluster among the components; -1 for numbers whose clusters are gone.
    trends : list of Trend
    changes : Changes
    """

    order: NDArray[np.intp]
    trends: list[Trend]
    changes: Changes


@dataclass(frozen=True)
class Following:
    """The clusters of a shorter series, as those of a longer one go on from them.

    Attributes
    ----------
    members : ClusterMembers
        Of the shorter series.
    warm : bool
        Whether to begin the fit with them, instead of searching.
    threshold : BackgroundThreshold, optional
        Of the shorter series: saves a survey.
    """

    members: ClusterMembers
    warm: bool = False
    threshold: BackgroundThreshold | None = None

    def start(self, grouped: Grouped, model: GaussianMixture, data: Trajectories) -> MixtureParameters | None:
        """The mixture of the same clusters at all temperatures; None where that is no start for a fit."""
        config, numbers = model.config, self.members.numbers
        k = config.n_components
        few = data.n < free_parameters(k, data.n_features, config.covariance_type)
        if not self.warm or few or len(numbers) != k:
            return None
        found = grouped(_Renumbered(self.members, numbers), k)
        if not found.size.all():
            return None
        scatter = found.squares
        if has_full_scatter(config.covariance_type):
            scatter = np.stack([np.diag(one) for one in scatter])
        return model.parameters_of(ComponentMoments(found.size, found.mean, scatter), data)

    def numbered(
        self,
        order: NDArray[np.intp],
        trends: Sequence[Trend],
        index: NDArray[np.int64],
        label: NDArray[np.int16],
    ) -> Numbered:
        """Number clusters so that those that go on keep their numbers.

        Parameters
        ----------
        order : array, shape (K,)
            Position of each cluster among the components, as numbered without an earlier series.
        trends : sequence of Trend
            In that order.
        index, label : array, shape (n,)
            Voxels, and the components (from 1) that they are labelled with.
        """
        as_read = np.argsort(order)[label - 1].astype(np.int16) + np.int16(1)
        early = all(trend.orders is None for trend in trends)
        followed = follow(self.members, ClusterMembers(index, as_read, len(order)), reuse=early)
        lasting, highest = followed.numbers > 0, max(self.members.highest, int(followed.numbers.max()))
        by_number = np.full(highest, -1, np.intp)
        by_number[followed.numbers[lasting] - 1] = order[lasting]
        trend_of = dict(zip(order.tolist(), trends, strict=True))
        return Numbered(
            by_number,
            [trend_of.get(one, NO_MEMBERS) for one in by_number.tolist()],
            Changes(followed.new, followed.gone),
        )


@dataclass(frozen=True)
class _Renumbered:
    """Labels 1..K in place of numbers with gaps."""

    members: ClusterMembers
    numbers: NDArray[np.intp]

    def __call__(self, index: NDArray[np.int64]) -> NDArray[np.int16]:
        rank = np.zeros(self.members.highest + 1, np.int16)
        rank[self.numbers] = np.arange(1, len(self.numbers) + 1)
        return rank[self.members.labels_of(index)]
