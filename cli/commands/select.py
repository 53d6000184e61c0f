"""``xtec select``."""

from __future__ import annotations

from typing import Any

import rich_click as click

from xtec_cli.commands.cluster import run_and_show
from xtec_cli.options import (
    cluster_options,
    input_options,
    mixture_options,
    output_options,
    plugin_options,
    work_options,
)
from xtec_cli.settings import Settings, global_options


@click.command("select", context_settings={"default_map": {"clusters": "auto"}})
@input_options
@output_options
@cluster_options
@mixture_options
@plugin_options
@work_options
@global_options
@click.pass_obj
def select(settings: Settings, **values: Any) -> None:
    """Choose the number of clusters: sweep, curves, one recommendation and its reason; then cluster with it.

    \b
    xtec select srn0_XTEC.nxs -o runs/srn0
    xtec select srn0_XTEC.nxs -o runs/srn0 -k 2:8 --mode s
    """
    from xtec_pipelines.config import make_config

    config = make_config(values)
    if isinstance(config.clusters, int):
        raise click.UsageError("a range or auto is needed to choose from: -k 2:8")
    run_and_show(settings, config, sweep=True)
