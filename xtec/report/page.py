"""The report of a run: one page that needs no network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from markupsafe import Markup

from xtec.core.axes import Axis
from xtec.core.json_text import json_text
from xtec.core.palette import cluster_color
from xtec.report.templates import source, template
from xtec.report.volumes import IntensityVolume, LabelVolume, packed
from xtec.report.words import LEAST_CERTAIN, boundaries, diagram_doubts, doubts, findings, vector_text

_SCRIPT, _STYLE = "page.js", "page.css"


@dataclass(frozen=True)
class Plane:
    """How the map is cut and drawn when two of its axes are shown.

    Attributes
    ----------
    fixed : int or None
        The axis that is not shown; None for a map of two axes.
    x, y : int
        Those that are, x to the right.
    width, height : float
        Length of one unit of x and of y, in a common unit; 0 where they cannot be compared.
    angle : float
        From x to y, in degrees.
    """

    fixed: int | None
    x: int
    y: int
    width: float
    height: float
    angle: float


@dataclass(frozen=True)
class Report:
    """What a report shows.

    Attributes
    ----------
    title : str
    summary : mapping
        What summary.json holds.
    command : str
        The line that repeats the run.
    recipe : str
        The text of run.toml.
    provenance : mapping
        Names and values: versions, dates, seconds.
    inputs : sequence of mapping
        Files, their sizes and checksums.
    axes : sequence of Axis
        Of the map, one to three of them.
    scan : Axis
    planes : sequence of Plane
        Empty for a map of one axis.
    labels : LabelVolume
    intensities : IntensityVolume or None
        Where the series was read again.
    curves : mapping of str to str
        SVG of what clusters do, by title; lines carry ``data-cluster``.
    figures : mapping of str to (str, bytes)
        Caption and PNG of the other figures, by section.
    note : str
        Why there are no intensities.
    """

    title: str
    summary: Mapping[str, Any]
    command: str
    recipe: str
    provenance: Mapping[str, Any]
    inputs: Sequence[Mapping[str, Any]]
    axes: Sequence[Axis]
    scan: Axis
    planes: Sequence[Plane]
    labels: LabelVolume
    intensities: IntensityVolume | None = None
    curves: Mapping[str, str] = field(default_factory=dict)
    figures: Mapping[str, Sequence[tuple[str, bytes]]] = field(default_factory=dict)
    note: str = ""


def render(report: Report) -> str:
    """The page as text.

    Everything that came from files is escaped; the only script that a browser runs is ours, held by its hash.
    """
    probability = report.labels.probability
    uncertain = float((probability < 255 * LEAST_CERTAIN).mean()) if probability.size else 0.0
    script, style = source(_SCRIPT), source(_STYLE)
    return template("page.html").render(
        title=report.title,
        report=report,
        summary=report.summary,
        found=findings(report.summary),
        doubted=doubts(report.summary, uncertain),
        colors={one["number"]: cluster_color(one["number"]) for one in report.summary["clusters"]},
        curves={title: Markup(svg) for title, svg in report.curves.items()},
        figures={
            section: [(caption, base64.b64encode(image).decode("ascii")) for caption, image in images]
            for section, images in report.figures.items()
        },
        vector_text=vector_text,
        style=Markup(style),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
        data=Markup(_as_json(_map_data(report))),
    )


def render_diagram(
    summary: Mapping[str, Any], *, command: str, recipe: str, figures: Sequence[tuple[str, bytes]]
) -> str:
    """The page of a phase diagram.

    Parameters
    ----------
    summary : mapping
        What its summary.json holds.
    command : str
        The line that repeats it.
    recipe : str
        The text of run.toml.
    figures : sequence of (str, bytes)
        Captions and PNG images.
    """
    diagram = summary["phase_diagram"]
    return template("diagram.html").render(
        title=f"Phase diagram: {diagram['variable'].replace('_', ' ')}",
        diagram=diagram,
        found=boundaries(summary),
        doubted=diagram_doubts(summary),
        command=command,
        recipe=recipe,
        figures=[(caption, base64.b64encode(image).decode("ascii")) for caption, image in figures],
        style=Markup(source(_STYLE)),
    )


def _map_data(report: Report) -> dict[str, Any]:
    """What the script draws."""
    intensities = report.intensities
    return {
        "axes": [_axis(axis) for axis in report.axes],
        "planes": [asdict(plane) for plane in report.planes],
        "colors": [cluster_color(one["number"]) for one in report.summary["clusters"]],
        "labels": {
            "factors": report.labels.factors,
            "shape": report.labels.label.shape,
            "bytes": report.labels.label.itemsize,
            "label": packed(report.labels.label),
            "probability": packed(report.labels.probability),
        },
        "intensities": intensities
        and {
            "factors": intensities.factors,
            "shape": intensities.level.shape,
            "scan": report.scan.values[intensities.rows].tolist(),
            "units": report.scan.units,
            "name": report.scan.name,
            "low": intensities.low,
            "high": intensities.high,
            "level": packed(intensities.level),
        },
    }


def _axis(axis: Axis) -> dict[str, Any]:
    name, _, _ = axis.label.partition(" (")
    return {"name": name, "units": axis.units, "values": [float(f"{x:.8g}") for x in axis.values]}


def _as_json(values: Any) -> str:
    """JSON that may stand in a script element: nothing in it can end the element."""
    return json_text(values, compact=True).replace("<", "\\u003c").replace(">", "\\u003e")
