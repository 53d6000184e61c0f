"""``xtec watch``: results that keep up with an experiment.

A folder is polled. Each temperature that is ready is copied once to local disk; then the series as it is so
far is clustered from the copies, as ``xtec cluster`` would, and the run folder is renewed. Clusters keep
their numbers.
"""

from __future__ import annotations

import json
import logging
import shlex
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
from pydantic import Field

from xtec.core.errors import ConfigError, DegenerateMixtureError, InputError, NothingToClusterError
from xtec.core.progress import Progress
from xtec.core.results import ClusterRun
from xtec.io import OpenOptions
from xtec.io.arrivals import Event, EventKind, WatchedFolder
from xtec.io.atomic import write_text
from xtec.io.mirror import Mirror
from xtec.io.run_folder import check_output
from xtec.io.volume import open_volume
from xtec.operando.follow import ClusterMembers
from xtec_pipelines.cluster import run_cluster
from xtec_pipelines.config import ClusterConfig, make_config
from xtec_pipelines.run_folder import draw_figures

logger = logging.getLogger(__name__)

COPIES = ".watch"
"""Folder in the run folder for copies of what has arrived."""

_FEWEST = 2
"""Temperatures that can be clustered."""

_NOT_YET = (InputError, ConfigError, NothingToClusterError, DegenerateMixtureError)
"""What a series may lead to while it is short: too few trajectories for its clusters, and the like."""

Say = Callable[[dict[str, Any]], None]
"""Is told every event."""


class WatchConfig(ClusterConfig):
    """What to watch, and how to cluster it; `inputs` is the folder."""

    pattern: str | None = None
    every: float = Field(default=10.0, gt=0)
    rest: float = Field(default=5.0, ge=0)
    until: int | None = Field(default=None, ge=1)
    idle: float | None = Field(default=None, gt=0)
    on_update: str | None = None

    @property
    def folder(self) -> Path:
        """The run folder."""
        return Path(self.output)


@dataclass
class _Watch:
    """How far watching is.

    Attributes
    ----------
    wanting : bool
        Whether temperatures have come or gone since the last update.
    coming : dict
        Temperatures that are ready, and not copied yet, by file.
    updates : int
    latency : float or None
        Seconds from seeing the last temperature ready to its results.
    run : ClusterRun or None
        As of the last update.
    last : float
        When something last happened.
    updated : str or None
        When results were last renewed.
    """

    config: WatchConfig
    folder: WatchedFolder
    mirror: Mirror
    say: Say
    progress: Progress
    wanting: bool = False
    updates: int = 0
    latency: float | None = None
    run: ClusterRun | None = None
    last: float = field(default_factory=time.monotonic)
    updated: str | None = None
    coming: dict[Path, Event] = field(default_factory=dict)

    def there(self) -> list[Path]:
        """Files whose temperatures are ready and copied, in order of value."""
        return [path for path in self.folder.paths() if path not in self.coming]

    @property
    def output(self) -> Path:
        """The run folder."""
        return self.config.folder


def run_watch(
    config: WatchConfig,
    say: Say = lambda _: None,
    progress: Progress | None = None,
    wait: Callable[[float], None] = time.sleep,
) -> ClusterRun | None:
    """Watch until there are enough temperatures, or nothing has come for long, or an interrupt.

    Parameters
    ----------
    config : WatchConfig
    say : callable
        Is given every event as a dictionary, ready for JSON.
    progress : Progress, optional
    wait : callable
        Sleeps between two looks.

    Returns
    -------
    ClusterRun or None
        As of the last update; None if there was none.

    Raises
    ------
    OutputError
        If the run folder cannot be written, or holds something else.
    """
    watch = _begin(config, say, progress or Progress())
    state = "interrupted"
    try:
        while (reason := _look(watch)) is None:
            wait(config.every)
        state = "done"
        _tell(watch, "end", reason=reason)
        return watch.run
    finally:
        if watch.run is not None:
            _write_status(watch, state)


def _begin(config: WatchConfig, say: Say, progress: Progress) -> _Watch:
    folder, output = Path(config.inputs[0]), Path(config.output)
    if len(config.inputs) > 1:
        raise ConfigError("one folder is watched", hint="--pattern for files in folders below it")
    if folder.is_file():
        raise ConfigError("a folder is watched, this is a file", file=folder)
    _batch(config, [folder])  # options that can never do are refused at once
    ours = (output / COPIES).is_dir()
    check_output(output, [folder], force=config.force or ours)
    mirror = Mirror(output / COPIES, config.bounds[0])
    watched = WatchedFolder(
        folder,
        config.pattern,
        options=OpenOptions(entry=config.entry, group=config.group, scan=config.scan),
        rest=config.rest,
        known=mirror.known() if ours else {},
    )
    return _Watch(config, watched, mirror, say, progress)


def _look(watch: _Watch) -> str | None:
    """Look once, and renew the results if need be; the reason to end, if there is one."""
    began = time.monotonic()
    for event in watch.folder.look(began):
        _note(watch, event)
    for event in list(watch.coming.values()):
        _copy(watch, event)
    if watch.wanting and len(watch.there()) >= _FEWEST:
        _update(watch, began)
        watch.last = time.monotonic()
    return _enough(watch)


def _note(watch: _Watch, event: Event) -> None:
    """What has become of a file."""
    watch.last = time.monotonic()
    facts = {"file": str(event.path), "value": event.value, "reason": event.reason or None}
    _tell(watch, str(event.kind), **facts, same_data=event.same_data or None)
    if event.kind is EventKind.SEEN:
        return
    watch.coming.pop(event.path, None)
    if event.kind in (EventKind.READY, EventKind.CHANGED) and not event.same_data:
        watch.coming[event.path] = event
    elif event.value is not None:
        watch.wanting = True


def _copy(watch: _Watch, event: Event) -> None:
    """Copy a temperature that is ready; if it has just gone again, that is tried at the next look."""
    if event.signature is None:
        return
    try:
        with watch.progress.stage("copy"):
            watch.mirror.take(open_volume(event.path, watch.folder.options), event.signature)
    except InputError as error:
        _tell(watch, "not copied", file=str(event.path), reason=error.what)
        return
    del watch.coming[event.path]
    watch.wanting = True


def _update(watch: _Watch, began: float) -> None:
    """Cluster what there is, and renew the run folder."""
    paths = watch.there()
    config, previous = _batch(watch.config, paths), _members(watch.output)
    try:
        run = run_cluster(config, stand_in=watch.mirror.stand_in, previous=previous)
    except _NOT_YET as error:
        watch.wanting = False
        _tell(watch, "no result", reason=error.what)
        return
    watch.run, watch.wanting, watch.updates = run, False, watch.updates + 1
    watch.latency = time.monotonic() - began
    watch.updated = datetime.now(UTC).isoformat(timespec="milliseconds")
    _write_status(watch, "watching")
    _tell(watch, "update", temperatures=len(paths), clusters=len(run.clusters), latency=watch.latency)
    if watch.config.figures:
        draw_figures(watch.output / "figures", run)
    if watch.config.on_update is not None:
        _call(watch, watch.config.on_update)


def _batch(config: WatchConfig, paths: list[Path]) -> ClusterConfig:
    """The run of `xtec cluster` that renews the results; figures are drawn after them."""
    options = config.model_dump(include=set(ClusterConfig.model_fields))
    own = {"inputs": tuple(map(str, paths)), "force": True, "resume": False, "figures": False}
    return make_config({**options, **own})


def _call(watch: _Watch, command: str) -> None:
    """Run a hook with the run folder; what becomes of it is noted, and watching goes on."""
    try:
        done = subprocess.run([*shlex.split(command), str(watch.output)], check=False)
    except OSError as error:
        _tell(watch, "hook failed", reason=str(error))
        return
    if done.returncode:
        _tell(watch, "hook failed", reason=f"exit code {done.returncode}")


def _members(output: Path) -> ClusterMembers | None:
    """Which voxels are in which cluster as of the last update, in this session or an earlier one."""
    try:
        with h5py.File(output / "results.nxs", "r", locking=False) as file:
            voxels = file["entry/voxels"]
            return ClusterMembers(voxels["index"][()], voxels["label"][()])
    except (OSError, KeyError):
        return None


def _enough(watch: _Watch) -> str | None:
    """Why watching ends; None if it goes on."""
    config = watch.config
    there = len(watch.there())
    if config.until is not None and there >= config.until and not watch.wanting:
        return f"{there} temperatures"
    if config.idle is not None and time.monotonic() - watch.last >= config.idle:
        return f"nothing for {config.idle:g} s"
    return None


def _write_status(watch: _Watch, state: str) -> None:
    """How far watching is, in summary.json."""
    path = watch.output / "summary.json"
    summary = json.loads(path.read_text(encoding="utf-8"))
    status = watch.folder.status()
    summary["status"] |= {
        "state": state,
        "seen": len(watch.there()),
        "pending": {str(one): why for one, why in status.pending.items()},
        "bad": {str(one): why for one, why in (*status.bad.items(), *status.duplicates.items())},
        "gone": {str(one): why for one, why in status.gone.items()},
        "last_update": watch.updated,
        "latency": watch.latency,
        "updates": watch.updates,
    }
    write_text(path, json.dumps(summary, indent=2) + "\n")


def _tell(watch: _Watch, what: str, **facts: Any) -> None:
    told = {"event": what, "time": datetime.now(UTC).isoformat(timespec="milliseconds"), **facts}
    told = {name: fact for name, fact in told.items() if fact is not None}
    logger.info("%s", ", ".join(f"{name} {fact}" for name, fact in told.items() if name != "time"))
    watch.say(told)
