"""A run as a cell of a notebook shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xtec.core.axes import Axis
from xtec.report.templates import template
from xtec.report.words import findings


def run_cell(
    summary: Mapping[str, Any], *, name: str, scan: Axis, colors: Mapping[int, str], tree: str
) -> str:
    """A piece of HTML without scripts.

    Parameters
    ----------
    summary : mapping
        What summary.json holds.
    name : str
        Of the run.
    scan : Axis
        Temperatures, or what was scanned.
    colors : mapping of int to str
        Of each cluster, ``#rrggbb``.
    tree : str
        HTML to be folded below it.
    """
    return template("cell.html").render(
        summary=summary,
        name=name,
        scan=scan,
        clusters=[one for one in summary["clusters"] if one["voxels"]],
        colors=colors,
        lines=findings(summary),
        warnings=summary["status"].get("warnings", []),
        tree=tree,
    )
