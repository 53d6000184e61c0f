"""The command `xtec`: a group of commands; each imports what it needs when it is called."""

from __future__ import annotations

import atexit
import gc
import sys

import rich_click as click
from click.exceptions import Abort, ClickException, Exit  # now: there may be no memory for it later

from xtec_cli.commands.check import check
from xtec_cli.commands.cluster import cluster
from xtec_cli.commands.completion import completion
from xtec_cli.commands.demo import demo
from xtec_cli.commands.doctor import doctor
from xtec_cli.commands.inspect import inspect
from xtec_cli.commands.order_parameter import order_parameter
from xtec_cli.commands.phase_diagram import phase_diagram
from xtec_cli.commands.plugins import plugins
from xtec_cli.commands.recipe import recipe
from xtec_cli.commands.report import report
from xtec_cli.commands.run import run
from xtec_cli.commands.select import select
from xtec_cli.commands.simulate import simulate
from xtec_cli.commands.stack import stack
from xtec_cli.commands.unit_cell import unit_cell
from xtec_cli.commands.watch import watch
from xtec_cli.errors import report as report_error
from xtec_cli.groups import HELP, Commands
from xtec_cli.interrupts import heard
from xtec_cli.settings import Settings, global_options


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "rich_help_config": HELP})
@global_options
@click.version_option(package_name="xtec-pipeline", prog_name="xtec")
def xtec() -> None:
    """X-TEC: find order in temperature series of reciprocal-space volumes.

    Start with `xtec demo`, or `xtec cluster FILE -o RUN`.
    """


for command in (
    *(demo, inspect, cluster, select, order_parameter, unit_cell, phase_diagram, report),
    *(stack, watch, simulate, run, check, recipe, plugins, doctor, completion),
):
    xtec.add_command(command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; errors become exit codes."""
    settings = Settings(arguments=tuple(sys.argv[1:] if arguments is None else arguments))
    atexit.register(gc.freeze)  # the system takes memory back faster than a last collection
    try:
        with heard():
            code = xtec.main(arguments, prog_name="xtec", standalone_mode=False, obj=settings)
    except Exit as error:
        code = error.exit_code
    except ClickException as error:
        error.show()
        code = error.exit_code
    except Abort:
        code = report_error(KeyboardInterrupt(), verbose=False, go_on=settings.go_on)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  the one place where errors end
        code = report_error(error, verbose=settings.verbose > 0, go_on=settings.go_on)
    sys.exit(code if isinstance(code, int) else 0)
