"""What of a recipe is done already: a note in the summary of each run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xtec.core.errors import InputError
from xtec.io.run.folder import read_summary
from xtec_pipelines.recipes.commands import OUTPUT
from xtec_pipelines.recipes.recipe import Job, Step
from xtec_pipelines.run_folder import change_summary, changing

_KEY = "recipe"


def remember(step: Step, seconds: float) -> None:
    """Note in the run that a command of a recipe is done, with which options, and how long it took.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    if step.folder is None or not (step.folder / "summary.json").exists():
        return
    done = {step.name: {"options": _plain(step.values), "seconds": seconds}}
    with changing(step.folder):
        change_summary(step.folder, {_KEY: {**_noted(step.folder), **done}})


def finished(job: Job) -> bool:
    """Whether everything that is to be done for a sample is done."""
    return all(is_done(step) for step in job.steps)


def is_done(step: Step) -> bool:
    """Whether a command is done: a run is there; what goes on with it was done with the same options."""
    if step.name == "watch":
        return False  # it knows itself what is new
    if step.folder is None:
        output = step.values.get(OUTPUT)
        return isinstance(output, str) and Path(output).exists()
    if step.command.folder == OUTPUT:
        return (step.folder / "summary.json").exists()
    done = _noted(step.folder).get(step.name)
    return done is not None and bool(done["options"] == _plain(step.values))


def seconds_of(job: Job) -> float | None:
    """What its commands took together, as far as it was noted."""
    noted = _noted(job.steps[0].folder)
    return sum(one["seconds"] for one in noted.values()) if noted else None


def _noted(folder: Path | None) -> dict[str, Any]:
    """What was noted in a run; nothing where there is none."""
    if folder is None:
        return {}
    try:
        return dict(read_summary(folder).get(_KEY, {}))
    except InputError:
        return {}


def _plain(values: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(dict(values), default=str))
