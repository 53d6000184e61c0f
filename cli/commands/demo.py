"""``xtec demo``."""

from __future__ import annotations

from pathlib import Path

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

    Clusters it, reads off the order parameter, and writes report.html. An earlier demo in the same folder is
    replaced.

    \b
    xtec demo
    xtec demo -o /tmp/demo
    """
    from xtec.io.run.folder import read_summary
    from xtec_cli.progress import terminal_progress
    from xtec_cli.show import show_json, show_run
    from xtec_cli.show_findings import show_order
    from xtec_pipelines.cluster import run_cluster
    from xtec_pipelines.demo import demo_config
    from xtec_pipelines.order_parameter import OrderConfig, run_order_parameter
    from xtec_pipelines.report import ReportConfig, run_report

    settings.start_logging()
    with terminal_progress(settings) as progress:
        run = run_cluster(demo_config(output), progress)
        clustering = dict(progress.seconds)
        findings = run_order_parameter(OrderConfig(run=output), progress)
        page = run_report(ReportConfig(run=output), progress)
    if settings.json:
        show_json({"run": output, **read_summary(Path(output))})
        return
    show_run(run, Path(output), clustering)
    later = {stage: seconds - clustering.get(stage, 0.0) for stage, seconds in progress.seconds.items()}
    show_order(findings, output, later)
    click.echo(f"{page}: open it in a browser")
