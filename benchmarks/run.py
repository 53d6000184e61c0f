"""Measure xtec against peers and floors in one run; write ratios as markdown and JSON.

python benchmarks/run.py --size small
python benchmarks/run.py --size slab --reference FOLDER -o FILE.md
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bench_ingest
import bench_mixture
import bench_peaks
import bench_process
import machine
import numpy as np
import tables
from numpy.typing import NDArray
from reference_env import Reference, find
from series import SIZES, Subject, open_subject, simulate
from timing import Benchmark, ContenderFailedError, measure

from xtec.core.types import Rescale
from xtec.preprocess import rescale
from xtec_pipelines.ingest import KeptTrajectories

NAMES = ("ingest", "iteration", "fit", "search", "peaks", "process")


@dataclass(frozen=True)
class Setting:
    """What the benchmarks work on."""

    subject: Subject
    kept: KeptTrajectories
    x: NDArray[Any]
    k: int
    seed: int
    reference: Reference | None
    python: Path | None
    folder: Path


MAKERS: dict[str, Callable[[Setting], Benchmark]] = {
    "ingest": lambda s: bench_ingest.benchmark(s.subject, s.reference),
    "iteration": lambda s: bench_mixture.iteration(s.x, s.k, s.seed, s.reference),
    "fit": lambda s: bench_mixture.fit(s.x, s.k, s.seed),
    "search": lambda s: bench_mixture.search(s.x, s.k),
    "peaks": lambda s: bench_peaks.benchmark(s.kept, s.subject.series.shape, s.reference),
    "process": lambda s: bench_process.benchmark(s.subject, s.x, s.k, s.python, s.folder),
}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--size", choices=SIZES, default="small", help="simulated series to measure on [small]")
    add("--series", type=Path, metavar="FILE", help="a stacked series of your own instead")
    add("--compression", default="gzip", help="of the simulated series: none, gzip, lz4, ...")
    add("--work", type=Path, help="folder to keep the simulated series in [a temporary one]")
    add("--repeats", type=int, default=5, help="timed rounds [5]")
    add("--slow-repeats", type=int, default=1, help="rounds of contenders that take minutes [1]")
    add("-k", "--clusters", type=int, default=4, help="components of the mixture [4]")
    add("--seed", type=int, default=0, help="of the starts given to EM [0]")
    add("--reference", help="folder or Python of the reference environment")
    add("--only", nargs="+", choices=NAMES, default=NAMES, help="benchmarks to run [all]")
    add("--skip", nargs="+", choices=NAMES, default=(), help="benchmarks to leave out")
    add("-o", "--output", type=Path, help="markdown file [benchmarks/results/SIZE.md]")
    return parser.parse_args(arguments)


def main() -> None:
    """Measure and write the report."""
    options = parse()
    name = options.series.stem if options.series else options.size
    output = options.output or Path(__file__).parent / "results" / f"{name}.md"
    with _folder(options.work) as folder, tempfile.TemporaryDirectory(prefix="xtec-benchmark-") as scratch:
        path = options.series or simulate(options.size, folder, options.compression)
        with _setting(options, open_subject(path), Path(scratch)) as setting:
            facts = {
                "machine": machine.describe(),
                "reference": setting.reference.ask("versions") if setting.reference else None,
                "series": setting.subject.describe(),
                "options": {key: _plain(value) for key, value in vars(options).items() if value is not None},
            }
            measured = []
            for chosen in (one for one in NAMES if one in options.only and one not in options.skip):
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
def _setting(options: argparse.Namespace, subject: Subject, scratch: Path) -> Iterator[Setting]:
    """Read the series once, and start the reference where there is one."""
    python = find(options.reference) if subject.reference_can_read else None
    kept = bench_ingest.kept_of(subject)
    x = np.asarray(rescale(kept.intensity, Rescale.MEAN), dtype=np.float32)
    reference = Reference(python) if python else None
    try:
        if reference is not None:
            reference.ask("ingest", file=str(subject.file), dataset=subject.dataset)
        yield Setting(subject, kept, x, options.clusters, options.seed, reference, python, scratch)
    except ContenderFailedError as error:
        raise SystemExit(str(error)) from error
    finally:
        if reference is not None:
            reference.close()


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


if __name__ == "__main__":
    main()
