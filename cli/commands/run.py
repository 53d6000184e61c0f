"""``xtec run``."""

from __future__ import annotations

from contextlib import nullcontext, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click
from click.exceptions import Exit

from xtec_cli.settings import Settings, global_options

if TYPE_CHECKING:
    from xtec_pipelines.recipes.recipe import Job, Recipe


@click.command("run")
@click.argument("recipe", type=click.Path(path_type=Path), metavar="RECIPE.toml")
@click.option(
    "-o", "--output", metavar="RUN", help='Another folder for the results; "runs/{sample}" for samples.'
)
@click.option("--force", is_flag=True, help="Write into folders that are not empty.")
@click.option("--resume", is_flag=True, help="Go on: what is finished stays, what was interrupted goes on.")
@click.option("--sample", metavar="NAME", help="Only this sample of the recipe.")
@click.option(
    "--sample-index", type=click.IntRange(min=1), metavar="N", help="Only its sample number N, from 1."
)
@click.option("--memory-limit", metavar="8GiB", help="Of each sample, whatever the recipe says.")
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Of each sample, likewise.")
@click.option(
    "--collect", is_flag=True, help="Run nothing: write and show the table of all samples that are done."
)
@global_options
@click.pass_obj
def run(settings: Settings, /, recipe: Path, **values: Any) -> None:
    """Run a recipe, or repeat a run from the run.toml in its folder.

    A recipe says which command it is one of (command = "cluster", as without that line), what follows on the
    same run (then = ["order-parameter"]), and may name many samples, which are done several at a time.
    xtec check tells what it would do; xtec recipe list has some to begin with.

    \b
    xtec run cdw.toml
    xtec run samples.toml --resume
    xtec run samples.toml --sample-index $SLURM_ARRAY_TASK_ID --resume
    """
    from xtec_pipelines.recipes.file import load_recipe_file

    asked = [name for name in ("sample", "sample_index", "collect") if values[name]]
    if len(asked) > 1:
        raise click.UsageError(
            " and ".join(f"--{name.replace('_', '-')}" for name in asked[:2]) + ": one of them"
        )
    changes = {name: values[name] for name in ("output", "force", "resume", "memory_limit", "workers")}
    read = load_recipe_file(recipe, **changes)
    if values["sample"] or values["sample_index"]:
        read = read.only(name=values["sample"], number=values["sample_index"])
        _do(settings, read.jobs[0], resume=values["resume"])
    elif read.has_samples:
        _do_all(settings, read, collect=values["collect"], force=values["force"], resume=values["resume"])
    elif values["collect"]:
        raise click.UsageError("--collect: this recipe has no samples")
    else:
        _do(settings, read.jobs[0], resume=values["resume"])


def _do(settings: Settings, job: Job, *, resume: bool) -> None:
    """The command of a recipe and what follows, each shown as on its own; as JSON, what comes of all."""
    import time

    from xtec.io.run.folder import read_summary
    from xtec_cli.show import show_json
    from xtec_pipelines.recipes.record import is_done, remember

    noted = bool(job.name) or len(job.steps) > 1
    together = settings.json and len(job.steps) > 1
    with redirect_stdout(StringIO()) if together else nullcontext():
        for step in job.steps:
            if resume and (noted or not step.command.resumes) and is_done(step):
                if not settings.quiet:
                    click.echo(f"{step.name}: done already; --force repeats it", err=True)
                continue
            began = time.monotonic()
            _show(step.name)(settings, step.configure())
            if noted:
                remember(step, time.monotonic() - began)
    if together and (folder := job.steps[0].folder) is not None:
        show_json({"run": str(folder), **read_summary(folder)})


def _show(command: str) -> Any:
    """How the command line runs a configuration of a command and shows what comes of it."""
    from importlib import import_module

    return import_module(f"xtec_cli.commands.{command.replace('-', '_')}").run_and_show


def _do_all(settings: Settings, recipe: Recipe, *, collect: bool, force: bool, resume: bool) -> None:
    """All samples, and one table; ends with the code of the first that failed."""
    from xtec_cli.errors import NO_RESULT
    from xtec_cli.interrupts import resumable
    from xtec_cli.progress import terminal_progress
    from xtec_cli.show import show_json
    from xtec_cli.show_recipes import show_samples
    from xtec_pipelines.recipes.samples import collected, run_samples
    from xtec_pipelines.recipes.samples_table import write_table

    settings.start_logging()
    if collect:
        outcomes = list(collected(recipe).values())
        write_table(recipe.folder, outcomes)
    else:
        with resumable(settings, recipe.folder), terminal_progress(settings) as progress:
            outcomes = run_samples(recipe, progress, force=force, resume=resume, quiet=settings.quiet)
    if settings.json:
        show_json({"folder": str(recipe.folder), "samples": [one.as_json() for one in outcomes]})
    else:
        show_samples(recipe, outcomes)
    codes = (one.code or NO_RESULT for one in outcomes if not one.is_done)
    raise Exit(next(codes, 0))
