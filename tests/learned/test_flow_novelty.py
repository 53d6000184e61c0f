"""Novelty by a flow: what is planted is found, false alarms are as many as asked for, the known failure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("zuko")

from scipy.stats import betabinom, expon, multivariate_normal, norm  # noqa: E402
from sklearn.base import clone  # noqa: E402
from sklearn.metrics import roc_auc_score  # noqa: E402
from sklearn.mixture import GaussianMixture  # noqa: E402

from xtec.core.errors import ConfigError, InputError, NothingToClusterError  # noqa: E402
from xtec.core.types import Float64Array, FloatArray  # noqa: E402
from xtec.learned.flow import FlowNovelty  # noqa: E402
from xtec.learned.flow.coupling import CouplingFlow, Design  # noqa: E402
from xtec.learned.flow.judging import Judge, log_tail  # noqa: E402
from xtec.learned.flow.whitening import Noise, Whitening  # noqa: E402
from xtec.plugins.state import State, load_state, pack_state  # noqa: E402

T = np.linspace(30.0, 300.0, 24)


def onset(tc: Float64Array, beta: Float64Array) -> Float64Array:
    return np.asarray(np.clip(1 - T / tc[:, None], 0, None) ** (2 * beta[:, None]))


def counts(rng: np.random.Generator, n: int) -> Float64Array:
    return np.exp(rng.uniform(np.log(100), np.log(3000), (n, 1)))


def shapes(rng: np.random.Generator, n: int) -> Float64Array:
    """Bragg peaks, thermal diffuse scattering, and an order parameter of Tc = 100 K; means are 1."""
    kind, u = rng.choice(3, n, p=[0.4, 0.4, 0.2]), rng.uniform(size=(n, 1))
    ordered = 0.2 + 0.5 * u + onset(rng.uniform(95, 105, n), np.full(n, 0.3))
    shape = np.choose(
        kind[:, None], [np.exp(-(0.2 + 0.6 * u) * T / 300), 0.15 + (0.3 + 1.2 * u) * T / 300, ordered]
    )
    return np.asarray(shape / shape.mean(axis=1, keepdims=True))


def rescaled(intensity: Float64Array) -> FloatArray:
    return (intensity / intensity.mean(axis=1, keepdims=True) - 1).astype(np.float32)


def measured(shape: Float64Array, level: Float64Array, rng: np.random.Generator) -> FloatArray:
    return rescaled(rng.poisson(level * shape).astype(np.float64))


def reference(rng: np.random.Generator, n: int) -> FloatArray:
    return measured(shapes(rng, n), counts(rng, n), rng)


def planted(name: str, rng: np.random.Generator, n: int) -> FloatArray:
    """Classes that the reference lacks; `unit` is the standard deviation of one point."""
    level, shape = counts(rng, n), shapes(rng, n)
    unit = 1 / np.sqrt(level)
    if name == "onset":
        shape = shape + 12 * unit * onset(rng.uniform(180, 230, n), rng.uniform(0.15, 0.35, n))
    elif name == "kink":
        shape = shape + 8 * unit * np.exp(-np.abs(T - rng.uniform(150, 250, (n, 1))) / 15)
    elif name == "reversed":
        shape = 1 + 0.4 * (1 - onset(rng.uniform(120, 220, n), np.full(n, 0.3)))
    return measured(shape / shape.mean(axis=1, keepdims=True), level, rng)


def auc(model: FlowNovelty, clean: FloatArray, novel: FloatArray) -> float:
    scores = model.score_samples(np.concatenate([clean, novel]))
    return float(roc_auc_score(np.repeat([1, 0], [len(clean), len(novel)]), scores))


@pytest.fixture(scope="module")
def model() -> FlowNovelty:
    return FlowNovelty(max_epochs=10).fit(reference(np.random.default_rng(0), 6000))


@pytest.fixture(scope="module")
def clean() -> FloatArray:
    return reference(np.random.default_rng(1), 19_800)


@pytest.mark.parametrize("name", ["onset", "kink", "reversed"])
def test_finds_one_percent_of_an_unseen_class(name: str, model: FlowNovelty, clean: FloatArray) -> None:
    novel = planted(name, np.random.default_rng(2), 200)
    assert auc(model, clean, novel) >= 0.95
    assert (model.predict(novel) == -1).mean() > 0.3


def test_false_alarms_are_as_many_as_asked_for() -> None:
    """Of conformal scores the false alarms follow a beta-binomial: calibration and test are both counted."""
    rng = np.random.default_rng(3)
    flow = FlowNovelty(max_epochs=1, n_transforms=3, hidden=16).fit(reference(rng, 50_000))
    n = 50_000
    p = flow.p_values(reference(rng, n))
    m = len(flow.calibration_)
    for rate in (0.05, 0.01):
        k = int(rate * (m + 1))
        expected = betabinom(n, k, m + 1 - k)
        found = int((p <= rate).sum())
        assert expected.ppf(0.001) <= found <= expected.ppf(0.999)
        assert found / n == pytest.approx(rate, rel=0.2)
        # The bounds are no wider than what is claimed of the rate, so the claim is tested.
        assert expected.std() / n < 0.1 * rate
    with_rate = FlowNovelty(rate=0.05)
    with_rate.set_state(flow.get_state())
    again = reference(np.random.default_rng(4), 2000)
    assert ((with_rate.predict(again) == -1) == (with_rate.p_values(again) <= 0.05)).all()
    assert ((with_rate.decision_function(again) < 0) == (with_rate.predict(again) == -1)).all()


def test_p_values_are_valid_however_few_calibrate() -> None:
    """Averaged over references, at most a share p of clean trajectories has a p-value of p or less."""
    shares = []
    for seed in range(8):
        rng = np.random.default_rng([5, seed])
        flow = FlowNovelty(rate=0.1, max_epochs=1, n_transforms=1, hidden=8, random_state=seed)
        shares.append((flow.fit(reference(rng, 200)).p_values(reference(rng, 2000)) <= 0.1).mean())
    m = len(flow.calibration_)
    k = int(0.1 * (m + 1))
    one = betabinom(2000, k, m + 1 - k)
    assert abs(np.mean(shares) - k / (m + 1)) < 4 * one.std() / 2000 / np.sqrt(len(shares))


# The failure that flows are known for


def test_smooth_trajectories_deceive_a_plain_flow_and_not_this_one(
    model: FlowNovelty, clean: FloatArray
) -> None:
    """Constant ones, which every local correlation predicts, are more likely than the reference's own."""
    rng = np.random.default_rng(6)
    constant = rescaled(1 + 1e-4 * rng.standard_normal((200, len(T))))
    known = rescaled(shapes(rng, 200))
    plain = plain_flow(reference(np.random.default_rng(0), 6000))
    few = clean[:2000]
    for novel in (constant, known):
        likely = np.concatenate([plain(few), plain(novel)])
        assert roc_auc_score(np.repeat([1, 0], [2000, 200]), likely) < 0.5
        assert auc(model, few, novel) > 0.9
    # Neither does a mixture see that known shapes without noise are not measured ones.
    mixture = GaussianMixture(12, covariance_type="diag", random_state=0)
    mixture.fit(reference(np.random.default_rng(0), 6000).astype(np.float64))
    likely = mixture.score_samples(np.concatenate([few, known]).astype(np.float64))
    assert roc_auc_score(np.repeat([1, 0], [2000, 200]), likely) < 0.5


def plain_flow(x: FloatArray):  # type: ignore[no-untyped-def]
    """Alternate temperatures, wide networks, no noise, one side: an ordinary coupling flow."""
    from zuko.flows import NICE
    from zuko.transforms import MonotonicRQSTransform

    mean, spread = x.mean(axis=0), x.std(axis=0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        shape = [(8,), (8,), (7,)]
        flow = NICE(
            len(T), transforms=4, univariate=MonotonicRQSTransform, shapes=shape, hidden_features=(128, 128)
        )
        optimiser = torch.optim.Adam(flow.parameters(), lr=2e-3)
        data = torch.tensor((x - mean) / spread)
        for _ in range(6):
            for which in torch.randperm(len(data)).split(500):
                loss = -flow().log_prob(data[which] + 1e-2 * torch.randn(len(which), len(T))).mean()
                optimiser.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(flow.parameters(), 1.0)
                optimiser.step()

    def score(new: FloatArray) -> Float64Array:
        with torch.no_grad():
            return np.asarray(flow().log_prob(torch.tensor((new - mean) / spread)).double().numpy())

    return score


@pytest.mark.parametrize("n_temperatures", [8, 20, 100])
def test_masks_deny_neighbours(n_temperatures: int) -> None:
    """Between temperatures, most of what is predicted has no neighbour among what it is predicted from."""
    design = Design(n_temperatures, 6, 1, 8, 4)
    between = design.masks[design.n_in_modes :]
    assert len(between) == 2
    assert (between[0] ^ between[1]).all()
    seen = between[0].astype(int)
    neighbours = np.convolve(seen, [1, 0, 1], mode="same")
    assert (neighbours[~between[0]] == 0).mean() >= (0.3 if n_temperatures > 8 else 0.0)
    # Alternate masks deny nobody.
    alternate = np.arange(n_temperatures) % 2
    assert (np.convolve(alternate, [1, 0, 1], mode="same")[alternate == 0] > 0).all()


def test_networks_pass_through_the_bottleneck() -> None:
    flow = CouplingFlow(Design(12, 6, 2, 32, 3), np.stack([np.eye(12)] * 2), "cpu")
    for coupling in flow.couplings:
        x = torch.randn(200, int(coupling.mask.sum()) + 3)
        assert torch.nn.Sequential(*list(coupling.hyper)[:3])(x).shape == (200, 3)


# The mathematics


def test_density_is_one() -> None:
    """The flow is a density: sampled from another, the mean of the ratio is one."""
    rng = np.random.default_rng(8)
    back = np.stack([np.linalg.qr(rng.standard_normal((4, 4)))[0] for _ in range(2)])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        flow = CouplingFlow(Design(4, 6, 2, 16, 4), back, "cpu")
        for coupling in flow.couplings:
            torch.nn.init.normal_(coupling.hyper[-1].weight, std=0.3)
    x = 1.5 * rng.standard_normal((200_000, 4))
    noise, classes = np.full(len(x), 0.3, dtype=np.float32), np.ones(len(x), dtype=np.int64)
    log_density = flow.log_likelihood(x.astype(np.float32), noise, classes) - 2 * np.log(2 * np.pi)
    ratio = np.exp(log_density - norm(scale=1.5).logpdf(x).sum(axis=1))
    assert np.std(ratio) > 0.5
    assert ratio.mean() == pytest.approx(1, abs=5 * ratio.std() / np.sqrt(len(ratio)))


def test_whitening_gives_the_gaussian_likelihood() -> None:
    rng = np.random.default_rng(9)
    a = rng.standard_normal((6, 6))
    x = rng.standard_normal((20_000, 6)) @ a
    whitening = Whitening.of(x, 1, 0)
    own = whitening.classes(x)
    white = whitening(x, own)
    gained = whitening.constants[own] - np.square(white).sum(axis=1) / 2 - 3 * np.log(2 * np.pi)
    truth = multivariate_normal(cov=a.T @ a).logpdf(x)
    # The farthest 2 % are left out, which makes the covariance some percent smaller.
    assert np.corrcoef(gained, truth)[0, 1] > 0.999
    assert gained.mean() == pytest.approx(truth.mean(), abs=0.3)
    back = whitening.back[0]
    np.testing.assert_allclose(back @ back.T, np.eye(6), atol=1e-8)
    np.testing.assert_allclose(np.cov((white @ back).T), np.eye(6) * np.var(white, axis=0).mean(), atol=0.1)


def test_noise_is_that_of_the_counts() -> None:
    rng = np.random.default_rng(10)
    level = counts(rng, 4000)
    noise = Noise.of(x := measured(shapes(rng, 4000), level, rng))
    assert np.corrcoef(noise(x), -0.5 * np.log(level[:, 0]))[0, 1] > 0.8
    # Little of it comes from the shape.
    assert (noise(rescaled(shapes(rng, 500))) < -1).mean() > 0.9


def test_tails_are_shares_and_fall_on_exponentially() -> None:
    usual = np.sort(np.random.default_rng(11).exponential(size=20_000))
    x = np.array([0.1, 1.0, 2.0, 6.0, 12.0, 20.0])
    np.testing.assert_allclose(log_tail(x, usual), expon.logsf(x), rtol=0.1, atol=0.02)
    assert (np.diff(log_tail(np.linspace(-5, 30, 400), usual)) <= 0).all()


def test_likelihoods_are_judged_among_those_as_noisy() -> None:
    rng = np.random.default_rng(12)
    noise = rng.standard_normal(6000)
    likelihood = -30 * noise + (1 + 0.3 * noise**2) * rng.standard_normal(6000)
    judge = Judge.of(likelihood, noise)
    quiet, loud = (np.array([-1.5]), np.array([1.5]))
    # What is usual of a loud trajectory is strange of a quiet one, and the other way round.
    assert judge.score(np.array([45.0]), quiet)[0] > np.log(0.2)
    assert judge.score(np.array([-45.0]), quiet)[0] < np.log(0.01)
    assert judge.score(np.array([45.0]), loud)[0] < np.log(0.01)
    assert judge.score(np.array([45.0]), loud, typicality=False)[0] > np.log(0.2)


# Use


def test_state_gives_the_same_scores(model: FlowNovelty, clean: FloatArray, tmp_path: Path) -> None:
    path = tmp_path / "novelty.npz"
    path.write_bytes(pack_state("flow-novelty", model.get_state()))
    again = FlowNovelty(hidden=7, typicality=False)
    again.set_state(load_state("flow-novelty", path))
    np.testing.assert_array_equal(again.score_samples(clean[:3000]), model.score_samples(clean[:3000]))
    np.testing.assert_array_equal(again.p_values(clean[:3000]), model.p_values(clean[:3000]))
    assert again.offset_ == model.offset_
    assert again.get_state().digest == model.get_state().digest


def test_state_of_something_else_is_refused(model: FlowNovelty) -> None:
    state = model.get_state()
    weight = next(name for name in state.arrays if name.startswith("flow/"))
    wrong = [
        State({}, {}),
        State({**state.arrays, "means": state.arrays["means"][:, :-1]}, state.facts),
        State({**state.arrays, weight: state.arrays[weight][:-1]}, state.facts),
        State({**state.arrays, weight: np.full_like(state.arrays[weight], np.nan)}, state.facts),
        State({**state.arrays, "flow/other": np.zeros(3)}, state.facts),
        State({**state.arrays, "calibration": np.zeros(0)}, state.facts),
        State(state.arrays, {**state.facts, "design": [24, 10**9, 8, 64, 8]}),
        State(state.arrays, {**state.facts, "design": "flow"}),
        State(state.arrays, {**state.facts, "noise": [0.0]}),
    ]
    for one in wrong:
        with pytest.raises(InputError, match="no state of a flow"):
            FlowNovelty().set_state(one)
    with pytest.raises(ConfigError, match="rate"):
        FlowNovelty(rate=1e-6).set_state(state)


def test_the_same_again_and_no_global_effect() -> None:
    x = reference(np.random.default_rng(13), 600)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one, other, third = (
        FlowNovelty(max_epochs=1, n_transforms=3, hidden=16, random_state=seed).fit(x) for seed in (4, 4, 5)
    )
    assert torch.equal(before, torch.get_rng_state())
    np.testing.assert_array_equal(one.score_samples(x), other.score_samples(x))
    assert (one.score_samples(x) != third.score_samples(x)).any()
    assert clone(one).get_params() == one.get_params()


def test_rows_that_are_not_finite_are_not_judged(model: FlowNovelty, clean: FloatArray) -> None:
    x = clean[:5].copy()
    x[1, 3], x[2, 0] = np.nan, np.inf
    scores = model.score_samples(x)
    assert np.isnan(scores).tolist() == [False, True, True, False, False]
    assert np.isnan(model.p_values(x)).tolist() == np.isnan(scores).tolist()
    assert (model.predict(x)[1:3] == 1).all()
    assert model.score_samples(x[:0]).shape == (0,)
    with_holes = np.concatenate([reference(np.random.default_rng(14), 500), x])
    holed, whole = (
        FlowNovelty(max_epochs=1, n_transforms=2, hidden=16).fit(part)
        for part in (with_holes, with_holes[np.isfinite(with_holes).all(axis=1)])
    )
    np.testing.assert_array_equal(holed.calibration_, whole.calibration_)


def test_blocks_are_judged_alike(model: FlowNovelty, clean: FloatArray) -> None:
    parts = [model.score_samples(part) for part in np.array_split(clean[:9000], 7)]
    np.testing.assert_allclose(np.concatenate(parts), model.score_samples(clean[:9000]), rtol=1e-3, atol=1e-3)


def test_wild_rows_of_the_reference_do_no_harm() -> None:
    rng = np.random.default_rng(15)
    x = reference(rng, 4000)
    x[rng.choice(4000, 40, replace=False)] *= 300
    flow = FlowNovelty(max_epochs=6, rate=0.05).fit(x)
    assert auc(flow, reference(rng, 2000), planted("reversed", rng, 200)) > 0.9


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_the_scale_of_trajectories_does_not_matter(scale: float) -> None:
    rng = np.random.default_rng(16)
    x, novel = reference(rng, 2000), planted("reversed", rng, 100)
    flow = FlowNovelty(max_epochs=3).fit(scale * x)
    assert auc(flow, scale * reference(rng, 1000), scale * novel) > 0.9


def test_what_cannot_be_is_said() -> None:
    x = reference(np.random.default_rng(17), 300)
    with pytest.raises(NothingToClusterError, match="too few"):
        FlowNovelty().fit(x[:99])
    with pytest.raises(ConfigError, match="cannot show a rate"):
        FlowNovelty(rate=0.001).fit(x)
    with pytest.raises(ConfigError, match="temperatures"):
        FlowNovelty().fit(x[:, :3])
    for options in ({"rate": 0.0}, {"rate": 1.0}, {"hidden": 0}, {"n_classes": 0}, {"max_epochs": 0}):
        with pytest.raises(ConfigError):
            FlowNovelty(**options).fit(x)
    with pytest.raises(InputError, match="temperatures"):
        FlowNovelty(rate=0.05, max_epochs=1).fit(x).score_samples(x[:, :10])
    with pytest.raises(InputError, match="array"):
        FlowNovelty().fit(x[0])


def test_short_scans_and_constant_ones_can_be_learned() -> None:
    rng = np.random.default_rng(18)
    for x in (rng.standard_normal((400, 4)), np.ones((400, 8))):
        flow = FlowNovelty(max_epochs=1, n_transforms=3, rate=0.05).fit(x)
        assert np.isfinite(flow.score_samples(x)).all()
        assert flow.predict(x + 1e3).tolist() == [-1] * 400
