"""Local maxima of sparse voxels against dense grids and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import maximum_filter

from xtec.core.types import Float64Array
from xtec.peaks import Maxima, find_maxima, thinned


def found_in(
    volume: Float64Array, noise: float = 1e-3, axes: list[Float64Array] | None = None
) -> tuple[Maxima, set[int]]:
    """Maxima of the voxels above 0.1, and their flat indices."""
    index = np.flatnonzero(volume.ravel() > 0.1)
    height = volume.ravel()[index]
    axes = axes or [np.arange(size, dtype=float) for size in volume.shape]
    maxima = find_maxima(index, height, np.full(height.size, noise), axes)
    return maxima, set(maxima.index.tolist())


@pytest.mark.parametrize("shape", [(400,), (30, 41), (9, 12, 11)])
def test_the_same_voxels_as_a_filter_of_the_dense_grid(shape: tuple[int, ...]) -> None:
    volume = np.random.default_rng(len(shape)).random(shape)
    highest = maximum_filter(volume, size=3, mode="constant", cval=-1) == volume
    expected = set(np.flatnonzero((highest & (volume > 0.1)).ravel()).tolist())
    assert found_in(volume)[1] == expected


def test_what_is_within_noise_is_no_maximum() -> None:
    volume = np.random.default_rng(0).random((20, 20))
    expected = {i for i in found_in(volume)[1] if volume.ravel()[i] > 0.9}
    assert found_in(volume, noise=0.18)[1] == expected
    assert expected


def test_equal_neighbours_are_one_maximum() -> None:
    volume = np.zeros((5, 6))
    volume[2, 2:5] = 1.0
    assert len(found_in(volume)[1]) == 1


@pytest.mark.parametrize("middle", [(4.0, 5.0, 6.0), (4.3, 5.45, 5.9), (3.55, 4.9, 6.2)])
def test_gaussian_peaks_are_placed_between_voxels(middle: tuple[float, float, float]) -> None:
    grid = np.indices((9, 11, 12)).astype(float)
    square = sum(((along - at) / 1.1) ** 2 for along, at in zip(grid, middle, strict=True))
    axes = [0.1 * np.arange(9) - 2, 0.05 * np.arange(11), 0.2 * np.arange(12)]
    maxima, _ = found_in(np.exp(-square / 2), axes=axes)
    expected = [0.1 * middle[0] - 2, 0.05 * middle[1], 0.2 * middle[2]]
    np.testing.assert_allclose(maxima.position, [expected], atol=1e-12)
    assert maxima.whole.all()


def test_errors_are_the_scatter_of_the_place() -> None:
    rng, x = np.random.default_rng(1), np.arange(11.0)
    peak = np.exp(-((x - 5.2) ** 2) / (2 * 1.1**2))
    made = [found_in(peak + rng.normal(0, 0.01, 11), noise=0.01)[0] for _ in range(300)]
    places = np.array([one.position[one.height.argmax(), 0] for one in made])
    assert np.std(places) == pytest.approx(np.median([one.error[0, 0] for one in made]), rel=0.2)
    assert np.mean(places) == pytest.approx(5.2, abs=0.01)


def test_a_peak_at_the_end_of_the_grid_is_not_whole() -> None:
    x, y = np.meshgrid(np.arange(8.0), np.arange(9.0), indexing="ij")
    maxima, _ = found_in(np.exp(-((x + 0.3) ** 2 + (y - 4.2) ** 2) / 3))
    assert maxima.whole.tolist() == [[False, True]]
    assert maxima.position[0, 1] == pytest.approx(4.2)
    assert maxima.position[0, 0] == 0


def test_the_edge_of_the_grid_is_no_neighbour_of_the_other_side() -> None:
    volume = np.zeros((4, 5))
    volume[1, 4], volume[2, 0] = 1.0, 0.5
    assert found_in(volume)[1] == {9, 10}


def test_ripples_and_doubles_are_thinned() -> None:
    volume = np.zeros((20, 20))
    volume[5, 5], volume[5, 7], volume[5, 9], volume[15, 15] = 1.0, 0.9, 0.3, 0.2
    maxima, _ = found_in(volume)
    left, kept = thinned(maxima, volume.shape)
    assert set(left.index.tolist()) == {105, 315}
    np.testing.assert_array_equal(maxima.index[kept], left.index)
    double = Maxima.concatenate([maxima, maxima])
    assert set(thinned(double, volume.shape)[0].index.tolist()) == {105, 315}


def test_none() -> None:
    maxima, _ = found_in(np.zeros((4, 4)))
    assert maxima.position.shape == (0, 2)
    assert thinned(maxima, (4, 4))[1].size == 0
