"""``xtec inspect``."""

from __future__ import annotations

from typing import Any

import rich_click as click

from xtec_cli.options import input_options
from xtec_cli.settings import Settings, global_options


@click.command("inspect")
@input_options
@global_options
@click.pass_obj
def inspect(settings: Settings, /, **values: Any) -> None:
    """Show axes, temperatures, storage, gaps, and the plan for clustering; no voxel is read.

    \b
    xtec inspect srn0_XTEC.nxs
    xtec inspect nxrefine/SrRhSn/cubic --group symm_transform --region "L=0:1"
    """
    from xtec_pipelines.config import InputConfig
    from xtec_pipelines.validation import validated

    run_and_show(settings, validated(InputConfig, values))


def run_and_show(settings: Settings, config: Any) -> None:
    """Look into a series and show what is there (or the same as JSON)."""
    from xtec_cli.show import show_inspection, show_json
    from xtec_pipelines.inspect import inspect_series

    settings.start_logging()
    inspection = inspect_series(config)
    if settings.json:
        show_json(inspection.as_json())
    else:
        show_inspection(inspection)
