"""``xtec run``."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from xtec_cli.settings import Settings, global_options


@click.command("run")
@click.argument("recipe", type=click.Path(path_type=Path), metavar="RECIPE.toml")
@click.option("-o", "--output", metavar="RUN", help="Another folder for the results.")
@click.option("--force", is_flag=True, help="Write into a folder that is not empty.")
@global_options
@click.pass_obj
def run(settings: Settings, recipe: Path, output: str | None, force: bool) -> None:
    """Run a recipe, or repeat a run from the run.toml in its folder.

    A recipe says which command it is one of: command = "cluster" (as without that line), "phase-diagram",
    "order-parameter" or "unit-cell".
    """
    from xtec_cli.commands import cluster, order_parameter, phase_diagram, unit_cell
    from xtec_pipelines.config import load_recipe
    from xtec_pipelines.order_parameter import OrderConfig
    from xtec_pipelines.phase_diagram import load_phase_diagram_recipe
    from xtec_pipelines.unit_cell import UnitCellConfig
    from xtec_pipelines.validation import read_recipe, validated

    changes = {"force": force, **({"output": output} if output else {})}
    command, values = read_recipe(recipe)
    if command == "phase-diagram":
        diagram = load_phase_diagram_recipe(recipe).model_copy(update=changes)
        phase_diagram.run_and_show(settings, diagram)
    elif command == "order-parameter":
        order_parameter.run_and_show(settings, validated(OrderConfig, values))
    elif command == "unit-cell":
        unit_cell.run_and_show(settings, validated(UnitCellConfig, values))
    else:
        cluster.run_and_show(settings, load_recipe(recipe).model_copy(update=changes))
