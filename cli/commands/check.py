"""``xtec check``."""

from __future__ import annotations

from pathlib import Path

import rich_click as click
from click.exceptions import Exit

from xtec_cli.settings import Settings, global_options


@click.command("check")
@click.argument("recipe", type=click.Path(path_type=Path), metavar="RECIPE.toml")
@click.option("-o", "--output", metavar="RUN", help="As it will be given to xtec run.")
@click.option("--force", is_flag=True, help="As it will be given to xtec run.")
@click.option("--resume", is_flag=True, help="As it will be given to xtec run.")
@global_options
@click.pass_obj
def check(settings: Settings, recipe: Path, output: str | None, force: bool, resume: bool) -> None:
    """Tell what a recipe would do, and name everything that is wrong with it, with its line.

    Series are opened, no voxel is read. Exit code 2: the recipe, or where its results go; 3: input; 5: a
    plugin or a backend; the first of these that occurs.

    \b
    xtec check cdw.toml
    """
    from xtec_cli.errors import exit_code
    from xtec_cli.show import show_json
    from xtec_cli.show_recipes import show_check
    from xtec_pipelines.recipes.check import check_recipe
    from xtec_pipelines.recipes.file import open_recipe

    settings.start_logging()
    read = open_recipe(recipe, output=output, force=force, resume=resume)
    checked, problems = check_recipe(read, resume=resume)
    if settings.json:
        found = {
            "problems": [one.as_json() for one in problems],
            "samples": [one.as_json() for one in checked],
        }
        show_json({"recipe": str(recipe), "parallel": read.parallel, **found})
    else:
        show_check(read, checked, problems)
    raise Exit(min((exit_code(one.error) for one in problems), default=0))
