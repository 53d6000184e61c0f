"""Number of clusters of planted trajectories, whose noise is known."""

from __future__ import annotations

import numpy as np
import pytest

from xtec.core.errors import ConfigError, DegenerateMixtureError
from xtec.core.shards import Local
from xtec.selection import Selector, SelectorConfig, Shaped, Shapes
from xtec.selection.shapes import View, refit
from xtec_pipelines.config import make_config

TEMPERATURES = np.linspace(30, 220, 20)
BACKGROUND = 20.0


def order(tc: float) -> np.ndarray:
    return np.clip(1 - TEMPERATURES / tc, 0, None) ** 0.7


RISES = TEMPERATURES / 220
FLAT = np.ones(20)


def planted(shapes: list[np.ndarray], n: int = 600, seed: int = 0) -> tuple[Shaped, np.ndarray]:
    """Counts over a background of 20, strengths over a decade; rescaled by the mean."""
    rng = np.random.default_rng(seed)
    intensity = np.concatenate(
        [rng.poisson(BACKGROUND + (30 * 30 ** rng.random(n))[:, None] * shape) for shape in shapes]
    )
    mean = intensity.mean(axis=1)
    rows = (intensity / mean[:, None] - 1).astype(np.float32)
    block = Shaped(0, np.arange(len(rows)), rows, 1 / mean, 1 - BACKGROUND / mean, np.zeros(len(rows)))
    return block, np.repeat(np.arange(len(shapes)), n)


def select(block: Shaped, n_shards: int = 1, **options: int):
    parts = np.array_split(np.arange(len(block.rows)), n_shards)
    chosen = [np.isin(np.arange(len(block.rows)), part) for part in parts]
    return Selector(SelectorConfig(highest=6, **options)).select(Local(block.chosen(one) for one in chosen))


def purity(shapes: Shapes, block: Shaped, truth: np.ndarray) -> float:
    label = shapes(block)[0]
    table = np.zeros((int(label.max()) + 1, int(truth.max()) + 1))
    np.add.at(table, (label, truth), 1)
    return float((table.max(axis=1) / np.maximum(table.sum(axis=1), 1)).min())


@pytest.mark.parametrize("tcs", [(90.0,), (70.0, 150.0), (60.0, 110.0, 190.0)])
def test_orders_of_different_tc_are_told_apart_whatever_their_strength(tcs):
    block, truth = planted([*map(order, tcs), RISES, FLAT])
    selected = select(block)
    assert selected.selection.recommended == len(tcs) + 2
    assert purity(selected.shapes, block, truth) >= 0.95


def test_one_order_at_many_strengths_is_one_shape_though_bic_asks_for_more():
    block, _ = planted([order(120.0), FLAT])
    selection = select(block).selection
    assert selection.recommended == 2
    assert selection.n_clusters[selection.bic.argmin()] > 3


def test_same_shape_at_another_strength_is_another_cluster():
    """Bright peaks that fall by a tenth, and an order that falls to nothing in the same way."""
    falls = np.linspace(1, 0, 20)
    block, truth = planted([falls, 200 * (1 + 0.1 * falls), FLAT])
    selected = select(block)
    assert selected.selection.recommended == 3
    assert purity(selected.shapes, block, truth) >= 0.95


def test_noise_is_one_cluster():
    block, _ = planted([FLAT], n=3000)
    assert select(block).selection.recommended == 1


def test_what_chance_has_picked_from_noise_is_no_shape():
    """Of many trajectories only those are here that vary by more than four standard deviations."""
    rng = np.random.default_rng(0)
    intensity = rng.poisson(12.0, (400_000, 20))
    mean = intensity.mean(axis=1)
    rows = (intensity / mean[:, None] - 1).astype(np.float32)
    length = np.linalg.norm(
        View.of(Shaped(0, np.arange(len(rows)), rows, 1 / mean, mean * 0 + 0.5, mean * 0)).points, axis=1
    )
    picked = length > np.sort(length)[-400]
    odds = np.full(len(rows), np.log(len(rows) / 400))
    block = Shaped(0, np.arange(len(rows)), rows, 1 / mean, mean * 0 + 0.5, odds)
    assert select(block.chosen(picked)).selection.recommended == 1


def test_same_seed_same_answer_however_the_data_are_split():
    block, _ = planted([order(90.0), order(160.0), FLAT], n=300)
    whole, again, parts = select(block), select(block), select(block, n_shards=5)
    for other in (again, parts):
        np.testing.assert_array_equal(whole.shapes.directions, other.shapes.directions)
        np.testing.assert_array_equal(whole.shapes(block)[0], other.shapes(block)[0])
        np.testing.assert_allclose(whole.selection.bic, other.selection.bic, rtol=1e-5)


def test_planted_shapes_and_strengths_are_found():
    block, _ = planted([order(120.0), RISES], n=3000)
    view = View.of(block)
    found = select(block).shapes
    t = len(TEMPERATURES)
    cosines = np.cos(np.pi * np.outer(np.arange(t) + 0.5, np.arange(1, 11)) / t) * np.sqrt(2 / t)
    for shape in (order(120.0), RISES):
        coefficients = (shape / shape.mean() - 1) @ cosines
        along = found.directions @ coefficients / np.linalg.norm(coefficients)
        best = int(along.argmax())
        assert along[best] > np.cos(0.05)
        assert found.log_strength[best] == pytest.approx(np.log(np.linalg.norm(coefficients)), abs=0.1)
    assert np.allclose(found.responsibilities(view).sum(axis=1), 1)


def test_refitting_leaves_what_is_right():
    block, _ = planted([order(120.0), FLAT], n=2000)
    view, shapes = View.of(block), select(block).shapes
    again = refit(shapes, view, 10)
    assert abs(float((shapes.directions * again.directions).sum())) > np.cos(0.02)
    np.testing.assert_allclose(again.log_strength, shapes.log_strength, atol=0.02)


@pytest.mark.parametrize(("options", "expected"), [({"lowest": 4}, 4), ({"lowest": 1}, 3)])
def test_range_is_kept(options, expected):
    block, _ = planted([order(90.0), order(170.0), FLAT])
    assert select(block, **options).selection.recommended == expected
    few = Selector(SelectorConfig(lowest=1, highest=2)).select(Local([block]))
    assert few.selection.recommended == 2


def test_what_cannot_be_selected_is_refused():
    with pytest.raises(ConfigError):
        SelectorConfig(lowest=5, highest=4)
    ones = np.ones(50)
    with pytest.raises(DegenerateMixtureError):
        select(Shaped(0, np.arange(50), np.ones((50, 5), np.float32), ones, ones, 0 * ones))


@pytest.mark.parametrize(("given", "meant"), [(4, (4, 4)), ("3", (3, 3)), ("2:8", (2, 8)), ("auto", (1, 10))])
def test_numbers_of_clusters_as_a_person_writes_them(given, meant):
    assert make_config({"inputs": ("a",), "output": "b", "clusters": given}).cluster_range == meant


@pytest.mark.parametrize("given", [0, "8:2", "some", "2:99", 1001, 2.5])
def test_other_numbers_of_clusters_are_refused(given):
    with pytest.raises(ConfigError, match="clusters"):
        make_config({"inputs": ("a",), "output": "b", "clusters": given})


@pytest.mark.parametrize(
    "options", [{"covariance": "full"}, {"rescale": "zscore"}, {"mode": "smooth"}, {"noise": "poisson"}]
)
def test_what_shapes_do_not_go_with_is_refused(options):
    with pytest.raises(ConfigError, match="number of clusters"):
        make_config({"inputs": ("a",), "output": "b", "clusters": "auto", **options})
