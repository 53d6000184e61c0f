"""``xtec report``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich_click as click

from xtec_cli.settings import Settings, global_options


@click.command("report")
@click.argument("run", metavar="RUN")
@click.option("-o", "--output", metavar="FILE.html", help="Where the page goes [report.html in RUN].")
@click.option(
    "--intensity/--no-intensity",
    default=None,
    help="Read the series again, for intensities in the map [if it has less than 2 GB].",
)
@global_options
@click.pass_obj
def report(settings: Settings, /, **values: Any) -> None:
    """Write RUN as one HTML page that needs no network: findings, what to doubt, curves, map, provenance.

    \b
    xtec report runs/srn0
    xtec report runs/srn0 -o srn0.html --intensity
    """
    from xtec_pipelines.report import ReportConfig
    from xtec_pipelines.validation import validated

    run_and_show(settings, validated(ReportConfig, values))


def write_after(settings: Settings, run: str) -> None:
    """Write the report of a run that another command has just written or changed."""
    from xtec_pipelines.report import ReportConfig, run_report

    path = run_report(ReportConfig(run=run))
    if not settings.json:
        click.echo(f"{path}   open it in a browser")


def run_and_show(settings: Settings, config: Any) -> None:
    """Write a report and say where it is."""
    from xtec_cli.progress import terminal_progress
    from xtec_cli.show import show_json
    from xtec_pipelines.report import run_report

    settings.start_logging()
    with terminal_progress(settings) as progress:
        path = run_report(config, progress)
    size = Path(path).stat().st_size
    if settings.json:
        show_json({"report": str(path), "bytes": size})
    else:
        seconds = sum(progress.seconds.values())
        click.echo(f"{path}   {size / 1e6:.1f} MB   in {seconds:.1f} s")
