"""What the map of a report is drawn from: against labels and intensities joined one voxel at a time."""

from __future__ import annotations

import base64
import gzip
from itertools import product

import numpy as np
import pytest

from xtec.core.axes import Axis
from xtec.core.types import ClusterMap
from xtec.report.volumes import IntensityCollector, joining, label_volume, packed


def some_map(shape: tuple[int, ...], n: int, highest: int = 5) -> tuple[ClusterMap, np.ndarray]:
    rng = np.random.default_rng(0)
    index = np.sort(rng.choice(int(np.prod(shape)), n, replace=False))
    axes = [Axis(f"q{i}", np.arange(size) * 0.1, "") for i, size in enumerate(shape)]
    label = rng.integers(1, highest + 1, n).astype(np.int16)
    return ClusterMap(axes, index.astype(np.int64), label), rng.random(n).astype(np.float32)


@pytest.mark.parametrize("shape", [(40,), (11, 13), (5, 12, 17)])
def test_nothing_is_joined_while_there_is_room(shape: tuple[int, ...]) -> None:
    cluster_map, probability = some_map(shape, 20)
    volume = label_volume(cluster_map, probability)
    assert volume.factors == (1,) * len(shape)
    np.testing.assert_array_equal(volume.label, cluster_map.slab(0, shape[0]))
    np.testing.assert_allclose(volume.probability / 255, probability, atol=0.5 / 255)


def test_of_joined_voxels_the_most_probable_stays() -> None:
    shape = (7, 12, 17)
    cluster_map, probability = some_map(shape, 400)
    volume = label_volume(cluster_map, probability, most=300)
    assert volume.label.size <= 300
    best: dict[tuple[int, ...], tuple[float, int]] = {}
    places = np.stack(np.unravel_index(cluster_map.index, shape), axis=-1)
    for place, label, likely in zip(places, cluster_map.label, probability, strict=True):
        joined = tuple(int(i) // factor for i, factor in zip(place, volume.factors, strict=True))
        best[joined] = max(best.get(joined, (-1.0, 0)), (float(likely), int(label)))
    expected = np.zeros(volume.label.shape, int)
    for joined, (_, label) in best.items():
        expected[joined] = label
    np.testing.assert_array_equal(volume.label, expected)
    likely = [best[tuple(place)][0] for place in np.argwhere(volume.label)]
    np.testing.assert_allclose(volume.probability / 255, likely, atol=0.5 / 255 + 1e-6)


def test_labels_above_255_take_two_bytes() -> None:
    cluster_map, probability = some_map((30, 30), 500, highest=700)
    volume = label_volume(cluster_map, probability)
    np.testing.assert_array_equal(volume.label, cluster_map.slab(0, 30))


@pytest.mark.parametrize(("shape", "most"), [((100, 3, 50), 1000), ((9,), 4), ((4, 4, 4), 64), ((5, 5), 1)])
def test_joining_leaves_no_more_than_asked(shape: tuple[int, ...], most: int) -> None:
    factors = joining(shape, most)
    left = np.prod([-(-size // factor) for size, factor in zip(shape, factors, strict=True)])
    assert left <= most
    if most >= np.prod(shape):
        assert set(factors) == {1}


@pytest.mark.parametrize("most", [10**6, 700])
@pytest.mark.parametrize("edges", [(4, 6, 5), (3, 10, 9)])
def test_intensities_are_the_highest_of_what_is_joined(most: int, edges: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    series = rng.lognormal(2, 2, (5, 8, 12, 14)).astype(np.float32)
    series[rng.random(series.shape) < 0.2] = np.nan
    series[rng.random(series.shape) < 0.1] = 0
    collector = IntensityCollector(series.shape[1:], len(series), most)
    steps = [range(0, size, edge) for size, edge in zip(series.shape[1:], edges, strict=True)]
    for corner in product(*steps):
        block = tuple(
            slice(at, min(at + edge, size))
            for at, edge, size in zip(corner, edges, series.shape[1:], strict=True)
        )
        collector.add(block, series[(slice(None), *block)])
    volume = collector.finish()
    assert volume.level.size <= most
    np.testing.assert_array_equal(volume.rows, np.arange(5))
    decoded = volume.low + (volume.level.astype(float) - 1) / 254 * (volume.high - volume.low)
    for place in np.ndindex(volume.level.shape[1:]):
        box = tuple(slice(i * f, (i + 1) * f) for i, f in zip(place, volume.factors, strict=True))
        part = series[(slice(None), *box)].reshape(5, -1)
        for t in range(5):
            bright = part[t][np.isfinite(part[t]) & (part[t] > 0)]
            at = (t, *place)
            if bright.size:
                assert abs(decoded[at] - np.log(bright.max())) <= 0.51 * (volume.high - volume.low) / 254
            else:
                assert volume.level[at] == 0


def test_many_temperatures_are_thinned_evenly() -> None:
    collector = IntensityCollector((2, 2), 500)
    assert len(collector.rows) == 60
    assert collector.rows[0] == 0
    assert collector.rows[-1] == 499
    assert np.ptp(np.diff(collector.rows)) <= 1


@pytest.mark.parametrize("values", [np.arange(7, dtype=np.uint8), np.arange(300, dtype=">u2")])
def test_packed_is_gzip_of_little_endian(values: np.ndarray) -> None:
    raw = gzip.decompress(base64.b64decode(packed(values)))
    np.testing.assert_array_equal(np.frombuffer(raw, values.dtype.newbyteorder("<")), values)
