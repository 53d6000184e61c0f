"""Number of clusters of planted trajectories."""

from __future__ import annotations

import numpy as np
import pytest

from xtec.core.errors import ConfigError, DegenerateMixtureError
from xtec.mixture import Labeller, Trajectories
from xtec.mixture.em import responsibilities
from xtec.selection import Selector, SelectorConfig
from xtec_pipelines.config import make_config

TEMPERATURES = np.linspace(30, 220, 20)


def order(tc: float) -> np.ndarray:
    return np.clip(1 - TEMPERATURES / tc, 0, None) ** 0.7


def planted(shapes: list[np.ndarray], n: int = 600, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Counts over a background of 20, strengths over a decade; rescaled by the mean."""
    rng = np.random.default_rng(seed)
    rows = []
    for shape in shapes:
        strength = 30 * 30 ** rng.random(n)
        intensity = rng.poisson(20 + strength[:, None] * shape)
        rows.append(intensity / intensity.mean(axis=1, keepdims=True) - 1)
    return np.concatenate(rows).astype(np.float32), np.repeat(np.arange(len(shapes)), n)


def select(rows, **options):
    return Selector(SelectorConfig(highest=6, **options)).select(Trajectories(rows))


def purity(selected, rows, truth) -> float:
    label = Labeller(selected.start, cluster=selected.cluster)(rows)[0]
    table = np.zeros((int(label.max()) + 1, int(truth.max()) + 1))
    np.add.at(table, (label, truth), 1)
    return float((table.max(axis=1) / np.maximum(table.sum(axis=1), 1)).min())


@pytest.mark.parametrize("tcs", [(90.0,), (70.0, 150.0), (60.0, 110.0, 190.0)])
def test_orders_of_different_tc_are_told_apart_whatever_their_strength(tcs):
    shapes = [order(tc) for tc in tcs] + [0 * TEMPERATURES]
    rows, truth = planted(shapes)
    selected = select(rows)
    assert len(shapes) <= selected.selection.recommended <= len(shapes) + 2
    assert purity(selected, rows, truth) >= 0.95


def test_one_order_at_many_strengths_is_one_cluster_though_bic_asks_for_more():
    rows, _ = planted([order(120.0)])
    selection = select(rows).selection
    assert selection.recommended == 1
    assert selection.n_clusters[selection.bic.argmin()] > 3


def test_same_seed_same_answer_however_the_data_are_split():
    rows, _ = planted([order(90.0), order(160.0)], n=300)
    whole, again, parts = select(rows), select(rows), select([rows[:100], rows[100:101], rows[101:]])
    for other in (again, parts):
        np.testing.assert_array_equal(whole.cluster, other.cluster)
        np.testing.assert_allclose(whole.start.means, other.start.means, atol=1e-5)
        np.testing.assert_allclose(whole.selection.bic, other.selection.bic, rtol=1e-5)


def test_cluster_probabilities_are_those_of_its_components():
    rows, _ = planted([order(90.0), order(160.0)], n=200)
    selected = select(rows)
    label, probability = Labeller(selected.start, cluster=selected.cluster)(rows)
    share = responsibilities(rows.astype(float), selected.start)[0]
    merged = np.stack(
        [share[:, selected.cluster == k].sum(axis=1) for k in range(selected.cluster.max() + 1)]
    )
    np.testing.assert_array_equal(label, merged.argmax(axis=0))
    np.testing.assert_allclose(probability, merged.max(axis=0), rtol=1e-5)
    whole = selected.start.merged(selected.cluster)
    np.testing.assert_allclose(whole.weights @ whole.means, selected.start.weights @ selected.start.means)


def test_what_cannot_be_selected_is_refused():
    with pytest.raises(ConfigError):
        SelectorConfig(lowest=5, highest=4)
    with pytest.raises(DegenerateMixtureError):
        select(np.ones((50, 5), np.float32))


@pytest.mark.parametrize(("given", "meant"), [(4, (4, 4)), ("3", (3, 3)), ("2:8", (2, 8)), ("auto", (1, 10))])
def test_numbers_of_clusters_as_a_person_writes_them(given, meant):
    assert make_config({"inputs": ("a",), "output": "b", "clusters": given}).cluster_range == meant


@pytest.mark.parametrize("given", [0, "8:2", "some", "2:99", 1001, 2.5])
def test_other_numbers_of_clusters_are_refused(given):
    with pytest.raises(ConfigError, match="clusters"):
        make_config({"inputs": ("a",), "output": "b", "clusters": given})
