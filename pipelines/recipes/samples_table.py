"""One table over all samples of a recipe: what became of each, and what its run found."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from xtec.core.errors import InputError
from xtec.core.quantities import Quantity
from xtec.core.wording import plain
from xtec.io.disk.atomic import make_folder, write_json, write_text
from xtec.io.run.folder import read_summary
from xtec_pipelines.recipes.recipe import TABLES, Job

_COLUMNS = (
    *("sample", "state", "exit_code", "seconds", "run", "n_clusters", "n_kept", "cluster", "kind"),
    *("tc", "tc_low", "tc_high", "tc_units", "beta", "beta_low", "beta_high", "wave_vectors", "error"),
)


class State(StrEnum):
    """What became of a sample."""

    DONE = "done"
    BEFORE = "done before"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    WAITING = "not run"


@dataclass(frozen=True)
class Outcome:
    """What became of a sample.

    Attributes
    ----------
    name : str
    run : Path or None
        Its folder.
    state : State
    code : int
        Exit code; 0 where it is done or was not run.
    seconds : float or None
    error : str
        What went wrong, in a line.
    summary : mapping
        Of its run, where it is done and has one.
    """

    name: str
    run: Path | None
    state: State
    code: int = 0
    seconds: float | None = None
    error: str = ""
    summary: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        """Whether its results are there."""
        return self.state in (State.DONE, State.BEFORE)

    @property
    def transitions(self) -> list[dict[str, Any]]:
        """Order parameters, each with the fractions of its wave vectors."""
        vectors = self.summary.get("wave_vectors", [])
        return [
            {
                **{key: one[key] for key in ("cluster", "kind", "tc", "beta")},
                "wave_vectors": [v["fraction"] for v in vectors if v["cluster"] == one["cluster"]],
            }
            for one in self.summary.get("order_parameters", [])
        ]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "sample": self.name,
            "state": self.state,
            "exit_code": self.code,
            "seconds": self.seconds,
            "run": None if self.run is None else str(self.run),
            "n_clusters": self.summary.get("n_clusters"),
            "n_kept": self.summary.get("n_kept"),
            "order_parameters": self.transitions if "order_parameters" in self.summary else None,
            "error": self.error or None,
        }


def done_outcome(job: Job, state: State, seconds: float | None) -> Outcome:
    """Of a sample that is done."""
    folder = job.steps[0].folder
    try:
        summary = {} if folder is None else read_summary(folder)
    except InputError:
        summary = {}
    return Outcome(job.name, folder, state, seconds=seconds, summary=summary)


def cells(outcome: Outcome) -> list[tuple[str, ...]]:
    """Lines of the table for people: a line for each transition, one at least."""
    summary = outcome.summary
    clusters, kept = (_number(summary.get(name)) for name in ("n_clusters", "n_kept"))
    seconds = "" if outcome.seconds is None else f"{outcome.seconds:.0f}"
    head = (outcome.name, clusters, kept)
    if not outcome.is_done:
        code = f", exit code {outcome.code}" if outcome.state is State.FAILED else ""
        return [(*head, f"{outcome.state}{code}", "", "", seconds)]
    if not outcome.transitions:
        order = "none" if "order_parameters" in summary else "" if summary else str(outcome.state)
        return [(*head, order, "", "", seconds)]
    lines: list[tuple[str, ...]] = []
    for one in outcome.transitions:
        tc = f"{plain(Quantity(**one['tc']))} {one['tc']['units']}".rstrip()
        vectors = ", ".join(f"({', '.join(each)})" for each in one["wave_vectors"])
        lines.append((*head, f"cluster {one['cluster']}", tc, vectors, seconds))
        head, seconds = ("", "", ""), ""
    return lines


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def write_table(folder: Path, outcomes: Sequence[Outcome]) -> None:
    """Write samples.json and samples.csv, each whole; in CSV each transition has a row.

    Raises
    ------
    OutputError
        If that is not possible.
    """
    make_folder(folder)
    values = {"samples": [one.as_json() for one in outcomes]}
    as_json, as_csv = (folder / name for name in TABLES)
    write_json(as_json, values)
    text = io.StringIO()
    rows = csv.DictWriter(text, _COLUMNS, extrasaction="ignore", lineterminator="\n")
    rows.writeheader()
    for outcome in outcomes:
        for one in outcome.transitions or [{}]:
            rows.writerow({**outcome.as_json(), **_flat(one)})
    write_text(as_csv, text.getvalue())


def _flat(transition: Mapping[str, Any]) -> dict[str, Any]:
    """A transition with its quantities in columns."""
    row = {name: transition.get(name) for name in ("cluster", "kind")}
    for name in ("tc", "beta"):
        value = transition.get(name) or {}
        row |= {name: value.get("value"), f"{name}_low": value.get("low"), f"{name}_high": value.get("high")}
    row["tc_units"] = (transition.get("tc") or {}).get("units")
    row["wave_vectors"] = "; ".join(" ".join(one) for one in transition.get("wave_vectors", []))
    return row
