"""``xtec stack``."""

from __future__ import annotations

from typing import Any

import rich_click as click

from xtec_cli.options import input_options, own_options
from xtec_cli.settings import Settings, global_options


@click.command("stack")
@input_options
@own_options(
    "File",
    click.option("-o", "--output", required=True, metavar="FILE.nxs", help="The file to write."),
    click.option(
        "--copy",
        "copied",
        is_flag=True,
        help="Copy the intensities [a virtual file: they stay where they are].",
    ),
    click.option(
        "--compression",
        type=click.Choice(["none", "gzip", "lz4", "bitshuffle", "blosc"]),
        help="With --copy [gzip]; bitshuffle is several times faster; readers then need hdf5plugin.",
    ),
    click.option(
        "--chunks", metavar="T,L,K,H", help="With --copy: chunk shape [the input's; else 1,8,64,64]."
    ),
    click.option("--force", is_flag=True, help="Replace the file if it exists."),
)
@global_options
@click.pass_obj
def stack(settings: Settings, /, **values: Any) -> None:
    """Make one series of per-temperature files: one virtual file over them, or a copy of all.

    INPUT is an NXRefine sample folder, or a list of per-temperature files. A virtual file is small and
    made at once; every source is looked at and read from. It needs the files it was made from: moved with
    them it works, alone it does not.

    \b
    xtec stack nxrefine/SrRhSn/cubic -o srn0.nxs
    xtec stack scans/*.nxs -o srn0.nxs --region "L=0:1" --temperatures 30:220
    xtec stack nxrefine/SrRhSn/cubic -o srn0.nxs --copy --compression bitshuffle
    """
    from xtec_pipelines.stack import StackConfig
    from xtec_pipelines.validation import validated

    run_and_show(settings, validated(StackConfig, values))


def run_and_show(settings: Settings, config: Any) -> None:
    """Make one file of a series, and show it."""
    from xtec_cli.progress import terminal_progress
    from xtec_cli.show import show_json, show_stacking
    from xtec_pipelines.stack import run_stack

    settings.start_logging()
    with terminal_progress(settings) as progress:
        done = run_stack(config, progress)
    if settings.json:
        show_json(done.as_json())
    else:
        show_stacking(done, progress.seconds)
