"""What a person sees of recipes: what would be done, what is wrong, what became of the samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import rich_click as click

_NUMBERS = ("clusters", "kept", "memory", "reading", "Tc", "q", "s")

if TYPE_CHECKING:
    from rich.table import Table

    from xtec_pipelines.recipes.check import Checked
    from xtec_pipelines.recipes.recipe import Problem, Recipe
    from xtec_pipelines.recipes.samples_table import Outcome


def show_check(recipe: Recipe, checked: Sequence[Checked], problems: Sequence[Problem]) -> None:
    """What would be done, a line for each series, and everything that is wrong, a line each."""
    from xtec_cli.layout import make_console, show_line, show_table

    console = make_console()
    if recipe.jobs:
        commands = [step.name for step in recipe.jobs[0].steps]
        samples = f"; {len(recipe.jobs)} samples, {recipe.parallel} at a time" if recipe.has_samples else ""
        show_line(console, f"{recipe.path}: {', then '.join(commands)}{samples}", width=0)
        show_table(console, _plans(checked))
    for one in problems:
        click.echo(f"{recipe.path}:{one.line}: {one.text}")
    if not problems:
        click.echo("nothing is wrong with it")


def _plans(checked: Sequence[Checked]) -> Table:
    from xtec.core.memory import format_bytes

    table = _table("sample", "series", "size", "memory", "reading", "results")
    for one in checked:
        head = (one.job.name, "done already" if one.done else "")
        rows = [
            (
                opened.series.name,
                " x ".join(map(str, (opened.series.n_temperatures, *opened.series.shape))),
                format_bytes(opened.plan.peak_bytes),
                f"{opened.plan.seconds:.0f} s" if opened.plan.seconds >= 1 else "< 1 s",
            )
            for opened in one.series
        ] or [(head[1], "", "", "")]
        for number, row in enumerate(rows):
            last = str(one.output or "") if number == 0 else ""
            table.add_row(head[0] if number == 0 else "", *row, last)
    return table


def show_samples(recipe: Recipe, outcomes: Sequence[Outcome]) -> None:
    """A line for each sample, more where there are several transitions; and where the table is."""
    from xtec_cli.layout import make_console, show_line, show_table
    from xtec_pipelines.recipes.recipe import LOGS
    from xtec_pipelines.recipes.samples_table import cells

    table = _table("sample", "clusters", "kept", "orders", "Tc", "q", "s")
    for outcome in outcomes:
        for line in cells(outcome):
            table.add_row(*line)
    console = make_console()
    show_table(console, table)
    done = sum(one.is_done for one in outcomes)
    for one in outcomes:
        if one.error:
            show_line(
                console, f"{one.error} (all of it in {recipe.folder / LOGS / one.name}.log)", head=one.name
            )
    files = f"{recipe.folder}: samples.json, samples.csv, logs"
    click.echo(f"{files}   {done} of {len(outcomes)} samples done")
    if done < len(outcomes):
        click.echo(f"next: xtec run {recipe.path} --resume")


def _table(*columns: str) -> Table:
    from xtec_cli.layout import make_table

    return make_table(*((name, name in _NUMBERS) for name in columns))
