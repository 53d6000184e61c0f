"""Several models, each started by itself, combined: how sure the label of a trajectory is.

One mixture is sure of its labels, given that it is right. Models that began elsewhere, from other draws of
the same trajectories, disagree where the data do not settle the matter; their mean probability says so.

References
----------
Lakshminarayanan, Pritzel & Blundell, NIPS 2017, arXiv:1612.01474; Wilson & Izmailov, NeurIPS 2020,
arXiv:2002.08791.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils.validation import check_is_fitted

from xtec.core.errors import ConfigError, InputError
from xtec.core.types import CovarianceType, Float64Array, FloatArray
from xtec.learned.encoder import LAYERS, encode, train_encoder
from xtec.mixture import GaussianMixture, MixtureConfig, MixtureParameters
from xtec.mixture.labels import Responsibilities
from xtec.plugins import State

_PARTS = ("weights", "means", "covariances")
_KINDS = ("mixture", "encoder")

_STARTS_OF_CODES = 4
_MATCHED_ON = 20_000
"""Trajectories that clusters of members are matched by."""


class DeepEnsemble(ClusterMixin, BaseEstimator):
    """Cluster by several models, and say how far they agree.

    Parameters
    ----------
    n_clusters : int
    kind : {"mixture", "encoder"}
        Of each member: a mixture of trajectories, or one of the codes of a small network (needs torch).
    members : int
        Models that are combined.
    starts : int
        That each mixture tries.
    resample : bool
        Whether each mixture is fitted to its own draw of the trajectories, with repetition.
    random_state : int

    Attributes
    ----------
    weights_ : array, shape (M, K)
    means_, covariances_ : array, shape (M, K, F)
        Of all members, clusters in the order of those of the member that agrees most with the others; of
        trajectories (F = T), or of codes.
    layers_ : mapping of str to array
        Of the networks of all members (see `xtec.learned.encoder.LAYERS`); empty for mixtures.
    """

    def __init__(
        self,
        n_clusters: int = 4,
        *,
        kind: str = "mixture",
        members: int = 8,
        starts: int = 2,
        resample: bool = True,
        random_state: int = 0,
    ) -> None:
        self.n_clusters = n_clusters
        self.kind = kind
        self.members = members
        self.starts = starts
        self.resample = resample
        self.random_state = random_state

    def fit(self, rows: FloatArray, y: None = None) -> DeepEnsemble:
        """Fit all members to trajectories, shape (n, T).

        Raises
        ------
        ConfigError
            If there is no such kind, no member, or there are fewer trajectories than clusters.
        BackendUnavailableError
            If encoders are asked for without torch.
        """
        if self.kind not in _KINDS:
            raise ConfigError(f"kind: there is no {self.kind!r}", hint=" or ".join(_KINDS))
        if self.members < 1:
            raise ConfigError("members: an ensemble has one at least", hint="members=8")
        rng = np.random.default_rng(self.random_state)
        make = self._mixture if self.kind == "mixture" else self._encoder
        fitted = [make(rows, rng) for _ in range(self.members)]
        self.layers_ = {name: np.stack([one[1][name] for one in fitted]) for name in fitted[0][1]}
        self._stack([one[0] for one in fitted], [np.arange(self.n_clusters)] * self.members)
        some = rows[:: -(-len(rows) // _MATCHED_ON)]
        self._stack([one[0] for one in fitted], _matched(self.member_proba(some)))
        return self

    def _mixture(self, rows: FloatArray, rng: np.random.Generator) -> tuple[MixtureParameters, _Layers]:
        drawn = rows[np.sort(rng.choice(len(rows), len(rows)))] if self.resample else rows
        return self._fitted(drawn, self.starts, int(rng.integers(2**31))), {}

    def _encoder(self, rows: FloatArray, rng: np.random.Generator) -> tuple[MixtureParameters, _Layers]:
        seed = int(rng.integers(2**31))
        layers = train_encoder(rows, seed)
        return self._fitted(encode(rows, layers), _STARTS_OF_CODES, seed), layers

    def _fitted(self, rows: FloatArray, starts: int, seed: int) -> MixtureParameters:
        config = MixtureConfig(n_components=self.n_clusters, n_init=starts, seed=seed, max_iter=300)
        return GaussianMixture(config).fit(np.asfortranarray(rows)).parameters

    def _stack(self, parameters: list[MixtureParameters], ordered: list[NDArray[np.intp]]) -> None:
        both = list(zip(parameters, ordered, strict=True))
        self.weights_ = np.stack([one.weights[order] for one, order in both])
        self.means_ = np.stack([one.means[order] for one, order in both])
        self.covariances_ = np.stack([one.covariances[order] for one, order in both])

    def member_proba(self, rows: FloatArray) -> Float64Array:
        """Probabilities of the clusters by each member, shape (M, n, K)."""
        check_is_fitted(self, "weights_")
        parts = enumerate(zip(self.weights_, self.means_, self.covariances_, strict=True))
        return np.stack(
            [
                Responsibilities(MixtureParameters(*part, CovarianceType.DIAG))(self._seen_by(m, rows))
                for m, part in parts
            ]
        )

    def _seen_by(self, member: int, rows: FloatArray) -> FloatArray:
        """What a member clusters: trajectories, or its codes of them."""
        if not self.layers_:
            return rows
        return encode(rows, {name: array[member] for name, array in self.layers_.items()})

    def predict_proba(self, rows: FloatArray) -> Float64Array:
        """Mean over the members, shape (n, K)."""
        mean: Float64Array = self.member_proba(rows).mean(axis=0)
        return mean

    def predict(self, rows: FloatArray) -> NDArray[np.intp]:
        """The most probable cluster 0..K-1 of each, shape (n,)."""
        return np.asarray(np.argmax(self.predict_proba(rows), axis=1))

    def disagreement(self, rows: FloatArray) -> Float64Array:
        """Mutual information of label and member in nats, shape (n,): zero where all members agree."""
        each = self.member_proba(rows)
        apart = -np.sum(each * np.log(np.maximum(each, 1e-300)), axis=2).mean(axis=0)
        mean = each.mean(axis=0)
        together = -np.sum(mean * np.log(np.maximum(mean, 1e-300)), axis=1)
        return np.asarray(np.maximum(together - apart, 0.0))

    def get_state(self) -> State:
        """All members."""
        check_is_fitted(self, "weights_")
        arrays = {name: getattr(self, f"{name}_") for name in _PARTS}
        return State({**arrays, **self.layers_}, {"n_clusters": self.n_clusters})

    def set_state(self, state: State) -> None:
        """Members as fitted before.

        Raises
        ------
        InputError
            If the arrays are not those of an ensemble.
        """
        shapes = {name: array.shape for name, array in state.arrays.items()}
        if not _fit_together(shapes) or not all(np.isfinite(one).all() for one in state.arrays.values()):
            raise InputError(f"these are not the arrays of an ensemble: {shapes}")
        if (state.arrays["covariances"] <= 0).any() or (state.arrays["weights"] < 0).any():
            raise InputError("variances and weights of an ensemble are positive")
        arrays = {name: array.astype(np.float64) for name, array in state.arrays.items()}
        self.weights_, self.means_, self.covariances_ = (arrays.pop(name) for name in _PARTS)
        self.layers_ = arrays
        self.members, self.n_clusters = self.weights_.shape
        self.kind = "encoder" if arrays else "mixture"


_Layers = dict[str, Float64Array]


def _fit_together(shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether these are the shapes of an ensemble of mixtures, or of encoders and mixtures of their codes."""
    names = set(shapes)
    if names not in (set(_PARTS), {*_PARTS, *LAYERS}) or len(shapes["means"]) != 3:
        return False
    m, k, f = shapes["means"]
    expected = {"weights": (m, k), "means": (m, k, f), "covariances": (m, k, f)}
    if "hidden" in names and len(shapes["hidden"]) == 3:
        h, t = shapes["hidden"][1:]
        expected |= {"hidden": (m, h, t), "hidden_bias": (m, h), "code": (m, f, h), "code_bias": (m, f)}
    return expected == dict(shapes)


def _matched(shares: Float64Array) -> list[NDArray[np.intp]]:
    """Clusters of each member in the order of those of the one that agrees most with all.

    Parameters
    ----------
    shares : array, shape (M, n, K)
    """
    common = [[reference.T @ share for share in shares] for reference in shares]
    orders = [[linear_sum_assignment(-one)[1] for one in row] for row in common]
    agreed = [
        sum(one[np.arange(len(order)), order].sum() for one, order in zip(*both, strict=True))
        for both in zip(common, orders, strict=True)
    ]
    return orders[int(np.argmax(agreed))]


def expected_calibration_error(probability: Any, correct: Any, bins: int = 10) -> float:
    """How far stated probabilities are from the share that is right, on average over trajectories.

    Parameters
    ----------
    probability : array, shape (n,)
        Of the label that was given.
    correct : array, shape (n,)
        Whether that was right.
    bins : int
        Of equal width between 0 and 1.

    References
    ----------
    Guo et al., ICML 2017, arXiv:1706.04599.
    """
    stated, right = np.asarray(probability, np.float64), np.asarray(correct, np.float64)
    place = np.minimum((stated * bins).astype(np.intp), bins - 1)
    counts = np.bincount(place, minlength=bins)
    sums = [np.bincount(place, weights=values, minlength=bins) for values in (stated, right)]
    return float(np.abs(sums[0] - sums[1]).sum() / counts.sum())
