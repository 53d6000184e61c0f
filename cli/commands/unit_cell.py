"""``xtec unit-cell``."""

from __future__ import annotations

from typing import Any

import rich_click as click

from xtec_cli.options import report_option
from xtec_cli.settings import Settings, global_options


@click.command("unit-cell")
@click.argument("run", metavar="RUN")
@click.option("--space-group", metavar="SYMBOL", help="Of the high-temperature phase, as Fd-3m [the file's].")
@click.option(
    "--class",
    "classes",
    multiple=True,
    metavar="EXPRESSION",
    help='Another class of reflections: "h%4==2 and k%4==0". May be given several times.',
)
@click.option(
    "--broken-symmetry",
    is_flag=True,
    help="Also tell which operations of the space group are broken, and the largest subgroup left.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draws of peaks for intervals.")
@click.option("--figures/--no-figures", default=True, help="Draw figures [yes].")
@global_options
@click.pass_obj
@report_option
def unit_cell(settings: Settings, **values: Any) -> None:
    """Tell order inside the unit cell of RUN: reflection classes against clusters, selection rules, halos.

    Adds unit_cell.nxs, tables as CSV and figures to RUN, and to its summary.json.

    \b
    xtec unit-cell runs/cd2re2o7 --space-group Fd-3m
    xtec unit-cell runs/cd2re2o7 --class "h%4==2 and k%4==0 and l%4==0"
    xtec unit-cell runs/cd2re2o7 --space-group Fd-3m --broken-symmetry
    """
    from xtec_pipelines.unit_cell import UnitCellConfig
    from xtec_pipelines.validation import validated

    run_and_show(settings, validated(UnitCellConfig, values))


def run_and_show(settings: Settings, config: Any) -> None:
    """Find order inside the unit cell and show its tables (or the summary as JSON)."""
    from xtec_cli.progress import terminal_progress
    from xtec_cli.show import show_json
    from xtec_cli.show_findings import show_unit_cell
    from xtec_pipelines.unit_cell import run_unit_cell, unit_cell_summary

    settings.start_logging()
    with terminal_progress(settings) as progress:
        findings = run_unit_cell(config, progress)
    if settings.json:
        show_json({"run": config.run, **unit_cell_summary(findings)})
    else:
        show_unit_cell(findings, config.run, progress.seconds)
