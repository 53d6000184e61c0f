"""Measure the passes over trajectories on a CUDA card: against the formulas, floors and peers, in one go.

    python benchmarks/gpu.py -o gpu.json
    python benchmarks/gpu.py -o gpu.json --quick
    python benchmarks/gpu.py -o gpu.json --sizes 5000000 --clusters 4 --series FILE.nxs

Results that are wrong are printed, not timed, and make the exit code 1; without a card it is 5. The file is
written after every step, so an interrupted run loses only the step it was in.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    os.environ.setdefault("SCIPY_ARRAY_API", "1")  # before SciPy is imported: scikit-learn asks for it
if importlib.util.find_spec("xtec") is None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import gpu_fits
import gpu_passes
import machine
import numpy as np
from gpu_device import Card, bytes_needed, ceilings, n_sets, open_card, trajectories
from gpu_reference import LIMITS, Ceilings

from xtec.core.errors import BackendUnavailableError

TARGET, TARGET_N = 1.6, 5_000_000
"""Times reading so many trajectories once that the fused pass should take at most."""

Record = dict[str, Any]

_CHECKED = (1, 7, 257, 4_099, 100_003)
_NO_DEVICE = 5
_SHOWN = 10


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("-o", "--output", type=Path, required=True, metavar="FILE.json")
    add("--sizes", type=int, nargs="+", default=[500_000, 5_000_000, 30_000_000], help="trajectories")
    add("--temperatures", type=int, default=24, help="of each trajectory [24]")
    add("--clusters", type=int, nargs="+", default=[4, 8, 16])
    add("--repeats", type=int, default=20, help="timed repeats [20]; fewer of what takes long")
    add("--seed", type=int, help="of all inputs [a fresh one, which is printed]")
    add("--cpu-limit", type=int, default=5_000_000, help="most trajectories for our CPU pass [5e6]")
    add("--slow-limit", type=int, default=500_000, help="most for scikit-learn on the CPU [5e5]")
    add("--fit-size", type=int, default=gpu_fits.N, help="trajectories of the whole fits [450000]")
    add("--series", type=Path, metavar="FILE", help="a series to run end to end with both backends")
    add("--quick", action="store_true", help="one size, K = 4, five repeats")
    options = parser.parse_args(arguments)
    if options.quick:
        options.sizes, options.clusters, options.repeats = [500_000], [4], 5
    if options.seed is None:
        options.seed = secrets.randbits(32)
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; returns the exit code."""
    options = parse(arguments)
    try:
        card = open_card()
    except BackendUnavailableError as error:
        print(f"gpu: {error}", file=sys.stderr)
        return _NO_DEVICE
    return report(card, options)


def report(card: Card, options: argparse.Namespace) -> int:
    """All measurements on a card; returns the exit code."""
    found: Record = {
        "machine": machine.describe(),
        "card": card.describe(),
        "options": {name: str(one) if isinstance(one, Path) else one for name, one in vars(options).items()},
        "limits": LIMITS,
        **{name: [] for name in ("checks", "passes", "fits", "series", "skipped")},
    }
    say(f"seed {options.seed}; {found['card']}")
    checked = (_CHECKED[0], *_CHECKED[2:4]) if options.quick else _CHECKED
    # odd numbers too, for kernels fill up to whole vectors; each shape is compiled, so not all with all
    shapes = [(k, options.temperatures) for k in sorted({*options.clusters, 1, 3})] + [(3, 1), (4, 5)]
    for record in gpu_passes.check(card, checked, shapes, options.seed):
        keep(found, "checks", record, options.output, write_now=False)
    write(options.output, found)
    limits = ceilings(card, options.repeats)
    found["ceilings"] = vars(limits)
    for n in options.sizes:
        time_size(card, n, limits, found, options)
    wrong = wrong_ways(found, "float32")
    fine = not wrong & {gpu_passes.FUSED, gpu_passes.EXPECT}
    if not fine:
        keep(found, "skipped", {"problem": "whole fits on the card: a pass is wrong"}, options.output)
    for record in gpu_fits.fits(
        card, options.fit_size, options.temperatures, min(options.repeats, 5), options.seed, on_card=fine
    ):
        keep(found, "fits", record, options.output)
    if options.series is not None:
        backends = ("numpy", card.device.name) if fine else ("numpy",)
        for record in gpu_fits.series(options.series, backends, options.repeats, card.failures):
            keep(found, "series", record, options.output)
    print(table(found))
    failed = [one for one in found["checks"] if not one["ok"]]
    failed += [one for one in found["fits"] if "problem" in one]
    return 1 if failed else 0


def time_size(card: Card, n: int, limits: Ceilings, found: Record, options: argparse.Namespace) -> None:
    """Passes over so many trajectories, for every number of clusters."""
    t = options.temperatures
    sets = n_sets(4 * n * t, card.cache_bytes)
    needed, free = bytes_needed(n, t, sets), card.device.free_bytes()
    if needed > free:
        why = f"{needed / 2**30:.1f} GiB needed, {free / 2**30:.1f} free"
        keep(found, "skipped", {"n": n, "problem": why}, options.output)
        return
    # as many classes as clusters: shares of responsibility are as they are in a fit
    curves = np.concatenate([gpu_fits.curves(t) * scale for scale in np.linspace(0.7, 1.3, 4)])
    made = [
        trajectories(card, n, curves[: max(options.clusters)], 0.1, options.seed + number)
        for number in range(sets)
    ]
    for k in options.clusters:
        given = gpu_passes.start_from(made[0], k, options.seed)
        keep(found, "checks", gpu_passes.check_whole(card, made[0], given), options.output)
        wrong = wrong_ways(found, "float32")
        for one in gpu_passes.contenders(card, made, given, wrong, options.cpu_limit, options.slow_limit):
            record = {"n": n, "t": t, "k": k, "sets": sets}
            if isinstance(one, gpu_passes.Contender):
                times = gpu_passes.time_one(one, card, options.repeats)
                if isinstance(times, str):
                    record |= {"contender": one.name, "problem": times}
                else:
                    record |= gpu_passes.as_record(one, times, (n, t, k), limits)
            else:
                record |= one
            keep(found, "passes", record, options.output)
    del made
    card.device.release()


def wrong_ways(found: Record, dtype: str) -> set[str]:
    """Ways of passing over trajectories that gave something wrong."""
    return {one["contender"] for one in found["checks"] if not one["ok"] and one["dtype"] == dtype}


def keep(found: Record, section: str, record: Record, output: Path, *, write_now: bool = True) -> None:
    """Note a record, say what it is, and write all there is so far."""
    found[section].append(record)
    if section != "checks" or not record["ok"]:
        say(f"{section}: {line(record)}")
    if write_now:
        write(output, found)


def say(text: str) -> None:
    """To whoever waits."""
    print(text, file=sys.stderr, flush=True)


def write(path: Path, found: Record) -> None:
    """Write JSON, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.part")
    temporary.write_text(json.dumps(finite(found), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    temporary.replace(path)


def finite(value: Any) -> Any:
    """The same with None for numbers that JSON cannot hold."""
    if isinstance(value, dict):
        return {name: finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value


def table(found: Record) -> str:
    """What came out, the passes last but for what is wrong."""
    limits, checks = found["ceilings"], found["checks"]
    failed = [one for one in checks if not one["ok"]]
    return "\n".join(
        [
            f"{found['card'].get('device', 'no card')}, seed {found['options']['seed']}; copy "
            f"{limits['copy'] / 1e9:.0f} GB/s, read {limits['read'] / 1e9:.0f} GB/s, "
            f"product {limits['multiply'] / 1e9:.0f} GFLOP/s",
            *(f"series  {line(one)}" for one in found["series"]),
            *(f"fit     {line(one)}" for one in found["fits"]),
            *(f"skipped {line(one)}" for one in found["skipped"]),
            f"{'n':>9} {'K':>3} {'pass by':<32} {'ms':>9} {'quartiles':>19} {'floor ms':>9} {'of it':>6} "
            f"{'x reading':>9}",
            *(row(one) for one in found["passes"]),
            verdict(found["passes"]),
            f"checks: {len(checks) - len(failed)} of {len(checks)} right; largest errors: {largest(checks)}",
            *(f"WRONG   {line(one)}" for one in failed[:_SHOWN]),
            *([f"... and {len(failed) - _SHOWN} more, in the file"] if len(failed) > _SHOWN else []),
        ]
    )


def verdict(passes: Sequence[Record]) -> str:
    """Whether the fused pass is as near to reading once as it should be."""
    goal = f"target: {gpu_passes.FUSED}, {TARGET_N} x 24, K = 4, within {TARGET} x reading once"
    wanted = {"contender": gpu_passes.FUSED, "n": TARGET_N, "t": 24, "k": 4}
    for one in passes:
        if wanted.items() <= one.items() and "to_reading_once" in one:
            ratio = one["to_reading_once"]
            return f"{goal}: {ratio:.3g}, {'met' if ratio <= TARGET else 'MISSED'}"
    return f"{goal}: not measured"


def row(one: Record) -> str:
    """One pass in the table: the time between events, or on the wall where work is in other streams too."""
    head = f"{one['n']:>9} {one['k']:>3} {one['contender']:<32}"
    if "problem" in one:
        return f"{head} {one['problem']}"
    took = one["device_ms" if one["by_events"] else "wall_ms"]
    spread = f"{took['low']:.4g}..{took['high']:.4g}"
    times = f"{head} {took['median']:>9.4g} {spread:>19}"
    if "floor_ms" not in one:
        return times
    return (
        f"{times} {one['floor_ms']:>9.4g} {one['share_of_floor']:>6.1%} "
        f"{one['to_reading_once']:>9.3g} {one['floor_set_by']}"
    )


def largest(checks: Sequence[Record]) -> str:
    """The largest error of each kind, by precision, among what is right."""
    worst: dict[str, float] = {}
    for one in checks:
        for name, error in one.get("errors", {}).items() if one["ok"] else ():
            label = f"{one['dtype']} {name}"
            worst[label] = max(worst.get(label, 0.0), error)
    return ", ".join(f"{name} {error:.1e}" for name, error in sorted(worst.items())) or "none"


def line(record: Record) -> str:
    """A record in a line, without errors that are within their limits."""
    parts = []
    for name, value in record.items():
        if name in ("errors", "ok", "bytes", "flops") or value == "":
            continue
        if isinstance(value, dict):
            value = value.get("median", value)
        parts.append(f"{name} {value:.5g}" if isinstance(value, float) else f"{name} {value}")
    return ", ".join(parts)


if __name__ == "__main__":
    sys.exit(main())
