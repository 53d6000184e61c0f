"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import rich_click as click

from xtec.core.types import Backend, CovarianceType, Mode, Rescale, SmoothKernel, Updates
from xtec_cli.completing import complete_files, complete_folders, complete_names, complete_plugins
from xtec_cli.settings import Settings

Command = TypeVar("Command", bound=Callable[..., Any])


def _apply(command: Command, section: str, decorators: tuple[Callable[[Any], Any], ...]) -> Command:
    """Add options that the help shows together, under the name of their section."""
    for decorator in reversed(decorators):
        command = decorator(command)
    for parameter in command.__click_params__[-len(decorators) :]:  # type: ignore[attr-defined]
        if not isinstance(parameter, click.Argument):
            parameter.panel = section
    return command


def own_options(
    section: str, *decorators: Callable[[Any], Any]
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Options of one command, in a section of its help."""
    return lambda command: _apply(command, section, decorators)


def input_options(command: Command, *, inputs_required: bool = True) -> Command:
    """INPUT and what part of it to take."""
    return _apply(
        command,
        "Input",
        (
            click.argument(
                "inputs",
                nargs=-1,
                required=inputs_required,
                metavar="INPUT...",
                shell_complete=complete_files,
            ),
            click.option("--region", metavar="H=A:B,K=A:B,L=A:B", help="Part of reciprocal space, in r.l.u."),
            click.option("--temperatures", metavar="LOW:HIGH", help="Interval of the scan variable."),
            click.option("--entry", metavar="PATH", help="NXentry or NXdata to read."),
            click.option(
                "--group",
                metavar="NAME",
                help="NXRefine group: transform, masked_transform, symm_transform, symm_masked_transform.",
                shell_complete=complete_names(
                    *("transform", "masked_transform", "symm_transform", "symm_masked_transform")
                ),
            ),
            click.option(
                "--scan", metavar="NAME", help="Scan variable, where it is not the temperature found."
            ),
            click.option(
                "--reader",
                metavar="NAME",
                help="Plugin that opens INPUT [NeXus, or whichever can].",
                shell_complete=complete_plugins("readers"),
            ),
            click.option("--skip-bad", is_flag=True, help="Drop temperatures that cannot be used."),
            click.option(
                "--allow-external", is_flag=True, help="Follow links of INPUT to files outside its folder."
            ),
            click.option(
                "--memory-limit", metavar="8GiB", help="Memory to stay within [half of what is free]."
            ),
        ),
    )


_NOISE = (
    click.option(
        "--noise",
        type=click.Choice(["none", "poisson"]),
        default="none",
        show_default=True,
        help="poisson: the mixture knows of each trajectory's counting noise.",
    ),
    click.option(
        "--counts-per-unit",
        type=float,
        metavar="X",
        help="Counts in a unit of intensity, for the noise [told by the data].",
    ),
)
"""What the mixture knows of counting noise."""


def second_pass_options(command: Command) -> Command:
    """Clusters of an earlier run that are clustered again."""
    return _apply(
        command,
        "Second pass",
        (
            click.option(
                "--from",
                "from_run",
                metavar="RUN",
                shell_complete=complete_folders,
                help="Cluster some clusters of this run again; INPUT may be left out.",
            ),
            click.option("--keep", metavar="2,3", help="Its clusters that are kept."),
            click.option("--drop", metavar="1,4", help="Its clusters that are left out."),
            click.option(
                "--auto-refine",
                is_flag=True,
                help="Two passes: noise and thermal diffuse scattering are left out of the second.",
            ),
        ),
    )


def cluster_options(command: Command) -> Command:
    """Which trajectories are clustered, and into how many clusters."""
    return _apply(
        command,
        "Trajectories and clusters",
        (
            click.option(
                "--mode",
                type=click.Choice([str(mode) for mode in Mode]),
                default=str(Mode.AUTO),
                show_default=True,
                help="d: every voxel; s: peak averaging; smooth: smoothed labels; auto: d or s.",
            ),
            click.option(
                "-k",
                "--clusters",
                metavar="N|A:B|auto",
                default="4",
                show_default=True,
                help="Number of clusters; a range (both ends included) or auto (1:10) chooses it.",
            ),
            click.option(
                "--quantity",
                metavar="NAME",
                default="intensity",
                show_default=True,
                help="What of each peak: intensity, maximum, spread, width, width-h, asymmetry-h, ...",
            ),
            click.option(
                "--rescale",
                type=click.Choice([str(how) for how in Rescale]),
                default=str(Rescale.MEAN),
                show_default=True,
                help="How trajectories are made comparable.",
            ),
            click.option(
                "--threshold",
                metavar="kl|significance|kl+significance|simple|none|NUMBER",
                shell_complete=complete_names("kl", "significance", "kl+significance", "simple", "none"),
                default="kl+significance",
                show_default=True,
                help="Voxels to keep: above background, varying significantly, or a cutoff in ln intensity.",
            ),
            click.option("--fdr", type=float, default=0.01, help="False discoveries in significance [0.01]."),
            click.option(
                "--negative",
                type=click.Choice(["refuse", "drop"]),
                default="refuse",
                show_default=True,
                help="What to do about voxels with negative intensities.",
            ),
            click.option("--min-std", type=float, default=0.0, help="Leave out trajectories that vary less."),
        ),
    )


def plugin_options(command: Command) -> Command:
    """What is put in place of the built-in, each NAME[:key=value,...]; see `xtec plugins`."""
    return _apply(
        command,
        "Plugins",
        (
            *(
                click.option(f"--{name}", metavar="NAME", help=text, shell_complete=complete_plugins(slot))
                for name, slot, text in (
                    ("features", "features", "Cluster what this makes of trajectories."),
                    ("clusterer", "clusterers", "Clusters in place of the mixture."),
                    ("selector", "selectors", "Chooses the number of clusters from -k A:B."),
                    ("novelty", "novelty", "Tells what is unlike a reference."),
                )
            ),
            click.option(
                "--reference",
                metavar="INPUT",
                help="Series or run for reference [the series itself].",
                shell_complete=complete_files,
            ),
            click.option(
                "--writer",
                metavar="NAME",
                multiple=True,
                help="Writes more files; may be given again.",
                shell_complete=complete_plugins("writers"),
            ),
        ),
    )


def mixture_options(command: Command) -> Command:
    """How the mixture is fitted."""
    return _apply(
        command,
        "Mixture",
        (
            click.option(
                "--smooth-kernel",
                type=click.Choice([str(kernel) for kernel in SmoothKernel]),
                default=str(SmoothKernel.LOCAL),
                show_default=True,
                help="Neighbours of mode smooth: voxels nearby, or at the same place of any zone.",
            ),
            click.option(
                "--smooth-length", type=float, metavar="X", help="Pixels; periodic: of sines [1; 0.1]."
            ),
            click.option("--smooth-steps", type=int, default=1, help="Averagings in each iteration [1]."),
            click.option("--smooth-weighted", is_flag=True, help="Near neighbours count for more."),
            click.option("--unit-cell", metavar="U,V,W", help="Pixels a zone along H, K, L [from the axes]."),
            click.option(
                "--covariance",
                type=click.Choice([str(kind) for kind in CovarianceType]),
                default=str(CovarianceType.DIAG),
                show_default=True,
                help="Covariance of a component over temperature.",
            ),
            click.option(
                "--em",
                type=click.Choice([str(how) for how in Updates]),
                default=str(Updates.BATCH),
                show_default=True,
                help="stepwise moves the mixture after every few trajectories, before it iterates over all.",
            ),
            *_NOISE,
            click.option("--n-init", type=int, default=24, show_default=True, help="Starts that are tried."),
            click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same answer."),
            click.option("--max-iter", type=int, default=1000, show_default=True, help="Iterations at most."),
            click.option(
                "--tol",
                type=float,
                default=1e-6,
                show_default=True,
                help="Converged when the mean log-likelihood gains less.",
            ),
        ),
    )


def work_options(command: Command) -> Command:
    """Who does the work, and what becomes of it when interrupted."""
    return _apply(
        command,
        "Work",
        (
            click.option(
                "--scheduler",
                metavar="threads|processes|ADDRESS|FILE.json",
                shell_complete=complete_names("threads", "processes"),
                default="threads",
                show_default=True,
                help="Threads or processes here, or a running Dask cluster.",
            ),
            click.option("--workers", type=int, metavar="N", help="How many [one a core]."),
            click.option(
                "--backend",
                type=click.Choice([str(one) for one in Backend]),
                default=str(Backend.AUTO),
                show_default=True,
                help="Compute on the processor, or on a GPU through CuPy; auto: a GPU for large series.",
            ),
            click.option(
                "--scratch", metavar="DIR", help="Folder for what memory cannot hold [in the run folder]."
            ),
            click.option(
                "--save-after",
                type=float,
                metavar="SECONDS",
                default=10.0,
                show_default=True,
                help="Save progress once a run has taken so long.",
            ),
            click.option("--resume", is_flag=True, help="Go on with a run that was interrupted."),
        ),
    )


def output_options(command: Command) -> Command:
    """Where the run goes."""
    return _apply(
        command,
        "Output",
        (
            click.option(
                "-o",
                "--output",
                required=True,
                metavar="RUN",
                help="Folder for the results.",
                shell_complete=complete_folders,
            ),
            click.option("--figures/--no-figures", default=True, help="Draw figures [yes]."),
            click.option("--force", is_flag=True, help="Write into a folder that is not empty."),
        ),
    )


def dry_run_option(command: Command) -> Command:
    """Add --dry-run; the command looks at it itself."""
    return _apply(
        command,
        "Output",
        (
            click.option(
                "--dry-run",
                is_flag=True,
                help="Check everything and show the plan; read no voxel, write nothing.",
            ),
        ),
    )


def report_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add --report to a command that leaves or changes a run: its page is written afterwards.

    It stands next to the command's own function, which does not see it.
    """

    @click.option("--report", is_flag=True, help="Write report.html as well.", panel="Output")
    @wraps(command)
    def and_report(settings: Settings, *, report: bool, **values: Any) -> None:
        command(settings, **values)
        if report and not values.get("dry_run"):
            from xtec_cli.commands.report import write_after

            write_after(settings, values.get("output") or values["run"])

    return and_report
