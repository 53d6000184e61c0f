"""The page of a run that is still going on: it shows the last update and loads itself again."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from xtec.report.templates import template


def live_page(
    summary: Mapping[str, Any],
    *,
    colors: Mapping[int, str],
    figures: Mapping[str, bytes],
    events: Sequence[Mapping[str, Any]],
    reload: float,
) -> str:
    """One self-contained page.

    Parameters
    ----------
    summary : mapping
        What summary.json has of a run that is watched.
    colors : mapping of int to str
        Of each cluster, ``#rrggbb``.
    figures : mapping of str to bytes
        PNG images by what they show.
    events : sequence of mapping
        The last events, the newest first.
    reload : float
        Seconds after which a browser loads the page again; it does so while the run goes on.
    """
    images = {name: base64.b64encode(image).decode("ascii") for name, image in figures.items()}
    return template("live.html").render(
        summary=summary,
        status=summary["status"],
        clusters=[one for one in summary["clusters"] if one["voxels"]],
        colors=colors,
        images=images,
        events=events,
        reload=max(int(reload), 1) if summary["status"]["state"] == "watching" else None,
    )
