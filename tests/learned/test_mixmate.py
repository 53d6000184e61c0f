"""MixMate finds classes whose members vary, its responsibilities are what they say, and its state goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import nnls
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from xtec.core.errors import ConfigError, InputError
from xtec.core.types import Float64Array
from xtec.plugins.state import State, Stateful, load_state, pack_state

torch = pytest.importorskip("torch")

from xtec.learned.mixmate import MixMate, _codes  # noqa: E402

Simulated = tuple[Float64Array, Float64Array]


def four_classes(seed: int, n: int, noise: float = 0.02) -> Simulated:
    """Two onsets that move, one with critical scattering on top, thermal diffuse; strengths vary."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 1, 24)
    labels = rng.integers(0, 4, n)
    strength = np.exp(rng.uniform(np.log(0.2), 0, (2, n, 1)))
    tc = (np.array([0.35, 0.5, 0.5, 0.7])[labels] + 0.03 * rng.standard_normal(n))[:, None]
    order = 2 * np.clip(1 - t / tc, 0, None) ** 0.6
    critical = np.where(labels[:, None] == 1, 2 / (1 + ((t - tc) / 0.1) ** 2), 0)
    intensity = 1 + strength[0] * np.where(labels[:, None] == 2, 2 * t, order) + strength[1] * critical
    return intensity / intensity.mean(axis=1, keepdims=True) - 1 + noise * rng.standard_normal(
        (n, 24)
    ), labels


@pytest.fixture(scope="module")
def fitted() -> tuple[MixMate, Float64Array]:
    rows, _ = four_classes(7, 400)
    return MixMate(4, max_epochs=40, n_init=2).fit(rows), rows


# Recovery


def test_beats_one_mean_per_cluster_where_strengths_vary() -> None:
    found = []
    for seed in (11, 12, 13):
        rows, labels = four_classes(seed, 150)
        plain = GaussianMixture(4, covariance_type="diag", n_init=10, random_state=0)
        ways = (MixMate(4), plain)
        found.append([adjusted_rand_score(labels, way.fit_predict(rows)) for way in ways])
    ours, theirs = np.mean(found, axis=0)
    assert ours > 0.8
    assert ours > theirs + 0.15


def test_rising_and_falling_are_two_classes() -> None:
    rng = np.random.default_rng(0)
    slope = np.repeat([1.0, -1.0], 60) * rng.uniform(0.2, 1, 120)
    rows = slope[:, None] * np.linspace(-1, 1, 15) + 0.02 * rng.standard_normal((120, 15))
    found = MixMate(2, atoms=1, max_epochs=20).fit_predict(rows)
    assert adjusted_rand_score(slope > 0, found) == 1.0


def test_noise_and_weights_are_those_simulated() -> None:
    rng = np.random.default_rng(4)
    shapes = np.eye(12)[[1, 8]]
    labels = (rng.uniform(size=3000) < 0.25).astype(int)
    rows = rng.uniform(1, 3, 3000)[:, None] * shapes[labels] + 0.05 * rng.standard_normal((3000, 12))
    model = MixMate(2, atoms=1, max_epochs=20, n_init=2).fit(rows)
    assert np.sort(model.weights_) == pytest.approx([0.25, 0.75], abs=0.03)
    assert model.noise_ == pytest.approx(0.05, rel=0.06)
    assert np.abs(shapes @ model.dictionaries_[:, :, 0].T).max(axis=1) == pytest.approx([1, 1], abs=2e-3)
    assert model.strengths_.ravel() * model.noise_ == pytest.approx([2, 2], abs=0.1)


# What it is made of


def test_codes_without_a_threshold_are_non_negative_least_squares() -> None:
    rng = np.random.default_rng(1)
    dictionary = rng.standard_normal((20, 3))
    dictionary /= np.linalg.norm(dictionary, axis=0)
    rows = rng.standard_normal((30, 20))
    shapes = torch.from_numpy(dictionary[None])
    z, left = _codes(torch.from_numpy(rows), shapes, shapes.mT @ shapes, torch.zeros(1, 3), 200)
    for row, code, rest in zip(rows, z[0].numpy(), left[0].numpy(), strict=True):
        wanted, norm = nnls(dictionary, row)
        np.testing.assert_allclose(code, wanted, atol=1e-6)
        assert rest == pytest.approx(norm**2, rel=1e-6)


def test_codes_of_one_shape_are_soft_thresholded() -> None:
    shapes = torch.zeros(1, 5, 1, dtype=torch.float64)
    shapes[0, 2] = 1
    rows = torch.eye(5, dtype=torch.float64) * torch.tensor([1.0, 1, 3, 1, 1])
    z, left = _codes(rows, shapes, shapes.mT @ shapes, torch.full((1, 1), 0.5), 30)
    assert z.ravel().tolist() == pytest.approx([0, 0, 2.5, 0, 0])
    assert left.ravel().tolist() == pytest.approx([1, 1, 0.25, 1, 1])


def test_shapes_are_of_unit_length_and_responsibilities_sum_to_one(
    fitted: tuple[MixMate, Float64Array],
) -> None:
    model, rows = fitted
    assert model.dictionaries_.shape == (4, 24, 3)
    np.testing.assert_allclose(np.linalg.norm(model.dictionaries_, axis=1), 1)
    proba = model.predict_proba(rows)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    np.testing.assert_array_equal(proba.argmax(axis=1), model.predict(rows))
    np.testing.assert_array_equal(model.labels_, model.predict(rows))
    assert proba.min() >= 0


def test_training_lowers_the_energy() -> None:
    rows, _ = four_classes(3, 200)
    short, long = (MixMate(4, max_epochs=n, n_init=1).fit(rows) for n in (1, 40))
    assert long.energy_ < short.energy_ - 1


def test_the_unit_of_intensity_does_not_matter() -> None:
    rows, _ = four_classes(5, 150)
    one, other = (MixMate(4, max_epochs=10, n_init=2).fit(scale * rows) for scale in (1.0, 1024.0))
    np.testing.assert_array_equal(one.labels_, other.labels_)
    assert other.noise_ == pytest.approx(1024 * one.noise_, rel=1e-3)


# As any other estimator


def test_one_seed_gives_one_answer() -> None:
    rows, _ = four_classes(5, 150)
    model = MixMate(4, max_epochs=5, random_state=3)
    before = torch.get_rng_state()
    one, other = model.fit(rows), clone(model).fit(rows)
    np.testing.assert_array_equal(one.dictionaries_, other.dictionaries_)
    assert torch.equal(before, torch.get_rng_state())
    assert not np.array_equal(
        one.dictionaries_, clone(model).set_params(random_state=4).fit(rows).dictionaries_
    )


def test_single_precision_and_a_trajectory_alone() -> None:
    rows, _ = four_classes(6, 100)
    model = MixMate(4, max_epochs=5).fit(rows.astype(np.float32))
    apart = np.concatenate([model.predict(row[None]) for row in rows.astype(np.float32)])
    np.testing.assert_array_equal(apart, model.labels_)


@pytest.mark.parametrize("rows", [np.zeros((20, 8)), np.ones((4, 5)), np.eye(6)])
def test_what_has_nothing_to_learn_still_gives_responsibilities(rows: Float64Array) -> None:
    proba = MixMate(2, atoms=2, max_epochs=3).fit(rows).predict_proba(rows)
    assert np.isfinite(proba).all()


@pytest.mark.parametrize(
    "options",
    [{"atoms": 0}, {"atoms": 25}, {"steps": 0}, {"sparsity": -1.0}, {"n_clusters": 0}, {"n_clusters": 51}],
)
def test_what_is_no_option(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        MixMate(**options).fit(np.random.default_rng(0).standard_normal((50, 24)))


# State


def test_goes_on_from_a_file(fitted: tuple[MixMate, Float64Array], tmp_path: Path) -> None:
    model, rows = fitted
    assert isinstance(model, Stateful)
    path = tmp_path / "clusterer.npz"
    path.write_bytes(pack_state("mixmate", model.get_state()))
    again = MixMate()
    again.set_state(load_state("mixmate", path))
    np.testing.assert_array_equal(again.predict_proba(rows), model.predict_proba(rows))
    assert again.get_state().digest == model.get_state().digest


@pytest.mark.parametrize("name", ["dictionaries", "strengths", "weights", "noise"])
def test_a_state_of_something_else(fitted: tuple[MixMate, Float64Array], name: str) -> None:
    state = fitted[0].get_state()
    wrong = {**state.arrays, name: np.ones((2, 2, 2, 2))}
    missing = {key: value for key, value in state.arrays.items() if key != name}
    for arrays in (wrong, missing):
        with pytest.raises(InputError):
            MixMate().set_state(State(arrays, state.facts))
    with pytest.raises(InputError):
        MixMate().set_state(State(state.arrays))
