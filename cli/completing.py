"""What a shell offers for values that are no fixed choice: files, folders, names of plugins."""

from __future__ import annotations

from collections.abc import Callable

import rich_click as click
from click.shell_completion import CompletionItem

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def complete_files(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Files and folders, which the shell finds itself."""
    return [CompletionItem(begun, type="file")]


def complete_folders(
    _context: click.Context, _parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """Folders, which the shell finds itself."""
    return [CompletionItem(begun, type="dir")]


def complete_names(*names: str) -> Complete:
    """Some of the values that may be given."""

    def complete(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
        return [CompletionItem(name) for name in names if name.startswith(begun)]

    return complete


def complete_plugins(slot: str) -> Complete:
    """Plugins that are installed for a slot; none is loaded."""

    def complete(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
        from xtec.plugins.registry import names

        return complete_names(*names(slot))(context, parameter, begun)

    return complete
