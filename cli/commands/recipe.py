"""``xtec recipe``."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from xtec_cli.settings import Settings, global_options


@click.group("recipe")
def recipe() -> None:
    """Recipes to begin with, their JSON schema for editors, and the samples of one."""


@recipe.command("list")
@global_options
@click.pass_obj
def list_presets(settings: Settings) -> None:
    """Show the recipes there are to begin with."""
    from xtec_cli.show import show_json
    from xtec_pipelines.recipes.presets import presets

    found = presets()
    if settings.json:
        show_json({"recipes": [{"name": name, "summary": text} for name, text in found.items()]})
        return
    for name, text in found.items():
        click.echo(f"{name:<15} {text}")


@recipe.command("init")
@click.argument("preset", metavar="PRESET")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="[PRESET.toml]")
@click.option("--schema", is_flag=True, help="Also write the JSON schema beside it, for editors.")
@click.option("--force", is_flag=True, help="Replace what is there.")
@global_options
@click.pass_obj
def init(settings: Settings, preset: str, output: Path | None, schema: bool, force: bool) -> None:
    """Copy a recipe to begin with; xtec recipe list names them.

    \b
    xtec recipe init cdw -o sr3rh4sn13.toml
    """
    from xtec_cli.show import show_json
    from xtec_pipelines.recipes.presets import write_preset
    from xtec_pipelines.recipes.schema import recipe_schema

    described = recipe_schema(_descriptions()) if schema else None
    written = write_preset(preset, output or Path(f"{preset}.toml"), schema=described, force=force)
    if settings.json:
        show_json({"written": [str(path) for path in written]})
        return
    for path in written:
        click.echo(str(path))
    click.echo(f"next: edit it, then xtec check {written[0]}")


@recipe.command("schema")
def schema() -> None:
    """Print the JSON schema of recipes."""
    from xtec_cli.show import show_json
    from xtec_pipelines.recipes.schema import recipe_schema

    show_json(recipe_schema(_descriptions()))


@recipe.command("samples")
@click.argument("path", type=click.Path(path_type=Path), metavar="RECIPE.toml")
@global_options
@click.pass_obj
def samples(settings: Settings, path: Path) -> None:
    """Print the names of the samples of a recipe, a line each, in the order of --sample-index."""
    from xtec_cli.show import show_json
    from xtec_pipelines.recipes.file import load_recipe_file

    names = [job.name for job in load_recipe_file(path).jobs if job.name]
    if settings.json:
        show_json({"samples": names})
        return
    for name in names:
        click.echo(name)


def _descriptions() -> dict[str, dict[str, str]]:
    """What the help of each command says of itself (under an empty name) and of its options."""
    from xtec_cli.main import xtec

    return {
        name: {
            "": command.help or "",
            **{p.name or "": getattr(p, "help", None) or "" for p in command.params},
        }
        for name, command in xtec.commands.items()
    }
