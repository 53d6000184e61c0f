"""Reading, threshold and extraction of the trajectories above background."""

from __future__ import annotations

from ours import ingested
from peers import Peer
from series import Subject
from timing import Answer, Benchmark, Contender


def benchmark(subject: Subject, reference: Peer | None) -> Benchmark:
    """Ours against the reference's mask and threshold, and against reading the same bytes."""
    contenders = [
        Contender("xtec: open and ingest", "ours", lambda: _ingest(subject), dict),
        Contender("xtec: with significance", "peer", lambda: _ingest(subject, "kl+significance")),
        Contender("floor: h5py, one call a dataset", "floor", subject.read_plainly),
        Contender("floor: chunks read and decoded by all cores", "floor", subject.read_in_threads),
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


def storage(subjects: dict[str, Subject]) -> Benchmark:
    """The same series stored in several ways; the first is what the others are compared with."""
    contenders = []
    for name, subject in subjects.items():
        role = "floor" if contenders else "ours"
        contenders += [
            Contender(f"xtec: {name}", role, lambda it=subject: _ingest(it), dict),
            Contender(f"h5py, plain read: {name}", "floor", subject.read_plainly),
        ]
    return Benchmark(
        "storage",
        "Reading, threshold, extraction of one series stored in several ways (warm file cache)",
        contenders,
        note="The number of bytes in memory is the same for all, so seconds compare like seconds a byte.",
        same=("kept", "cutoff"),
        within=1e-6,
    )


def _ingest(subject: Subject, threshold: str = "kl") -> Answer:
    with ingested(subject, threshold) as kept:
        return {"kept": kept.counts.n_kept, "cutoff": kept.threshold.cutoff}
