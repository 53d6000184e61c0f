"""``xtec order-parameter``."""

from __future__ import annotations

from typing import Any

import rich_click as click

from xtec_cli.options import report_option
from xtec_cli.settings import Settings, global_options


@click.command("order-parameter")
@click.argument("run", metavar="RUN")
@click.option("--per-peak", is_flag=True, help="The onset of every peak as well: peak_onsets.csv.")
@click.option(
    "--symmetry", metavar="GROUP", help="Space group or Laue group, for stars [told by the file or the cell]."
)
@click.option(
    "--method", metavar="NAME", help="Plugin that reads the curves, NAME[:key=value,...] [power laws]."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draws of peaks for intervals.")
@click.option("--figures/--no-figures", default=True, help="Draw figures [yes].")
@global_options
@click.pass_obj
@report_option
def order_parameter(settings: Settings, **values: Any) -> None:
    """Tell which clusters of RUN order: Tc, beta, wave vectors, with 95 % intervals.

    Adds order_parameter.nxs, .csv, peaks.csv, wave_vectors.csv and figures to RUN, and to its summary.json.

    \b
    xtec order-parameter runs/srn0
    xtec order-parameter runs/srn0 --per-peak --symmetry Pm-3n
    xtec order-parameter runs/srn0 --method gp-order-parameter
    """
    from xtec_pipelines.order_parameter import OrderConfig
    from xtec_pipelines.validation import validated

    run_and_show(settings, validated(OrderConfig, values))


def run_and_show(settings: Settings, config: Any) -> None:
    """Find order parameters and show their table (or the summary as JSON)."""
    from xtec_cli.progress import terminal_progress
    from xtec_cli.show import show_json
    from xtec_cli.show_findings import show_order
    from xtec_pipelines.order_parameter import order_summary, run_order_parameter

    settings.start_logging()
    with terminal_progress(settings) as progress:
        findings = run_order_parameter(config, progress)
    if settings.json:
        show_json({"run": config.run, **order_summary(findings)})
    else:
        show_order(findings, config.run, progress.seconds)
