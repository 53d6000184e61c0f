"""Random histories of a run folder, against a model that knows what each command does to it."""

from __future__ import annotations

import contextlib
import io
import logging
import shutil
import tempfile
from pathlib import Path
from unittest.mock import patch

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from xtec.io.reading.reader import SeriesReader
from xtec_cli.main import main
from xtec_pipelines.clustering.voxels import Voxels

PLAIN = {"results.nxs", "run.log", "run.toml", "summary.json"}
ORDER = {
    *("order_parameter.csv", "order_parameter.nxs", "order_parameter_curves.csv"),
    *("peaks.csv", "wave_vectors.csv"),
}
CELL = {
    *("unit_cell.nxs", "reflections.csv", "reflection_classes.csv", "selection_rules.csv", "halos.csv"),
    "peaks.csv",
}
JOURNAL = ".progress"
DONE, USAGE, UNUSABLE, INTERRUPTED = 0, 2, 3, 130
SEEDS = st.sampled_from((1, 2))


def call(*arguments: object) -> int:
    """Exit code of a command in this process."""
    root = logging.getLogger()
    before = list(root.handlers)
    told = io.StringIO()
    with (
        contextlib.redirect_stdout(told),
        contextlib.redirect_stderr(told),
        pytest.raises(SystemExit) as ended,
    ):
        main([str(argument) for argument in arguments])
    for handler in set(root.handlers) - set(before):
        root.removeHandler(handler)
        handler.close()
    return int(ended.value.code or 0)


def write_series(path: Path) -> None:
    """Eight temperatures of peaks, half of which order."""
    rng = np.random.default_rng(0)
    data = rng.normal(1.0, 0.05, (8, 4, 9, 10))
    fading = 1 + 100 * np.sqrt(np.clip(1 - np.arange(1, 9) / 4.5, 0, None))
    data[:, 1:3, 2::4, 2::4] *= 100
    data[:, 1:3, 4::4, 4::4] *= fading[:, None, None, None]
    axes = {"temperature": 10.0 * np.arange(1, 9)}
    axes |= {name: np.arange(n) / 10 for name, n in zip(("Ql", "Qk", "Qh"), data.shape[1:], strict=True)}
    with h5py.File(path, "w") as file:
        group = file.create_group("entry/data")
        file["entry"].attrs["NX_class"], group.attrs["NX_class"] = "NXentry", "NXdata"
        group.attrs["signal"], group.attrs["axes"] = "data", list(axes)
        group["data"] = data.astype(np.float32)
        for name, values in axes.items():
            group[name] = values


class RunFolder(RuleBasedStateMachine):
    """Runs begin, are interrupted, gone on with, repeated, analysed and damaged, in any order.

    Model
    -----
    files : set of str
        What stands in the folder, without the journal.
    whole : bool
        Whether the results can be read, and `summarised` the summary.
    seed : int or None
        Of the results.
    pending : int or None
        Seed of a run that was interrupted and can be gone on with.
    """

    @initialize()
    def begin(self) -> None:
        self.top = Path(tempfile.mkdtemp())
        self.series, self.folder = self.top / "in" / "series.nxs", self.top / "run"
        self.series.parent.mkdir()
        write_series(self.series)
        self.input = self.series.read_bytes()
        self.files: set[str] = set()
        self.whole = self.summarised = False
        self.seed: int | None = None
        self.pending: int | None = None

    def teardown(self) -> None:
        if hasattr(self, "top"):
            shutil.rmtree(self.top)

    def cluster(self, seed: int, *more: str) -> int:
        small = (
            "--no-figures",
            "--workers",
            1,
            "--memory-limit",
            "1GiB",
            "--mode",
            "d",
            "--threshold",
            "none",
            "-k",
            2,
            "--n-init",
            1,
        )
        return call(
            "cluster", self.series, "-o", self.folder, *small, "--save-after", 0, "--seed", seed, *more
        )

    @property
    def empty(self) -> bool:
        return not self.files and self.pending is None

    @property
    def finished(self) -> bool:
        return "summary.json" in self.files and self.pending is None

    def ended(self, seed: int) -> None:
        """A run has ended well: its files are there, nothing of an earlier one, and what is not ours."""
        self.files = PLAIN | (self.files & {"notes.txt"})
        self.whole = self.summarised = True
        self.seed, self.pending = seed, None

    @rule(seed=SEEDS, force=st.booleans())
    def run(self, seed: int, force: bool) -> None:
        accepted = self.empty or force
        assert self.cluster(seed, *["--force"] * force) == (DONE if accepted else USAGE)
        if accepted:
            self.ended(seed)

    @rule(seed=SEEDS)
    def resume(self, seed: int) -> None:
        """Goes on with what was interrupted, if it was asked the same; a finished run stays as it is."""
        code = self.cluster(seed, "--resume")
        if self.finished:
            assert code == DONE
        elif self.pending not in (None, seed):
            assert code == USAGE
        else:
            assert code == DONE
            self.ended(seed)

    @rule(seed=SEEDS, force=st.booleans(), reading=st.booleans())
    def interrupt(self, seed: int, force: bool, reading: bool) -> None:
        """Ctrl+C before anything is read leaves nothing; later it leaves a journal beside what was there."""
        accepted = self.empty or force
        where = (SeriesReader, "read") if reading else (Voxels, "label")
        with patch.object(*where, side_effect=KeyboardInterrupt):
            assert self.cluster(seed, *["--force"] * force) == (INTERRUPTED if accepted else USAGE)
        if accepted:
            self.pending = None if reading else seed

    @rule()
    def order_parameter(self) -> None:
        readable = self.whole and self.summarised
        code = call("order-parameter", self.folder, "--no-figures")
        assert code == (DONE if readable else UNUSABLE)
        if readable:
            self.files |= ORDER

    @rule()
    def unit_cell(self) -> None:
        readable = self.whole and self.summarised
        assert call("unit-cell", self.folder, "--no-figures") == (DONE if readable else UNUSABLE)
        if readable:
            self.files |= CELL

    @rule()
    def report(self) -> None:
        readable = self.whole and self.summarised
        assert call("report", self.folder, "--no-intensity") == (DONE if readable else UNUSABLE)
        if readable:
            self.files |= {"report.html"}

    @precondition(lambda self: self.whole)
    @rule()
    def results_are_cut_short(self) -> None:
        path = self.folder / "results.nxs"
        path.write_bytes(path.read_bytes()[:3000])
        self.whole = False

    @precondition(lambda self: self.summarised)
    @rule(how=st.sampled_from(("removed", "cut")))
    def summary_is_damaged(self, how: str) -> None:
        path = self.folder / "summary.json"
        if how == "cut":
            path.write_text(path.read_text(encoding="utf-8")[:100], encoding="utf-8")
        else:
            path.unlink()
            self.files -= {"summary.json"}
        self.summarised = False

    @precondition(lambda self: self.folder.exists())
    @rule()
    def a_note_is_put_there(self) -> None:
        (self.folder / "notes.txt").write_text("mine", encoding="utf-8")
        self.files |= {"notes.txt"}

    @invariant()
    def folder_is_as_the_model_says(self) -> None:
        if not hasattr(self, "top"):
            return
        found = {path.name for path in self.folder.iterdir()} if self.folder.exists() else set()
        assert found - {JOURNAL} == self.files
        assert (JOURNAL in found) == (self.pending is not None)
        assert self.series.read_bytes() == self.input
        assert {path.name for path in self.series.parent.iterdir()} == {"series.nxs"}
        if self.whole:
            with h5py.File(self.folder / "results.nxs") as file:
                assert int(file["entry/process/parameters/seed"][()]) == self.seed


def play(n_histories: int, n_steps: int) -> None:
    run_state_machine_as_test(
        RunFolder,
        settings=settings(
            max_examples=n_histories,
            stateful_step_count=n_steps,
            derandomize=True,
            deadline=None,
            database=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_histories_of_a_run_folder() -> None:
    play(2, 10)


@pytest.mark.campaign
def test_many_histories_of_a_run_folder() -> None:
    play(100, 25)
