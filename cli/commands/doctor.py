"""``xtec doctor``."""

from __future__ import annotations

from pathlib import Path

import rich_click as click
from click.exceptions import Exit

from xtec_cli.settings import Settings, global_options


@click.command("doctor")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=".",
    metavar="DIR",
    help="Where results are to go: its disk and file locks are tried [here].",
)
@global_options
@click.pass_obj
def doctor(settings: Settings, folder: Path) -> None:
    """Look at all that commands rely on, and say what to do about what does not work.

    Versions, HDF5 filters, GPU, disk, file locks, memory, plugins, terminal and worker processes. Exit code
    5 if something needed is missing. Its output is worth sending along with a question.

    \b
    xtec doctor
    xtec doctor --folder /data/runs
    xtec doctor --json > doctor.json
    """
    from xtec_cli.show import show_json
    from xtec_cli.show_doctor import show_diagnoses
    from xtec_pipelines.doctor import run_doctor

    settings.start_logging()
    found = run_doctor(folder)
    if settings.json:
        show_json({"checks": [one.as_json() for one in found]})
    else:
        show_diagnoses(found)
    if any(one.state == "problem" for one in found):
        raise Exit(5)
