"""Shapes of peaks against closed forms and moments from numpy."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xtec.core.types import Float64Array
from xtec.peaks.shape import Shapes, ShapeSums, shapes

AXES = (np.linspace(-1.0, 1.0, 41), np.linspace(4.0, 7.0, 61))
Y, X = np.meshgrid(*AXES, indexing="ij")


def sums_of(
    images: Float64Array, peak: Float64Array, about: Float64Array, keep: slice = slice(None)
) -> ShapeSums:
    """Sums over voxels (those of `keep`) of images (T, 41, 61)."""
    index = np.arange(Y.size)[keep]
    rows = images.reshape(len(images), -1).T[keep]
    return ShapeSums.of(index, rows, peak.ravel()[keep].astype(np.int32), about, AXES)


def gaussian(centre: tuple[float, float], width: tuple[float, float], height: float = 1e4) -> Float64Array:
    u = (Y - centre[0]) / width[0], (X - centre[1]) / width[1]
    return height * np.exp(-0.5 * (u[0] ** 2 + u[1] ** 2))


CENTRES = [(0.0, 5.5), (0.05, 5.45), (-0.13, 5.61)]
WIDTHS = [(0.1, 0.15), (0.12, 0.2), (0.15, 0.1)]


@pytest.fixture
def moving() -> Float64Array:
    """One peak at three temperatures, shape (3, 41, 61)."""
    return np.stack([gaussian(*one) for one in zip(CENTRES, WIDTHS, strict=True)])


@pytest.mark.parametrize("background", [0.0, 30.0])
def test_a_gaussian_peak_has_its_centre_and_width_and_no_asymmetry(
    moving: Float64Array, background: float
) -> None:
    about = np.array([[0.02, 5.48]])
    found = shapes(sums_of(moving + background, np.zeros(Y.shape), about), background, 1.0)
    np.testing.assert_allclose(found.width[0], WIDTHS, rtol=1e-6)
    np.testing.assert_allclose(found.asymmetry[0], 0, atol=1e-6)
    if background == 0:
        np.testing.assert_allclose(found.displacement[0], np.array(CENTRES) - about, atol=1e-9)


def test_an_exponential_edge_has_the_skewness_of_its_closed_form() -> None:
    """Decays to one side: an exponential has standard deviation tau and skewness 2."""
    x = np.linspace(0, 60, 6001)
    image = np.exp(-x / 2.0)[None]
    sums = ShapeSums.of(np.arange(x.size), 1e6 * image.T, np.zeros(x.size, np.int32), np.zeros((1, 1)), [x])
    found = shapes(sums, 0.0, 1.0)
    assert found.displacement[0, 0, 0] == pytest.approx(2.0, rel=5e-3)
    assert found.width[0, 0, 0] == pytest.approx(2.0, rel=5e-3)
    assert found.asymmetry[0, 0, 0] == pytest.approx(2.0, rel=5e-3)


def test_shapes_are_moments_of_whatever_the_voxels_hold() -> None:
    rng = np.random.default_rng(0)
    images, peak, about = rng.gamma(2, 500, (4, *Y.shape)), rng.integers(-1, 3, Y.shape), rng.random((3, 2))
    background = 120.0
    found = shapes(sums_of(images, peak, about), background, 1.0)
    assert found.width.shape == (3, 4, 2)
    for (s, t), axis in ((place, axis) for place in np.ndindex(3, 4) for axis in range(2)):
        mine = peak == s
        along, raw = (Y, X)[axis][mine], images[t][mine]
        net = (raw - background) / (raw - background).sum()
        mean = (net * along).sum()
        width = np.sqrt((net * (along - mean) ** 2).sum())
        skewness = (net * (along - mean) ** 3).sum() / width**3
        shift = np.average(along, weights=raw) - about[s, axis]
        assert found.displacement[s, t, axis] == pytest.approx(shift, abs=1e-9)
        assert found.width[s, t, axis] == pytest.approx(width, rel=1e-9)
        assert found.asymmetry[s, t, axis] == pytest.approx(skewness, rel=1e-6, abs=1e-9)


def assert_same(one: Shapes, other: Shapes) -> None:
    for name, values in vars(one).items():
        np.testing.assert_allclose(getattr(other, name), values, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("about", [(0.0, 5.5), (-0.4, 6.3)])
def test_width_and_asymmetry_do_not_depend_on_where_distances_are_from(
    moving: Float64Array, about: tuple[float, float]
) -> None:
    whole = np.zeros(Y.shape)
    one, other = (shapes(sums_of(moving + 5, whole, np.array([a])), 5.0, 1.0) for a in (CENTRES[0], about))
    np.testing.assert_allclose(other.width, one.width, rtol=1e-8)
    np.testing.assert_allclose(other.asymmetry, one.asymmetry, atol=1e-6)
    shift = np.subtract(about, CENTRES[0])
    np.testing.assert_allclose(one.displacement - other.displacement, np.tile(shift, (1, 3, 1)), atol=1e-9)


@settings(max_examples=30)
@given(st.lists(st.integers(0, Y.size), max_size=6))
def test_shards_cut_anywhere_add_up_to_the_whole(cuts: list[int]) -> None:
    images = np.stack([gaussian(*one) for one in zip(CENTRES, WIDTHS, strict=True)])
    peak, about = np.where(X > 5.5, 1, np.where(Y > 0.3, -1, 0)), np.array([[0.0, 5.0], [0.1, 6.0]])
    edges = [0, *sorted(cuts), Y.size]
    parts = [sums_of(images, peak, about, slice(*ends)) for ends in pairwise(edges)]
    merged = ShapeSums.empty(2, len(images), 2)
    for part in parts:
        merged.add(part, np.arange(2))
    whole = sums_of(images, peak, about)
    np.testing.assert_allclose(merged.intensity, whole.intensity, rtol=1e-9, atol=1e-7)
    np.testing.assert_allclose(merged.voxels, whole.voxels, rtol=1e-9, atol=1e-9)
    assert_same(shapes(merged, 2.0, 1.0), shapes(whole, 2.0, 1.0))


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_sums_are_in_double_precision_whatever_the_voxels_are_in(moving: Float64Array, kind: type) -> None:
    peak, about = np.zeros(Y.shape), np.array([CENTRES[0]])
    images = np.round(moving)
    found = sums_of(images.astype(kind), peak, about)
    assert found.intensity.dtype == np.float64
    np.testing.assert_allclose(
        found.intensity[0, :, :, 0], images.sum(axis=(1, 2))[:, None].repeat(2, 1), rtol=1e-12
    )


@pytest.mark.parametrize("count_scale", [1.0, 100.0])
def test_a_peak_within_its_counting_noise_has_no_width(count_scale: float) -> None:
    """A net intensity N on a background B is five standard deviations where N = 5 sqrt(c (N + B))."""
    background, voxels = 40.0, Y.size
    limit = 12.5 * count_scale + np.sqrt((12.5 * count_scale) ** 2 + 25 * count_scale * background * voxels)
    image = gaussian((0.0, 5.5), (0.1, 0.15))
    images = np.stack([background + share * limit * image / image.sum() for share in (0.97, 1.03, -1.0)])
    found = shapes(sums_of(images, np.zeros(Y.shape), np.array([[0.0, 5.5]])), background, count_scale)
    weak = np.array([True, False, True])
    np.testing.assert_array_equal(np.isnan(found.width[0]), np.stack([weak, weak], axis=1))
    np.testing.assert_array_equal(np.isnan(found.asymmetry[0]), np.stack([weak, weak], axis=1))
    assert np.isfinite(found.displacement[0, :2]).all()


def test_a_peak_without_voxels_or_intensity_has_no_shape() -> None:
    sums = sums_of(np.zeros((2, *Y.shape)), np.zeros(Y.shape), np.zeros((2, 2)))
    found = shapes(sums, 0.0, 1.0)
    for values in vars(found).values():
        assert values.shape == (2, 2, 2)
        assert np.isnan(values).all()
