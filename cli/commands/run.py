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
    """Run a recipe, or repeat a run from the run.toml in its folder."""
    from xtec_cli.commands.cluster import run_and_show
    from xtec_pipelines.config import load_recipe

    changes = {"output": output} if output else {}
    run_and_show(settings, load_recipe(recipe).model_copy(update={**changes, "force": force}))
