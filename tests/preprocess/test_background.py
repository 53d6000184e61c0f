"""The background threshold: the reference package, a literal reading of the method, closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import xlogy

from xtec.core.errors import ConfigError, InputError
from xtec.preprocess import MaskRules, VoxelSums, find_threshold, parse_threshold, usable_voxels

REFERENCE = """
from xtec.Preprocessing import Mask_Zeros, Threshold_Background
for name, data in inputs.items():
    found = Threshold_Background(Mask_Zeros(data), None, "KL")
    outputs[name + "_cutoff"] = found.LogI_cutoff
    outputs[name + "_kept"] = np.flatnonzero(found.thresholded)
    outputs[name + "_success"] = found.success
    outputs[name + "_simple"] = Threshold_Background(Mask_Zeros(data), None, "simple").LogI_cutoff
"""


def poisson_series(seed, shape, *, background, peaks, brightness, empty=0.0):
    """Counts on a random background; a share of the voxels has an extra that falls with temperature."""
    rng = np.random.default_rng(seed)
    n = int(np.prod(shape[1:]))
    extra = np.where(rng.random(n) < peaks, rng.lognormal(brightness, 1.5, n), 0.0)
    fall = np.linspace(1, 0.2, shape[0])[:, None]
    counts = rng.poisson(background(rng, n) + extra * fall).astype(np.float64)
    counts[:, rng.random(n) < empty] = 0
    return counts.reshape(shape)


def gamma(rng, n):
    return rng.gamma(5, 2, n)


def smooth(rng, n):
    return 10 + 0.5 * rng.standard_normal(n)


def heavy(rng, n):
    return rng.lognormal(1, 0.8, n)


def pareto(rng, n):
    return 5 * (1 + rng.pareto(1.5, n))


SERIES = {
    "planes_sparse": poisson_series(0, (20, 60, 80), background=gamma, peaks=0.02, brightness=4),
    "planes_dense": poisson_series(1, (12, 90, 110), background=gamma, peaks=0.3, brightness=4, empty=0.1),
    "volume": poisson_series(2, (8, 20, 40, 50), background=gamma, peaks=0.05, brightness=4),
    "volume_with_zeros": poisson_series(
        3, (30, 5, 61, 71), background=smooth, peaks=0.1, brightness=3, empty=0.3
    ),
    "short_heavy": poisson_series(4, (3, 100, 130), background=heavy, peaks=0.05, brightness=4),
    "smooth_background": poisson_series(5, (24, 9, 41, 61), background=smooth, peaks=0.01, brightness=5),
    "pareto_tails": poisson_series(6, (6, 80, 90), background=pareto, peaks=0.0, brightness=0),
    "single_precision": np.random.default_rng(7).lognormal(2, 0.6, (10, 12, 30, 40)).astype(np.float32),
}


def log_mean(volume):
    """ln of the mean intensity of the usable voxels, and which these are."""
    sums = VoxelSums.of_volume(volume)
    usable, _ = usable_voxels(sums, MaskRules())
    return np.log(sums.mean[usable]), np.flatnonzero(usable)


def same_cut(x, found, cutoff):
    """Whether two cutoffs are the same, or edges of one empty bin: then rounding decides between them."""
    low, high = sorted((found.cutoff, float(cutoff)))
    if high - low <= 1e-6 * abs(high):
        return True
    return high - low < 1.001 * np.diff(found.edges)[0] and not ((x > low) & (x <= high)).any()


def test_cutoff_and_kept_voxels_are_those_of_the_reference(reference):
    theirs = reference(REFERENCE, **SERIES)
    equal = 0
    for name, volume in SERIES.items():
        x, usable = log_mean(volume)
        ours = find_threshold(x, "kl")
        equal += ours.cutoff == pytest.approx(theirs[f"{name}_cutoff"], rel=1e-6)
        assert same_cut(x, ours, theirs[f"{name}_cutoff"]), name
        np.testing.assert_array_equal(usable[x > ours.cutoff], theirs[f"{name}_kept"], err_msg=name)
        assert ours.credible == theirs[f"{name}_success"], name
        assert find_threshold(x, "simple").cutoff == pytest.approx(theirs[f"{name}_simple"], rel=1e-6), name
    assert equal >= 7, "only counts over three temperatures leave empty bins at the cutoff"


def literal_cutoff(x):
    """Steps 2 to 6 of the published method, word for word: sort, mask, loop.

    Returns the cutoff, whether it is credible, and the mean and standard deviation below it.
    """
    ordered, n = np.sort(x), len(x)
    w = (ordered[round(0.75 * n)] - ordered[round(0.25 * n)]) / n ** (1 / 3)
    counts, edges = np.histogram(x, int(np.ceil((x.max() - x.min()) / w)))
    y, b = counts / (n * w), edges[:-1]

    def kl(i):
        if i == 0:
            return 0.0  # a sum over nothing
        below = x[x < b[i]]
        mean, std = below.mean(), below.std()
        model = np.exp(-0.5 * ((b[:i] - mean) / std) ** 2) / (std * np.sqrt(2 * np.pi))
        p = y[:i] / (y[:i].sum() * (b[1] - b[0]))
        return np.sum(xlogy(p, p) - p * np.log(model + 1e-12))

    def first_not_below(value):
        return next((j for j, edge in enumerate(b) if edge >= value), len(b))

    i = int(np.argmax(y) / 2 + first_not_below(x.mean() + x.std()) / 2)
    if i >= len(b):
        i = int(np.argmax(y)) - 2
    for _ in range(100):
        i = min(i, len(b) - 2)  # there is no edge i + 1 otherwise
        with np.errstate(divide="ignore"):
            d = (np.log(kl(i + 1)) - np.log(kl(i))) / w
        i = first_not_below(b[i] - w * d)
        if i >= len(b):
            i = len(b) - 2
        if abs(w * d) <= w:
            break
    credible = x.mean() - x.std() <= b[i] <= x.mean() + 2 * x.std()
    return b[i], credible, x[x < b[i]].mean(), x[x < b[i]].std()


CHARACTERS = {
    "normal": lambda rng, n: rng.standard_normal(n),
    "with_peaks": lambda rng, n: np.where(rng.random(n) < 0.1, rng.normal(4, 1.5, n), rng.normal(0, 0.4, n)),
    "skewed": lambda rng, n: np.log(rng.gamma(4, 1, n)),
    "counts": lambda rng, n: np.log(rng.poisson(200, n) + 1.0),
    "two_backgrounds": lambda rng, n: np.where(rng.random(n) < 0.5, 0.0, 3.0) + 0.3 * rng.standard_normal(n),
}


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("character", CHARACTERS)
def test_cutoff_is_that_of_the_literal_method(character, seed):
    rng = np.random.default_rng([seed, len(character)])
    x = CHARACTERS[character](rng, int(rng.integers(500, 5000)))
    cutoff, credible, mean, std = literal_cutoff(x)
    ours = find_threshold(x, "kl")
    assert same_cut(x, ours, cutoff)
    if character != "counts":
        assert ours.cutoff == pytest.approx(cutoff, rel=1e-12)
    assert ours.credible == credible
    assert ours.background_mean == pytest.approx(mean, abs=1e-9)
    assert ours.background_std == pytest.approx(std, rel=1e-7)


def test_a_descent_that_runs_out_keeps_all_and_is_not_credible():
    """Nothing lies below the lowest edge: ln KL is minus infinity there, and no step leads away."""
    rng = np.random.default_rng([81, 77])
    x = CHARACTERS["counts"](rng, int(rng.integers(50, 3000)))
    found = find_threshold(x, "kl")
    assert (found.cutoff, found.n_steps, found.credible) == (x.min(), 100, False)


def test_density_is_a_histogram_of_all_values():
    x = np.random.default_rng(0).normal(size=3000)
    found = find_threshold(x, "kl")
    ordered = np.sort(x)
    width = (ordered[2250] - ordered[750]) * 3000 ** (-1 / 3)
    assert len(found.edges) == len(found.density) + 1
    assert found.edges[[0, -1]] == pytest.approx([x.min(), x.max()])
    np.testing.assert_allclose(found.density * 3000 * width, np.histogram(x, found.edges)[0])


@settings()
@given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(CHARACTERS)))
def test_the_order_of_voxels_does_not_matter(seed, character):
    rng = np.random.default_rng(seed)
    x = CHARACTERS[character](rng, 2000)
    one, other = find_threshold(x, "kl"), find_threshold(rng.permutation(x), "kl")
    assert one.cutoff == pytest.approx(other.cutoff, rel=1e-12)
    assert one.n_steps == other.n_steps
    assert one.credible == other.credible


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.floats(-5, 12))
def test_the_unit_of_intensity_only_shifts_the_cutoff(seed, shift):
    x = CHARACTERS["with_peaks"](np.random.default_rng(seed), 2000)
    moved = find_threshold(x + shift, "kl")
    # A value on the edge of a bin may round into its neighbour; then the cutoff moves by a bin or two.
    assert moved.cutoff - shift == pytest.approx(
        find_threshold(x, "kl").cutoff, abs=3 * np.diff(moved.edges)[0]
    )


def test_background_is_told_from_a_tail_of_peaks():
    """A Gaussian of ln intensity and 5 % of bright voxels far above it: the cutoff lies between the two."""
    rng = np.random.default_rng(1)
    background, peaks = rng.normal(2, 0.2, 20_000), rng.normal(6, 0.3, 1000)
    found = find_threshold(np.concatenate([background, peaks]), "kl")
    assert np.mean(background > found.cutoff) < 0.05
    assert np.mean(peaks > found.cutoff) > 0.99
    assert found.background_mean == pytest.approx(2, abs=0.02)
    assert found.background_std == pytest.approx(0.2, abs=0.03)


def test_simple_is_mean_plus_two_standard_deviations():
    x = np.random.default_rng(2).gamma(3, 1, 1000)
    found = find_threshold(x, "simple")
    assert found.cutoff == pytest.approx(x.mean() + 2 * x.std(), rel=1e-12)
    assert (found.background_mean, found.background_std) == pytest.approx((x.mean(), x.std()))
    assert (found.method, found.n_steps) == ("simple", 0)


def test_none_keeps_everything():
    found = find_threshold(np.zeros(10), "none")
    assert found.cutoff == -np.inf
    assert found.credible


@pytest.mark.parametrize("distance", [-3.0, -1.001, -0.999, 0.0, 1.999, 2.001, 5.0])
def test_a_number_is_credible_between_one_deviation_below_and_two_above(distance):
    x = np.random.default_rng(3).normal(5, 2, 4000)
    cutoff = float(x.mean() + distance * x.std())
    found = find_threshold(x, cutoff)
    assert (found.method, found.cutoff) == ("value", cutoff)
    assert found.credible == (-1 <= distance <= 2)
    assert found.background_mean == pytest.approx(x[x < cutoff].mean())
    assert found.background_std == pytest.approx(x[x < cutoff].std())


def test_a_number_below_everything_has_no_background():
    found = find_threshold(np.random.default_rng(4).normal(size=100), -100.0)
    assert np.isnan(found.background_mean)
    assert not found.credible


@pytest.mark.parametrize("x", [np.full(1000, 2.0), np.r_[np.zeros(900), np.arange(100.0)]])
def test_half_of_the_voxels_alike_is_an_error(x):
    with pytest.raises(InputError, match="same mean intensity"):
        find_threshold(x, "kl")


@pytest.mark.parametrize("n", range(1, 12))
def test_few_voxels_give_an_error_or_a_cutoff_never_nan(n):
    for seed in range(20):
        x = np.random.default_rng([n, seed]).normal(size=n)
        try:
            found = find_threshold(x, "kl")
        except InputError:
            continue
        assert x.min() <= found.cutoff <= x.max()


def test_no_voxel_at_all_is_an_error():
    for method in ("kl", "simple", 1.0):
        with pytest.raises(InputError):
            find_threshold(np.empty(0), method)


def test_a_spread_that_no_histogram_can_hold_is_an_error():
    x = np.r_[np.linspace(0, 1e-9, 1000), 700.0]
    with pytest.raises(InputError, match="bin width"):
        find_threshold(x, "kl")


@pytest.mark.parametrize("method", ["simple", 3.0])
def test_simple_and_numbers_need_no_histogram(method):
    """They are the way out that the errors of the Kullback-Leibler cutoff point to."""
    alike = np.r_[np.zeros(900), np.arange(1, 101.0)]
    wide = np.r_[np.linspace(0, 1e-9, 1000), 700.0]
    for x in (alike, wide):
        found = find_threshold(x, method)
        assert found.cutoff == pytest.approx(3.0 if method == 3.0 else x.mean() + 2 * x.std())


@pytest.mark.parametrize(
    ("text", "value"), [("kl", "kl"), ("simple", "simple"), ("none", "none"), ("2.5", 2.5)]
)
def test_thresholds_are_read_from_text(text, value):
    assert parse_threshold(text) == value


@pytest.mark.parametrize("text", ["", "KL", "no thresh", "2.5e", "nan", "inf"])
def test_an_unknown_threshold_is_an_error(text):
    with pytest.raises(ConfigError, match="unknown threshold"):
        parse_threshold(text)
