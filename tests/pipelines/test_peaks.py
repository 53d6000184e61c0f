"""Peaks of a run against brute force: their sums in every mode, and clustering another quantity of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy import ndimage

from xtec.core.errors import ConfigError
from xtec.core.results import ClusterRun
from xtec_pipelines.cluster import run_cluster
from xtec_pipelines.config import make_config

SERIES = Path(__file__).resolve().parents[2] / "sample_data" / "srn_cdw.nxs"
REGION = "H=-5:5,K=-4:4"
Cluster = Callable[..., ClusterRun]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """Cluster a part of the bundled charge-density wave."""

    def run(**options: object) -> ClusterRun:
        folder = tmp_path_factory.mktemp("run")
        given = {"inputs": [str(SERIES)], "output": str(folder / "run"), "figures": False, "region": REGION}
        return run_cluster(make_config({**given, **options}))

    return run


@pytest.fixture(scope="module")
def volume() -> tuple[np.ndarray, list[np.ndarray]]:
    """Intensities (T, L, K, H) of that part, and its axes."""
    with h5py.File(SERIES) as file:
        data = file["entry/data"]
        axes = [data[name][()] for name in ("Ql", "Qk", "Qh")]
        inside = [
            np.flatnonzero(np.abs(axis) <= end + 1e-9) for axis, end in zip(axes, (9, 4, 5), strict=True)
        ]
        values = data["data"][()].astype(np.float64)[np.ix_(np.arange(data["data"].shape[0]), *inside)]
    return values, [axis[which] for axis, which in zip(axes, inside, strict=True)]


@pytest.fixture(scope="module")
def by_voxel(cluster: Cluster) -> ClusterRun:
    return cluster(mode="d", clusters=3)


def numbered(run: ClusterRun) -> np.ndarray:
    """Which peak each voxel of the grid is in, from 1: neighbours of the same cluster, by first voxel."""
    mapped = np.zeros(run.map.shape, np.int16)
    mapped.reshape(-1)[run.map.index] = run.map.label
    parts, first = [], []
    for k in range(1, run.curves.n_clusters + 1):
        labelled, count = ndimage.label(mapped == k, np.ones((3,) * mapped.ndim))
        for number in range(1, count + 1):
            mine = np.flatnonzero(labelled == number)
            parts.append(mine)
            first.append(mine[0])
    owner = np.zeros(mapped.size, int)
    for number, i in enumerate(np.argsort(first), start=1):
        owner[parts[i]] = number
    return owner.reshape(mapped.shape)


class TestVoxels:
    """Mode d: connected voxels of the same cluster."""

    def test_sums(self, by_voxel: ClusterRun, volume: tuple[np.ndarray, list[np.ndarray]]) -> None:
        data, axes = volume
        owner, peaks = numbered(by_voxel), by_voxel.peaks
        numbers = np.arange(1, owner.max() + 1)
        assert len(peaks.label) == len(numbers) > 50
        np.testing.assert_array_equal(peaks.size, ndimage.sum_labels(owner > 0, owner, numbers))
        for t, image in enumerate(data):
            np.testing.assert_allclose(
                peaks.intensity[:, t], ndimage.sum_labels(image, owner, numbers), rtol=1e-6
            )
            np.testing.assert_allclose(peaks.maximum[:, t], ndimage.maximum(image, owner, numbers), rtol=1e-6)
        mean = data.mean(axis=0)
        for column, position in enumerate(np.meshgrid(*axes, indexing="ij")):
            weighted = ndimage.sum_labels(mean * position, owner, numbers)
            centroid = weighted / ndimage.sum_labels(mean, owner, numbers)
            np.testing.assert_allclose(peaks.centroid[:, column], centroid, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(peaks.spread, quantity(by_voxel, "spread"))

    def test_labels(self, by_voxel: ClusterRun) -> None:
        owner = numbered(by_voxel)
        mapped = np.zeros(owner.size, np.int16)
        mapped[by_voxel.map.index] = by_voxel.map.label
        of_peak = np.append(0, by_voxel.peaks.label)
        np.testing.assert_array_equal(of_peak[owner.reshape(-1)], mapped)
        assert [one.peaks for one in by_voxel.clusters] == np.bincount(by_voxel.peaks.label)[1:].tolist()

    def test_displacements(self, by_voxel: ClusterRun, volume: tuple[np.ndarray, list[np.ndarray]]) -> None:
        data, axes = volume
        owner, peaks = numbered(by_voxel), by_voxel.peaks
        large = np.flatnonzero(peaks.size >= 2**owner.ndim)
        np.testing.assert_array_equal(peaks.shapes.peak, large)
        for row in np.linspace(0, len(large) - 1, 12).astype(int):
            at = np.nonzero(owner == large[row] + 1)
            weight = data[(slice(None), *at)]
            for axis, values in enumerate(axes):
                moved = weight @ values[at[axis]] / weight.sum(axis=1) - peaks.centroid[large[row], axis]
                np.testing.assert_allclose(peaks.shapes.displacement[row, :, axis], moved, atol=1e-5)

    def test_whatever_the_shards(
        self, by_voxel: ClusterRun, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Peaks that are cut into pieces on the way become one again."""
        monkeypatch.setattr("xtec_pipelines.streaming.plan._BLOCK_BYTES", 20_000)
        monkeypatch.setattr("xtec_pipelines.streaming.plan._SHARD_BYTES", (40_000, 100_000))
        cut = cluster(mode="d", clusters=3)
        for name in ("label", "size"):
            np.testing.assert_array_equal(getattr(cut.peaks, name), getattr(by_voxel.peaks, name))
        for name in ("centroid", "intensity", "maximum"):
            np.testing.assert_allclose(
                getattr(cut.peaks, name), getattr(by_voxel.peaks, name), rtol=1e-6, atol=1e-9
            )
        np.testing.assert_array_equal(cut.peaks.shapes.peak, by_voxel.peaks.shapes.peak)
        np.testing.assert_allclose(
            cut.peaks.shapes.displacement, by_voxel.peaks.shapes.displacement, atol=1e-6
        )


def quantity(run: ClusterRun, name: str) -> np.ndarray:
    """Of each peak, shape (P, T), from the table of peaks; NaN where there is none."""
    peaks, shapes = run.peaks, run.peaks.shapes
    if name == "maximum":
        return peaks.maximum
    if name == "spread":
        with np.errstate(invalid="ignore"):
            return peaks.intensity / peaks.maximum
    kind, _, letter = name.partition("-")
    each = getattr(shapes, kind).astype(np.float64)
    full = np.full(peaks.intensity.shape, np.nan)
    full[shapes.peak] = each[..., "lkh".index(letter)] if letter else np.sqrt(np.mean(each**2, axis=2))
    return full


class TestQuantity:
    @pytest.mark.parametrize("name", ["spread", "maximum", "width", "width-h"])
    def test_trajectories_are_of_the_quantity(self, cluster: Cluster, name: str) -> None:
        run = cluster(quantity=name, clusters=3)
        values = quantity(run, name)
        known = np.isfinite(values).all(axis=1)
        np.testing.assert_array_equal(run.peaks.label > 0, known)
        assert np.count_nonzero(known) > 20
        rescaled = values / values.mean(axis=1, keepdims=True) - 1
        for k in range(3):
            mine = rescaled[run.peaks.label == k + 1]
            np.testing.assert_allclose(run.curves.rescaled_mean[k], mine.mean(axis=0), atol=1e-5)
            np.testing.assert_allclose(run.curves.rescaled_std[k], mine.std(axis=0), rtol=2e-2, atol=1e-5)
        assert run.mode == "s"
        assert run.map.index.size == run.peaks.size[known].sum()
        assert any("left out" in text for text in run.warnings) == (not known.all())

    def test_what_may_be_negative_is_standardised(self, cluster: Cluster) -> None:
        run = cluster(quantity="displacement-h", clusters=2, rescale="zscore")
        values = quantity(run, "displacement-h")
        known = np.isfinite(values).all(axis=1)
        centred = values - values.mean(axis=1, keepdims=True)
        deviation = values.std(axis=1, keepdims=True)
        np.testing.assert_array_equal(run.peaks.label > 0, known)
        for k in range(2):
            mine = (centred / deviation)[run.peaks.label == k + 1]
            np.testing.assert_allclose(run.curves.rescaled_mean[k], mine.mean(axis=0), atol=1e-4)

    def test_intensity_is_what_is_clustered_unless_asked(self, cluster: Cluster) -> None:
        run = cluster(mode="s", clusters=3)
        mean = run.peaks.intensity / run.peaks.size[:, None]
        rescaled = mean / mean.mean(axis=1, keepdims=True) - 1
        assert (run.peaks.label > 0).all()
        for k in range(3):
            mine = rescaled[run.peaks.label == k + 1]
            np.testing.assert_allclose(run.curves.rescaled_mean[k], mine.mean(axis=0), atol=1e-5)

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"quantity": "banana"}, "banana"),
            ({"quantity": "width-x"}, "width-x"),
            ({"quantity": "spread-h"}, "spread-h"),
            ({"quantity": "maximum-h"}, "maximum-h"),
            ({"quantity": "asymmetry", "rescale": "zscore"}, "asymmetry"),
            ({"quantity": "width", "mode": "d"}, "--mode s"),
            ({"quantity": "width", "mode": "smooth"}, "--mode s"),
            ({"quantity": "width", "clusters": "auto"}, "-k"),
            ({"quantity": "spread", "clusters": "2:4"}, "-k"),
            ({"quantity": "spread", "noise": "poisson"}, "--noise none"),
            ({"quantity": "asymmetry-h"}, "negative"),
            ({"quantity": "displacement-h", "rescale": "log-mean"}, "negative"),
        ],
    )
    def test_refused(self, cluster: Cluster, options: dict[str, object], said: str) -> None:
        """A usage error, which the command line ends with exit code 2."""
        with pytest.raises(ConfigError, match=said):
            cluster(**options)
