"""From file to physics on the bundled simulated series, whose truth is known."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from xtec.core.results import ClusterRun
from xtec.io.writing.series import Storage
from xtec.io.writing.truth import Truth, read_truth
from xtec.simulation import Overrides, SimulatedSeries, make_specs
from xtec_pipelines.cluster import run_cluster
from xtec_pipelines.config import make_config
from xtec_pipelines.simulate import Layout, write_simulation

SAMPLES = Path(__file__).resolve().parents[2] / "sample_data"
SERIES = SAMPLES / "srn_cdw.nxs"
DOPINGS = {"0.00": 138.0, "0.20": 121.7, "0.45": 97.6, "0.65": 72.7, "0.80": 46.0}


@cache
def truth_of(path: Path) -> Truth:
    return read_truth(path)


@pytest.fixture
def cluster(tmp_path):
    """Run ``xtec cluster`` on a sample, without figures; with the published threshold unless asked for."""

    def run(path: Path, **options: object) -> ClusterRun:
        given = {"inputs": [str(path)], "output": str(tmp_path / "run"), "figures": False}
        values = {**given, "threshold": "kl", **options}
        return run_cluster(make_config(values))

    return run


def ordering(run: ClusterRun) -> np.ndarray:
    """Which of the clustered voxels belong to clusters that behave like an order parameter."""
    return np.isin(run.map.label, [one.number for one in run.clusters if one.order_parameter])


def f1(predicted: np.ndarray, true: np.ndarray) -> float:
    return float(2 * np.count_nonzero(predicted & true) / (predicted.sum() + true.sum()))


@pytest.mark.parametrize(
    ("mode", "seed"),
    [("s", seed) for seed in range(10)]
    + [("d", seed) for seed in range(3)]
    + [pytest.param("d", seed, marks=pytest.mark.slow) for seed in range(3, 10)],
)
def test_superlattice_voxels_are_found_whatever_the_seed(cluster, record_property, mode, seed):
    run, truth = cluster(SERIES, mode=mode, clusters=4, seed=seed), truth_of(SERIES)
    superlattice = truth.mask("superlattice").reshape(-1)
    score = f1(ordering(run), superlattice[run.map.index])
    record_property("F1 among the kept voxels", float(score))
    assert score >= 0.95
    assert run.mixture.converged
    for one in run.clusters:
        if one.order_parameter:
            assert one.onset == pytest.approx(truth.tc[0], abs=10)
            assert "(1/2, 1/2, 0)" in one.reading


@pytest.mark.parametrize("mode", ["d", "s"])
@pytest.mark.parametrize("k", [3, 4, 6])
def test_significance_finds_what_the_mean_hides(cluster, record_property, mode, k):
    """Over all true voxels, kept or not."""
    truth = truth_of(SERIES).mask("superlattice").reshape(-1)
    scores = {}
    for threshold in ("kl", "kl+significance"):
        run = cluster(SERIES, mode=mode, clusters=k, threshold=threshold, force=True)
        found = np.zeros(truth.size, bool)
        found[run.map.index[ordering(run)]] = True
        scores[threshold] = float(f1(found, truth))
    record_property("F1 over all true voxels", scores)
    assert scores["kl"] < 0.68
    assert scores["kl+significance"] >= 0.85


@pytest.mark.parametrize("threshold", ["kl", "kl+significance", "significance"])
@pytest.mark.parametrize("mode", ["d", "s"])
@pytest.mark.parametrize(("doping", "tc"), DOPINGS.items())
def test_weak_peaks_raise_the_score_of_every_doping(cluster, doping, tc, mode, threshold):
    path = SAMPLES / "phase_diagram" / f"x{doping}.nxs"
    run = cluster(path, mode=mode, threshold=threshold)
    truth = truth_of(path).mask("superlattice").reshape(-1)
    found = np.zeros(truth.size, bool)
    found[run.map.index[ordering(run)]] = True
    assert (f1(found, truth) >= 0.84) == (threshold != "kl")
    assert run.clusters[0].onset == pytest.approx(tc, abs=8)


@pytest.mark.parametrize("mode", ["d", "s"])
def test_significance_finds_no_order_where_there_is_none(cluster, mode):
    run = cluster(SAMPLES / "phase_diagram" / "x0.95.nxs", mode=mode, threshold="kl+significance")
    assert [one.order_parameter for one in run.clusters] == [False] * 4


def test_the_threshold_loses_half_of_the_superlattice_and_says_how_much_it_kept(cluster, record_property):
    """The mean over temperature hides peaks that exist only below Tc: 43 to 60 % of them are kept."""
    run, truth = cluster(SERIES, mode="s", clusters=4), truth_of(SERIES)
    superlattice = truth.mask("superlattice").reshape(-1)
    lost = 1 - np.count_nonzero(superlattice[run.map.index]) / np.count_nonzero(superlattice)
    record_property("superlattice voxels lost to the threshold", float(lost))
    assert 0.4 < lost < 0.57
    counts = run.counts
    assert counts.n_kept == run.map.index.size
    assert counts.n_total == superlattice.size
    assert run.threshold.credible
    assert not run.warnings


@pytest.mark.parametrize("kernel", ["local", "periodic"])
def test_smoothed_labels_find_the_superlattice(cluster, record_property, kernel):
    run, truth = cluster(SERIES, mode="smooth", clusters=3, smooth_kernel=kernel), truth_of(SERIES)
    superlattice = truth.mask("superlattice").reshape(-1)
    score = f1(ordering(run), superlattice[run.map.index])
    record_property("F1 among the kept voxels", float(score))
    assert score >= 0.95
    assert run.mixture.converged


def test_peaks_are_chosen_where_peaks_are_compact(cluster):
    run = cluster(SERIES, clusters=4)
    assert run.mode == "s"
    assert run.peaks is not None
    assert run.peaks.size.sum() == run.map.index.size


@pytest.mark.parametrize("covariance", ["diag", "shared", "tied", "spherical"])
def test_covariances_that_749_peaks_can_bear_find_the_peaks_that_order(cluster, covariance):
    run, truth = cluster(SERIES, mode="s", clusters=4, covariance=covariance), truth_of(SERIES)
    superlattice = truth.mask("superlattice").reshape(-1)
    assert f1(ordering(run), superlattice[run.map.index]) >= 0.95


@pytest.mark.parametrize("rescale", ["mean", "zscore", "log-mean"])
def test_every_rescaling_finds_the_peaks_that_order(cluster, rescale):
    run, truth = cluster(SERIES, mode="s", clusters=4, rescale=rescale), truth_of(SERIES)
    superlattice = truth.mask("superlattice").reshape(-1)
    assert f1(ordering(run), superlattice[run.map.index]) >= 0.95


@pytest.mark.parametrize("mode", ["d", "s"])
def test_order_inside_the_unit_cell_is_found_at_bragg_positions(cluster, mode):
    path = SAMPLES / "cro_iuc.nxs"
    run, truth = cluster(path, mode=mode, clusters=5), truth_of(path)
    orders = [one for one in run.clusters if one.order_parameter]
    assert orders
    for one in orders:
        assert one.reading == "order parameter at Bragg positions"
        assert min(abs(one.onset - tc) for tc in truth.tc) < 15
    names = truth.labels.reshape(-1)[run.map.index[ordering(run)]]
    transitions = [truth.names.index(name) for name in truth.transitions]
    assert np.mean(np.isin(names, transitions)) > 0.95


def test_both_transitions_inside_the_unit_cell_are_told_apart(cluster):
    path = SAMPLES / "cro_iuc.nxs"
    run, truth = cluster(path, mode="s", clusters=5), truth_of(path)
    onsets = np.array([one.onset for one in run.clusters if one.order_parameter])
    for tc in truth.tc:
        assert np.abs(onsets - tc).min() < 8
    label = truth.labels.reshape(-1)[run.map.index]
    for name, tc in zip(truth.transitions, truth.tc, strict=True):
        mine = [one.number for one in run.clusters if one.order_parameter and abs(one.onset - tc) < 15]
        assert f1(np.isin(run.map.label, mine), label == truth.names.index(name)) > 0.95


@pytest.mark.parametrize("mode", ["d", "s"])
@pytest.mark.parametrize(("doping", "tc"), DOPINGS.items())
def test_onsets_follow_the_phase_diagram(cluster, doping, tc, mode):
    path = SAMPLES / "phase_diagram" / f"x{doping}.nxs"
    run, truth = cluster(path, mode=mode, clusters=4), truth_of(path)
    assert truth.tc == pytest.approx([tc], abs=0.1)
    best = run.clusters[0]
    assert best.order_parameter
    assert best.onset == pytest.approx(tc, abs=8)
    superlattice = truth.mask("superlattice").reshape(-1)
    assert f1(ordering(run), superlattice[run.map.index]) >= 0.95


@pytest.mark.parametrize("mode", ["d", "s"])
@pytest.mark.parametrize("seed", range(3))
def test_nothing_orders_where_nothing_was_planted(cluster, mode, seed):
    path = SAMPLES / "phase_diagram" / "x0.95.nxs"
    assert truth_of(path).tc == []
    run = cluster(path, mode=mode, clusters=4, seed=seed)
    assert [one.order_parameter for one in run.clusters] == [False] * 4


@pytest.mark.parametrize("mode", ["d", "s"])
def test_six_scans_of_a_sample_folder_hold_the_same_clusters(cluster, mode):
    """Too few temperatures for an onset, but enough to tell what falls at (1/2, 1/2, 0)."""
    folder = SAMPLES / "nxrefine"
    run, truth = cluster(folder, mode=mode, clusters=4), truth_of(folder)
    assert [one.order_parameter for one in run.clusters] == [None] * 4
    first, last = run.curves.intensity_mean[:, 0], run.curves.intensity_mean[:, -1]
    falling = [one.number for one, gone in zip(run.clusters, last / first < 0.5, strict=True) if gone]
    superlattice = truth.mask("superlattice").reshape(-1)
    assert f1(np.isin(run.map.label, falling), superlattice[run.map.index]) >= 0.95


@pytest.fixture(scope="module")
def without_order(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, np.ndarray]]:
    """Crystals that do not order: Bragg peaks and halos do change; and which voxels hardly do."""
    (spec,) = make_specs("cdw", Overrides(region={"Ql": (0, 1), "Qk": (-4, 4), "Qh": (-5, 5)}, pixels=10))
    scattering = replace(spec.scattering, sigma=0.7, diffuse=0.045)
    made = []
    for seed in range(4):
        quiet_spec = replace(spec, transitions=(), scattering=scattering, seed=seed)
        path = tmp_path_factory.mktemp("quiet") / f"{seed}.nxs"
        write_simulation(quiet_spec, path, layout=Layout.STACKED, storage=Storage())
        model = SimulatedSeries(quiet_spec)
        n_temperatures, n_planes = model.shape[:2]
        expected = np.stack(
            [[model.expected(t, plane) for plane in range(n_planes)] for t in range(n_temperatures)]
        ).reshape(n_temperatures, -1)
        variation = expected.var(axis=0) * n_temperatures / expected.mean(axis=0)
        made.append((path, variation < 0.5))
    return made


@pytest.mark.parametrize("fdr", [0.01, 0.05, 0.1])
def test_false_discoveries_where_nothing_orders(cluster, without_order, record_property, fdr):
    """Of the voxels taken for varying, those that do so by less than half a standard deviation are false."""
    false = found = 0
    for path, quiet in without_order:
        run = cluster(path, threshold="significance", fdr=fdr, mode="d", force=True)
        found += run.map.index.size
        false += np.count_nonzero(quiet[run.map.index])
    record_property("share of false discoveries", float(false / found))
    assert fdr / 1.5 <= false / found <= 1.5 * fdr
