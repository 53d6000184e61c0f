"""Reading, threshold and extraction of the trajectories above background."""

from __future__ import annotations

from reference_env import Reference
from series import Subject
from timing import Answer, Benchmark, Contender

from xtec.core.progress import Progress
from xtec.io import open_series
from xtec_pipelines.ingest import IngestOptions, KeptTrajectories, ingest


def kept_of(subject: Subject) -> KeptTrajectories:
    """Open the series and keep what lies above its background, as ``xtec cluster`` does."""
    return ingest(open_series([str(subject.path)]), IngestOptions(), Progress())


def benchmark(subject: Subject, reference: Reference | None) -> Benchmark:
    """Ours against the reference's mask and threshold, and against a plain read of the same bytes."""
    contenders = [
        Contender("xtec: open and ingest", "ours", lambda: kept_of(subject), _judge),
        Contender("floor: h5py dataset[...]", "floor", subject.read_plainly),
    ]
    if reference is not None:
        contenders.append(
            Contender(
                "reference 0.1.1: h5py, Mask_Zeros, Threshold_Background",
                "peer",
                lambda: reference.timed("ingest", file=str(subject.file), dataset=subject.dataset),
                lambda reply: {"kept": reply["kept"], "cutoff": reply["cutoff"]},
            )
        )
    return Benchmark(
        "ingest",
        "Reading, threshold, extraction (warm file cache)",
        contenders,
        same=("kept", "cutoff"),
        within=1e-6,
    )


def _judge(kept: KeptTrajectories) -> Answer:
    return {"kept": kept.index.size, "cutoff": kept.threshold.cutoff}
