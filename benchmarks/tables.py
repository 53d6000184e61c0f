"""Measurements as markdown for people and as JSON for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from timing import Benchmark, Row

Measured = Sequence[tuple[Benchmark, Sequence[Row]]]

_EXPLANATION = (
    "Median seconds with the quartiles, and the time relative to ours: the median over rounds of (its time / "
    "our time of the same round), with quartiles. A peer above 1 takes longer than ours. A floor says which "
    "share of our time the memory or the library that reads the file would take by itself."
)


def write(path: Path, facts: dict[str, Any], measured: Measured) -> None:
    """Write ``path`` (markdown) and the same beside it with the suffix ``.json``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(markdown(facts, measured), encoding="utf-8")
    document = {**facts, "benchmarks": [_as_json(benchmark, rows) for benchmark, rows in measured]}
    path.with_suffix(".json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def markdown(facts: dict[str, Any], measured: Measured) -> str:
    """The whole report."""
    lines = ["# Benchmarks", "", *_facts(facts), "", _EXPLANATION, ""]
    for benchmark, rows in measured:
        lines += [f"## {benchmark.title}", "", *([benchmark.note, ""] if benchmark.note else [])]
        lines += [
            f"| {benchmark.unit} by | s (quartiles) | rounds | relative to ours (quartiles) | answer |",
            "|---|---|---|---|---|",
            *(_line(row, rows[0]) for row in rows),
            "",
        ]
    return "\n".join(lines)


def _facts(facts: dict[str, Any]) -> list[str]:
    machine, series = facts["machine"], facts["series"]
    packages = _listed(machine["versions"])
    shape = " x ".join(map(str, series["shape"]))
    peers = facts["peers"].items()
    theirs = "; ".join(f"{peer}: " + _listed(versions) for peer, versions in peers) or "not run"
    return [
        f"- {machine['date']}, {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_gib']} GiB, {machine['system']}, load before {machine['load_before']}",
        f"- Python {machine['python']}, {packages}; BLAS: {machine['blas']}",
        f"- peers: {theirs}",
        f"- series: {series['file']}, {shape}, chunks {tuple(series['chunks'])}, "
        f"filters {', '.join(series['filters']) or 'none'}, {series['megabytes']} MB "
        f"({series['megabytes_stored']} MB stored)",
    ]


def _listed(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in versions.items())


def _line(row: Row, ours: Row) -> str:
    answer = ", ".join(f"{name} {_merit(value)}" for name, value in row.answer.items())
    if row.problem:
        answer = f"{answer} **{row.problem}**".strip()
    if not row.seconds:
        return f"| {row.name} | - | 0 | - | {answer} |"
    low, high = row.quartiles
    times = f"{_number(row.median)} ({_number(low)}..{_number(high)})"
    ratio, first, third = row.ratio_to(ours)
    relative = "1" if row is ours else f"{_number(ratio)} ({_number(first)}..{_number(third)})"
    return f"| {row.name} | {times} | {len(row.seconds)} | {relative} | {answer} |"


def _number(value: float) -> str:
    if isinstance(value, int) or (math.isfinite(value) and value == int(value)):
        return f"{int(value)}"
    return f"{value:.4g}"


def _merit(value: float) -> str:
    return f"{value:.7g}" if math.isfinite(value) else "not finite"


def _as_json(benchmark: Benchmark, rows: Sequence[Row]) -> dict[str, Any]:
    return {
        "name": benchmark.name,
        "title": benchmark.title,
        "unit": benchmark.unit,
        "note": benchmark.note,
        "rows": [
            {
                "name": row.name,
                "role": row.role,
                "seconds": row.seconds,
                "median": _finite(row.median),
                "quartiles": [_finite(value) for value in row.quartiles],
                "relative_to_ours": [_finite(value) for value in row.ratio_to(rows[0])],
                "answer": {name: _finite(value) for name, value in row.answer.items()},
                "problem": row.problem,
            }
            for row in rows
        ],
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
