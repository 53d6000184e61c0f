"""Learned widths tell planted nuisances, features do without them, and what was learned goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from xtec.core.errors import ConfigError, InputError
from xtec.core.types import Float64Array
from xtec.plugins.state import State, Stateful, load_state, pack_state

torch = pytest.importorskip("torch")

from xtec.learned.invariance import LearnedInvariance, _Transformations  # noqa: E402


def miscalibrated(
    seed: int, n: int, shift: float = 0.0, offset: float = 0.0
) -> tuple[Float64Array, Float64Array]:
    """One maximum, two maxima, an onset on cooling, one on warming; shift in steps."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, n)
    at = np.arange(24) + shift * rng.uniform(-1, 1, (n, 1))

    def peak(centre: float) -> Float64Array:
        return np.asarray(np.exp(-0.5 * ((at - centre) / 1.2) ** 2))

    shapes = [peak(12), peak(9) + peak(15), 1 / (1 + np.exp(at - 12)), 1 / (1 + np.exp(12 - at))]
    rows = np.choose(labels[:, None], shapes) + offset * rng.uniform(-1, 1, (n, 1))
    return rows + 0.1 * rng.standard_normal(rows.shape), labels


def plain(rows: Float64Array) -> Float64Array:
    return np.asarray(GaussianMixture(4, covariance_type="diag", n_init=5, random_state=0).fit_predict(rows))


@pytest.fixture(scope="module")
def fitted() -> tuple[LearnedInvariance, Float64Array]:
    rows, _ = miscalibrated(1, 200, 1.0, 0.1)
    return LearnedInvariance(steps=30).fit(rows), rows


# What is learned


def test_a_mixture_of_features_beats_one_of_trajectories() -> None:
    found = []
    for seed in (31, 32):
        rows, labels = miscalibrated(seed, 500, 3.0, 0.4)
        features = LearnedInvariance().fit_transform(rows)
        found.append([adjusted_rand_score(labels, plain(one)) for one in (features, rows)])
    learned, raw = np.mean(found, axis=0)
    assert learned > 0.85
    assert learned > raw + 0.2


@pytest.mark.parametrize(("name", "options"), [("shift", {"shift": 3.0}), ("offset", {"offset": 0.4})])
def test_widths_tell_what_was_planted(name: str, options: dict[str, float]) -> None:
    planted, absent = (
        LearnedInvariance(steps=1).fit(miscalibrated(33, 500, **one)[0]).widths_ for one in (options, {})
    )
    assert planted[name] > 2 * absent[name]
    assert 0.4 * options[name] < planted[name] < 1.6 * options[name]


def test_what_makes_the_classes_has_no_width() -> None:
    at, rng = np.arange(20), np.random.default_rng(2)
    tc = rng.choice([6.0, 10.0, 14.0], 400)[:, None]
    rows = 1 / (1 + np.exp(2 * (at - tc))) + 0.03 * rng.standard_normal((400, 20))
    assert LearnedInvariance(steps=1).fit(rows).widths_["shift"] < 0.5


def test_widths_are_in_units_of_the_trajectories() -> None:
    rows, _ = miscalibrated(3, 200, 1.0, 0.2)
    one, other = (LearnedInvariance(steps=1).fit(scale * rows).widths_ for scale in (1.0, 8.0))
    assert other["offset"] == pytest.approx(8 * one["offset"], rel=1e-6)
    assert other["shift"] == pytest.approx(one["shift"], rel=1e-6)


def test_the_summary_says_the_widths(fitted: tuple[LearnedInvariance, Float64Array]) -> None:
    model, _ = fitted
    assert model.summary_.startswith("these data do not care about")
    assert f"a shift of ±{model.widths_['shift']:.1f} temperatures" in model.summary_


# Transformations


def transformed(name: str, width: float, u: float, rows: Float64Array, steps: ArrayLike) -> Float64Array:
    names = ["scale", "offset", "tilt", "shift", "stretch", "smoothing"]
    widths = torch.zeros(6, dtype=torch.float64)
    widths[names.index(name)] = width
    same = _Transformations(widths, torch.as_tensor(steps, dtype=torch.float64))
    uniform = torch.full((len(rows), 6), u, dtype=torch.float64)
    return np.asarray(same.apply(torch.from_numpy(rows), uniform)[0])


def test_transformations_do_what_they_are_called() -> None:
    steps = np.array([0.0, 0.5, 2.0, 3.0, 4.0])
    rows = np.stack([steps**2, np.sin(steps)])
    np.testing.assert_allclose(transformed("scale", np.log(2), 1, rows, steps), 2 * rows)
    np.testing.assert_allclose(transformed("offset", 0.5, -1, rows, steps), rows - 0.5)
    np.testing.assert_allclose(transformed("tilt", 1, 1, rows, steps), rows + (steps - 2) / 2)
    for name, at in (("shift", steps + 0.6), ("stretch", 2 + (steps - 2) * np.exp(0.6))):
        wanted = [np.interp(at, steps, row) for row in rows]
        np.testing.assert_allclose(transformed(name, 1.2, 0.5, rows, steps), wanted, atol=1e-12)
    smooth = transformed("smoothing", 1, 1, rows, steps)
    np.testing.assert_allclose(smooth[:, 1:-1], (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 4)


def test_temperatures_may_fall_and_need_not_be_even() -> None:
    rows, _ = miscalibrated(4, 100, 1.0)
    even = LearnedInvariance(steps=2).fit_transform(rows)
    falling = LearnedInvariance(steps=2, temperatures=np.arange(300, 60, -10)).fit_transform(rows)
    uneven = LearnedInvariance(steps=2, temperatures=np.arange(24) ** 2).fit_transform(rows)
    np.testing.assert_allclose(falling, even, atol=1e-8)
    assert not np.allclose(uneven, even)


# As any other transformer


def test_one_seed_gives_one_answer(fitted: tuple[LearnedInvariance, Float64Array]) -> None:
    model, rows = fitted
    before = torch.get_rng_state()
    again = clone(model).fit(rows)
    assert torch.equal(before, torch.get_rng_state())
    np.testing.assert_array_equal(again.transform(rows), model.transform(rows))
    other = clone(model).set_params(random_state=1).fit(rows)
    assert not np.allclose(other.transform(rows), model.transform(rows))


def test_features_of_a_trajectory_do_not_depend_on_the_others(
    fitted: tuple[LearnedInvariance, Float64Array],
) -> None:
    model, rows = fitted
    together = model.transform(rows)
    assert together.shape == (200, 6)
    np.testing.assert_allclose(
        np.concatenate([model.transform(rows[:1]), model.transform(rows[1:])]), together
    )
    np.testing.assert_allclose(model.transform(rows.astype(np.float32)), together, atol=1e-4)


def test_what_has_nothing_to_learn_still_gives_features() -> None:
    for rows in (np.zeros((20, 8)), np.ones((8, 4))):
        assert np.isfinite(LearnedInvariance(steps=5).fit_transform(rows)).all()


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({"growth": 0.0}, (20, 8)),
        ({"n_features": 0}, (20, 8)),
        ({"steps": 0}, (20, 8)),
        ({"temperatures": [1, 2, 3]}, (20, 8)),
        ({"temperatures": [1, 2, 3, 4, 5, 6, 8, 7]}, (20, 8)),
        ({}, (7, 8)),
        ({}, (20, 3)),
    ],
)
def test_what_cannot_be_learned_from(options: dict[str, object], shape: tuple[int, int]) -> None:
    with pytest.raises(ConfigError):
        LearnedInvariance(**options).fit(np.random.default_rng(0).standard_normal(shape))


# State


def test_goes_on_from_a_file(fitted: tuple[LearnedInvariance, Float64Array], tmp_path: Path) -> None:
    model, rows = fitted
    assert isinstance(model, Stateful)
    path = tmp_path / "features.npz"
    path.write_bytes(pack_state("learned-invariance", model.get_state()))
    again = LearnedInvariance()
    again.set_state(load_state("learned-invariance", path))
    np.testing.assert_array_equal(again.transform(rows), model.transform(rows))
    assert again.widths_ == model.widths_
    assert again.get_state().digest == model.get_state().digest


@pytest.mark.parametrize("name", ["widths", "steps", "layer0", "layer1", "layer5"])
def test_a_state_of_something_else(fitted: tuple[LearnedInvariance, Float64Array], name: str) -> None:
    state = fitted[0].get_state()
    wrong = {**state.arrays, name: np.ones((2, 3))}
    missing = {key: value for key, value in state.arrays.items() if key != name}
    for arrays in (wrong, missing):
        with pytest.raises(InputError):
            LearnedInvariance().set_state(State(arrays, state.facts))
    with pytest.raises(InputError):
        LearnedInvariance().set_state(State(state.arrays))
