"""Ensembles of mixtures: their means, their disagreement, and whether their probabilities are right."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from sklearn.calibration import calibration_curve
from sklearn.metrics import adjusted_rand_score

from xtec.core.errors import ConfigError, InputError
from xtec.learned.deep_ensemble import DeepEnsemble, expected_calibration_error
from xtec.mixture import GaussianMixture, MixtureConfig
from xtec.plugins import State
from xtec.plugins.testing import assert_conforms, trajectories


def overlapping(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Three Gaussian classes in eight dimensions, near enough to be mistaken; and which is which."""
    rng = np.random.default_rng(seed)
    centre = np.stack([np.zeros(8), np.linspace(-0.9, 0.9, 8), np.linspace(0.9, -0.9, 8)])
    kind = rng.integers(3, size=n)
    return (centre[kind] + rng.standard_normal((n, 8))).astype(np.float32), kind


def right(share: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """Which labels are right, numbers matched."""
    label, k = share.argmax(axis=1), share.shape[1]
    table = np.zeros((k, k))
    np.add.at(table, (label, kind), 1)
    matched: np.ndarray = linear_sum_assignment(-table)[1][label] == kind
    return matched


def test_probabilities_are_nearer_the_truth_than_those_of_one_mixture() -> None:
    errors, share_right = [], []
    for seed in range(6):
        rows, _ = overlapping(80, 10 + seed)
        fresh, kind = overlapping(4000, 500 + seed)
        config = MixtureConfig(n_components=3, n_init=16, seed=seed)
        alone = GaussianMixture(config).fit(np.asfortranarray(rows)).responsibilities(fresh)
        together = DeepEnsemble(3, members=12, random_state=seed).fit(rows).predict_proba(fresh)
        matched = [right(share, kind) for share in (alone, together)]
        stated = [share.max(axis=1) for share in (alone, together)]
        errors.append([expected_calibration_error(*both) for both in zip(stated, matched, strict=True)])
        share_right.append([one.mean() for one in matched])
    assert sum(many < one for one, many in errors) >= 5
    one, many = np.mean(errors, axis=0)
    assert many < 0.7 * one
    one, many = np.mean(share_right, axis=0)
    assert many > one - 0.02


def test_with_enough_trajectories_both_are_calibrated() -> None:
    rows, _ = overlapping(8000, 1)
    fresh, kind = overlapping(8000, 2)
    share = DeepEnsemble(3, members=4).fit(rows).predict_proba(fresh)
    assert expected_calibration_error(share.max(axis=1), right(share, kind)) < 0.03


def test_the_calibration_error_is_that_of_the_curve() -> None:
    rng = np.random.default_rng(0)
    stated = rng.uniform(0.3, 1.0, 5000)
    correct = rng.random(5000) < stated**2
    share, mean = calibration_curve(correct, stated, n_bins=10)
    counts = np.histogram(stated, np.linspace(0, 1, 11))[0]
    expected = np.sum(np.abs(share - mean) * counts[counts > 0]) / 5000
    assert expected_calibration_error(stated, correct) == pytest.approx(expected, rel=1e-6)
    assert expected_calibration_error(np.ones(10), np.ones(10)) == 0
    assert expected_calibration_error(np.ones(10), np.zeros(10)) == 1


def test_members_disagree_where_classes_meet() -> None:
    rows, _ = overlapping(150, 3)
    many = DeepEnsemble(3, members=10).fit(rows)
    between = np.linspace(-0.9, 0.9, 8)[None] * np.array([[0.5], [3.0]])
    apart = many.disagreement(between.astype(np.float32))
    assert apart[0] > 3 * apart[1]
    assert (many.disagreement(rows) >= 0).all()
    assert (many.disagreement(rows) <= np.log(3)).all()
    alone = DeepEnsemble(3, members=1).fit(rows)
    np.testing.assert_allclose(alone.disagreement(rows), 0, atol=1e-12)


@pytest.mark.parametrize("kind", ["mixture", "encoder"])
def test_members_are_matched(kind: str) -> None:
    if kind == "encoder":
        pytest.importorskip("torch")
    rows, truth = trajectories(900)
    many = DeepEnsemble(3, kind=kind, members=3).fit(rows)
    labels = many.member_proba(rows).argmax(axis=2)
    assert (labels == labels[0]).mean() > 0.95
    assert adjusted_rand_score(truth, many.predict(rows)) > 0.95


def spread(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Classes that are no Gaussians: two order parameters of spread Tc and strength, and two others."""
    rng = np.random.default_rng(seed)
    x = np.linspace(0.1, 1.6, 21)
    kind = rng.choice(4, n, p=[0.4, 0.25, 0.2, 0.15])
    tc = np.where(kind == 1, 1.0, 0.75) * (1 + 0.06 * rng.standard_normal(n))
    strength = rng.lognormal(0, 0.4, n)[:, None]
    order = 1 + strength * np.maximum(1 - x / tc[:, None], 0) ** 0.7
    steady, grows = 3 * np.exp(-0.15 * strength * x**2), 1 + 0.5 * strength * x
    clean = np.where((kind == 0)[:, None], steady, np.where((kind == 3)[:, None], grows, order))
    noisy = clean + 0.25 * rng.standard_normal(clean.shape) * np.sqrt(clean / 2)
    return (noisy / noisy.mean(axis=1, keepdims=True) - 1).astype(np.float32), kind


def test_encoders_know_classes_that_are_no_gaussians_better_and_how_well() -> None:
    pytest.importorskip("torch")
    rows, fresh = spread(800, 31)[0], spread(3000, 131)
    found = {}
    for kind in ("mixture", "encoder"):
        share = DeepEnsemble(4, kind=kind, random_state=31).fit(rows).predict_proba(fresh[0])
        matched = right(share, fresh[1])
        found[kind] = matched.mean(), expected_calibration_error(share.max(axis=1), matched)
    mixture, encoder = found.values()
    assert encoder[0] > mixture[0] + 0.02
    assert encoder[1] < 0.7 * mixture[1]


@pytest.mark.parametrize("kind", ["mixture", "encoder"])
def test_what_it_learned_is_told_from_what_it_did_not(kind: str) -> None:
    if kind == "encoder":
        pytest.importorskip("torch")
    rows, _ = trajectories(300)
    state = DeepEnsemble(3, kind=kind, members=2).fit(rows).get_state()
    arrays = dict(state.arrays)
    DeepEnsemble(3).set_state(state)
    changes = [
        {**arrays, "means": arrays["means"][:, :, :2]},
        {name: array for name, array in arrays.items() if name != "weights"},
        {**arrays, "means": arrays["means"] * np.nan},
        {**arrays, "covariances": -arrays["covariances"]},
        {**arrays, "more": np.zeros(3)},
    ]
    if kind == "encoder":
        changes += [{**arrays, "code": arrays["code"][:, :, :3]}, {**arrays, "hidden": arrays["hidden"][0]}]
    for changed in changes:
        with pytest.raises(InputError):
            DeepEnsemble(3).set_state(State(changed, state.facts))


def test_an_ensemble_has_members() -> None:
    with pytest.raises(ConfigError):
        DeepEnsemble(3, members=0).fit(trajectories(90)[0])
    with pytest.raises(ConfigError, match="toaster"):
        DeepEnsemble(3, kind="toaster").fit(trajectories(90)[0])


@pytest.mark.parametrize("kind", ["mixture", "encoder"])
def test_it_fits_its_slot(kind: str) -> None:
    if kind == "encoder":
        pytest.importorskip("torch")
    assert_conforms("clusterers", DeepEnsemble, kind=kind, members=2)
