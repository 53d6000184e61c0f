"""The run folder of a watch: renewed file by file, each whole at all times."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py

from xtec.core.errors import InputError, OutputError
from xtec.core.palette import cluster_color
from xtec.core.results import ClusterRun
from xtec.io import write_results
from xtec.io.arriving.events import Status
from xtec.io.arriving.readiness import Found
from xtec.io.disk.atomic import write_json, write_text
from xtec.io.run.folder import create_folder, read_summary
from xtec.operando.follow import ClusterMembers
from xtec.report import live_page
from xtec_pipelines.config import ClusterConfig, dump_recipe
from xtec_pipelines.run_folder import draw_figures, summary, write_learned
from xtec_pipelines.watching.config import WatchConfig

_EVENTS = 15
"""Events that the page shows."""

_SOURCE = ("pattern", "region", "entry", "group", "scan")
"""Options that decide which voxels of which files results are of."""

_FIGURES = {
    "average_intensity": "average intensity",
    "trajectories": "rescaled trajectories",
    "qmap": "clusters in reciprocal space",
    "threshold": "threshold",
}
"""What the page shows of figures/."""


def in_words(event: Mapping[str, Any]) -> str:
    """What an event says, for a person; its kind and time stand beside it."""
    parts = []
    if "value" in event:
        parts.append(f"{event['value']:g} {event.get('units', '')}".rstrip())
    if "file" in event:
        parts.append(Path(event["file"]).name)
    if "folder" in event:
        parts.append(event["folder"])
    parts += [f"{event[name]} {name}" for name in ("temperatures", "clusters") if name in event]
    parts += [f"{name} {', '.join(map(str, event[name]))}" for name in ("new", "gone") if name in event]
    if "latency" in event:
        parts.append(f"after {event['latency']:.2f} s")
    if event.get("same_data"):
        parts.append("as it was")
    words = ", ".join(parts)
    return ": ".join(filter(None, (words, event.get("reason", ""))))


class LiveFolder:
    """Results of the last update, with the state of the watch.

    Parameters
    ----------
    config : WatchConfig
    watched : Path
        The folder that is watched.

    Attributes
    ----------
    goes_on : bool
        Whether there are results of an earlier session.
    latency : float or None
        Seconds from seeing the last temperature ready to its results.
    suggestions : list of dict
        Temperatures to measure next.
    order : list of float
        Temperatures as they were measured: in the order of updates, and of the times of files within one.

    Raises
    ------
    OutputError
        If the results are of another folder or grid, and not to be replaced (``config.force``).
    """

    def __init__(self, config: WatchConfig, watched: Path) -> None:
        self.config, self.path, self.goes_on = config, config.folder, False
        self.latency: float | None = None
        self.suggestions: list[dict[str, Any]] = []
        self.order: list[float] = []
        self._events: deque[dict[str, Any]] = deque(maxlen=_EVENTS)
        self._summary: dict[str, Any] = {}
        self._own: dict[str, Any] = {"updates": 0, "settled": False, "last_update": None, "changes": []}
        self._source = {"folder": str(watched.resolve())}
        self._source |= {name: getattr(config, name) for name in _SOURCE}
        with suppress(InputError):
            self._go_on(read_summary(self.path))

    def _go_on(self, summary: dict[str, Any]) -> None:
        status = summary.get("status", {})
        if "source" not in status:
            return
        if status["source"] != self._source:
            if self.config.force:
                return
            there = status["source"]["folder"]
            raise OutputError(
                f"the results here are of another folder, region or group ({there})",
                file=self.path,
                hint="--force to replace them, or another folder with -o",
            )
        self.goes_on, self._summary = True, summary
        self.suggestions = summary.get("suggestions", []) if self.config.suggest else []
        self.latency, self.order = status.get("latency"), list(status.get("order", []))
        self._own |= {name: status[name] for name in self._own if name in status}

    @property
    def updates(self) -> int:
        """How often results were renewed, in earlier sessions too."""
        return int(self._own["updates"])

    def measured(self, there: Iterable[Found]) -> None:
        """Take note of temperatures that are in the results."""
        new = [one for one in there if one.value not in self.order]
        self.order += [one.value for one in sorted(new, key=lambda one: one.signature.mtime_ns)]

    def members(self) -> ClusterMembers | None:
        """Which voxels are in which cluster as of the last update."""
        if not self._summary:
            return None
        try:
            with h5py.File(self.path / "results.nxs", "r", locking=False) as file:
                voxels, highest = file["entry/voxels"], len(file["entry/mixture/weights"])
                return ClusterMembers(voxels["index"][()], voxels["label"][()], highest)
        except (OSError, KeyError):
            return None

    def note(self, event: dict[str, Any]) -> None:
        """Remember an event for the page."""
        self._events.appendleft(event)

    def renew(self, run: ClusterRun, config: ClusterConfig, *, settled: bool) -> None:
        """Write the results of an update.

        Raises
        ------
        OutputError
            If they cannot be written.
        """
        create_folder(self.path, figures=config.figures, renew=True)
        write_results(self.path / "results.nxs", run)
        write_learned(self.path, run)
        write_text(self.path / "run.toml", dump_recipe(config))
        self._summary = summary(run)
        self._own["updates"] += 1
        self._own |= {"settled": settled, "last_update": datetime.now(UTC).isoformat(timespec="milliseconds")}
        if run.changes is not None and (run.changes.new or run.changes.gone):
            change = {"update": self._own["updates"], "temperatures": len(run.curves.scan)}
            change |= {"new": list(run.changes.new), "gone": list(run.changes.gone)}
            self._own["changes"] = [*self._own["changes"], change]

    def draw(self, run: ClusterRun) -> None:
        """Renew the figures, if they are wanted."""
        if self.config.figures:
            draw_figures(self.path / "figures", run)

    def publish(self, status: Status, uncopied: Mapping[Path, str], seen: int, state: str) -> None:
        """Write summary.json and report.html with the state of the watch; nothing before the first update.

        Parameters
        ----------
        status : Status
            Of the watched folder.
        uncopied : mapping of Path to str
            Files that are ready and could not be read, with the reason.
        seen : int
            Temperatures that are in the results, or will be in the next.
        state : {"watching", "done", "interrupted"}
        """
        if not self._summary:
            return
        self._summary["status"] |= {
            "state": state,
            "seen": seen,
            "pending": {str(one): why for one, why in status.pending.items()},
            "bad": {str(one): why for one, why in {**status.bad, **status.duplicates, **uncopied}.items()},
            "gone": {str(one): why for one, why in status.gone.items()},
            "problem": status.problem or None,
            "latency": self.latency,
            "order": self.order,
            "source": self._source,
            **self._own,
        }
        self._summary["suggestions"] = self.suggestions
        write_json(self.path / "summary.json", self._summary)
        write_text(self.path / "report.html", self._page())

    def _page(self) -> str:
        figures = {}
        for name, what in _FIGURES.items() if self.config.figures else ():
            with suppress(OSError):
                figures[what] = (self.path / "figures" / f"{name}.png").read_bytes()
        colors = {one["number"]: cluster_color(one["number"]) for one in self._summary["clusters"]}
        events = [{**one, "words": in_words(one)} for one in self._events]
        return live_page(
            self._summary, colors=colors, figures=figures, events=events, reload=self.config.every
        )
