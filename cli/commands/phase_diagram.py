"""``xtec phase-diagram``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import rich_click as click
from click.core import ParameterSource

from xtec_cli.commands.report import write_after
from xtec_cli.options import cluster_options, input_options, own_options
from xtec_cli.settings import Settings, global_options

_OWN = ("inputs", "output", "against", "units", "values", "joint", "symmetry", "seed", "figures", "force")


@click.command("phase-diagram")
@partial(input_options, inputs_required=True)
@own_options(
    "Diagram",
    click.option("-o", "--output", metavar="DIR", help="Folder for the diagram; a recipe may name it."),
    click.option(
        "--against",
        metavar="NAME",
        help="composition, pressure, ... [what the files differ in].",
    ),
    click.option("--units", metavar="TEXT", help="Its units [the files']."),
    click.option("--value", "values", multiple=True, metavar="RUN=NUMBER", help="x of a sample, by its run."),
    click.option("--joint", is_flag=True, help="Cluster the peaks of all samples together."),
    click.option("--symmetry", metavar="GROUP", help="Space group or Laue group, for wave vectors."),
    click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same answer."),
    click.option("--figures/--no-figures", default=True, help="Draw figures [yes]."),
    click.option("--force", is_flag=True, help="Write into a folder that is not empty."),
    click.option("--report", is_flag=True, help="Write report.html as well."),
)
@cluster_options
@global_options
@click.pass_context
def phase_diagram(context: click.RichContext, /, *, report: bool, **values: Any) -> None:
    """Tc of many samples against composition, field, pressure or strain; boundary and critical point.

    RUN is a run folder, or a series, which is clustered first; all with the same options. A recipe
    (RECIPE.toml) may say all of that.

    \b
    xtec phase-diagram runs/x0 runs/x2 runs/x4 -o diagram
    xtec phase-diagram series/*.nxs -o diagram -k 4 --joint
    xtec phase-diagram runs/a runs/b -o diagram --against pressure --value runs/a=0 --value runs/b=1.2
    """
    settings = context.ensure_object(Settings)
    given = {name for name in values if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    config = _config(values, given)
    run_and_show(settings, config)
    if report:
        write_after(settings, config.output)


def _config(values: dict[str, Any], given: set[str]) -> Any:
    """The configuration, of a recipe or of options; `given` names those that were said."""
    from xtec_pipelines.phase_diagram import PhaseDiagramConfig, load_phase_diagram_recipe
    from xtec_pipelines.validation import validated

    recipe = Path(values["inputs"][0])
    if len(values["inputs"]) == 1 and recipe.suffix == ".toml":
        changes: dict[str, Any] = {name: values[name] for name in {"output", "force", "figures"} & given}
        if unused := sorted(given - {"inputs", *changes}):
            names = ", ".join(f"--{name.replace('_', '-')}" for name in unused)
            raise click.UsageError(f"{names}: say that in the recipe")
        return load_phase_diagram_recipe(recipe).model_copy(update=changes)
    if not values["output"]:
        raise click.UsageError("Missing option '-o' / '--output'.")
    own = {name: values[name] for name in _OWN}
    own["cluster"] = {name: values[name] for name in given - set(_OWN)}
    if own["cluster"] and all((Path(item) / "results.nxs").exists() for item in values["inputs"]):
        allowed = {"clusters"} if values["joint"] else set()
        if unused := sorted(set(own["cluster"]) - allowed):
            names = ", ".join(f"--{name.replace('_', '-')}" for name in unused)
            raise click.UsageError(f"{names}: every input is a run, which is not clustered again")
    if str(own["cluster"].get("clusters", "")).isdigit():
        own["cluster"]["clusters"] = int(own["cluster"]["clusters"])
    return validated(PhaseDiagramConfig, own)


def run_and_show(settings: Settings, config: Any) -> None:
    """Make a phase diagram and show its table (or its summary as JSON)."""
    from xtec_cli.progress import terminal_progress
    from xtec_cli.show import show_json
    from xtec_cli.show_findings import show_diagram
    from xtec_pipelines.phase_diagram import diagram_summary, run_phase_diagram

    settings.start_logging()
    with terminal_progress(settings) as progress:
        findings = run_phase_diagram(config, progress)
    if settings.json:
        show_json({"run": config.output, **diagram_summary(findings)})
    else:
        show_diagram(findings, config.output, progress.seconds)
