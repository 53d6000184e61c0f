"""``xtec demo``."""

from __future__ import annotations

import rich_click as click

from xtec_cli.settings import Settings, global_options


@click.command("demo")
@click.option(
    "-o", "--output", default="runs/demo", show_default=True, metavar="DIR", help="Folder for the results."
)
@global_options
@click.pass_obj
def demo(settings: Settings, output: str) -> None:
    """Run the main job on the bundled sample: a simulated charge-density wave in Sr3Rh4Sn13.

    An earlier demo in the same folder is replaced.
    """
    from xtec_cli.commands.cluster import run_and_show
    from xtec_pipelines.demo import demo_config

    run_and_show(settings, demo_config(output))
