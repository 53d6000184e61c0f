"""The public suite: what fits passes, and each way of not fitting is found."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClusterMixin, TransformerMixin
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.preprocessing import StandardScaler

from xtec.core.errors import ConfigError
from xtec.core.order import CurveReading
from xtec.core.quantities import Quantity
from xtec.plugins import State, entries, load
from xtec.plugins.testing import assert_conforms, check


@pytest.mark.parametrize(
    ("slot", "make", "options"),
    [
        ("features", PCA, {"n_components": 3}),
        ("features", StandardScaler, {}),
        ("clusterers", KMeans, {}),
        ("clusterers", GaussianMixture, {"covariance_type": "diag"}),
        ("clusterers", BayesianGaussianMixture, {"covariance_type": "diag"}),
        ("novelty", IsolationForest, {}),
        ("novelty", GaussianMixture, {"n_components": 3}),
    ],
)
def test_scikit_learn_fits_as_it_stands(slot: str, make: Any, options: dict[str, Any]) -> None:
    assert_conforms(slot, make, **options)


OURS = [(slot, entry.name) for slot in ("readers", "samplers", "writers") for entry in entries(slot)]


@pytest.mark.parametrize(("slot", "name"), OURS)
def test_our_own_fit(slot: str, name: str) -> None:
    assert_conforms(slot, load(slot, name))


def test_there_is_no_such_slot() -> None:
    with pytest.raises(ConfigError, match="toasters"):
        check("toasters", PCA)


class Good(TransformerMixin, BaseEstimator):
    """Does what it should."""

    def fit(self, X: Any, y: Any = None) -> Good:
        return self

    def transform(self, X: Any) -> Any:
        return X[:, :5]


class Changes(Good):
    def transform(self, X: Any) -> Any:
        X *= 2
        return X[:, :5]


class LooksAround(Good):
    def transform(self, X: Any) -> Any:
        return X[:, :5] - X[:, :5].mean(axis=0)


class Forgets(Good):
    def transform(self, X: Any) -> Any:
        return X[1:, :5]


class Invents(Good):
    def transform(self, X: Any) -> Any:
        return X[:, :5] / 0.0 * np.nan


class Dices(Good):
    def fit(self, X: Any, y: Any = None) -> Dices:
        self.shift_ = np.random.default_rng().normal()
        return self

    def transform(self, X: Any) -> Any:
        return X[:, :5] + self.shift_


class StaysHere(Good):
    def fit(self, X: Any, y: Any = None) -> StaysHere:
        self.work_ = lambda rows: rows
        return self


class Flat(Good):
    def transform(self, X: Any) -> Any:
        return X[:, 0]


class LosesState(Good):
    def fit(self, X: Any, y: Any = None) -> LosesState:
        self.shift_ = float(X.mean()) + 1
        return self

    def transform(self, X: Any) -> Any:
        return X[:, :5] + self.shift_

    def get_state(self) -> State:
        return State({})

    def set_state(self, state: State) -> None:
        self.shift_ = 0.0


class Fails(Good):
    def transform(self, X: Any) -> Any:
        raise RuntimeError("no luck")


class NoMethods:
    """Nothing."""


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (Changes, "its input is not changed"),
        (LooksAround, "the answer for a trajectory does not depend on the others"),
        (Forgets, "it answers for every trajectory"),
        (Invents, "it gives numbers"),
        (Dices, "a seed settles the answer"),
        (StaysHere, "it does not fail"),
        (Flat, "features have shape (n, F)"),
        (LosesState, "what it learned can be saved and used again"),
        (Fails, "it does not fail"),
        (NoMethods, "it has its methods"),
    ],
)
def test_what_does_not_fit_is_found(make: Any, what: str) -> None:
    with np.errstate(all="ignore"):
        failed = [one.name for one in check("features", make) if not one.passed]
    assert what in failed
    with np.errstate(all="ignore"), pytest.raises(AssertionError, match=re.escape(what)):
        assert_conforms("features", make)


def test_the_good_one_passes() -> None:
    assert_conforms("features", Good)


class Blind(ClusterMixin, BaseEstimator):
    def fit(self, X: Any, y: Any = None) -> Blind:
        return self

    def predict(self, X: Any) -> Any:
        return np.zeros(len(X), dtype=np.int64)


def test_clusters_that_are_none_are_found() -> None:
    failed = [one.name for one in check("clusterers", Blind) if not one.passed]
    assert failed == ["three plain shapes are told apart"]


def test_a_clusterer_that_cannot_predict_does_not_fit() -> None:
    failed = {one.name: one.reason for one in check("clusterers", AgglomerativeClustering) if not one.passed}
    assert failed == {"it has its methods": "predict"}


class Everywhere:
    """Sees a transition in everything, at the middle of the scan."""

    def fit(self, temperature: Any, intensity: Any, sigma: Any) -> CurveReading:
        return CurveReading("second-order", Quantity(float(np.mean(temperature))))


class Greedy:
    def __init__(self, low: float, high: float, **_: Any) -> None:
        self.high = high

    def tell(self, x: Any, y: Any) -> None:
        return

    def ask(self, n: int = 1) -> list[float]:
        return [self.high + 10.0] * (n + 1)


def test_a_curve_fitter_that_sees_transitions_everywhere_is_found() -> None:
    failed = {one.name for one in check("order_parameters", Everywhere) if not one.passed}
    assert failed == {"Tc is near", "a constant curve has no transition"}


def test_a_sampler_out_of_bounds_is_found() -> None:
    failed = {one.name for one in check("samplers", Greedy) if not one.passed}
    assert failed == {"it gives no more than asked for", "it stays in its bounds"}
