"""Measure xtec against peers and floors in one run; write ratios as markdown and JSON.

python benchmarks/run.py --size small
python benchmarks/run.py --size slab --reference FOLDER --onedal FOLDER -o FILE.md
python benchmarks/run.py --size large --only limited schedulers --work FOLDER
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import bench_ingest
import bench_mixture
import bench_peaks
import bench_process
import bench_smoothing
import machine
import numpy as np
import tables
from numpy.typing import NDArray
from ours import kept_of
from peers import Peer, find
from series import SIZES, Subject, open_subject, simulate
from timing import Benchmark, ContenderFailedError, measure

from xtec.core.types import Rescale
from xtec.preprocess import rescale
from xtec_pipelines.streaming.holding import Kept

STORED = (
    ("stacked", "none"),
    ("nxrefine", "none"),
    ("stacked", "bitshuffle"),
    ("stacked", "lz4"),
    ("stacked", "blosc"),
    ("stacked", "gzip"),
)


@dataclass(frozen=True)
class Setting:
    """What the benchmarks work on."""

    subject: Subject
    options: argparse.Namespace
    reference: Peer | None
    onedal: Peer | None
    work: Path
    scratch: Path

    @cached_property
    def kept(self) -> Kept:
        """What passes the threshold."""
        return kept_of(self.subject)

    @cached_property
    def x(self) -> NDArray[Any]:
        """What is clustered."""
        return np.asarray(rescale(self.kept.intensity, Rescale.MEAN).rows, dtype=np.float32)


def _storage(s: Setting) -> Benchmark:
    paths = [simulate(s.options.size, s.work, how, layout) for layout, how in STORED]
    return bench_ingest.storage(
        {f"{layout}, {how}": open_subject(path) for (layout, how), path in zip(STORED, paths, strict=True)}
    )


def _processes(s: Setting) -> Benchmark:
    python = s.reference.python if s.reference else None
    return bench_process.whole(s.subject, lambda: s.x, s.options.clusters, python, s.scratch)


MAKERS: dict[str, Callable[[Setting], Benchmark]] = {
    "ingest": lambda s: bench_ingest.benchmark(s.subject, s.reference),
    "storage": _storage,
    "iteration": lambda s: bench_mixture.iteration(
        s.x, s.options.clusters, s.options.seed, s.reference, s.onedal, s.scratch
    ),
    "fit": lambda s: bench_mixture.fit(s.x, s.options.clusters, s.options.seed),
    "search": lambda s: bench_mixture.search(s.x, s.options.clusters),
    "peaks": lambda s: bench_peaks.benchmark(s.kept, s.subject.series.shape, s.reference),
    "smoothing": lambda s: bench_smoothing.benchmark(s.kept, s.subject.series.shape),
    "process": _processes,
    "limited": lambda s: bench_process.limited(
        s.subject, s.options.clusters, s.options.memory_limit, s.scratch
    ),
    "schedulers": lambda s: bench_process.schedulers(s.subject, s.options.clusters, s.scratch),
}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--size", choices=SIZES, default="small", help="simulated series to measure on [small]")
    add("--series", type=Path, metavar="FILE", help="a stacked series of your own instead")
    add("--compression", default="none", help="of the simulated series: none, gzip, lz4, ... [none]")
    add("--work", type=Path, help="folder to keep the simulated series in [a temporary one]")
    add("--repeats", type=int, default=5, help="timed rounds [5]")
    add("--slow-repeats", type=int, default=1, help="rounds of contenders that take minutes [1]")
    add("-k", "--clusters", type=int, default=4, help="components of the mixture [4]")
    add("--seed", type=int, default=0, help="of the starts given to EM [0]")
    add("--reference", help="folder or Python of the reference package's environment")
    add("--onedal", help="folder or Python of oneDAL's environment")
    add("--memory-limit", default="2GiB", help="of the benchmark `limited` [2GiB]")
    add("--only", nargs="+", choices=MAKERS, default=list(MAKERS), help="benchmarks [all]")
    add("--skip", nargs="+", choices=MAKERS, default=(), help="benchmarks to leave out")
    add("-o", "--output", type=Path, help="markdown file [benchmarks/results/SIZE.md]")
    return parser.parse_args(arguments)


def main() -> None:
    """Measure and write the report."""
    options = parse()
    name = options.series.stem if options.series else options.size
    output = options.output or Path(__file__).parent / "results" / f"{name}.md"
    with _folder(options.work) as work, tempfile.TemporaryDirectory(prefix="xtec-benchmark-") as scratch:
        path = options.series or simulate(options.size, work, options.compression)
        with _setting(options, open_subject(path), work, Path(scratch)) as setting:
            peers = [peer for peer in (setting.reference, setting.onedal) if peer is not None]
            facts = {
                "machine": machine.describe(),
                "peers": {peer.name: peer.ask("versions") for peer in peers},
                "series": setting.subject.describe(),
                "options": {key: _plain(value) for key, value in vars(options).items() if value is not None},
            }
            if options.series:
                options.skip = [*options.skip, "storage"]  # which takes simulated series
            measured = []
            for chosen in (one for one in MAKERS if one in options.only and one not in options.skip):
                benchmark = MAKERS[chosen](setting)
                rows = measure(benchmark, repeats=options.repeats, slow_repeats=options.slow_repeats)
                measured.append((benchmark, rows))
                tables.write(output, facts, measured)
    print(tables.markdown(facts, measured))
    print(f"written: {output}, {output.with_suffix('.json')}", file=sys.stderr)


@contextlib.contextmanager
def _folder(work: Path | None) -> Iterator[Path]:
    if work is not None:
        work.mkdir(parents=True, exist_ok=True)
        yield work
        return
    with tempfile.TemporaryDirectory(prefix="xtec-benchmark-series-") as temporary:
        yield Path(temporary)


@contextlib.contextmanager
def _setting(options: argparse.Namespace, subject: Subject, work: Path, scratch: Path) -> Iterator[Setting]:
    """Start the peers where there are any; the reference reads the series if it will be asked about it."""
    python = find("reference", options.reference) if subject.reference_can_read else None
    other = find("onedal", options.onedal)
    with contextlib.ExitStack() as stack:
        reference, onedal = (
            stack.enter_context(contextlib.closing(Peer(name, path))) if path else None
            for name, path in (("reference", python), ("onedal", other))
        )
        chosen = set(options.only) - set(options.skip)
        try:
            if reference is not None and chosen & {"iteration", "peaks"}:
                reference.ask("ingest", file=str(subject.file), dataset=subject.dataset)
            yield Setting(subject, options, reference, onedal, work, scratch)
        except ContenderFailedError as error:
            raise SystemExit(str(error)) from error


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


if __name__ == "__main__":
    main()
