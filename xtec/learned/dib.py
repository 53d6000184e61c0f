"""Number of clusters from the primal deterministic information bottleneck.

Trajectories are first described by a mixture of more components than there are clusters. Joining components
gives up fidelity (what a cluster tells of the shape of a trajectory) for size (the entropy of the clusters).
Along the frontier of clusterings that no other beats, a step between clusters that are really different gives
up one nat of fidelity for each nat of size; one between parts of the same cluster gives up less. The number
chosen is the one where that slope falls most. It must survive resampling: mixtures of other draws of the
trajectories must agree which of them go together.

References
----------
Tan, Tegmark & Chuang, Entropy 24, 771 (2022), arXiv:2204.02489.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from xtec.core.errors import ConfigError
from xtec.core.types import Float64Array, FloatArray
from xtec.mixture import GaussianMixture, MixtureConfig, MixtureParameters
from xtec.mixture.labels import Responsibilities
from xtec.selection.criteria import agreement
from xtec.selection.frontier import Joint, Partition, clusterings, join, most_alike, pareto

_SAMPLE = 8_000
"""Trajectories that mixtures are fitted to, and clusterings compared on."""

_STARTS = 4
_ROWS_A_COMPONENT = 30
_LEAST, _LEAST_SHARE = 10, 0.01
"""Trajectories that a component must have, in number and as a share: outliers make components of their own,
each different from everything."""


class BottleneckSelector(BaseEstimator):
    """Choose the number of clusters where the slope of the bottleneck's frontier falls most.

    Parameters
    ----------
    lowest, highest : int
        Numbers to choose from, both included.
    components : int
        Of the mixtures whose components are joined; less where there are few trajectories.
    resamplings : int
        Mixtures that are compared.
    survives : float
        Adjusted Rand index, on average over pairs of them, that a number of clusters needs.
    random_state : int

    Attributes
    ----------
    n_clusters_ : int
    reason_ : str
    curves_ : mapping of str to array
        ``size`` and ``fidelity`` (nats), ``stability`` for each number; NaN where there is none.
    frontier_ : array, shape (P, 3)
        Number of clusters, size and fidelity.
    """

    def __init__(
        self,
        lowest: int = 1,
        highest: int = 10,
        *,
        components: int = 16,
        resamplings: int = 5,
        survives: float = 0.9,
        random_state: int = 0,
    ) -> None:
        self.lowest = lowest
        self.highest = highest
        self.components = components
        self.resamplings = resamplings
        self.survives = survives
        self.random_state = random_state

    def fit(self, rows: FloatArray, y: None = None) -> BottleneckSelector:
        """Choose, from trajectories of shape (n, T).

        Raises
        ------
        ConfigError
            If there are too few trajectories, or mixtures to compare.
        """
        if self.resamplings < 2:
            raise ConfigError("resamplings: two mixtures at least are compared", hint="resamplings=5")
        if len(rows) < 2 * _ROWS_A_COMPONENT:
            raise ConfigError(
                f"{len(rows)} trajectories are too few for a bottleneck", hint="a number with -k"
            )
        rng = np.random.default_rng(self.random_state)
        some = rows[np.sort(rng.choice(len(rows), min(_SAMPLE, len(rows)), replace=False))]
        fine = min(max(self.components, self.highest + 4), len(some) // _ROWS_A_COMPONENT)
        chains = [self._chain(some, fine, rng) for _ in range(self.resamplings)]
        numbers = np.arange(self.lowest, self.highest + 1)
        curves = {
            name: np.array([_mean([getattr(one, name).get(int(k)) for one in chains]) for k in numbers])
            for name in ("size", "fidelity")
        }
        stability = np.array([_agreement([one.label.get(int(k)) for one in chains]) for k in numbers])
        slope = np.array([_slope(chains, int(k)) for k in range(self.lowest, self.highest + 2)])
        self._choose(numbers, slope, stability)
        self.curves_ = {**curves, "stability": stability}
        self.frontier_ = chains[0].frontier
        return self

    def _chain(self, rows: FloatArray, fine: int, rng: np.random.Generator) -> _Chain:
        """A mixture of resampled trajectories, its components joined two by two."""
        again = rows[np.sort(rng.choice(len(rows), len(rows)))]
        config = MixtureConfig(n_components=fine, n_init=_STARTS, seed=int(rng.integers(2**31)))
        return _Chain.of(_without_outliers(GaussianMixture(config).fit(np.asfortranarray(again)), rows))

    def _choose(self, numbers: NDArray[np.intp], slope: Float64Array, stability: Float64Array) -> None:
        """The number with the largest fall of the slope after it, among those that survive."""
        stable = np.flatnonzero(np.nan_to_num(stability) >= self.survives)
        kept = stable if stable.size else np.array([int(np.nan_to_num(stability, nan=-1.0).argmax())])
        fall = slope[:-1] - slope[1:]
        chosen = int(kept[fall[kept].argmax()])
        self.n_clusters_ = int(numbers[chosen])
        self.reason_ = (
            f"one more would tell {slope[chosen + 1]:.2f} nats of a trajectory's shape for each nat of "
            f"size, the last of these {slope[chosen]:.2f}; resampled mixtures agree (adjusted Rand index "
            f"{stability[chosen]:.2f})"
        )


@dataclass(frozen=True)
class _Chain:
    """Clusterings of the components of one mixture, by number of clusters.

    Attributes
    ----------
    label : dict of int to array, shape (n,)
    size, fidelity, slope : dict of int to float
        In nats; the slope is that of the step to one cluster less.
    frontier : array, shape (P, 3)
    """

    label: dict[int, NDArray[np.intp]]
    size: dict[int, float]
    fidelity: dict[int, float]
    slope: dict[int, float]
    frontier: Float64Array

    @classmethod
    def of(cls, share: Float64Array) -> _Chain:
        """From responsibilities (n, M), always joining the two that are most alike."""
        joint = Joint(share.T @ share / len(share))
        frontier = np.array([(c.n_clusters, c.size, c.fidelity) for c in pareto(clusterings(joint))])
        chain = cls({}, {}, {}, {}, frontier)
        groups: Partition = tuple((k,) for k in range(share.shape[1]))
        while True:
            k, here = len(groups), joint.evaluate(groups)
            joined = [share[:, list(group)].sum(axis=1) for group in groups]
            chain.label[k] = np.argmax(np.stack(joined, axis=1), axis=1)
            chain.size[k], chain.fidelity[k] = here.size, here.fidelity
            if k == 1:
                return chain
            pair = most_alike(joint, groups)
            chain.slope[k] = joint.exchange_rate(*pair)
            groups = join(groups, *pair)


def _without_outliers(mixture: GaussianMixture, rows: FloatArray) -> Float64Array:
    """Responsibilities (n, M) of the components that enough trajectories belong to."""
    parameters, share = mixture.parameters, mixture.responsibilities(rows)
    least = max(_LEAST, _LEAST_SHARE * len(rows))
    while True:
        kept = share.sum(axis=0) >= least
        kept[share.sum(axis=0).argmax()] = True
        if kept.all():
            return share
        weights = parameters.weights[kept] / parameters.weights[kept].sum()
        own = (parameters.means[kept], parameters.covariances[kept], parameters.covariance_type)
        parameters = MixtureParameters(weights, *own)
        share = np.asarray(Responsibilities(parameters)(rows))


def _slope(chains: list[_Chain], k: int) -> float:
    """Mean slope of the step from k clusters to one less; 1 for the first, 0 for more than there are."""
    return 1.0 if k == 1 else float(np.mean([one.slope.get(k, 0.0) for one in chains]))


def _mean(values: list[float | None]) -> float:
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if there else float("nan")


def _agreement(labels: list[NDArray[np.intp] | None]) -> float:
    """Mean adjusted Rand index of all pairs; NaN where a mixture has no such clustering."""
    there = [one for one in labels if one is not None]
    if len(there) < len(labels):
        return float("nan")
    return float(np.mean([agreement(a, b) for a, b in itertools.combinations(there, 2)]))
