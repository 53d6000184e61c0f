"""Many samples of one recipe at a time, each in a process of its own."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import tomli_w

from xtec.core.errors import OutputError, XtecError
from xtec.core.parallel import n_cores
from xtec.core.progress import Progress
from xtec.io.run.folder import PROGRESS
from xtec_pipelines.config import InputConfig
from xtec_pipelines.recipes.recipe import LOGS, Job, Recipe, Step
from xtec_pipelines.recipes.record import finished, seconds_of
from xtec_pipelines.recipes.samples_table import Outcome, State, done_outcome, write_table

logger = logging.getLogger(__name__)

_CALL = "from xtec_cli.main import main; main()"
_LOOK_EVERY = 0.1
_INTERRUPTED = 130
_NAMED = 3
_ENDING = (signal.SIGINT, signal.SIGTERM)


def shares(recipe: Recipe, step: Step) -> dict[str, Any]:
    """Memory and workers of a sample, where others are done at the same time and they are not given."""
    fields = step.command.kind.model_fields.keys() - {name for name, value in step.values.items() if value}
    own: dict[str, Any] = {}
    if recipe.parallel < 2:
        return own
    if "memory_limit" in fields:
        try:
            config = step.configure()
        except XtecError:
            return own  # it will be said when the sample is run
        if isinstance(config, InputConfig):
            own["memory_limit"] = str(config.memory_bytes // recipe.parallel)
    if "workers" in fields and step.values.get("scheduler", "threads") in ("threads", "processes"):
        own["workers"] = max(1, n_cores() // recipe.parallel)
    return own


def run_samples(
    recipe: Recipe, progress: Progress, *, force: bool = False, resume: bool = False, quiet: bool = False
) -> list[Outcome]:
    """Do all samples; one that fails stops no other.

    Parameters
    ----------
    recipe : Recipe
        With samples.
    progress : Progress
    force, resume : bool
        Handed on. With `resume`, samples that are finished are left as they are.

    Returns
    -------
    list of Outcome
        In the order of the samples; also in samples.json and samples.csv, which are renewed as samples end.

    Raises
    ------
    KeyboardInterrupt
        After all have been told to end, have ended, and the table is written.
    OutputError
        If the folder above the runs cannot be written, or has runs of samples and neither is asked for.
    """
    outcomes = collected(recipe)
    there = [one.name for one in outcomes.values() if one.state is not State.WAITING]
    if there and not (force or resume):
        names = ", ".join(there[:_NAMED]) + ", ..." * (len(there) > _NAMED)
        hint = "--resume goes on, --force begins again, -o has another place"
        raise OutputError(f"{len(there)} samples were begun before: {names}", file=recipe.folder, hint=hint)
    waiting = [job for job in recipe.jobs if not (resume and outcomes[job.name].is_done)]
    for job in waiting:
        outcomes[job.name] = Outcome(job.name, job.steps[0].folder, State.WAITING)
    write_table(recipe.folder, list(outcomes.values()))
    flags = [name for name, given in (("--force", force), ("--resume", resume), ("-q", quiet)) if given]
    with (
        tempfile.TemporaryDirectory(prefix="xtec-") as recipes,
        _Processes(recipe, Path(recipes), flags) as at_work,
        progress.stage("samples", total=len(waiting)) as advance,
    ):
        for outcome in at_work.outcomes(waiting):
            outcomes[outcome.name] = outcome
            write_table(recipe.folder, list(outcomes.values()))
            advance(1)
    if at_work.interrupted:
        raise KeyboardInterrupt
    return list(outcomes.values())


def collected(recipe: Recipe) -> dict[str, Outcome]:
    """What became of all samples, told by what is there; nothing is run."""
    return {job.name: _found(job) for job in recipe.jobs}


def _found(job: Job) -> Outcome:
    if finished(job):
        return done_outcome(job, State.BEFORE, seconds_of(job))
    folder = job.steps[0].folder
    begun = folder is not None and (folder / PROGRESS).exists()
    return Outcome(job.name, folder, State.INTERRUPTED if begun else State.WAITING)


@dataclass
class _Running:
    """A process that does a sample."""

    job: Job
    process: subprocess.Popen[bytes]
    log: Path
    cores: frozenset[int]
    began: float = field(default_factory=time.monotonic)


class _Processes:
    """Starts processes, so many at a time, and sees how they end."""

    def __init__(self, recipe: Recipe, recipes: Path, flags: Sequence[str]) -> None:
        self.recipe = recipe
        self.recipes = recipes
        self.flags = flags
        self.asked = 0
        self.running: list[_Running] = []
        self.options = {job.name: shares(recipe, job.steps[0]) for job in recipe.jobs}
        self.cores = _divided(recipe.parallel)

    @property
    def interrupted(self) -> bool:
        """Whether they were asked to end."""
        return self.asked > 0

    def __enter__(self) -> _Processes:
        """From here on Ctrl-C and SIGTERM are seen to between two looks: none can come amiss."""
        signals = _ENDING if threading.current_thread() is threading.main_thread() else ()
        self.before = {one: signal.signal(one, self._ask) for one in signals}
        return self

    def __exit__(self, *_: object) -> None:
        """Whatever happened: nothing is left running."""
        for number, handler in self.before.items():
            signal.signal(number, handler)
        for one in self.running:
            one.process.kill()
            one.process.wait()

    def outcomes(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Of each as it ends; after an interrupt, of those that were running then."""
        waiting, told = list(jobs), 0
        while waiting or self.running:
            if self.asked > told:
                told = self.asked
                waiting.clear()
                self._tell(signal.SIGTERM if told == 1 else signal.SIGKILL)
            while waiting and len(self.running) < self.recipe.parallel:
                self.running.append(self._start(waiting.pop(0)))
            time.sleep(_LOOK_EVERY)
            for one in [one for one in self.running if one.process.poll() is not None]:
                self.running.remove(one)
                yield self._ended(one)

    def _ask(self, *_: object) -> None:
        """Asked once, they save what they have and end; asked twice, they are ended."""
        self.asked += 1

    def _tell(self, what: signal.Signals) -> None:
        for one in self.running:
            one.process.send_signal(what)

    def _start(self, job: Job) -> _Running:
        """Start a process of its own session: what is meant for us comes to it from us."""
        text = tomli_w.dumps(job.as_recipe(self.options[job.name]))
        path = self.recipes / f"{job.name}.toml"
        path.write_text(text, encoding="utf-8")
        call = [sys.executable, "-c", _CALL, "run", str(path), "--sample", job.name, *self.flags]
        log = self.recipe.folder / LOGS / f"{job.name}.log"
        logger.info("%s: begun, %s has what it says", job.name, log)
        with _writing(log) as file:
            process = subprocess.Popen(
                call, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
            )
        taken = {one.cores for one in self.running}
        cores = next((one for one in self.cores if one not in taken), frozenset())
        if cores:
            os.sched_setaffinity(process.pid, cores)
        return _Running(job, process, log, cores)

    def _ended(self, one: _Running) -> Outcome:
        seconds = time.monotonic() - one.began
        code = one.process.returncode
        if code == 0:
            logger.info("%s: done in %.0f s", one.job.name, seconds)
            return done_outcome(one.job, State.DONE, seconds)
        code = 128 - code if code < 0 else code  # as a shell has it
        error = _last_error(one.log, code)
        if code == _INTERRUPTED or (self.interrupted and code > 128):
            state, error = State.INTERRUPTED, ""
        else:
            state = State.FAILED
            logger.warning("%s failed with exit code %d, see %s", one.job.name, code, one.log)
        return Outcome(one.job.name, one.job.steps[0].folder, state, code, seconds, error)


@contextmanager
def _writing(log: Path) -> Iterator[IO[bytes]]:
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as file:
            yield file
    except OSError as error:
        raise OutputError(f"cannot write this log ({error.strerror})", file=log) from error


def _divided(parts: int) -> list[frozenset[int]]:
    """Cores for each of several processes; none where there are too few, or the system does not tell."""
    if parts < 2 or not hasattr(os, "sched_getaffinity"):
        return []
    cores = sorted(os.sched_getaffinity(0))
    return [frozenset(cores[part::parts]) for part in range(parts)] if len(cores) >= parts else []


def _last_error(log: Path, code: int) -> str:
    """What a command said last that began with ``error:``, in a line."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    begins = [number for number, line in enumerate(lines) if line.startswith("error: ")]
    if not begins:
        name = signal.Signals(code - 128).name if code - 128 in set(signal.Signals) else ""
        killed = {"SIGKILL": "it was killed; was it short of memory?"}.get(name, f"it ended by {name}")
        return killed if name else "it ended without a word"
    what, *more = lines[begins[-1] :]
    where = next((line.partition("in:")[2].strip() for line in more if line.startswith("  in:")), "")
    return what.removeprefix("error: ") + (f": {where}" if where else "")
