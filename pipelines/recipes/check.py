"""``xtec check``: what a recipe would do, and everything that is in its way; no voxel is read."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from xtec.core.errors import ConfigError, SeriesNotFoundError, XtecError
from xtec.core.parallel import n_cores
from xtec.core.types import Backend, Float64Array
from xtec.io import Series, open_series
from xtec.io.run.folder import check_output
from xtec.io.writing.stack import check_output_file
from xtec.plugins import load, open_plugin, parse_plugin
from xtec.reciprocal import find_space_group, parse_condition
from xtec_pipelines.clustering.plugged import RunPlugins
from xtec_pipelines.clustering.second_pass import load_parent
from xtec_pipelines.config import PLUGGED, ClusterConfig, InputConfig, make_config
from xtec_pipelines.recipes.commands import OUTPUT, RUN
from xtec_pipelines.recipes.file import in_order, judge
from xtec_pipelines.recipes.recipe import Job, Problem, Recipe, Step
from xtec_pipelines.recipes.record import finished
from xtec_pipelines.recipes.samples import shares
from xtec_pipelines.run_folder import check_run_folder, run_folder
from xtec_pipelines.stack import StackConfig
from xtec_pipelines.streaming.devices import choose_device
from xtec_pipelines.streaming.plan import RunPlan, plan_run
from xtec_pipelines.toml_lines import Place
from xtec_pipelines.validation import STAND_IN
from xtec_pipelines.watching.config import WatchConfig

_SELECTING = ("entry", "group", "scan", "region", "temperatures")
"""Options that may not fit a series that opens without them."""

_PLUGINS = {
    **{name: f"{name}s" if name in ("clusterer", "selector") else name for name in PLUGGED},
    "reader": "readers",
    "writer": "writers",
    "method": "order_parameters",
    "sampler": "samplers",
}
"""Slots of the options that name plugins."""

_SYMBOLS: dict[str, Callable[[str], Any]] = {
    "symmetry": find_space_group,
    "space_group": find_space_group,
    "classes": parse_condition,
}

Found = Iterator[tuple[Place, XtecError]]
"""Options of a command, and what is wrong with them."""


@dataclass(frozen=True)
class Opened:
    """A series that was opened, and how it would be read."""

    series: Series
    plan: RunPlan

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "name": self.series.name,
            "inputs": [str(path) for path in self.series.inputs],
            "shape": [self.series.n_temperatures, *self.series.shape],
            "peak_bytes": self.plan.peak_bytes,
            "spilled_bytes": self.plan.spilled_bytes,
            "seconds": self.plan.seconds,
        }


@dataclass(frozen=True)
class Checked:
    """What would be done for one sample.

    Attributes
    ----------
    job : Job
    output : Path or None
        Where its results go.
    done : bool
        Whether it is finished, and would be left as it is.
    series : tuple of Opened
    """

    job: Job
    output: Path | None
    done: bool
    series: tuple[Opened, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "sample": self.job.name or None,
            "output": None if self.output is None else str(self.output),
            "done": self.done,
            "series": [one.as_json() for one in self.series],
        }


def check_recipe(recipe: Recipe, *, resume: bool = False) -> tuple[list[Checked], tuple[Problem, ...]]:
    """Open what a recipe names, and hold it against its options.

    Parameters
    ----------
    recipe : Recipe
    resume : bool
        As it would be given to ``xtec run``.

    Returns
    -------
    list of Checked
        Samples whose options can be made sense of.
    tuple of Problem
        All of them, by line; those of the recipe itself included.
    """
    checked, problems = [], list(recipe.problems)
    for job in recipe.jobs:
        done = resume and finished(job)
        opened: list[Opened] = []
        for step in job.steps:
            _, config = judge(recipe, step)
            found: list[tuple[Place, XtecError]] = []
            if config is not None and not done:
                found = list(_problems(recipe, step, config, opened, first=step is job.steps[0]))
            problems += [recipe.problem(step.place(place, recipe.lines), error) for place, error in found]
        named = job.steps[0].values.get(job.steps[0].command.folder or OUTPUT)
        checked.append(Checked(job, Path(named) if isinstance(named, str) else None, done, tuple(opened)))
    return checked, in_order(problems)


def _problems(recipe: Recipe, step: Step, config: BaseModel, opened: list[Opened], *, first: bool) -> Found:
    """What is in the way of one command; series that can be opened are added to `opened`."""
    yield from _symbols(config)
    if isinstance(config, WatchConfig):
        if Path(config.inputs[0]).is_file():
            yield ("inputs",), ConfigError("a folder is watched, this is a file", file=config.inputs[0])
    elif isinstance(config, InputConfig):
        yield from _open(recipe, step, config, opened)
    elif step.name == "phase-diagram":
        for number, item in enumerate(getattr(config, "inputs", ())):
            if not (run_folder(item) / "results.nxs").exists():
                options = {**getattr(config, "cluster", {}), "inputs": [item], "output": STAND_IN}
                for place, error in _open(recipe, step, make_config(options), opened):
                    yield ("inputs", number) if place[0] == "inputs" else ("cluster", *place), error
    yield from _plugins(config, opened)
    if first:
        yield from _folders(step, config, opened)


def _symbols(config: BaseModel) -> Found:
    """Space groups and conditions, which are read when they are needed only."""
    for name, read in _SYMBOLS.items():
        for text in _texts(config, name):
            try:
                read(text)
            except XtecError as error:
                yield (name,), error


def _texts(config: BaseModel, name: str) -> tuple[str, ...]:
    """What an option says: nothing, one text or several."""
    said = getattr(config, name, None)
    return tuple(said) if isinstance(said, tuple) else (said,) if said else ()


def _open(recipe: Recipe, step: Step, config: InputConfig, opened: list[Opened]) -> Found:
    """Open a series; if that fails, tell which of the options that select from it is to blame."""
    there = [bool(config.reader) or _there(item) for item in config.inputs]
    for number, item in enumerate(config.inputs):
        if not there[number] and item != STAND_IN:
            yield ("inputs", number), SeriesNotFoundError("no such input", file=item)
    if not all(there):
        return
    try:
        series = _series(config)
    except XtecError as error:
        yield from _blamed(config, error)
        return
    options = shares(recipe, step)
    limit = int(options.get("memory_limit", config.memory_bytes))
    workers = options.get("workers") or getattr(config, "workers", None) or n_cores()
    try:
        opened.append(Opened(series, plan_run(series, limit, workers)))
    except ConfigError as error:
        yield ("memory_limit",), error
    if not isinstance(config, ClusterConfig):
        return
    if config.backend is not Backend.AUTO:
        try:
            choose_device(config.backend, config.scheduler, series)
        except XtecError as error:
            yield ("backend",), error
    if config.from_run:
        try:
            load_parent(config, series)
        except XtecError as error:
            yield ("from_run",), error


def _there(item: str) -> bool:
    return Path(item).exists() or (glob.has_magic(item) and bool(glob.glob(item)))


def _series(config: InputConfig) -> Series:
    region, temperatures = config.bounds
    return open_series(config.inputs, region=region, temperatures=temperatures, options=config.open_options)


def _blamed(config: InputConfig, error: XtecError) -> Found:
    """Each option by itself, where the series opens without any of them."""
    bare = config.model_copy(update=dict.fromkeys(_SELECTING))
    try:
        _series(bare)
    except XtecError as own:
        yield ("inputs",), own
        return
    blamed = False
    for name in _SELECTING:
        try:
            _series(bare.model_copy(update={name: getattr(config, name)}))
        except XtecError as own:
            blamed = True
            yield (name,), own
    if not blamed:
        yield ("inputs",), error


def _plugins(config: BaseModel, opened: list[Opened]) -> Found:
    """Plugins that are not there, or do not take their options."""
    scan = opened[0].series.scan.values if opened else np.arange(1.0, 25.0)
    for name, slot in _PLUGINS.items():
        if name == "sampler" and not getattr(config, "suggest", 0):
            continue
        for text in _texts(config, name):
            try:
                _try_plugin(config, name, slot, text, scan)
            except XtecError as error:
                yield (name,), error


def _try_plugin(config: BaseModel, name: str, slot: str, text: str, scan: Float64Array) -> None:
    spec = parse_plugin(text)
    load(slot, spec.name)
    if isinstance(config, ClusterConfig) and name in PLUGGED:
        others = dict.fromkeys(set(PLUGGED) - {name})
        RunPlugins.open(config.model_copy(update=others), scan)
    elif name in ("method", "writer"):
        open_plugin(slot, spec)


def _folders(step: Step, config: BaseModel, opened: list[Opened]) -> Found:
    """Where results go, and runs that are gone on with."""
    if (reference := getattr(config, "reference", None)) and not _there(reference):
        yield ("reference",), SeriesNotFoundError("no such reference", file=reference)
    try:
        if step.command.folder == OUTPUT:
            watched = isinstance(config, WatchConfig)
            force = bool(getattr(config, "force", False)) or watched
            resume = bool(getattr(config, "resume", False)) and not watched
            given = [Path(item) for item in getattr(config, "inputs", ())]
            given += [path for one in opened for path in one.series.inputs]
            check_output(Path(getattr(config, OUTPUT)), given, force=force, resume=resume)
        elif step.command.folder == RUN:
            if (run := getattr(config, RUN)) != STAND_IN:
                check_run_folder(run_folder(run))
        elif isinstance(config, StackConfig) and opened:
            check_output_file(Path(config.output), opened[0].series, force=config.force)
    except XtecError as error:
        yield (step.command.folder or OUTPUT,), error
