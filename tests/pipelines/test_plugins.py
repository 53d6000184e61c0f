"""Plugins in a run: they are given what they should be, and what they say is what is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

import xtec
from xtec.core.errors import BackendUnavailableError, ConfigError, InputError
from xtec.io.hdf5.opening import open_hdf5
from xtec.mixture import Trajectories
from xtec.plugins import State, load_state, registry
from xtec_pipelines.cluster import run_cluster
from xtec_pipelines.config import make_config
from xtec_pipelines.streaming.sampling import some_rows

SAMPLE = Path(__file__).resolve().parents[2] / "sample_data" / "srn_cdw.nxs"


def cluster(folder: Path, **options: Any) -> Any:
    """A run of the sample (or of what is asked for), as a tree."""
    values = {"inputs": (str(SAMPLE),), "output": str(folder), "figures": False, "force": True, "mode": "d"}
    run_cluster(make_config({**values, **options}))
    return xtec.open_run(folder)


def rows_of(run: Any) -> np.ndarray:
    """Rescaled trajectories of the clustered voxels, from the file by xarray alone."""
    values = xtec.open_series(SAMPLE).values
    kept = values.reshape(len(values), -1)[:, run["voxels/index"].values].T.astype(np.float64)
    return kept / kept.mean(axis=1, keepdims=True) - 1


def plugged(monkeypatch: pytest.MonkeyPatch, slot: str, name: str, make: Any) -> None:
    """Have a plugin as if it were installed."""
    found = registry.find

    class Entry:
        value, extras, dist = "here:make", (), None

        def load(self) -> Any:
            return make

    def find(where: str, called: str) -> Any:
        return Entry() if (where, called) == (slot, name) else found(where, called)

    monkeypatch.setattr(registry, "find", find)


def test_a_clusterer_finds_what_it_finds_by_itself(tmp_path: Path) -> None:
    run = cluster(tmp_path / "run", clusterer="k-means:n_init=3", clusters=3, seed=5)
    rows = rows_of(run).astype(np.float32)
    alone = KMeans(3, n_init=3, random_state=5).fit(rows[np.lexsort(rows.T)])
    assert adjusted_rand_score(alone.predict(rows), run["voxels/label"].values) > 0.999
    assert (run["voxels/probability"].values == 1).all()


def test_features_are_clustered_by_the_mixture(tmp_path: Path) -> None:
    run = cluster(tmp_path / "run", features="pca:n_components=3", clusters=4)
    features = PCA(3, random_state=0).fit_transform(rows_of(run).astype(np.float32))
    label = run["voxels/label"].values
    parts = [features[label == k].astype(np.float64) for k in range(1, 5)]
    own = GaussianMixture(
        4,
        covariance_type="diag",
        weights_init=[len(part) / len(features) for part in parts],
        means_init=[part.mean(axis=0) for part in parts],
        precisions_init=[1 / part.var(axis=0) for part in parts],
        tol=1e-6,
        max_iter=500,
    ).fit(features)
    assert adjusted_rand_score(own.predict(features), label) > 0.99
    likely = own.predict_proba(features).max(axis=1)
    assert np.abs(likely - run["voxels/probability"].values).mean() < 0.01


def test_trajectories_and_means_are_of_the_clusters_found(tmp_path: Path) -> None:
    run = cluster(tmp_path / "run", clusterer="k-means", clusters=3)
    rows, label = rows_of(run), run["voxels/label"].values
    for k in (1, 2, 3):
        expected = rows[label == k].mean(axis=0)
        np.testing.assert_allclose(run["trajectories"][f"cluster_{k}"].values, expected, atol=1e-4)
        np.testing.assert_allclose(run["mixture/means"].values[k - 1], expected, atol=1e-4)


def test_novelty_is_that_of_each_voxel(tmp_path: Path) -> None:
    run = cluster(tmp_path / "run", novelty="isolation-forest:n_estimators=20,contamination=0.05", seed=3)
    rows = rows_of(run).astype(np.float32)
    alone = IsolationForest(n_estimators=20, contamination=0.05, random_state=3).fit(rows[np.lexsort(rows.T)])
    np.testing.assert_allclose(run["voxels/novelty"].values, -alone.score_samples(rows), atol=1e-5)
    summary = json.loads((tmp_path / "run/summary.json").read_text(encoding="utf-8"))["novelty"]
    assert summary["voxels"] == int((alone.predict(rows) == -1).sum())
    assert sum(summary["clusters"]) == summary["voxels"]


def test_in_mode_s_a_voxel_has_the_novelty_of_its_peak(tmp_path: Path) -> None:
    run = cluster(tmp_path / "run", mode="s", novelty="isolation-forest")
    novelty = run["voxels/novelty"].values
    assert len(novelty) == len(run["voxels/index"])
    assert 1 < np.unique(novelty).size <= len(run["peaks/label"])


def reference_file(folder: Path, change: Any) -> Path:
    """The sample as .npz, changed."""
    series = xtec.open_series(SAMPLE)
    values = {name: series[name].values for name in ("temperature", "Ql", "Qk", "Qh")}
    values["intensity"] = series.values
    change(values)
    np.savez(folder / "other.npz", **values)
    return folder / "other.npz"


def test_novelty_is_told_against_the_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[np.ndarray] = []

    class Remembers:
        def fit(self, rows: np.ndarray) -> None:
            seen.append(rows)

        def score_samples(self, rows: np.ndarray) -> np.ndarray:
            return np.zeros(len(rows))

    plugged(monkeypatch, "novelty", "remembers", Remembers)

    def heat(values: dict[str, np.ndarray]) -> None:
        values["intensity"] = values["intensity"][::-1]

    other = reference_file(tmp_path, heat)
    run = cluster(tmp_path / "run", novelty="remembers", reference=str(other))
    cluster(tmp_path / "other", inputs=(str(other),))
    expected = np.sort(rows_of(run).mean(axis=1))
    theirs = xtec.open_run(tmp_path / "other")
    assert len(seen[0]) == len(theirs["voxels/index"])
    np.testing.assert_allclose(seen[0].mean(axis=1), 0, atol=1e-5)
    assert expected.size
    # Order sets in below Tc: in the reference, turned round, superlattice peaks grow with temperature.
    assert (seen[0][:, -3:].mean(axis=1) > 1).sum() > (seen[0][:, :3].mean(axis=1) > 1).sum()
    of_run = cluster(tmp_path / "run2", novelty="remembers", reference=str(tmp_path / "other"))
    assert len(seen) == 2
    assert len(of_run["voxels/index"]) == len(run["voxels/index"])
    np.testing.assert_array_equal(seen[0], seen[1])


def test_a_reference_at_other_temperatures_is_refused(tmp_path: Path) -> None:
    def shift(values: dict[str, np.ndarray]) -> None:
        values["temperature"] = values["temperature"] + 5.0

    other = reference_file(tmp_path, shift)
    with pytest.raises(ConfigError, match="other values of temperature"):
        cluster(tmp_path / "run", novelty="isolation-forest", reference=str(other))


class Mean:
    """Features: each trajectory minus what was learned; keeps its state."""

    def __init__(self, random_state: int = 0) -> None:
        self.random_state = random_state

    def fit(self, rows: np.ndarray) -> Mean:
        self.mean_ = rows.mean(axis=0)
        return self

    def transform(self, rows: np.ndarray) -> np.ndarray:
        return rows - self.mean_

    def get_state(self) -> State:
        return State({"mean": self.mean_})

    def set_state(self, state: State) -> None:
        self.mean_ = state.arrays["mean"]


def test_what_was_learned_is_kept_and_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugged(monkeypatch, "features", "mean", Mean)
    cluster(tmp_path / "run", features="mean")
    kept = tmp_path / "run/plugins/features.npz"
    assert kept.is_file()
    fitted: list[int] = []
    monkeypatch.setattr(Mean, "fit", lambda self, rows: fitted.append(len(rows)))
    again = cluster(tmp_path / "again", features=f"mean:state={kept}", seed=2)
    assert not fitted
    with (
        open_hdf5(tmp_path / "run/results.nxs") as first,
        open_hdf5(tmp_path / "again/results.nxs") as second,
    ):
        records = [file["entry/process/plugin_features"] for file in (first, second)]
        digests = [record["state_sha256"][()] for record in records]
        assert digests[0] == digests[1] != b""
        assert [int(record["seed"][()]) for record in records] == [0, 2]
    assert len(again["voxels/label"]) > 0
    kept.write_bytes(kept.read_bytes()[:-30])
    with pytest.raises(InputError, match="no plugin's state"):
        cluster(tmp_path / "broken", features=f"mean:state={kept}")


class Halves:
    """A selector."""

    def __init__(self, lowest: int, highest: int, random_state: int = 0) -> None:
        self.lowest, self.highest = lowest, highest

    def fit(self, rows: np.ndarray) -> Halves:
        self.n_clusters_ = (self.lowest + self.highest) // 2
        self.curves_ = {"bic": np.arange(self.lowest, self.highest + 1) * 1.0}
        self.reason_ = "halfway"
        return self


def test_a_selector_chooses_the_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugged(monkeypatch, "selectors", "halves", Halves)
    run = cluster(tmp_path / "run", selector="halves", clusters="2:6")
    assert len(run["mixture/weights"]) == 4
    np.testing.assert_array_equal(run["selection/bic"].values, [2, 3, 4, 5, 6])
    summary = json.loads((tmp_path / "run/summary.json").read_text(encoding="utf-8"))
    assert summary["selection"]["reason"] == "4 clusters: halfway"
    both = cluster(tmp_path / "both", selector="halves", clusters="2:6", clusterer="k-means")
    assert len(both["mixture/weights"]) == 4


def test_a_clusterer_is_told_the_number_chosen_and_what_it_learned_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugged(monkeypatch, "selectors", "halves", Halves)
    ensemble = "deep-ensemble:members=2"
    run = cluster(tmp_path / "run", selector="halves", clusters="2:6", clusterer=ensemble)
    assert len(run["mixture/weights"]) == 4
    state = load_state("deep-ensemble", tmp_path / "run/plugins/clusterer.npz")
    assert state.arrays["weights"].shape == (2, 4)
    with open_hdf5(tmp_path / "run/results.nxs") as file:
        assert file["entry/process/plugin_clusterer/state_sha256"][()].decode() == state.digest


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"features": "pca", "mode": "smooth"}, "smoothed labels"),
        ({"clusterer": "k-means", "noise": "poisson"}, "counting noise"),
        ({"clusterer": "k-means", "clusters": "auto"}, "not chosen by itself"),
        ({"selector": "dib", "clusters": 4}, "numbers to choose from"),
        ({"reference": "somewhere"}, "goes with --novelty"),
        ({"features": "pca:x"}, "no option of a plugin"),
    ],
)
def test_what_does_not_go_together(tmp_path: Path, options: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        cluster(tmp_path / "run", **options)


class Breaks:
    """Fails at one of its methods."""

    def __init__(self, at: str = "fit") -> None:
        self.at = at

    def fit(self, rows: np.ndarray) -> Breaks:
        if self.at == "fit":
            raise ZeroDivisionError("a plugin's own fault")
        return self

    def transform(self, rows: np.ndarray) -> np.ndarray:
        if self.at == "transform":
            raise ZeroDivisionError("a plugin's own fault")
        return np.full((len(rows), 2), np.nan) if self.at == "nan" else rows[:-1]


@pytest.mark.parametrize("at", ["fit", "transform", "nan", "shape"])
def test_a_plugin_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    plugged(monkeypatch, "features", "breaks", Breaks)
    with pytest.raises(BackendUnavailableError, match="'breaks'"):
        cluster(tmp_path / "run", features=f"breaks:at={at}")
    assert not (tmp_path / "run/results.nxs").exists()


class Strange:
    """A clusterer whose labels are none."""

    def __init__(self, how: str) -> None:
        self.how = how

    def fit(self, rows: np.ndarray) -> Strange:
        return self

    def predict(self, rows: np.ndarray) -> np.ndarray:
        return np.full(len(rows), -1) if self.how == "negative" else np.zeros(len(rows))


@pytest.mark.parametrize("how", ["negative", "float"])
def test_labels_that_are_none_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    plugged(monkeypatch, "clusterers", "strange", Strange)
    with pytest.raises(BackendUnavailableError, match="labels"):
        cluster(tmp_path / "run", clusterer=f"strange:how={how}")


def test_a_reader_opens_the_same_series(tmp_path: Path) -> None:
    file = reference_file(tmp_path, lambda values: None)
    found = cluster(tmp_path / "npz", inputs=(str(file),), region="L=0:0.5", temperatures="40:200")
    same = cluster(tmp_path / "nexus", region="L=0:0.5", temperatures="40:200")
    for name in ("index", "label", "probability"):
        np.testing.assert_array_equal(found[f"voxels/{name}"].values, same[f"voxels/{name}"].values)
    np.testing.assert_array_equal(xtec.open_series(file).values, xtec.open_series(SAMPLE).values)


def test_a_writer_is_given_the_run(tmp_path: Path) -> None:
    import pandas

    run = cluster(tmp_path / "run", writer=("csv",))
    table = pandas.read_csv(tmp_path / "run/clusters.csv")
    np.testing.assert_allclose(
        table["cluster_1_intensity"], run["average_intensity/cluster_1"].values, rtol=1e-8
    )
    with pytest.raises(BackendUnavailableError, match="nothing"):
        cluster(tmp_path / "none", writer=("nothing",))
    assert not (tmp_path / "none").exists()


def test_how_the_series_is_cut_up_does_not_matter(tmp_path: Path) -> None:
    options = {"novelty": "isolation-forest:n_estimators=10", "features": "pca:n_components=3"}
    whole, pieces = (
        cluster(tmp_path / "a", **options),
        cluster(tmp_path / "b", memory_limit="240MB", **options),
    )
    np.testing.assert_array_equal(whole["voxels/label"].values, pieces["voxels/label"].values)
    np.testing.assert_allclose(whole["voxels/novelty"].values, pieces["voxels/novelty"].values, atol=1e-6)


@pytest.mark.parametrize("size", [300, 5000])
def test_which_trajectories_are_learned_from_does_not_depend_on_their_order(size: int) -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((20_000, 7)).astype(np.float32)
    some = some_rows(Trajectories(rows), size, seed=4)
    mixed = list(np.array_split(rng.permutation(rows), 5))
    np.testing.assert_array_equal(some, some_rows(Trajectories(mixed), size, seed=4))
    assert abs(len(some) - size) < 5 * np.sqrt(size)
    assert np.abs(some.mean(axis=0)).max() < 5 / np.sqrt(size)
    other = some_rows(Trajectories(rows), size, seed=5)
    assert len(np.unique(np.concatenate([some, other]), axis=0)) > 1.5 * size


def test_dask_workers_have_the_plugins_too(tmp_path: Path) -> None:
    options = {"features": "pca:n_components=3", "novelty": "isolation-forest:n_estimators=10"}
    near = cluster(tmp_path / "near", **options)
    far = cluster(tmp_path / "far", scheduler="processes", workers=2, **options)
    np.testing.assert_array_equal(near["voxels/label"].values, far["voxels/label"].values)
    np.testing.assert_allclose(near["voxels/novelty"].values, far["voxels/novelty"].values, atol=1e-6)
