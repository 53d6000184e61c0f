"""``xtec plugins``."""

from __future__ import annotations

import rich_click as click
from click.exceptions import Exit

from xtec_cli.groups import Commands
from xtec_cli.settings import Settings, global_options


@click.group("plugins", cls=Commands, invoke_without_command=True)
@global_options
@click.pass_context
def plugins(context: click.Context) -> None:
    """What can be put in place of the built-in, and how to see whether it works.

    \b
    xtec plugins list
    xtec plugins show mixmate
    xtec plugins check mixmate:atoms=3
    """
    if context.invoked_subcommand is None:
        context.invoke(list_)


@plugins.command("list")
@global_options
@click.pass_obj
def list_(settings: Settings) -> None:
    """List the plugins of each slot; one that cannot be used is named with its reason."""
    from xtec_cli.show import show_json
    from xtec_cli.show_plugins import show_list
    from xtec_pipelines.plugin_list import every_plugin

    settings.start_logging()
    found = every_plugin()
    if settings.json:
        show_json({"plugins": [one.as_json() for one in found]})
    else:
        show_list(found)


@plugins.command("show")
@click.argument("name")
@click.option("--slot", metavar="SLOT", help="Where several slots have a plugin of this name.")
@global_options
@click.pass_obj
def show(settings: Settings, name: str, slot: str | None) -> None:
    """Say what the plugin NAME does and which options it takes."""
    from xtec_cli.show import show_json
    from xtec_cli.show_plugins import show_plugin
    from xtec_pipelines.plugin_list import describe

    settings.start_logging()
    found = describe(name, slot)
    if settings.json:
        show_json(found.as_json())
    else:
        show_plugin(found)


@plugins.command("check")
@click.argument("name", metavar="NAME[:key=value,...]")
@click.option("--slot", metavar="SLOT", help="Where several slots have a plugin of this name.")
@global_options
@click.pass_obj
def check(settings: Settings, name: str, slot: str | None) -> None:
    """Try the plugin NAME out where the truth is known; exit code 5 if something does not hold."""
    from xtec_cli.show import show_json
    from xtec_cli.show_plugins import show_checks
    from xtec_pipelines.plugin_list import check_plugin

    settings.start_logging()
    checks = check_plugin(name, slot)
    if settings.json:
        show_json({"plugin": name, "checks": [one.as_json() for one in checks]})
    else:
        show_checks(name, checks)
    if not all(one.passed for one in checks):
        raise Exit(5)
