"""``xtec select``."""

from __future__ import annotations

from typing import Any

import rich_click as click

from xtec_cli.commands import cluster
from xtec_cli.options import (
    cluster_options,
    dry_run_option,
    input_options,
    mixture_options,
    output_options,
    plugin_options,
    report_option,
    work_options,
)
from xtec_cli.settings import Settings, global_options


@click.command("select", context_settings={"default_map": {"clusters": "auto"}})
@input_options
@output_options
@dry_run_option
@cluster_options
@mixture_options
@plugin_options
@work_options
@global_options
@click.pass_obj
@report_option
def select(settings: Settings, *, dry_run: bool, **values: Any) -> None:
    """Choose the number of clusters: sweep, curves, one recommendation and its reason; then cluster with it.

    \b
    xtec select srn0_XTEC.nxs -o runs/srn0
    xtec select srn0_XTEC.nxs -o runs/srn0 -k 2:8 --mode s
    """
    from xtec_pipelines.config import make_config

    config = make_config(values)
    if isinstance(config.clusters, int):
        raise click.UsageError("a range or auto is needed to choose from: -k 2:8")
    (cluster.rehearse_and_show if dry_run else run_and_show)(settings, config)


def run_and_show(settings: Settings, config: Any) -> None:
    """Choose the number of clusters, cluster, and show both."""
    cluster.run_and_show(settings, config, sweep=True)
