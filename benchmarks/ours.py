"""Our own stages, called as `xtec cluster` calls them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from peers import run_process
from series import Subject

from xtec.core.parallel import Threads, one_blas_thread
from xtec.io import open_series
from xtec_pipelines.streaming.holding import IngestOptions, Kept
from xtec_pipelines.streaming.ingest import KeptTrajectories, ingest
from xtec_pipelines.streaming.plan import plan_run
from xtec_pipelines.streaming.readers import close_readers

_AMPLE = 2**40
_PROGRAM = "import sys; from xtec_cli.main import main; sys.exit(main())"


@contextmanager
def ingested(subject: Subject, threshold: str = "kl") -> Iterator[KeptTrajectories]:
    """Open the series and keep what lies above its background, in shards, for as long as the block lasts."""
    series = open_series(subject.inputs)
    with one_blas_thread(), Threads() as threads:
        try:
            yield ingest(
                series, IngestOptions(threshold), threads, plan_run(series, _AMPLE, threads.n).shards
            )
        finally:
            close_readers()


def kept_of(subject: Subject) -> Kept:
    """All kept trajectories in one place."""
    with ingested(subject) as kept:
        return kept.gather()


def run_xtec(command: Sequence[str | Path], log: Path) -> dict[str, float]:
    """Run `xtec` as a process; wall seconds and peak memory in MB."""
    return run_process([sys.executable, "-c", _PROGRAM, *map(str, command)], log)
