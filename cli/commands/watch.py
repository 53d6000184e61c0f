"""``xtec watch``."""

from __future__ import annotations

from functools import partial
from typing import Any

import rich_click as click

from xtec_cli.options import (
    cluster_options,
    input_options,
    mixture_options,
    output_options,
    own_options,
    plugin_options,
    work_options,
)
from xtec_cli.settings import Settings, global_options


@click.command("watch")
@partial(input_options, inputs_required=True)
@output_options
@own_options(
    "Watching",
    click.option(
        "--pattern", metavar="GLOB", help="Files to watch in DIR, such as '*/*.nxs' [those of NXRefine]."
    ),
    click.option("--every", metavar="TIME", default="10s", show_default=True, help="Between two looks."),
    click.option(
        "--rest", metavar="TIME", default="5s", show_default=True, help="Files must not change for so long."
    ),
    click.option("--until", type=int, metavar="N", help="End after so many temperatures."),
    click.option("--idle", metavar="TIME", help="End after so long without anything new, such as 2h."),
    click.option("--suggest", type=int, default=0, metavar="N", help="Say which N values to measure next."),
    click.option("--range", "suggest_range", metavar="LOW:HIGH", help="Within these."),
    click.option(
        "--step", "suggest_step", type=float, default=1.0, show_default=True, help="In steps of so much."
    ),
    click.option(
        "--direction",
        "suggest_direction",
        type=click.Choice(["either", "cooling", "warming"]),
        default="either",
        show_default=True,
        help="The last two: only below, or above, what was measured last.",
    ),
    click.option(
        "--budget", "suggest_budget", type=int, metavar="N", help="Of the whole experiment [--until, or 12]."
    ),
    click.option(
        "--sampler",
        metavar="NAME",
        default="gp",
        show_default=True,
        help="Plug-in that suggests, NAME[:key=value,...].",
    ),
    click.option("--on-update", metavar="CMD", help="Run this with the run folder after every update."),
    click.option(
        "--on-update-limit",
        metavar="TIME",
        default="10m",
        show_default=True,
        help="It is ended when it takes longer.",
    ),
)
@cluster_options
@mixture_options
@plugin_options
@work_options
@global_options
@click.pass_obj
def watch(settings: Settings, /, **values: Any) -> None:
    """Keep results up with an experiment whose temperatures arrive in a folder.

    INPUT is one folder. Each temperature that is complete is read once, and the run folder is renewed;
    clusters keep their numbers. Started again with the same RUN, it goes on where it was.

    \b
    xtec watch nxrefine/SrRhSn/cubic -o runs/live --until 24
    xtec watch scans -o runs/live --pattern "*.h5" --idle 2h --on-update ./notify.sh
    xtec watch scans -o runs/live --suggest 2 --range 30:300 --step 2 --direction cooling
    """
    from xtec_pipelines.validation import validated
    from xtec_pipelines.watching.config import WatchConfig

    run_and_show(settings, validated(WatchConfig, values))


def run_and_show(settings: Settings, config: Any) -> None:
    """Watch, tell every event (or print it as JSON), and show the clusters in the end."""
    from xtec_cli.progress import terminal_progress
    from xtec_cli.show import show_run
    from xtec_pipelines.watch import run_watch

    settings.start_logging()
    with terminal_progress(settings) as progress:
        run = run_watch(config, partial(_say, settings), progress)
    if run is not None and not settings.json:
        show_run(run, config.folder, run.process["timings"])


def _say(settings: Settings, event: dict[str, Any]) -> None:
    """A line for each event: JSON, or words for people."""
    from xtec_cli.show import show_json

    if settings.json:
        show_json(event)
        return
    if settings.quiet:
        return
    from datetime import datetime

    from xtec_pipelines.watching.folder import in_words

    time = datetime.fromisoformat(event["time"]).astimezone()
    click.echo(f"{time:%H:%M:%S} {event['event']:<10} {in_words(event)}".rstrip())
