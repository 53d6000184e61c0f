"""``xtec watch``: results that keep up with an experiment.

A folder is polled. Each temperature that is ready is copied once to local disk; then the series as it is so
far is clustered from the copies, beginning with the clusters there were, and the run folder is renewed. When
nothing more comes for a while, the same is done with a full search: that is what ``xtec cluster`` finds.
Clusters keep their numbers.
"""

from __future__ import annotations

import logging
import shlex
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from xtec.core.errors import (
    ConfigError,
    DegenerateMixtureError,
    InputError,
    NothingToClusterError,
    XtecError,
)
from xtec.core.progress import Progress
from xtec.core.results import Changes, ClusterRun
from xtec.io import OpenOptions
from xtec.io.arrivals import Event, EventKind, WatchedFolder
from xtec.io.mirror import Mirror
from xtec.io.open import join_volumes
from xtec.io.readiness import Found
from xtec.io.run_folder import check_output
from xtec.io.volume import open_volume
from xtec.operando.follow import ClusterMembers
from xtec_pipelines.cluster import cluster_series
from xtec_pipelines.following import Following
from xtec_pipelines.logbook import appended_log, logbook
from xtec_pipelines.suggest import open_sampler, suggest
from xtec_pipelines.watch_config import WatchConfig
from xtec_pipelines.watch_folder import LiveFolder, in_words

logger = logging.getLogger(__name__)

COPIES = ".watch"
"""Folder in the run folder for copies of what has arrived."""

_FEWEST = 2
"""Temperatures that can be clustered."""

_NOT_YET = (InputError, ConfigError, NothingToClusterError, DegenerateMixtureError)
"""What a series may lead to while it is short: too few trajectories for its clusters, and the like."""

Say = Callable[[dict[str, Any]], None]
"""Is told every event."""


@dataclass
class _Watch:
    """How far watching is.

    Attributes
    ----------
    results : LiveFolder
        The run folder.
    wanting : bool
        Whether temperatures have come or gone since the last update.
    unsettled : bool
        Whether the last update was not searched for.
    coming : dict
        Temperatures that are ready, and not copied yet, by file.
    uncopied : dict
        Why some of these could not be copied.
    run : ClusterRun or None
        As of the last update.
    members : ClusterMembers or None
        Of its clusters; at first those of an earlier session.
    last : float
        When something last happened.
    """

    config: WatchConfig
    folder: WatchedFolder
    mirror: Mirror
    results: LiveFolder
    say: Say
    progress: Progress
    wanting: bool = False
    unsettled: bool = False
    run: ClusterRun | None = None
    members: ClusterMembers | None = None
    last: float = field(default_factory=time.monotonic)
    coming: dict[Path, Event] = field(default_factory=dict)
    uncopied: dict[Path, str] = field(default_factory=dict)

    def there(self) -> dict[Path, Found]:
        """What is copied and not taken away, in order of value; what is being rewritten stays meanwhile."""
        return {path: found for path, found in self.folder.held().items() if path not in self.coming}


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
    ConfigError
        If options do not go together, or do not fit a folder that is watched.
    BackendUnavailableError
        If there is no such sampler.
    OutputError
        If the run folder cannot be written, or holds something else.
    """
    watch = _begin(config, say, progress or Progress())
    state = "interrupted"
    with appended_log(config.folder / "run.log"):
        try:
            while (reason := _look(watch)) is None:
                wait(config.every)
            state = "done"
            _tell(watch, "end", reason=reason)
            return watch.run
        finally:
            watch.results.publish(watch.folder.status(), len(watch.there()), state)


def _begin(config: WatchConfig, say: Say, progress: Progress) -> _Watch:
    folder, output = Path(config.inputs[0]), config.folder
    if folder.is_file():
        raise ConfigError("a folder is watched, this is a file", file=folder)
    config.batch([folder])  # options that can never do are refused at once
    if config.suggest:
        open_sampler(config)
    ours = (output / COPIES).is_dir()
    check_output(output, [folder], force=config.force or ours)
    mirror = Mirror(output / COPIES, config.bounds[0])
    mirror.prepare()
    watched = WatchedFolder(
        folder,
        config.pattern,
        options=OpenOptions(entry=config.entry, group=config.group, scan=config.scan),
        rest=config.rest,
        known=mirror.known() if ours else {},
    )
    results = LiveFolder(config, goes_on=ours)
    return _Watch(config, watched, mirror, results, say, progress, members=results.members())


def _look(watch: _Watch) -> str | None:
    """Look once, and renew the results if need be; the reason to end, if there is one."""
    began = time.monotonic()
    events = watch.folder.look(began)
    for event in events:
        _note(watch, event)
    for event in list(watch.coming.values()):
        _copy(watch, event)
    if watch.wanting and len(watch.there()) >= _FEWEST:
        _update(watch, began, warm=True)
    elif watch.unsettled and not events:
        _update(watch, began, warm=False)
    elif events:
        watch.results.publish(watch.folder.status(), len(watch.there()), "watching")
    return _enough(watch)


def _note(watch: _Watch, event: Event) -> None:
    """What has become of a file."""
    watch.last = time.monotonic()
    facts = {"file": str(event.path), "value": event.value, "units": event.units or None}
    _tell(watch, str(event.kind), **facts, reason=event.reason or None, same_data=event.same_data or None)
    if event.kind is EventKind.SEEN:
        return
    watch.coming.pop(event.path, None)
    watch.uncopied.pop(event.path, None)
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
        if watch.uncopied.get(event.path) != error.what:
            _tell(watch, "not copied", file=str(event.path), reason=error.what)
        watch.uncopied[event.path] = error.what
        return
    del watch.coming[event.path]
    watch.wanting = True


def _update(watch: _Watch, began: float, *, warm: bool) -> None:
    """Cluster what there is, and renew the run folder."""
    there = watch.there()
    threshold = None if watch.run is None else watch.run.threshold
    following = None if watch.members is None else Following(watch.members, warm, threshold)
    watch.wanting, watch.unsettled, watch.run = False, False, None  # two runs at a time take more memory
    try:
        watch.run = run = _cluster(watch, there, following)
    except _NOT_YET as error:
        _tell(watch, "no result", reason=error.what)
        return
    watch.members = ClusterMembers(run.map.index, run.map.label, len(run.clusters))
    watch.unsettled = run.mixture.n_init == 0
    watch.results.renew(run, watch.config.batch(list(there)), settled=not watch.unsettled)
    watch.last = time.monotonic()
    if warm:
        watch.results.latency = watch.last - began
    watch.results.publish(watch.folder.status(), len(there), "watching")
    facts: dict[str, Any] = {
        "temperatures": len(there),
        "clusters": sum(one.voxels > 0 for one in run.clusters),
    }
    changes = run.changes or Changes()
    facts |= {"new": list(changes.new) or None, "gone": list(changes.gone) or None}
    facts["latency"] = round(watch.results.latency, 3) if warm and watch.results.latency else None
    _tell(watch, "update" if warm else "settled", **facts)
    _after(watch, run, there)


def _cluster(watch: _Watch, there: dict[Path, Found], following: Following | None) -> ClusterRun:
    region, temperatures = watch.config.bounds
    volumes = [found.volume for found in there.values()]
    series = join_volumes(
        volumes, region=region, temperatures=temperatures, options=watch.config.open_options
    )
    copy, config = watch.mirror.stand_in(series), watch.config.batch(list(there))
    with logbook() as book:
        return cluster_series(series, config, Progress(), book, copy=copy, following=following)


def _after(watch: _Watch, run: ClusterRun, there: dict[Path, Found]) -> None:
    """What need not be in time: figures, the next temperatures, a hook."""
    watch.results.draw(run)
    if watch.config.suggest:
        by_time = sorted(there.values(), key=lambda found: found.signature.mtime_ns)
        measured = [found.value for found in by_time if found.value in run.curves.scan.values]
        try:
            watch.results.suggestions = suggest(watch.config, run, measured)
        except XtecError as error:
            _tell(watch, "no suggestion", reason=error.what)
        for one in watch.results.suggestions:
            _tell(watch, "suggestion", **one)
    watch.results.publish(watch.folder.status(), len(there), "watching")
    if watch.config.on_update is not None:
        _call(watch, watch.config.on_update)


def _call(watch: _Watch, command: str) -> None:
    """Run a hook with the run folder; what becomes of it is noted, and watching goes on."""
    try:
        done = subprocess.run([*shlex.split(command), str(watch.config.folder)], check=False)
    except OSError as error:
        _tell(watch, "hook failed", reason=str(error))
        return
    if done.returncode:
        _tell(watch, "hook failed", reason=f"exit code {done.returncode}")


def _enough(watch: _Watch) -> str | None:
    """Why watching ends; None if it goes on."""
    config, ready = watch.config, len(watch.there().keys() & set(watch.folder.paths()))
    due = watch.wanting or watch.unsettled
    if config.until is not None and ready >= config.until and not due:
        return f"{ready} temperatures"
    if config.idle is not None and time.monotonic() - watch.last >= config.idle:
        return f"nothing for {config.idle:g} s"
    return None


def _tell(watch: _Watch, what: str, **facts: Any) -> None:
    told = {"event": what, "time": datetime.now(UTC).isoformat(timespec="milliseconds"), **facts}
    told = {name: fact for name, fact in told.items() if fact is not None}
    logger.info("%s %s", what, in_words(told))
    watch.results.note(told)
    watch.say(told)
