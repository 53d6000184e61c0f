"""Criteria against closed forms and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.mixture import GaussianMixture as Peer

from xtec.selection.criteria import agreement, bic, icl, silhouette


def test_bic_is_that_of_scikit_learn():
    rows = np.random.default_rng(0).normal(size=(300, 4))
    peer = Peer(3, covariance_type="diag", random_state=0).fit(rows)
    assert bic(peer.score(rows), 300, 2 + 12 + 12) == pytest.approx(peer.bic(rows))


def test_icl_is_bic_and_twice_the_entropy():
    share = np.array([[1.0, 0.0], [0.5, 0.5]])
    assert icl(10.0, share) == pytest.approx(10.0 + 2 * np.log(2))
    assert icl(10.0, np.eye(3)) == 10.0


@pytest.mark.parametrize("k", [2, 5])
def test_silhouette_is_that_of_scikit_learn(k):
    rng = np.random.default_rng(k)
    rows, label = rng.normal(size=(200, 6)), rng.integers(k, size=200)
    rows += label[:, None]
    assert silhouette(rows, label, rng) == pytest.approx(silhouette_score(rows, label))


def test_silhouette_of_one_cluster_is_not_a_number():
    assert np.isnan(silhouette(np.zeros((5, 2)), np.zeros(5, int), np.random.default_rng(0)))


def test_agreement_is_the_adjusted_rand_index():
    rng = np.random.default_rng(1)
    first, second = rng.integers(4, size=500), rng.integers(3, size=500)
    second[:250] = first[:250] % 3
    assert agreement(first, second) == pytest.approx(adjusted_rand_score(first, second))
    assert agreement(first, (first + 1) % 4) == pytest.approx(1.0)
