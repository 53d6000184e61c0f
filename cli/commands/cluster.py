"""``xtec cluster``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import rich_click as click

from xtec_cli.options import (
    cluster_options,
    dry_run_option,
    input_options,
    mixture_options,
    output_options,
    plugin_options,
    report_option,
    second_pass_options,
    work_options,
)
from xtec_cli.settings import Settings, global_options


@click.command("cluster")
@partial(input_options, inputs_required=False)
@output_options
@dry_run_option
@second_pass_options
@cluster_options
@mixture_options
@plugin_options
@work_options
@global_options
@click.pass_obj
@report_option
def cluster(settings: Settings, *, dry_run: bool, **values: Any) -> None:
    """Cluster the trajectories I(q, T) of a series, and write a run folder.

    INPUT is a stacked NeXus file, an NXRefine sample folder, or a list of per-temperature files.

    \b
    xtec cluster srn0_XTEC.nxs -o runs/srn0 --region "L=0:1,K=-10:10,H=-15:15"
    xtec cluster nxrefine/SrRhSn/cubic -o runs/cubic -k 3 --mode s
    xtec cluster --from runs/cubic --keep 1,2 -o runs/cubic-2
    """
    from xtec_pipelines.config import make_config

    if not values["inputs"] and not values["from_run"]:
        raise click.UsageError("Missing argument 'INPUT...'.")
    config = make_config(values)
    (rehearse_and_show if dry_run else run_and_show)(settings, config)


def rehearse_and_show(settings: Settings, config: Any) -> None:
    """Check what a configuration needs, and show the plan."""
    from xtec_cli.show import show_inspection, show_json, show_rehearsal
    from xtec_pipelines.rehearsal import rehearse

    settings.start_logging()
    found = rehearse(config)
    if settings.json:
        show_json(found.as_json())
    else:
        show_inspection(found.inspection)
        show_rehearsal(found)


def run_and_show(settings: Settings, config: Any, *, sweep: bool = False) -> None:
    """Run a configuration and show its table (or its summary as JSON); before it the sweep, if asked for."""
    from xtec.io.run.folder import is_finished, read_summary
    from xtec_cli.interrupts import resumable
    from xtec_cli.progress import terminal_progress
    from xtec_cli.show import show_json, show_next, show_run, show_selection
    from xtec_pipelines.cluster import run_cluster
    from xtec_pipelines.run_folder import summary

    settings.start_logging()
    if config.resume and is_finished(Path(config.output)):
        if settings.json:
            show_json({"run": config.output, **read_summary(Path(config.output))})
        else:
            click.echo(f"{config.output}: finished already; --force repeats it")
        return
    with resumable(settings, Path(config.output)), terminal_progress(settings) as progress:
        run = run_cluster(config, progress)
    if settings.json:
        show_json({"run": config.output, **summary(run)})
    else:
        if sweep:
            show_selection(run)
        show_run(run, Path(config.output), progress.seconds)
        show_next(run, config.output)
