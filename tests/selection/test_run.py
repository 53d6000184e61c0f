"""``xtec select`` from file to run folder."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from xtec.io.writing.truth import read_truth

SERIES = Path(__file__).resolve().parents[2] / "sample_data" / "srn_cdw.nxs"


@pytest.fixture
def selected(run_cli, tmp_path):
    out = tmp_path / "run"
    outcome = run_cli("select", SERIES, "-o", out, "-k", "2:5", "--mode", "s", "--json")
    assert outcome.code == 0, outcome.stderr
    return json.loads(outcome.stdout), out


def test_sweep_recommendation_and_clustering_are_in_the_run_folder(selected):
    summary, out = selected
    chosen = summary["selection"]["recommended"]
    assert summary["n_clusters"] == len(summary["clusters"]) == chosen
    assert summary["selection"]["n_clusters"] == [2, 3, 4, 5]
    assert (out / "figures" / "selection.png").exists()
    with h5py.File(out / "results.nxs") as file:
        entry = file["entry"]
        assert entry["selection"].attrs["NX_class"] == "NXdata"
        assert entry["selection/bic"].shape == entry["selection/n_clusters"].shape == (4,)
        assert entry["selection/recommended"][()] == chosen
        assert entry["mixture/means"].shape[0] == chosen
        assert set(np.unique(entry["voxels/label"])) <= set(range(1, chosen + 1))


def test_the_bundled_series_has_four_clusters(run_cli, tmp_path):
    """Superlattice, thermal diffuse scattering, Bragg peaks, and what hardly changes."""
    truth = read_truth(SERIES)
    outcome = run_cli("cluster", SERIES, "-o", tmp_path / "run", "-k", "auto", "--mode", "d", "--no-figures")
    assert outcome.code == 0, outcome.stderr
    with h5py.File(tmp_path / "run" / "results.nxs") as file:
        index, label = file["entry/voxels/index"][:], file["entry/voxels/label"][:]
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    orders = [one["number"] for one in summary["clusters"] if one["order_parameter"]]
    assert summary["n_clusters"] == 4
    assert len(orders) == 1
    superlattice = truth.mask("superlattice").reshape(-1)[index]
    found = label == orders[0]
    assert 2 * np.sum(found & superlattice) / (found.sum() + superlattice.sum()) > 0.95


def test_the_recipe_of_a_selection_repeats_it(run_cli, selected, tmp_path):
    summary, out = selected
    again = run_cli("run", out / "run.toml", "-o", tmp_path / "again", "--json")
    assert again.code == 0, again.stderr
    repeated = json.loads(again.stdout)
    assert repeated["clusters"] == summary["clusters"]
    assert repeated["selection"] == summary["selection"]


@pytest.mark.parametrize("options", [("-k", "4"), ("-k", "8:2"), ("--covariance", "full")])
def test_what_leaves_nothing_to_choose_is_refused(run_cli, tmp_path, options):
    assert run_cli("select", SERIES, "-o", tmp_path / "run", *options).code == 2
