"""``xtec watch``: results that keep up with an experiment.

A folder is polled. Each temperature that is ready is copied once to local disk; then the series as it is so
far is clustered from the copies, beginning with the clusters there were, and the run folder is renewed. When
nothing more comes for a while, the same is done with a full search: that is what ``xtec cluster`` finds.
Clusters keep their numbers.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from xtec.core.errors import (
    ConfigError,
    DegenerateMixtureError,
    InputError,
    NothingToClusterError,
    OutputError,
    XtecError,
)
from xtec.core.progress import Progress
from xtec.core.results import Changes, ClusterRun
from xtec.io import OpenOptions
from xtec.io.arriving.arrivals import WatchedFolder
from xtec.io.arriving.mirror import Mirror
from xtec.io.arriving.readiness import Found, Signature
from xtec.io.disk.sole_use import sole_use
from xtec.io.reading.open import join_volumes
from xtec.io.run.folder import check_output
from xtec.operando.follow import ClusterMembers
from xtec_pipelines.cluster import cluster_series
from xtec_pipelines.clustering.following import Following
from xtec_pipelines.logbook import appended_log, logbook
from xtec_pipelines.watching.config import WatchConfig
from xtec_pipelines.watching.copies import Copies
from xtec_pipelines.watching.folder import LiveFolder, in_words
from xtec_pipelines.watching.hook import call_hook
from xtec_pipelines.watching.suggest import open_sampler, suggest

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
    tried : dict
        What the last update was made of: versions of temperatures by value.
    unsettled : bool
        Whether the last update was not searched for.
    run : ClusterRun or None
        As of the last update.
    members : ClusterMembers or None
        Of its clusters; at first those of an earlier session.
    last : float
        When something last happened.
    trouble : str
        What was last said of a run folder that cannot be written.
    """

    config: WatchConfig
    folder: WatchedFolder
    copies: Copies
    results: LiveFolder
    say: Say
    tried: dict[float, Signature] = field(default_factory=dict)
    unsettled: bool = False
    run: ClusterRun | None = None
    members: ClusterMembers | None = None
    last: float = field(default_factory=time.monotonic)
    trouble: str = ""

    def wanted(self) -> dict[Path, Found]:
        """Temperatures within the interval asked for, in order of value; what is being rewritten stays."""
        low, high = self.config.bounds[1] or (-np.inf, np.inf)
        return {path: found for path, found in self.folder.held().items() if low <= found.value <= high}

    def versions(self) -> dict[float, Signature]:
        """Copies that there are of these, by value; of an earlier version until there is one of the last."""
        return self.copies.versions(self.wanted())

    @property
    def due(self) -> bool:
        """Whether an update is to be made."""
        versions = self.versions()
        return len(versions) >= _FEWEST and versions != self.tried


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
        As of the last update; None if the last one had no result.

    Raises
    ------
    ConfigError
        If options do not go together, or do not fit a folder that is watched.
    BackendUnavailableError
        If there is no such sampler.
    NothingToClusterError
        If nothing could be clustered until the end.
    OutputError
        If the run folder holds something else.
    """
    results, state = _open(config), "interrupted"
    with sole_use(config.folder):
        watch = _begin(config, results, say, progress or Progress())
        with appended_log(config.folder / "run.log"):
            _tell(watch, "start", folder=str(watch.folder.path), reason=_not_there(watch.folder.path))
            try:
                while (reason := _look(watch)) is None:
                    wait(config.every)
                state = "done"
                _tell(watch, "end", reason=reason)
            finally:
                _publish(watch, state)
    if not watch.results.updates:
        hint = "run.log has what became of every file"
        raise NothingToClusterError("there is nothing to cluster yet", file=watch.folder.path, hint=hint)
    return watch.run


def _open(config: WatchConfig) -> LiveFolder:
    """The run folder, if one can be watched into it; nothing is made."""
    folder, output = Path(config.inputs[0]), config.folder
    if folder.is_file():
        raise ConfigError("a folder is watched, this is a file", file=folder)
    if folder.resolve() in (output.resolve(), *output.resolve().parents):
        raise OutputError("results are never put among the input", file=folder, hint="another folder with -o")
    config.batch([folder])  # options that can never do are refused at once
    if config.suggest:
        open_sampler(config)
    results = LiveFolder(config, folder)
    check_output(output, [folder], force=config.force or results.goes_on or (output / COPIES).is_dir())
    return results


def _begin(config: WatchConfig, results: LiveFolder, say: Say, progress: Progress) -> _Watch:
    mirror = Mirror(config.folder / COPIES, config.bounds[0])
    mirror.prepare()
    options = OpenOptions(
        entry=config.entry, group=config.group, scan=config.scan, allow_external=config.allow_external
    )
    known = mirror.known()
    watched = WatchedFolder(config.inputs[0], config.pattern, options=options, rest=config.rest, known=known)
    copies = Copies(mirror, options, progress)
    return _Watch(config, watched, copies, results, say, members=results.members())


def _not_there(folder: Path) -> str | None:
    return None if folder.is_dir() else "it is not there yet"


def _look(watch: _Watch) -> str | None:
    """Look once, and renew the results if need be; the reason to end, if there is one."""
    began = time.monotonic()
    events = watch.folder.look(began)
    for event in events:
        facts = {"file": str(event.path), "value": event.value, "units": event.units or None}
        _tell(watch, str(event.kind), **facts, reason=event.reason or None, same_data=event.same_data or None)
        watch.last = time.monotonic()
    watch.copies.renew(
        watch.wanted(), began, lambda path, why: _tell(watch, "not copied", file=str(path), reason=why)
    )
    if watch.due:
        _update(watch, began, warm=True)
    elif watch.unsettled and not events:
        _update(watch, began, warm=False)
    elif events:
        _publish(watch, "watching")
    return _enough(watch)


def _update(watch: _Watch, began: float, *, warm: bool) -> None:
    """Cluster what there is, and renew the run folder."""
    versions = watch.versions()
    there = {path: found for path, found in watch.wanted().items() if found.value in versions}
    threshold = None if watch.run is None else watch.run.threshold
    following = None if watch.members is None else Following(watch.members, warm, threshold)
    watch.tried, watch.unsettled, watch.run = versions, False, None  # two runs at a time take more memory
    try:
        watch.run = run = _cluster(watch, there, following)
        watch.results.renew(run, watch.config.batch(list(there)), settled=run.mixture.n_init > 0)
    except OutputError as error:
        watch.tried = {}
        _complain(watch, error)
        return
    except _NOT_YET as error:
        _tell(watch, "no result", file=error.file, reason=error.what)
        return
    if warm:
        watch.results.latency = time.monotonic() - began
    watch.members = ClusterMembers(run.map.index, run.map.label, len(run.clusters))
    watch.unsettled = run.mixture.n_init == 0
    watch.results.measured(there.values())
    _publish(watch, "watching")
    facts: dict[str, Any] = {
        "temperatures": len(there),
        "clusters": sum(one.voxels > 0 for one in run.clusters),
    }
    changes = run.changes or Changes()
    facts |= {"new": list(changes.new) or None, "gone": list(changes.gone) or None}
    facts["latency"] = round(watch.results.latency, 3) if warm and watch.results.latency else None
    _tell(watch, "update" if warm else "settled", **facts)
    _after(watch, run)
    watch.last = time.monotonic()


def _cluster(watch: _Watch, there: dict[Path, Found], following: Following | None) -> ClusterRun:
    region, temperatures = watch.config.bounds
    volumes = [found.volume for found in there.values()]
    series = join_volumes(
        volumes, region=region, temperatures=temperatures, options=watch.config.open_options
    )
    copy, config = watch.copies.mirror.stand_in(series), watch.config.batch(list(there))
    with logbook() as book:
        return cluster_series(series, config, Progress(), book, copy=copy, following=following)


def _after(watch: _Watch, run: ClusterRun) -> None:
    """What need not be in time: figures, the next temperatures, a hook."""
    try:
        watch.results.draw(run)
    except OutputError as error:
        _complain(watch, error)
    if watch.config.suggest:
        watch.results.suggestions = []
        values = run.curves.scan.values
        measured = [value for value in watch.results.order if value in values]
        try:
            watch.results.suggestions = suggest(watch.config, run, measured)
        except XtecError as error:
            _tell(watch, "no suggestion", reason=error.what)
        for one in watch.results.suggestions:
            _tell(watch, "suggestion", **one)
    _publish(watch, "watching")
    if watch.config.on_update is not None:
        failure = call_hook(watch.config.on_update, watch.config.folder, watch.config.on_update_limit)
        if failure:
            _tell(watch, "hook failed", reason=failure)


def _publish(watch: _Watch, state: str) -> None:
    """Say in the run folder how far watching is."""
    try:
        watch.results.publish(watch.folder.status(), watch.copies.failures, len(watch.versions()), state)
        watch.trouble = ""
    except OutputError as error:
        _complain(watch, error)


def _complain(watch: _Watch, error: OutputError) -> None:
    """Say once that the run folder cannot be written: that may pass, and is tried again."""
    if watch.trouble != error.what:
        watch.trouble = error.what
        _tell(watch, "not written", file=error.file, reason=error.what)


def _enough(watch: _Watch) -> str | None:
    """Why watching ends; None if it goes on."""
    config, versions, ready = watch.config, watch.versions(), set(watch.folder.paths())
    wanted = [found for path, found in watch.wanted().items() if path in ready]
    seen = sum(versions.get(found.value) == found.signature for found in wanted)
    if watch.due or watch.unsettled:
        return None
    if config.until is not None and seen >= config.until:
        return f"{seen} temperatures"
    if config.idle is not None and time.monotonic() - watch.last >= config.idle:
        return f"nothing for {config.idle:g} s"
    return None


def _tell(watch: _Watch, what: str, **facts: Any) -> None:
    told = {"event": what, "time": datetime.now(UTC).isoformat(timespec="milliseconds"), **facts}
    told = {name: fact for name, fact in told.items() if fact is not None}
    logger.info("%s %s", what, in_words(told))
    watch.results.note(told)
    watch.say(told)
